"""The trampolines of the running kernel, shown by a program that probes have changed."""

import subprocess
from io import BytesIO
from pathlib import Path

from elf_maker import PAGE
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.events import Event, Output
from uprobes_sim.session import Options, run
from x86_trampolines import CODE, NOP5, RETURNS, write_shower


def test_memory_and_registers_are_the_running_kernels(kernel: LiveKernel, tmp_path: Path) -> None:
    path = write_shower(tmp_path / "program", CODE + PAGE)
    events: list[Event] = []
    probes = (f"@{NOP5:#x}", f"@{RETURNS:#x}%return")

    run(path, (), probes, Options(compare=False), stdin=BytesIO(), emit=events.append)
    with kernel.probing(path, [NOP5]), kernel.probing(path, [RETURNS], returns=True):
        live = subprocess.run([path], capture_output=True, timeout=20, check=True).stdout

    assert len(live) > 100
    assert b"".join(each.data for each in events if isinstance(each, Output)) == live
