"""cli/uprobes_sim_cli/errata.py"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from check_cases import compiled
from uprobes_sim import linker
from uprobes_sim_cli.app import app

KEYS = [
    "id",
    "arch",
    "since",
    "until",
    "config",
    "cpu",
    "instructions",
    "effect",
    "severity",
    "evidence",
    "upstream",
]


def invoke(*args: str) -> Any:
    return CliRunner().invoke(app, args)


def listed(*args: str) -> dict[str, dict[str, Any]]:
    found = json.loads(invoke("errata", "--format", "json", *args).stdout)
    return {each["id"]: each for each in found}


def test_the_object_of_an_erratum() -> None:
    found = listed("powerpc.kuap_warning")["powerpc.kuap_warning"]

    assert list(found) == KEYS
    assert (found["since"], found["until"], found["cpu"]) == ("5.2", "6.12", ["power9", "power10"])


def test_what_is_still_there_has_no_end() -> None:
    assert listed("powerpc.lost_bctar")["powerpc.lost_bctar"]["until"] is None


def test_all_backends_are_listed_or_one() -> None:
    everything = listed()

    assert {each["arch"] for each in listed("--arch", "powerpc").values()} == {"powerpc"}
    assert listed("--arch", "powerpc").items() <= everything.items()


def test_a_machine_has_some_of_them() -> None:
    on_6_1 = listed("--arch", "powerpc", "--kernel", "6.1")
    on_power8 = listed("--arch", "powerpc", "--kernel", "6.1", "--cpu", "power8")

    assert "powerpc.lost_nonvolatile" in on_6_1
    assert "powerpc.lost_nonvolatile" not in listed("--arch", "powerpc", "--kernel", "6.12")
    assert on_6_1.keys() - on_power8.keys() >= {"powerpc.kuap_warning", "powerpc.vector_length"}


def test_a_processor_chooses_its_backend() -> None:
    assert {each["arch"] for each in listed("--cpu", "power9").values()} == {"powerpc"}


def test_a_backend_that_does_not_work_keeps_nobody_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linker, "installed", lambda: ("nosuch", "powerpc"))

    done = invoke("errata")

    assert done.exit_code == 0
    assert "powerpc.lost_bctar" in done.stdout
    assert "no plugin is named nosuch" in done.stderr


def test_text_lists_and_shows() -> None:
    table = invoke("errata").stdout
    one = invoke("errata", "powerpc.lost_bctar").stdout

    assert "powerpc.lost_bctar" in table
    assert "evidence      run: " in one


def test_an_unknown_id_is_one_line() -> None:
    done = invoke("errata", "powerpc.lost_btar")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean powerpc.lost_bctar?" in done.stderr


@pytest.mark.parametrize(("format_", "text"), [("json", "[]\n"), ("jsonl", "")])
def test_no_errata_are_no_objects(format_: str, text: str) -> None:
    done = invoke("errata", "--arch", "powerpc", "--kernel", "3.5", "--format", format_)

    assert (done.exit_code, done.stdout) == (0, text)


X86_IDS = ("x86.avx_as_jump", "x86.trap_nr_lost", "x86.fork_optimised")
POWERPC_IDS = (
    "powerpc.lost_nonvolatile",
    "powerpc.lost_bctar",
    "powerpc.vector_length",
    "powerpc.reservation",
    "powerpc.completed_spr",
    "powerpc.suffix",
)


@pytest.mark.parametrize("language", ["bpftrace", "perf"])
@pytest.mark.parametrize("erratum", X86_IDS)
def test_scripts_are_shell_that_builds_a_victim(
    language: str, erratum: str, tmp_path: Path
) -> None:
    script = invoke("errata", erratum, "--emit", language).stdout

    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert script.startswith(f"#!/bin/sh\n# {erratum}: ")
    victim = script.partition("<<'END'\n")[2].partition("END\n")[0]
    (tmp_path / "victim.c").write_text(victim)
    program = compiled(victim)(tmp_path)
    assert subprocess.run([program], capture_output=True, check=False).returncode == 0
    assert f"{language} " in script.rpartition('echo "with a probe')[2]


@pytest.mark.parametrize("erratum", POWERPC_IDS)
def test_reproducers_of_powerpc_compile(erratum: str, tmp_path: Path) -> None:
    compiler = "powerpc64le-linux-gnu-gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed (Debian: gcc-powerpc64le-linux-gnu)")
    source = tmp_path / "reproducer.c"
    source.write_text(invoke("errata", erratum, "--emit", "c").stdout)
    match = re.search(r"^ \*     gcc (.*) -o reproducer reproducer.c", source.read_text(), re.M)

    assert match is not None
    command = [compiler, *match[1].split(), "-Wall", "-Werror", "-o", tmp_path / "out", source]
    subprocess.run(command, check=True, timeout=60)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--emit", "c"], "--emit wants the ID"),
        (["powerpc.wide_ctr", "--emit", "c"], "there is no reproducer of powerpc.wide_ctr"),
        (["x86.avx_as_far_call", "--emit", "perf"], "takes a 32-bit task"),
        (
            ["x86.unregister_rewritten", "--emit", "bpftrace"],
            "takes a program that holds the probe",
        ),
        (["x86.avx", "--emit", "c"], "no erratum is called x86.avx"),
    ],
)
def test_what_cannot_be_emitted_is_told(args: list[str], reason: str) -> None:
    done = invoke("errata", *args)

    assert (done.exit_code, done.stdout) == (2, "")
    assert reason in done.stderr
