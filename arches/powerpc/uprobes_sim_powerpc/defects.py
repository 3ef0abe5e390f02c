"""What `emulate_step` does to instructions that it gets wrong, while their errata act."""

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from uprobes_sim.memory import PageFault
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.errata import (
    BCCTR_DECREMENT,
    INVALID_PAIR,
    INVALID_UPDATE,
    LONE_ELEMENT,
    PREFIXED_QUAD,
    VECTOR_LENGTH,
)
from uprobes_sim_powerpc.isa import vmx_load
from uprobes_sim_powerpc.isa.branch import taken
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.helpers import M64, base
from uprobes_sim_powerpc.isa.prefixed import address
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs

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


def _lone(load: Callable[[PtRegs, Memory, int, int, int], None]) -> Callable[..., None]:
    """Load one element of a vector, and make the others zero."""

    def meaning(s: PtRegs, m: Memory, VRT: int, RA: int, RB: int) -> None:
        n = VRT + 32
        rest = s.hi[n], s.lo[n]
        s.hi[n] = s.lo[n] = 0
        try:
            load(s, m, VRT, RA, RB)
        except PageFault:
            s.hi[n], s.lo[n] = rest
            raise

    return meaning


_UPDATE_CHECKS: Final = frozenset({"load_update", "store_update", "update"})


def is_update(row: Insn) -> bool:
    """Tell whether *row* leaves the address in RA, and so has forms that are invalid."""
    return row.valid is not None and row.valid.__name__ in _UPDATE_CHECKS


@cache
def _invalid_update(row: Insn) -> Callable[..., None]:
    """Make what the kernel does for an invalid form of *row*: access, then RA, whatever RA is."""
    plain_name = row.name.replace("u", "")
    plain = next(each for each in isa.load() if each.name == plain_name)
    indexed = plain.fields[-1] == "RB"

    def meaning(s: PtRegs, m: Memory, register: int, RA: int, last: int) -> None:
        ea = base(s, RA) + (s.gpr[last] if indexed else last) & s.mask
        plain.meaning(s, m, register, RA, last)
        s.gpr[RA] = ea

    return meaning


def bcctr(s: PtRegs, BO: int, BI: int, LK: int, NIA: int) -> None:
    """Use CTR as target and as counter at once."""
    target = s.ctr & s.mask - 3
    if LK:
        s.link = NIA
    s.ctr = s.ctr - 1 & s.mask
    if taken(s, BO, BI):
        s.nip = target


def lfdpx(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    """Load a pair into one odd register: the second remains."""
    pair = m.load(base(s, RA) + s.gpr[RB], 16)
    s.hi[FRT], s.lo[FRT] = int.from_bytes(pair[8:], m.byteorder), 0


def _store_twice(s: PtRegs, m: Memory, FRS: int, ea: int) -> None:
    m.store(ea, 2 * s.hi[FRS].to_bytes(8, m.byteorder))


def stfdp(s: PtRegs, m: Memory, FRS: int, RA: int, DS: int) -> None:
    """Store one odd register as a pair."""
    _store_twice(s, m, FRS, base(s, RA) + DS)


def stfdpx(s: PtRegs, m: Memory, FRS: int, RA: int, RB: int) -> None:
    """Store one odd register as a pair."""
    _store_twice(s, m, FRS, base(s, RA) + s.gpr[RB])


class Defect(NamedTuple):
    """What takes the place of a meaning."""

    erratum: str
    meaning: Callable[..., None]


DEFECTS: Final = {
    "lxvl": Defect(VECTOR_LENGTH, lxvl),
    "lxvll": Defect(VECTOR_LENGTH, lxvl),
    "stxvl": Defect(VECTOR_LENGTH, stxvl),
    "stxvll": Defect(VECTOR_LENGTH, stxvl),
    "lvebx": Defect(LONE_ELEMENT, _lone(vmx_load.lvebx)),
    "lvehx": Defect(LONE_ELEMENT, _lone(vmx_load.lvehx)),
    "lvewx": Defect(LONE_ELEMENT, _lone(vmx_load.lvewx)),
    "plq": Defect(PREFIXED_QUAD, plq),
    "pstq": Defect(PREFIXED_QUAD, pstq),
}
"""Defects by the name of the instruction."""

_INVALID: Final = {
    "bcctr[l]": Defect(BCCTR_DECREMENT, bcctr),
    "lfdpx": Defect(INVALID_PAIR, lfdpx),
    "stfdp": Defect(INVALID_PAIR, stfdp),
    "stfdpx": Defect(INVALID_PAIR, stfdpx),
}


def overlooked(row: Insn) -> Defect | None:
    """Find what the kernel does for invalid forms of *row*; None: it refuses them."""
    if is_update(row):
        return Defect(INVALID_UPDATE, _invalid_update(row))
    return _INVALID.get(row.name)
