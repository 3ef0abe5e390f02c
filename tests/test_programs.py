"""Real programs under probes: what they do is what they do natively."""

import base64
import json
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from elf_programs import PROGRAMS, TARGETS, Outcome, program, run_natively
from uprobes_sim_cli.app import app

Events = list[dict[str, Any]]

GLIBC = {
    "powerpc64le": "powerpc64le-linux-gnu-gcc",
    "powerpc64": "powerpc64-linux-gnu-gcc",
    "powerpc": "powerpc-linux-gnu-gcc",
    "x86_64": "x86_64-linux-gnu-gcc",
}
"""Debian's compilers; big-endian powerpc64 is ELFv1 there."""


@dataclass(frozen=True, slots=True)
class Case:
    """A program, its input, and where it is probed."""

    name: str
    probes: tuple[str, ...]
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    warned: bool = False
    """A probe waits for the return of a function that never returns."""

    def __str__(self) -> str:
        return " ".join((self.name, *self.args))


CASES = [
    Case("add3", ("add3", "add3%return", "main")),
    Case("add3-pie", ("add3", "add3%return", "printf%return")),
    Case("calls", ("fib", "fib%return", "is_even%return", "is_odd", "leaf%return", "dive%return")),
    Case("calls", ("tail%return", "twice%return", "leaf", "main%return", "longjmp")),
    Case("text", ("by_value", "checksum%return", "malloc%return", "memcpy", "memmove%return")),
    Case("floats", ("hypotenuse", "hypotenuse%return", "single%return", "atan2%return")),
    Case("filter", ("upper", "upper%return"), stdin=b"caf\xc3\xa9, \xff and\nno newline"),
    Case("filter", ("upper",), stdin=b""),
    Case("files", ("write_lines", "write_lines%return"), args=("TMP/file",)),
    Case("files", ("main",), args=("TMP/none/file",)),
    Case("files", ("main%return",)),
    Case("threads", ("hammer", "hammer%return", "work%return", "pthread_mutex_lock")),
    Case("forks", ("child", "child%return", "fork%return", "wait")),
    Case("signals", ("probed%return", "compute", "step_over", "raise%return", "memset")),
    Case("ticks", ("tick", "tick%return", "scale", "scale%return"), args=("3",)),
    Case("endings", ("main%return",)),
    Case("endings", ("end", "exit"), args=("exit", "3")),
    Case("endings", ("end", "end%return"), args=("segv",), warned=True),
    Case("endings", ("end",), args=("trap",)),
    Case("endings", ("end%return",), args=("illegal",), warned=True),
    Case("endings", ("abort", "raise"), args=("abort",)),
]

GLIBC_CASES = [
    Case("add3", ("add3", "add3%return", "main")),
    Case("calls", ("fib", "fib%return", "is_even%return", "leaf%return", "dive%return")),
    Case("text", ("by_value", "checksum%return", "malloc%return")),
    Case("floats", ("hypotenuse", "hypotenuse%return", "single%return")),
    Case("filter", ("upper", "upper%return"), stdin=b"one\ntwo\n"),
    Case("files", ("write_lines", "write_lines%return"), args=("TMP/file",)),
    Case("threads", ("hammer", "hammer%return", "work"), args=("50",)),
    Case("forks", ("child", "child%return", "main%return"), args=("9",)),
    Case("signals", ("probed%return", "compute", "step_over", "on_stack%return")),
    Case("ticks", ("tick", "scale"), args=("2",)),
]


def run_probed(
    path: Path, probes: Sequence[str], args: Sequence[str], stdin: bytes, *, warned: bool = False
) -> Events:
    """Run a program under probes; the exit status says that nothing was found wrong."""
    wanted = [part for probe in probes for part in ("-p", probe)]
    command = ["run", str(path), *wanted, "--format", "jsonl", "--", *args]
    result = CliRunner().invoke(app, command, input=stdin)

    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert (result.exit_code, bool(result.stderr)) == (0, warned), result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def output_of(events: Events, fd: int) -> bytes:
    """Put together what the program wrote."""
    return b"".join(
        event["data"].encode() if "data" in event else base64.b64decode(event["data_base64"])
        for event in events
        if event["event"] == "output" and event["fd"] == fd
    )


def outcome_of(events: Events) -> Outcome:
    """What the simulated run shows, in the same words as a native one."""
    end = events[-1]
    status = end["exit_status"] if end["signal"] is None else -signal.Signals[end["signal"]]
    return Outcome(output_of(events, 1), output_of(events, 2), status)


def assert_like_native(target: str, path: Path, case: Case, tmp_path: Path) -> Events:
    args = [arg.replace("TMP", str(tmp_path)) for arg in case.args]
    events = run_probed(path, case.probes, args, case.stdin, warned=case.warned)

    assert events[-1]["compared"] == {"equal": True, "differences": []}
    assert list(tmp_path.iterdir()) == [], "the program's files belong in the overlay"
    assert outcome_of(events) == run_natively(target, path, *args, stdin=case.stdin)
    return events


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_probed_program_does_what_it_does_natively(
    target: str, case: Case, tmp_path: Path
) -> None:
    assert_like_native(target, program(target, case.name), case, tmp_path)


@pytest.mark.parametrize(("target", "name"), [*product(TARGETS, ["add3", "add3-pie"])])
def test_add3_is_hit_and_returns_four_times(target: str, name: str) -> None:
    events = run_probed(program(target, name), ["add3", "add3%return"], [], b"")

    hits = [event for event in events if event["event"] == "hit"]
    returns = [event for event in events if event["event"] == "return"]
    assert [event["probe"] for event in hits] == ["add3"] * 4
    assert [event["retval"] for event in returns] == ["0x0", "0xa", "0x14", "0x1e"]
    assert {event["func"] for event in returns} == {event["vaddr"] for event in hits}
    assert events[-1]["hits"] == {"add3": 4, "add3%return": 4}
    assert [event["step"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("target", TARGETS)
def test_every_call_of_a_recursive_function_returns_once(target: str) -> None:
    events = run_probed(program(target, "calls"), ["fib", "fib%return"], [], b"")

    hits = events[-1]["hits"]
    assert hits["fib"] == hits["fib%return"] > 10
    assert [e["retval"] for e in events if e["event"] == "return"][-1] == hex(55)


def build_with_glibc(target: str, name: str, folder: Path) -> Path:
    """Compile a test program as Debian's cross compiler does."""
    compiler = shutil.which(GLIBC[target])
    if compiler is None:
        pytest.skip(f"{GLIBC[target]} is not installed")
    path = folder / f"{name}.{target}"
    flags = ["-O2", "-static", "-fno-stack-protector", "-fno-ipa-cp", "-fno-ipa-sra"]
    source = PROGRAMS / f"{name}.c"
    subprocess.run([compiler, *flags, "-o", path, source, "-lm"], check=True, timeout=60)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("target", GLIBC)
@pytest.mark.parametrize("case", GLIBC_CASES, ids=str)
def test_a_glibc_program_does_what_it_does_natively(
    target: str, case: Case, tmp_path: Path
) -> None:
    path, work = build_with_glibc(target, case.name, tmp_path), tmp_path / "work"
    work.mkdir()
    if (target, case.name) != ("powerpc", "floats"):
        assert_like_native(target, path, case, work)
        return
    # glibc wants mffscrni there, which QEMU has on no 32-bit processor: the sums are the same.
    events = run_probed(path, case.probes, case.args, case.stdin)
    judge = build_with_glibc("powerpc64", case.name, tmp_path)
    assert outcome_of(events) == run_natively("powerpc64", judge)


@pytest.mark.parametrize("target", ["powerpc64le", "x86_64"])
def test_two_runs_print_the_same_bytes(target: str) -> None:
    command = ["run", str(program(target, "calls")), "-p", "fib", "-p", "fib%return", "--regs"]

    first, second = (CliRunner().invoke(app, command) for _ in range(2))

    assert first.stdout_bytes == second.stdout_bytes
    assert first.stdout_bytes.count(b" fib: (0x") > 10


def test_write_keeps_the_files_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    command = ["run", str(program("x86_64", "files")), "--", str(path), "keep"]

    CliRunner().invoke(app, command)
    assert not path.exists()

    CliRunner().invoke(app, [*command[:2], "--write", *command[2:]])
    assert path.read_bytes().startswith(b"line 0\nline 1\n")
    assert path.stat().st_size == 8890


@pytest.mark.parametrize("arch", ["powerpc", "x86"])
@pytest.mark.parametrize("bits", ["64", "32"])
def test_the_demonstration_shows_what_it_promises(arch: str, bits: str) -> None:
    command = ["--arch", arch, "--bits", bits, "--format", "json"]

    result = CliRunner().invoke(app, command)

    events = json.loads(result.stdout)
    assert result.exit_code == 0
    hits = [event for event in events if event["event"] == "hit"]
    assert len({event["text"].split()[0] for event in hits}) >= 5
    assert {event["how"] for event in hits} == {"emulate", "xol"}
    assert any(event["event"] == "return" for event in events)
    assert events[-1]["compared"]["equal"]
    assert all(events[-1]["hits"].values()), "a probe of demo.toml is never hit"


def test_an_instruction_is_shown_as_the_file_has_it() -> None:
    """The x86 backend takes the rip out of it before it goes to the slot."""
    result = CliRunner().invoke(app, ["--arch", "x86", "--format", "jsonl"])

    events = map(json.loads, result.stdout.splitlines())
    (text,) = {event["text"] for event in events if event.get("probe") == "negative"}
    assert text.startswith("xorps xmm0, xmmword ptr [rip")


def test_the_demonstration_in_words_ends_with_the_proof() -> None:
    result = CliRunner().invoke(app, ["--arch", "powerpc"])

    assert "emulated" in result.stdout
    assert "stepped out of line" in result.stdout
    assert "\nprobed run equals unprobed run (output, exit status, " in result.stdout
