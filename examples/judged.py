"""Programs under probes, and QEMU, which says what they do and where they pass.

For the tests of both examples: the folder of a package's ELF files, the name of its QEMU.
"""

import base64
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.mark import ParameterSet
from typer.testing import CliRunner

from uprobes_sim_cli.app import app

Events = list[dict[str, Any]]

_NOTE: Final = re.compile(rb"^qemu: uncaught target signal .*\n", re.MULTILINE)
_PASSED: Final = re.compile(
    r"^ ?pc\s*=?\s*(?P<pc>[0-9a-f]{16}).*?\b(?:X00=|x10/a0 +)(?P<result>[0-9a-f]{16})",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Case:
    """A program, where it is probed, its arguments and its input."""

    name: str
    probes: tuple[str, ...]
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    options: tuple[str, ...] = ()
    """Of `uprobes-sim run`."""
    warned: bool = False
    """A probe waits for the return of a function that never returns."""

    def __str__(self) -> str:
        return " ".join((self.name, *self.args))


CASES: Final = (
    *(
        case
        for suffix in ("", "-O0")
        for case in (
            Case(f"add3{suffix}", ("add3", "add3%return", "add3+4", "main")),
            Case(f"calls{suffix}", ("fib", "fib%return", "is_even%return", "is_odd", "main")),
            Case(f"calls{suffix}", ("tail%return", "twice%return", "leaf", "dive%return")),
            Case(f"text{suffix}", ("by_value", "checksum%return", "malloc%return", "memcpy")),
            Case(f"floats{suffix}", ("hypotenuse", "hypotenuse%return", "single%return")),
        )
    ),
    Case("filter", ("upper", "upper%return"), stdin=b"caf\xc3\xa9, \xff and\nno newline"),
    Case("files", ("write_lines", "write_lines%return"), args=("TMP/file",)),
    Case("files", ("main",), args=("TMP/none/file",)),
    Case("endings", ("end", "exit"), args=("exit", "3")),
    Case("endings", ("end", "end%return"), args=("segv",), warned=True),
    Case("endings", ("end",), args=("trap",)),
    Case("endings", ("end%return",), args=("illegal",), warned=True),
    Case("endings", ("abort", "raise"), args=("abort",)),
    Case(
        "signals",
        ("probed%return", "compute", "step_over", "raise%return", "memset"),
        options=("--errata", "none"),  # on arm64 a step leaves a mark in frames
    ),
    Case("forks", ("child", "child%return", "fork%return")),
    Case("threads", ("hammer", "hammer%return"), args=("40",)),
    Case("ticks", ("scale", "tick"), args=("2",), options=("--errata", "none")),
)


def params(cases: Iterable[Case]) -> list[ParameterSet]:
    """Give *cases* to a test; those of long programs are slow."""
    return [
        pytest.param(case, id=str(case), marks=[pytest.mark.slow] * case.name.startswith("text"))
        for case in cases
    ]


COUNTED: Final = tuple(
    case
    for suffix in ("", "-O0")
    for case in (
        Case(f"add3{suffix}", ("add3", "add3%return", "main")),
        Case(f"calls{suffix}", ("fib", "fib%return", "main")),
        Case(f"text{suffix}", ("by_value", "by_value%return", "checksum%return")),
    )
)
"""Runs of functions that end in no call, so that each return is one passage."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run shows to the outside. A signal is a negative status."""

    stdout: bytes
    stderr: bytes
    status: int


def run_probed(path: Path, case: Case, folder: Path) -> Events:
    """Run a program under probes; nothing is found wrong, and its files stay away from *folder*."""
    wanted = [part for probe in case.probes for part in ("-p", probe)]
    options = [*case.options, *wanted, "--format", "jsonl"]
    command = ["run", str(path), *options, "--", *_args(case, folder)]
    result = CliRunner().invoke(app, command, input=case.stdin)

    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert (result.exit_code, "check.no_return" in result.stderr) == (0, case.warned)
    assert case.warned or not result.stderr, result.stderr
    assert list(folder.iterdir()) == []
    return [json.loads(line) for line in result.stdout.splitlines()]


def outcome_of(events: Events) -> Outcome:
    """What the simulated run shows."""
    end = events[-1]
    status = end["exit_status"] if end["signal"] is None else -signal.Signals[end["signal"]]
    return Outcome(_output_of(events, 1), _output_of(events, 2), status)


def run_by_qemu(qemu: str, path: Path, case: Case, folder: Path) -> Outcome:
    """What QEMU shows of the same run."""
    done = _run(qemu, [], path, case, folder)
    return Outcome(done.stdout, _NOTE.sub(b"", done.stderr), done.returncode)


def passed_by_qemu(
    qemu: str, path: Path, case: Case, folder: Path, places: Sequence[int]
) -> list[tuple[int, int]]:
    """List how often and in which order a run passes *places*, with the result register there."""
    log = folder / "qemu.log"
    filtered = ",".join(f"{place:#x}..{place:#x}" for place in places)
    options = ["-singlestep", "-d", "nochain,exec,cpu", "-dfilter", filtered, "-D", str(log)]
    _run(qemu, options, path, case, folder)
    found = [(int(m["pc"], 16), int(m["result"], 16)) for m in _PASSED.finditer(log.read_text())]
    log.unlink()
    return found


def hits_of(events: Events) -> list[int]:
    """List where probes were hit."""
    return [int(event["vaddr"], 16) for event in events if event["event"] == "hit"]


def returns_of(events: Events) -> list[tuple[int, int]]:
    """List where probed functions returned to, and what."""
    return [
        (int(event["vaddr"], 16), int(event["retval"], 16))
        for event in events
        if event["event"] == "return"
    ]


def _run(
    qemu: str, options: list[str], path: Path, case: Case, folder: Path
) -> subprocess.CompletedProcess[bytes]:
    found = shutil.which(qemu)
    if found is None:
        pytest.skip(f"{qemu} is not installed (Debian: qemu-user)")
    command = [found, *options, str(path), *_args(case, folder)]
    return subprocess.run(command, input=case.stdin, capture_output=True, timeout=60, check=False)


def _args(case: Case, folder: Path) -> list[str]:
    return [arg.replace("TMP", str(folder)) for arg in case.args]


def _output_of(events: Events, fd: int) -> bytes:
    return b"".join(
        event["data"].encode() if "data" in event else base64.b64decode(event["data_base64"])
        for event in events
        if event["event"] == "output" and event["fd"] == fd
    )
