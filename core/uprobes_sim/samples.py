"""What a backend gives to the conformance suite: instructions of its own table, and code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from uprobes_sim.units import Vaddr


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a sample will be executed. It must not read code: the breakpoint lies there."""

    vaddr: Vaddr
    """Of the instruction."""
    code: range
    """Addresses that a branch may go to: breakpoints lie there."""
    data: range
    """Memory that can be read and written. Nothing is mapped behind it."""
    operand: Vaddr
    """Where a memory operand is to lie, if there is one: mostly in *data*, also across its end."""
    stack: Vaddr
    """What the stack pointer is to hold, if it is not given another value."""


@dataclass(slots=True)
class Sample:
    """An instruction, and what it is to find."""

    insn: bytes
    """As it lies in memory."""
    regs: dict[str, int] = field(default_factory=dict)
    """Registers by name. The suite chooses the others of `InsnSamples.registers`."""
    mem: dict[int, bytes] = field(default_factory=dict)
    """Bytes by address, in `Spot.data`. The suite chooses the others."""
    before: bytes = b""
    """Instructions that are executed first, without a probe: what `regs` cannot do."""


@dataclass(frozen=True, slots=True)
class Idioms:
    """Pieces of code from which the suite builds functions. Each is whole instructions.

    They may change no register but those that the instruction itself is about.
    """

    nop: bytes
    call: Callable[[Vaddr, Vaddr], bytes]
    """Call from the first address to the second."""
    jump: Callable[[Vaddr, Vaddr], bytes]
    """Go from the first address to the second, as a tail call does."""
    ret: bytes
    """Return from a function."""
    syscall: bytes
    enter: bytes = b""
    """Begin a function that calls others: keep the return address on the stack, if it is not."""
    leave: bytes = b""
    """Undo *enter*."""


def _no_row(insn: bytes) -> str | None:
    return None


def _no_sample(row: str, spot: Spot, random: Random) -> Sample:
    raise LookupError(row)


@dataclass(frozen=True, slots=True)
class InsnSamples:
    """Samples of the instructions of one ABI and processor."""

    rows: tuple[str, ...] = ()
    """Names of the rows of the backend's instruction table, all of them."""
    registers: Mapping[str, int] = field(default_factory=dict)
    """Registers that may hold any value, and which of their bits."""
    find: Callable[[bytes], str | None] = _no_row
    """Name the row of the instruction that bytes begin with; None: there is none."""
    draw: Callable[[str, Spot, Random], Sample] = _no_sample
    """Draw a sample of a row: fields, and registers and memory that make sense with them."""
    idioms: Idioms | None = None
    traps: tuple[bytes, ...] = ()
    """Instructions that trap or may, beside the breakpoint; what `is_trap_insn` must know."""
    qemu: tuple[str, ...] = ()
    """Emulator that runs static ELF files of this ABI, and its options."""
    qemu_registers: Mapping[str, str] = field(default_factory=dict)
    """What the emulator's gdb stub calls registers: those that are compared with it."""
    unjudged: Mapping[str, str] = field(default_factory=dict)
    """Patterns of rows that it is not asked about, and why."""


NO_SAMPLES: Final = InsnSamples()
