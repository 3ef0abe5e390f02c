"""What `emulate_step` does to instructions that it gets wrong, while their errata act."""

from collections.abc import Callable
from typing import Final, NamedTuple

from uprobes_sim_powerpc.isa.helpers import M64, base
from uprobes_sim_powerpc.isa.prefixed import address
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs

LOST_NONVOLATILE: Final = "powerpc.lost_nonvolatile"
LOST_BCTAR: Final = "powerpc.lost_bctar"
VECTOR_LENGTH: Final = "powerpc.vector_length"
PREFIXED_QUAD: Final = "powerpc.prefixed_quad_order"

FIRST_NONVOLATILE: Final = 14
"""GPRs from this one on are those that a function preserves."""


def _length(s: PtRegs, RB: int) -> int:
    """Read the number of bytes from the wrong end of RB, 16 at most."""
    return min(s.gpr[RB] & 0xFF, 16)


def lxvl(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    """Load by the wrong length; lxvll like lxvl, in the byte order of the task."""
    data = m.load(base(s, RA), _length(s, RB))
    value = int.from_bytes(data, m.byteorder)
    if m.byteorder == "big":
        value <<= 128 - 8 * len(data)
    s.hi[XT], s.lo[XT] = value >> 64, value & M64


def stxvl(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    """Store by the wrong length; stxvll like stxvl, in the byte order of the task."""
    value = s.hi[XS] << 64 | s.lo[XS]
    m.store(base(s, RA), value.to_bytes(16, m.byteorder)[: _length(s, RB)])


def plq(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    """Load a pair in the order of lq, which in little-endian is the other one."""
    pair = m.load16(address(s, RA, R, D34, CIA))
    s.gpr[RT], s.gpr[RT + 1] = pair >> 64, pair & M64


def pstq(s: PtRegs, m: Memory, RS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    """Store a pair in the order of stq."""
    m.store16(address(s, RA, R, D34, CIA), s.gpr[RS] << 64 | s.gpr[RS + 1])


class Defect(NamedTuple):
    """What takes the place of a meaning."""

    erratum: str
    meaning: Callable[..., None]


DEFECTS: Final = {
    "lxvl": Defect(VECTOR_LENGTH, lxvl),
    "lxvll": Defect(VECTOR_LENGTH, lxvl),
    "stxvl": Defect(VECTOR_LENGTH, stxvl),
    "stxvll": Defect(VECTOR_LENGTH, stxvl),
    "plq": Defect(PREFIXED_QUAD, plq),
    "pstq": Defect(PREFIXED_QUAD, pstq),
}
"""Defects by the name of the instruction."""
