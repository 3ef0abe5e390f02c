"""Compares, the condition register, and what is selected or set by it (book I, 2.5, 3.3.10)."""

from uprobes_sim_powerpc.isa.define import A, D, X, inline, insn, narrowed, pure
from uprobes_sim_powerpc.isa.helpers import GT, LT, M32, M64, biased32, biased64, compare
from uprobes_sim_powerpc.regs import PtRegs


@inline
def cr_bit(s: PtRegs, b: int) -> int:
    """Read a bit of CR."""
    return s.cr[b >> 2] >> 3 - (b & 3) & 1


@inline
def set_cr_bit(s: PtRegs, b: int, value: int) -> None:
    """Write a bit of CR."""
    s.cr[b >> 2] = s.cr[b >> 2] & ~(8 >> (b & 3)) | value << 3 - (b & 3)


@insn("cmpi", D(11), kernel="COMPUTE")
def cmpi(s: PtRegs, BF: int, L: int, RA: int, SI: int) -> None:
    a = biased64(s.gpr[RA]) if L and s.bits == 64 else biased32(s.gpr[RA])
    b = biased64(SI & M64) if L and s.bits == 64 else biased32(SI)
    compare(s, BF, a, b)


@insn("cmp", X(31, 0), kernel="COMPUTE")
def cmp(s: PtRegs, BF: int, L: int, RA: int, RB: int) -> None:
    a = biased64(s.gpr[RA]) if L and s.bits == 64 else biased32(s.gpr[RA])
    b = biased64(s.gpr[RB]) if L and s.bits == 64 else biased32(s.gpr[RB])
    compare(s, BF, a, b)


@insn("cmpli", D(10), kernel="COMPUTE")
def cmpli(s: PtRegs, BF: int, L: int, RA: int, UI: int) -> None:
    a = s.gpr[RA] if L else s.gpr[RA] & M32
    compare(s, BF, a, UI)


@insn("cmpl", X(31, 32), kernel="COMPUTE")
def cmpl(s: PtRegs, BF: int, L: int, RA: int, RB: int) -> None:
    a = s.gpr[RA] if L else s.gpr[RA] & M32
    b = s.gpr[RB] if L else s.gpr[RB] & M32
    compare(s, BF, a, b)


@insn("cmprb", X(31, 192), isa="3.0")
def cmprb(s: PtRegs, BF: int, L: int, RA: int, RB: int) -> None:
    a, b = s.gpr[RA] & 0xFF, s.gpr[RB]
    inside = (b & 0xFF) <= a <= (b >> 8 & 0xFF)
    other = (b >> 16 & 0xFF) <= a <= (b >> 24 & 0xFF)
    s.cr[BF] = GT if inside or (L and other) else 0


@insn("cmpeqb", X(31, 224), isa="3.0", bits=64)
def cmpeqb(s: PtRegs, BF: int, RA: int, RB: int) -> None:
    s.cr[BF] = GT if s.gpr[RA] & 0xFF in s.gpr[RB].to_bytes(8, "big") else 0


@insn("mcrf", X(19, 0), kernel="COMPUTE")
def mcrf(s: PtRegs, BF: int, BFA: int) -> None:
    s.cr[BF] = s.cr[BFA]


@insn("crnor", X(19, 33), kernel="COMPUTE")
def crnor(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, (cr_bit(s, BA) | cr_bit(s, BB)) ^ 1)


@insn("crandc", X(19, 129), kernel="COMPUTE")
def crandc(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, cr_bit(s, BA) & (cr_bit(s, BB) ^ 1))


@insn("crxor", X(19, 193), kernel="COMPUTE")
def crxor(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, 0 if BA == BB else cr_bit(s, BA) ^ cr_bit(s, BB))


@insn("crnand", X(19, 225), kernel="COMPUTE")
def crnand(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, cr_bit(s, BA) & cr_bit(s, BB) ^ 1)


@insn("crand", X(19, 257), kernel="COMPUTE")
def crand(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, cr_bit(s, BA) & cr_bit(s, BB))


@insn("creqv", X(19, 289), kernel="COMPUTE")
def creqv(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, 1 if BA == BB else cr_bit(s, BA) ^ cr_bit(s, BB) ^ 1)


@insn("crorc", X(19, 417), kernel="COMPUTE")
def crorc(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, cr_bit(s, BA) | cr_bit(s, BB) ^ 1)


@insn("cror", X(19, 449), kernel="COMPUTE")
def cror(s: PtRegs, BT: int, BA: int, BB: int) -> None:
    set_cr_bit(s, BT, cr_bit(s, BA) | cr_bit(s, BB))


@pure
def leftmost(fxm: int) -> int:
    """Find the first CR field that a mask of eight bits selects."""
    return 8 - fxm.bit_length() if fxm else 0


@insn("mfcr", narrowed(X(31, 19), 0, 1 << 20), kernel="COMPUTE")
def mfcr(s: PtRegs, RT: int) -> None:
    high = s.cr[0] << 28 | s.cr[1] << 24 | s.cr[2] << 20 | s.cr[3] << 16
    s.gpr[RT] = high | s.cr[4] << 12 | s.cr[5] << 8 | s.cr[6] << 4 | s.cr[7]


@insn("mfocrf", narrowed(X(31, 19), 1 << 20, 1 << 20), kernel="COMPUTE")
def mfocrf(s: PtRegs, RT: int, FXM: int) -> None:
    s.gpr[RT] = s.cr[leftmost(FXM)] << 28 - 4 * leftmost(FXM)


@insn("mtcrf, mtocrf", X(31, 144), kernel="COMPUTE")
def mtcrf(s: PtRegs, RS: int, FXM: int) -> None:
    a = s.gpr[RS]
    if FXM & 0x80:
        s.cr[0] = a >> 28 & 15
    if FXM & 0x40:
        s.cr[1] = a >> 24 & 15
    if FXM & 0x20:
        s.cr[2] = a >> 20 & 15
    if FXM & 0x10:
        s.cr[3] = a >> 16 & 15
    if FXM & 8:
        s.cr[4] = a >> 12 & 15
    if FXM & 4:
        s.cr[5] = a >> 8 & 15
    if FXM & 2:
        s.cr[6] = a >> 4 & 15
    if FXM & 1:
        s.cr[7] = a & 15


@insn("mcrxrx", X(31, 576), isa="3.0")
def mcrxrx(s: PtRegs, BF: int) -> None:
    s.cr[BF] = s.ov << 3 | s.ov32 << 2 | s.ca << 1 | s.ca32


@insn("isel", A(31, 15), kernel="COMPUTE")
def isel(s: PtRegs, RT: int, RA: int, RB: int, BC: int) -> None:
    if s.cr[BC >> 2] & 8 >> (BC & 3):
        s.gpr[RT] = s.gpr[RA] if RA else 0
    else:
        s.gpr[RT] = s.gpr[RB]


@insn("setb", X(31, 128), kernel="COMPUTE", isa="3.0")
def setb(s: PtRegs, RT: int, BFA: int) -> None:
    s.gpr[RT] = s.mask if s.cr[BFA] & LT else s.cr[BFA] >> 2 & 1


@insn("setbc", X(31, 384), isa="3.1")
def setbc(s: PtRegs, RT: int, BI: int) -> None:
    s.gpr[RT] = cr_bit(s, BI)


@insn("setbcr", X(31, 416), isa="3.1")
def setbcr(s: PtRegs, RT: int, BI: int) -> None:
    s.gpr[RT] = cr_bit(s, BI) ^ 1


@insn("setnbc", X(31, 448), isa="3.1")
def setnbc(s: PtRegs, RT: int, BI: int) -> None:
    s.gpr[RT] = s.mask if cr_bit(s, BI) else 0


@insn("setnbcr", X(31, 480), isa="3.1")
def setnbcr(s: PtRegs, RT: int, BI: int) -> None:
    s.gpr[RT] = 0 if cr_bit(s, BI) else s.mask
