"""cli/uprobes_sim_cli/streams.py: standard streams as a shell can leave them."""

import subprocess
import sys
from pathlib import Path

import pytest

from elf_programs import program

ADD3 = str(program("x86_64", "add3"))
FULL = "No space left on device\n"
COMMANDS = [
    pytest.param(["run", ADD3, "-p", "add3"], id="run"),
    pytest.param(["run", ADD3, "-p", "add3", "--format", "json"], id="run json"),
    pytest.param(["--arch", "x86"], id="demonstration"),
    pytest.param(["arches"], id="arches"),
    pytest.param(["arches", "--format", "json"], id="arches json"),
    pytest.param(["errata"], id="errata"),
    pytest.param(["errata", "powerpc.lost_bctar"], id="one erratum"),
    pytest.param(["--arch", "x86", "explain", "90"], id="explain"),
    pytest.param(["--help"], id="help"),
    pytest.param(["run", "--help"], id="help of a command"),
    pytest.param([], id="nothing"),
    pytest.param(["--version"], id="version"),
]


def shell(redirection: str, *args: str) -> tuple[int, str, str]:
    """Run the command as a shell with *redirection*; answer its status and what it wrote."""
    command = [sys.executable, "-m", "uprobes_sim_cli", *args]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("args", COMMANDS)
def test_a_closed_standard_output_is_one_line(args: list[str]) -> None:
    assert shell(">&-", *args) == (
        2,
        "",
        "uprobes-sim: cannot write standard output: Bad file descriptor\n",
    )


def test_a_closed_standard_output_is_no_matter_where_there_is_nothing_to_write() -> None:
    args = ["run", str(program("x86_64", "filter")), "--trace", "-"]

    status, out, err = shell(">&-", *args)

    assert (status, out) == (0, "")
    assert "exit status 0" in err


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"]], ids=["help", "of a command"])
def test_a_reader_of_the_help_who_goes_away_is_141(args: list[str]) -> None:
    command = [sys.executable, "-m", "uprobes_sim_cli", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        err = running.stderr.read()

    assert (running.returncode, err) == (141, b"")


@pytest.mark.parametrize("columns", ["0", "00"])
def test_no_columns_are_as_many_as_usual(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = shell("", "--help")
    monkeypatch.setenv("COLUMNS", columns)

    assert shell("", "--help") == usual
    assert "Usage: uprobes-sim" in usual[1]


@pytest.mark.parametrize("args", COMMANDS)
def test_a_full_disk_is_one_line(args: list[str]) -> None:
    assert shell(">/dev/full", *args) == (
        2,
        "",
        f"uprobes-sim: cannot write standard output: {FULL}",
    )


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("args", [["run", ADD3, "-p", "ad3"], ["run"]], ids=["symbol", "usage"])
def test_a_complaint_that_nobody_can_get_leaves_the_status(
    redirection: str, args: list[str]
) -> None:
    assert shell(redirection, *args) == (2, "", "")


@pytest.mark.parametrize("format_", ["text", "json", "jsonl"])
def test_a_trace_that_does_not_fit_is_one_line(format_: str) -> None:
    args = ["run", ADD3, "-p", "add3", "--trace", "/dev/full", "--format", format_]

    assert shell(">/dev/null", *args) == (2, "", f"uprobes-sim: cannot write /dev/full: {FULL}")


def test_a_file_that_takes_the_place_of_a_closed_stream_is_written(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    status = shell("<&- >&- 2>&-", "run", ADD3, "-p", "add3", "--trace", str(trace))

    assert status == (2, "", "")
    assert trace.read_text().count("how=") == 4
