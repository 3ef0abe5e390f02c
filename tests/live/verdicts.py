"""Verdicts of both sides: ours, and the running kernel's."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from elf_maker import PAGE
from live.files import Code, mapped
from live.kernel import CODE, EXIT, SLOT, WAIT, Bits, running, write_program
from uprobes_sim.arch import Abi
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.session import Options, configure
from uprobes_sim.units import Vaddr

CHUNK: Final = 1 << 16
"""Encodings in one program: its text ends before its data begins."""


class Difference(NamedTuple):
    """An encoding on which the two do not agree."""

    code: str
    live: str
    ours: str


class Ours:
    """The simulated kernel's verdicts, in the words of the live one."""

    def __init__(self, bits: Bits, kernel: str | None = None) -> None:
        """Judge for tasks of *bits*, as *kernel* does; None: as the newest."""
        linked = link("x86", Abi(bits, "little"))
        options = Options() if kernel is None else Options(kernel=kernel)
        machine = Machine(linked, configure(linked, options))
        self._uprobes, self._mm = machine.uprobes, machine.new_mm()

    def verdict(self, code: bytes) -> str:
        """Answer for the 16 bytes, or fewer, that the kernel copies."""
        try:
            self._uprobes.analyze_insn(code.ljust(SLOT, b"\0"), self._mm, Vaddr(CODE))
        except KernelError as exc:
            return exc.errno.name
        return "accepted"


def write_encodings(path: Path, codes: Sequence[bytes], bits: Bits) -> list[int]:
    """Write a program with *codes* in its text; answer their offsets in the file."""
    text = WAIT[bits] + EXIT[bits]
    first = -(-len(text) // SLOT) * SLOT
    text = text.ljust(first, b"\0") + b"".join(code.ljust(SLOT, b"\0") for code in codes)
    write_program(path, text, bits)
    return [PAGE + first + SLOT * at for at in range(len(codes))]


def live_verdicts(
    codes: Sequence[bytes], likely: Sequence[str], bits: Bits, kernel: LiveKernel, folder: Path
) -> list[str]:
    """Register a probe on each of *codes*, in the text of a running program of *bits*."""
    path = folder / f"encodings-{bits}"
    offsets = write_encodings(path, codes, bits)
    with running(path):
        return kernel.verdicts(path, offsets, likely)


def disagreements(
    codes: Sequence[bytes], bits: Bits, kernel: LiveKernel, folder: Path
) -> Iterator[Difference]:
    """Compare the verdicts on *codes*."""
    judge = Ours(bits)
    for at in range(0, len(codes), CHUNK):
        chunk = codes[at : at + CHUNK]
        ours = [judge.verdict(code) for code in chunk]
        live = live_verdicts(chunk, ours, bits, kernel, folder)
        yield from differences(chunk, live, ours)


def differences(
    codes: Sequence[bytes], live: Sequence[str], ours: Sequence[str]
) -> Iterator[Difference]:
    """List where two verdicts on one encoding are not equal."""
    for code, theirs, our in zip(codes, live, ours, strict=True):
        if theirs != our:
            yield Difference(code.hex(), theirs, our)


def file_disagreements(
    code: Code, offsets: Sequence[int], kernel: LiveKernel, folder: Path
) -> Iterator[Difference]:
    """Compare the verdicts on instructions of a copy of a file, where they are."""
    judge = Ours(64)
    copy = folder / code.path.name
    copy.write_bytes(code.data)
    insns = [code.insn(offset) for offset in offsets]
    ours = [judge.verdict(insn) for insn in insns]
    with mapped(copy):
        live = kernel.verdicts(copy, offsets, ours)
    copy.unlink()
    yield from differences(insns, live, ours)
