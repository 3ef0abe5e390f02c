"""VMX loads and stores (Power ISA, book I, 6.7). Addresses lose the bits below the alignment."""

from typing import Final

from uprobes_sim_powerpc.isa.define import X, insn
from uprobes_sim_powerpc.isa.helpers import M64, base
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs

RAMP: Final = 0x000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F
"""The bytes 0, 1, 2 ... 31."""


@insn("lvx", X(31, 103), kernel="LOAD_VMX")
def lvx(s: PtRegs, m: Memory, VRT: int, RA: int, RB: int) -> None:
    value = m.load16(base(s, RA) + s.gpr[RB] & ~15)
    s.hi[VRT + 32] = value >> 64
    s.lo[VRT + 32] = value & M64


@insn("lvxl", X(31, 359), kernel="LOAD_VMX")
def lvxl(s: PtRegs, m: Memory, VRT: int, RA: int, RB: int) -> None:
    value = m.load16(base(s, RA) + s.gpr[RB] & ~15)
    s.hi[VRT + 32] = value >> 64
    s.lo[VRT + 32] = value & M64


@insn("stvx", X(31, 231), kernel="STORE_VMX")
def stvx(s: PtRegs, m: Memory, VRS: int, RA: int, RB: int) -> None:
    m.store16(base(s, RA) + s.gpr[RB] & ~15, s.hi[VRS + 32] << 64 | s.lo[VRS + 32])


@insn("stvxl", X(31, 487), kernel="STORE_VMX")
def stvxl(s: PtRegs, m: Memory, VRS: int, RA: int, RB: int) -> None:
    m.store16(base(s, RA) + s.gpr[RB] & ~15, s.hi[VRS + 32] << 64 | s.lo[VRS + 32])


def _place(m: Memory, ea: int, size: int) -> int:
    """Tell how far from the right end of a VR lies the element that belongs to *ea*."""
    at = ea & 15
    return 8 * (at if m.byteorder == "little" else 16 - size - at)


def load_element(s: PtRegs, m: Memory, VRT: int, ea: int, size: int) -> None:
    """Load one element to its place; the others, which are undefined, stay."""
    ea &= -size
    place = _place(m, ea, size)
    mask = (1 << 8 * size) - 1
    value = int.from_bytes(m.load(ea, size), m.byteorder)
    old = s.hi[VRT + 32] << 64 | s.lo[VRT + 32]
    new = old & ~(mask << place) | value << place
    s.hi[VRT + 32], s.lo[VRT + 32] = new >> 64, new & M64


def store_element(s: PtRegs, m: Memory, VRS: int, ea: int, size: int) -> None:
    """Store the element that belongs to the address."""
    ea &= -size
    value = (s.hi[VRS + 32] << 64 | s.lo[VRS + 32]) >> _place(m, ea, size)
    m.store(ea, (value & (1 << 8 * size) - 1).to_bytes(size, m.byteorder))


@insn("lvebx", X(31, 7), kernel="LOAD_VMX", inline=False)
def lvebx(s: PtRegs, m: Memory, VRT: int, RA: int, RB: int) -> None:
    load_element(s, m, VRT, base(s, RA) + s.gpr[RB], 1)


@insn("lvehx", X(31, 39), kernel="LOAD_VMX", inline=False)
def lvehx(s: PtRegs, m: Memory, VRT: int, RA: int, RB: int) -> None:
    load_element(s, m, VRT, base(s, RA) + s.gpr[RB], 2)


@insn("lvewx", X(31, 71), kernel="LOAD_VMX", inline=False)
def lvewx(s: PtRegs, m: Memory, VRT: int, RA: int, RB: int) -> None:
    load_element(s, m, VRT, base(s, RA) + s.gpr[RB], 4)


@insn("stvebx", X(31, 135), kernel="STORE_VMX", inline=False)
def stvebx(s: PtRegs, m: Memory, VRS: int, RA: int, RB: int) -> None:
    store_element(s, m, VRS, base(s, RA) + s.gpr[RB], 1)


@insn("stvehx", X(31, 167), kernel="STORE_VMX", inline=False)
def stvehx(s: PtRegs, m: Memory, VRS: int, RA: int, RB: int) -> None:
    store_element(s, m, VRS, base(s, RA) + s.gpr[RB], 2)


@insn("stvewx", X(31, 199), kernel="STORE_VMX", inline=False)
def stvewx(s: PtRegs, m: Memory, VRS: int, RA: int, RB: int) -> None:
    store_element(s, m, VRS, base(s, RA) + s.gpr[RB], 4)


@insn("lvsl", X(31, 6))
def lvsl(s: PtRegs, VRT: int, RA: int, RB: int) -> None:
    shift = 128 - 8 * (base(s, RA) + s.gpr[RB] & 15)
    s.hi[VRT + 32] = RAMP >> shift + 64 & M64
    s.lo[VRT + 32] = RAMP >> shift & M64


@insn("lvsr", X(31, 38))
def lvsr(s: PtRegs, VRT: int, RA: int, RB: int) -> None:
    shift = 8 * (base(s, RA) + s.gpr[RB] & 15)
    s.hi[VRT + 32] = RAMP >> shift + 64 & M64
    s.lo[VRT + 32] = RAMP >> shift & M64
