"""A program that nobody here wrote: Debian's busybox-static, under hundreds of probes.

`.ci/run` fetches it for ppc64el and amd64 and names the files in the environment.
"""

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from elf_programs import run_natively
from uprobes_sim import session
from uprobes_sim.events import Event, Output, ProbeRefused, Summary

TARGETS = {"powerpc64le": "ppc64el", "x86_64": "amd64"}
COMMANDS = (
    "echo hello, world",
    "sha256sum",
    "sort",
    "sort -n",
    "awk {s+=$1}END{print(s)}",
    "gzip -c",
    "wc",
    "tr 0-4 5-9",
    "ls -l FOLDER",
    "false",
)
SCRIPTS = {
    "pipeline": "sort -n | tr 0-9 a-j | wc",
    "execve": "BUSYBOX sort -r | BUSYBOX head -n 3; exec BUSYBOX echo done",
    "substitution": 'x=$(BUSYBOX echo one two | cut -d" " -f2); echo $x; (exit 7); echo $?',
    "loop": "for i in 1 2 3; do echo $i; done | BUSYBOX tac; true && false || echo or",
    "background": "sleep 0.1 & wait; kill -TERM $$; echo not reached",
}
INPUT = "".join(f"{7919 * n % 1000} line {n}\n" for n in range(300)).encode()


def busybox(target: str) -> Path:
    variable = f"UPROBES_SIM_BUSYBOX_{TARGETS[target].upper()}"
    if variable not in os.environ:
        pytest.skip(f"{variable} names no busybox (Debian: busybox-static for {TARGETS[target]})")
    return Path(os.environ[variable])


def function_starts(path: Path) -> list[int]:
    """Where functions begin: the file is stripped, but its unwind table is not."""
    with path.open("rb") as file:
        entries = ELFFile(file).get_dwarf_info().EH_CFI_entries()
        starts = {entry.header["initial_location"] for entry in entries if isinstance(entry, FDE)}
    return sorted(starts)


@dataclass(frozen=True)
class Run:
    output: bytes
    status: int | None
    summary: Summary


def run(path: Path, command: Sequence[str], probes: Iterable[str], stdin: bytes) -> Run:
    """Run *command* under *probes*, without those that the kernel refuses."""
    wanted, events = list(probes), list[Event]()
    while not events or isinstance(events[-1], ProbeRefused):
        if events and isinstance(refused := events.pop(), ProbeRefused):
            wanted.remove(refused.probe)
        status = session.run(
            path,
            command,
            wanted,
            session.Options(errata="none"),
            stdin=BytesIO(stdin),
            emit=events.append,
        )
    last = events[-1]
    assert isinstance(last, Summary)
    assert status == 0, last.compared
    output = b"".join(e.data for e in events if isinstance(e, Output) and e.fd == 1)
    return Run(output, last.exit_status, last)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
@pytest.mark.parametrize("target", TARGETS)
def test_busybox_does_under_probes_what_it_does_natively(
    target: str, command: str, tmp_path: Path
) -> None:
    path = busybox(target)
    (tmp_path / "file").write_text("content\n")
    command = command.replace("FOLDER", str(tmp_path))
    native = run_natively(target, path, *command.split(), stdin=INPUT)

    # A third of the functions: hundreds of probes, and still quick.
    probed = run(
        path, command.split(), (f"{start:#x}" for start in function_starts(path)[::3]), INPUT
    )

    assert (probed.output, probed.status) == (native.stdout, native.status)
    assert sum(map(bool, probed.summary.hits.values())) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_what_it_packs_under_probes_it_unpacks_under_probes(target: str) -> None:
    path = busybox(target)
    probes = [f"{start:#x}" for start in function_starts(path)[::5]]

    packed = run(path, ["gzip", "-c"], probes, INPUT).output

    assert run(path, ["gunzip", "-c"], probes, packed).output == INPUT
    assert (
        subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout
        == INPUT
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_shell_starts_programs_under_probes_as_natively(target: str, name: str) -> None:
    path, judge = busybox(target), busybox("x86_64")  # QEMU starts no foreign programs
    script = SCRIPTS[name]
    native = run_natively(
        "x86_64", judge, "sh", "-c", script.replace("BUSYBOX", str(judge)), stdin=INPUT
    )

    command = ["sh", "-c", script.replace("BUSYBOX", str(path))]
    probed = run(path, command, (f"{start:#x}" for start in function_starts(path)[::9]), INPUT)

    status = -probed.summary.signal if probed.summary.signal else probed.status
    assert (probed.output, status) == (native.stdout, native.status)
    assert sum(map(bool, probed.summary.hits.values())) >= 3
