"""What QEMU makes of cases."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from powerpc_judge.record import FILL_WITH_TRAPS, FLAGS, NIP, SIGNAL, Record, layout
from uprobes_sim.arch import Abi
from uprobes_sim.signals import Signal

ABIS: Final = (Abi(64, "little"), Abi(64, "big"), Abi(32, "big"))
_EMULATORS: Final = {
    ABIS[0]: ("qemu-ppc64le", "powerpc64le-linux-musl"),
    ABIS[1]: ("qemu-ppc64", "powerpc64-linux-musl"),
    ABIS[2]: ("qemu-ppc", "powerpc-linux-musleabi"),
}
_CPU_32: Final = "7448"
_SECONDS: Final = 120


def missing() -> list[str]:
    """Name the emulators that are not installed (Debian: qemu-user)."""
    return [name for name, _ in _EMULATORS.values() if shutil.which(name) is None]


def version() -> str:
    """Ask QEMU for its version."""
    command = [_EMULATORS[ABIS[0]][0], "--version"]
    first = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return first.splitlines()[0].split("version ")[1]


class Qemu:
    """The harness for one ABI, compiled."""

    def __init__(self, abi: Abi, folder: Path) -> None:
        """Compile it into *folder*."""
        self._emulator, target = _EMULATORS[abi]
        self._abi = abi
        self._layout = layout(abi)
        self._program = folder / target
        source = Path(__file__).with_name("harness.c")
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-static", "-O1"]
        subprocess.run([*compiler, source, "-o", self._program], check=True)

    def execute(self, records: list[Record], cpu: str) -> list[Record]:
        """Execute *records*, each on its own. Of 32-bit processors there is but one."""
        model = cpu if self._abi.bits == 64 else _CPU_32
        command = [self._emulator, "-cpu", model, str(self._program)]
        given = b"".join(self._layout.pack(*record) for record in records)
        done = subprocess.run(
            command, input=given, stdout=subprocess.PIPE, check=True, timeout=_SECONDS
        )
        return [_landed(record) for record in self._layout.iter_unpack(done.stdout)]


def _landed(record: Record) -> Record:
    """Take the signal off a branch: it only tells where the branch went."""
    if record[FLAGS] & FILL_WITH_TRAPS and record[SIGNAL] in (Signal.SIGTRAP, Signal.SIGSEGV):
        return (*record[:SIGNAL], 0, *record[NIP:])
    return record
