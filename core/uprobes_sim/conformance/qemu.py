"""Instructions in user-mode QEMU, one at a time: the second opinion on an engine."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from uprobes_sim.arch import ArchInfo
from uprobes_sim.conformance.bench import DATA, DATA_BYTES, READ_ONLY, STACK, Case
from uprobes_sim.conformance.gdb import Gdb, NoAnswer
from uprobes_sim.conformance.program import R, W, write_program
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.samples import InsnSamples
from uprobes_sim.units import PAGE_SIZE

_SEGMENTS: Final = (
    (READ_ONLY, PAGE_SIZE, R),
    (DATA, DATA_BYTES, R | W),
    (STACK, PAGE_SIZE, R | W),
)
_SECONDS: Final = 20.0


class Qemu:
    """A program in QEMU that is made to execute what it is given."""

    def __init__(self, gdb: Gdb, info: ArchInfo, samples: InsnSamples) -> None:
        """Execute samples of one ABI."""
        self._gdb = gdb
        self._info = info
        self._names = samples.qemu_registers
        missing = {*self._names.values()} - gdb.registers.keys()
        if missing:
            known = ", ".join(list(gdb.registers)[:40])
            raise UprobesSimError(f"QEMU has no register {sorted(missing)[0]}; it has {known}")

    def execute(self, case: Case) -> tuple[dict[str, int], bytes, int]:
        """Execute a case: its registers, what `DATA` holds then, and the signal (5 for none)."""
        gdb = self._gdb
        gdb.write_memory(DATA, case.memory)
        gdb.write_memory(STACK, bytes(PAGE_SIZE))
        for ours, theirs in self._names.items():
            gdb.write(theirs, case.start[ours])
        for _ in range(_count(case, self._info)):
            gdb.step()
        signal = gdb.step()
        regs = {ours: gdb.read(theirs) for ours, theirs in self._names.items()}
        return regs, gdb.read_memory(DATA, DATA_BYTES), signal


def _count(case: Case, info: ArchInfo) -> int:
    """Count the instructions before a sample; they are as long as a breakpoint."""
    return len(case.sample.before) // info.swbp_size


@contextmanager
def running(info: ArchInfo, samples: InsnSamples, text: bytes) -> Iterator[Qemu]:
    """Start QEMU with *text* as code, and end it.

    Code that was executed once cannot be written any more: each text wants a QEMU of its own.

    Raises:
        UprobesSimError: it is not installed, or does not start.
    """
    program = shutil.which(samples.qemu[0]) if samples.qemu else None
    if program is None:
        wanted = samples.qemu[0] if samples.qemu else "an emulator, which arch_insn_samples names"
        raise UprobesSimError(f"--oracle qemu needs {wanted} (Debian: qemu-user)")
    with TemporaryDirectory() as folder:
        path, place = Path(folder) / "samples", Path(folder) / "gdb"
        write_program(path, info, text, _SEGMENTS)
        command = [program, *samples.qemu[1:], "-g", str(place), str(path)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as qemu:
            try:
                with _connect(place) as link:
                    yield Qemu(Gdb(link, info.abi.byteorder), info, samples)
            finally:
                qemu.kill()


def _connect(place: Path) -> socket.socket:
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(str(place))
        except OSError:
            link.close()
            time.sleep(0.05)
            continue
        return link
    raise NoAnswer("QEMU does not listen")
