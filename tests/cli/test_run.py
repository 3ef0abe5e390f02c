"""cli/uprobes_sim_cli/run.py, writers.py and options.py"""

import json
import platform
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from elf_programs import program
from uprobes_sim_cli.app import app

ADD3 = str(program("powerpc64le", "add3"))
PRINTED = "".join(f"add3({i}, {10 * i}, {-i}) = {10 * i}\n" for i in range(4)).replace("-0", "0")


def invoke(*args: str, stdin: bytes = b"") -> Any:
    return CliRunner().invoke(app, args, input=stdin)


def test_options_are_taken_before_and_behind_the_program() -> None:
    before = invoke("run", "-p", "add3", "--format", "jsonl", ADD3)
    behind = invoke("--format", "jsonl", "run", ADD3, "-p", "add3")

    assert before.stdout == behind.stdout
    assert before.stdout.count('"event": "hit"') == 4


@pytest.mark.parametrize(
    "args", [[ADD3, "extra"], [ADD3, "extra", "--", "own"], [ADD3, "-p", "main", "extra"]]
)
def test_what_does_not_follow_two_dashes_is_not_the_programs(args: list[str]) -> None:
    result = invoke("run", *args)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "uprobes-sim: extra is no argument of the program: write -- extra, or -p extra for a "
        "probe; see uprobes-sim run --help\n"
    )


@pytest.mark.parametrize("args", [[ADD3, "--", "a", "--", "-b"], ["--", ADD3, "a", "--", "-b"]])
def test_all_behind_two_dashes_is_the_programs(args: list[str]) -> None:
    assert invoke("run", *args).exit_code == 0


def test_text_has_a_line_for_each_hit_and_the_program_s_own_lines() -> None:
    lines = invoke("run", ADD3, "-p", "add3", "-p", "add3%return").stdout.splitlines()

    hits = [line for line in lines if line.startswith("            add3-1000    [000] ..... ")]
    assert len(hits) == 8
    assert [line for line in lines if line.startswith("add3(")] == PRINTED.splitlines()
    assert lines[-1].startswith("probed run equals unprobed run")
    assert "hits: add3 4, add3%return 4" in lines
    assert any(line.startswith("exit status 0 after ") for line in lines)


@pytest.mark.parametrize("format_", ["text", "json", "jsonl"])
def test_trace_leaves_standard_output_to_the_program(format_: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    result = invoke("run", ADD3, "-p", "add3", "--trace", str(trace), "--format", format_)

    assert (result.exit_code, result.stdout, result.stderr) == (0, PRINTED, "")
    assert trace.read_text().count("how") == 4


def test_trace_to_standard_error() -> None:
    result = invoke("run", ADD3, "-p", "add3", "--trace", "-")

    assert result.stdout == PRINTED
    assert result.stderr.count("how=") == 4


def test_a_filter_under_probes_can_stand_in_a_pipe() -> None:
    path = str(program("powerpc", "filter"))

    result = invoke("run", path, "-p", "upper", "--trace", "-", stdin=b"a \xff\n b")

    assert result.stdout_bytes == b"A \xff\n B"
    assert "6 bytes" in result.stderr.splitlines()


def test_our_lines_begin_where_a_line_begins() -> None:
    path = str(program("powerpc", "filter"))

    result = invoke("run", path, stdin=b"no newline")

    assert "NO NEWLINE\nexit status 0" in result.stdout


def test_json_is_one_array_and_jsonl_the_same_objects() -> None:
    array = invoke("run", ADD3, "-p", "add3", "--format", "json")
    lines = invoke("run", ADD3, "-p", "add3", "--format", "jsonl")

    assert json.loads(array.stdout) == [json.loads(line) for line in lines.stdout.splitlines()]


def test_registers_come_when_asked_for() -> None:
    events = json.loads(invoke("run", ADD3, "-p", "add3", "--regs", "--format", "json").stdout)

    last = [event["regs"] for event in events if event["event"] == "hit"][-1]
    assert (last["gpr3"], last["gpr4"], last["gpr5"]) == ("0x3", "0x1e", "0xfffffffffffffffd")
    assert last["nip"] == next(e["vaddr"] for e in events if e["event"] == "hit")


def test_no_compare_leaves_the_comparison_out() -> None:
    events = json.loads(invoke("run", ADD3, "--no-compare", "--format", "json").stdout)

    assert events[-1]["compared"] is None


def test_arguments_behind_the_dashes_are_the_program_s() -> None:
    path = str(program("powerpc", "endings"))

    events = json.loads(invoke("run", path, "--format", "json", "--", "exit", "7").stdout)

    assert events[-1]["exit_status"] == 7


def test_options_behind_the_dashes_are_the_program_s_too() -> None:
    path = str(program("powerpc", "files"))

    result = invoke("run", path, "--", "--format", "json", "-p")

    assert "usage: files PATH" in result.stderr


def test_a_refused_probe_is_an_object_and_a_line() -> None:
    path = str(program("powerpc", "endings"))

    result = invoke("run", path, "-p", "trap_here", "--format", "json")

    (refused,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (refused["event"], refused["errno"], refused["errno_value"], refused["rule"]) == (
        "refused",
        "ENOTSUPP",
        524,
        "powerpc.trap",
    )
    assert result.stderr.startswith("uprobes-sim: probe trap_here: ENOTSUPP (524): ")


def test_the_kernel_that_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-18-amd64")

    assert invoke("--kernel", "running", "run", ADD3).exit_code == 0


@pytest.mark.parametrize(
    ("system", "release", "says"),
    [("Darwin", "23.1.0", "not Linux"), ("Linux", "2.6.32", "not modelled")],
)
def test_a_kernel_that_runs_here_and_is_not_modelled(
    system: str, release: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "release", lambda: release)

    result = invoke("--kernel", "running", "run", ADD3)

    assert result.exit_code == 2
    assert says in result.stderr


def test_colours_are_for_terminals() -> None:
    assert "\x1b" not in invoke("run", ADD3, "-p", "add3").stdout


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_a_file_name_that_is_not_utf_8_is_still_json(format_: str, tmp_path: Path) -> None:
    path = tmp_path / "\udcffp"
    path.write_bytes(Path(ADD3).read_bytes())

    done = invoke("run", str(path), "-p", "add3", "--format", format_)

    assert done.exit_code == 0
    assert '"comm": "\ufffdp"' in done.stdout_bytes.decode()
