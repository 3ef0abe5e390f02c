"""Logical instructions, bit counts and byte tools (Power ISA, book I, 3.3.13)."""

from uprobes_sim_powerpc.isa.define import D, X, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, cr0, sext8, sext16, sext32
from uprobes_sim_powerpc.regs import PtRegs

BYTE_ONES = 0x0101010101010101


@insn("ori", D(24), kernel="COMPUTE")
def ori(s: PtRegs, RA: int, RS: int, UI: int) -> None:
    s.gpr[RA] = s.gpr[RS] | UI


@insn("oris", D(25), kernel="COMPUTE")
def oris(s: PtRegs, RA: int, RS: int, UI: int) -> None:
    s.gpr[RA] = s.gpr[RS] | UI << 16


@insn("xori", D(26), kernel="COMPUTE")
def xori(s: PtRegs, RA: int, RS: int, UI: int) -> None:
    s.gpr[RA] = s.gpr[RS] ^ UI


@insn("xoris", D(27), kernel="COMPUTE")
def xoris(s: PtRegs, RA: int, RS: int, UI: int) -> None:
    s.gpr[RA] = s.gpr[RS] ^ UI << 16


@insn("andi.", D(28), kernel="COMPUTE")
def andi_(s: PtRegs, RA: int, RS: int, UI: int) -> None:
    r = s.gpr[RS] & UI
    s.gpr[RA] = r
    cr0(s, r)


@insn("andis.", D(29), kernel="COMPUTE")
def andis_(s: PtRegs, RA: int, RS: int, UI: int) -> None:
    r = s.gpr[RS] & UI << 16
    s.gpr[RA] = r
    cr0(s, r)


@insn("and[.]", X(31, 28), kernel="COMPUTE")
def and_(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] & s.gpr[RB]
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("andc[.]", X(31, 60), kernel="COMPUTE")
def andc(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] & ~s.gpr[RB]
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("nor[.]", X(31, 124), kernel="COMPUTE")
def nor(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = (s.gpr[RS] | s.gpr[RB]) ^ s.mask
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("eqv[.]", X(31, 284), kernel="COMPUTE")
def eqv(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] ^ s.gpr[RB] ^ s.mask
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("xor[.]", X(31, 316), kernel="COMPUTE")
def xor(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] ^ s.gpr[RB]
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("orc[.]", X(31, 412), kernel="COMPUTE")
def orc(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] | s.gpr[RB] ^ s.mask
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("or[.]", X(31, 444), kernel="COMPUTE")
def or_(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] if RS == RB else s.gpr[RS] | s.gpr[RB]
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("nand[.]", X(31, 476), kernel="COMPUTE")
def nand(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] & s.gpr[RB] ^ s.mask
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("extsb[.]", X(31, 954), kernel="COMPUTE")
def extsb(s: PtRegs, RA: int, RS: int, Rc: int) -> None:
    r = sext8(s.gpr[RS]) & s.mask
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("extsh[.]", X(31, 922), kernel="COMPUTE")
def extsh(s: PtRegs, RA: int, RS: int, Rc: int) -> None:
    r = sext16(s.gpr[RS]) & s.mask
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("extsw[.]", X(31, 986), kernel="COMPUTE", bits=64)
def extsw(s: PtRegs, RA: int, RS: int, Rc: int) -> None:
    r = sext32(s.gpr[RS]) & M64
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("cntlzw[.]", X(31, 26), kernel="COMPUTE")
def cntlzw(s: PtRegs, RA: int, RS: int, Rc: int) -> None:
    r = 32 - (s.gpr[RS] & M32).bit_length()
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("cntlzd[.]", X(31, 58), kernel="COMPUTE", bits=64)
def cntlzd(s: PtRegs, RA: int, RS: int, Rc: int) -> None:
    r = 64 - s.gpr[RS].bit_length()
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("cnttzw[.]", X(31, 538), kernel="COMPUTE", isa="3.0")
def cnttzw(s: PtRegs, RA: int, RS: int, Rc: int) -> None:
    a = s.gpr[RS] & M32 | 1 << 32
    r = (a & -a).bit_length() - 1
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("cnttzd[.]", X(31, 570), kernel="COMPUTE", isa="3.0", bits=64)
def cnttzd(s: PtRegs, RA: int, RS: int, Rc: int) -> None:
    a = s.gpr[RS] | 1 << 64
    r = (a & -a).bit_length() - 1
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("popcntb", X(31, 122), kernel="COMPUTE")
def popcntb(s: PtRegs, RA: int, RS: int) -> None:
    a = s.gpr[RS]
    a = a - (a >> 1 & 0x5555555555555555)
    a = (a & 0x3333333333333333) + (a >> 2 & 0x3333333333333333)
    s.gpr[RA] = a + (a >> 4) & 0x0F0F0F0F0F0F0F0F


@insn("popcntw", X(31, 378), kernel="COMPUTE", isa="2.06")
def popcntw(s: PtRegs, RA: int, RS: int) -> None:
    a = s.gpr[RS]
    s.gpr[RA] = (a >> 32).bit_count() << 32 | (a & M32).bit_count()


@insn("popcntd", X(31, 506), kernel="COMPUTE", isa="2.06", bits=64)
def popcntd(s: PtRegs, RA: int, RS: int) -> None:
    s.gpr[RA] = s.gpr[RS].bit_count()


@insn("prtyw", X(31, 154), kernel="COMPUTE", isa="2.05")
def prtyw(s: PtRegs, RA: int, RS: int) -> None:
    a = s.gpr[RS] & BYTE_ONES
    s.gpr[RA] = ((a >> 32).bit_count() & 1) << 32 | (a & M32).bit_count() & 1


@insn("prtyd", X(31, 186), kernel="COMPUTE", isa="2.05", bits=64)
def prtyd(s: PtRegs, RA: int, RS: int) -> None:
    s.gpr[RA] = (s.gpr[RS] & BYTE_ONES).bit_count() & 1


@insn("cmpb", X(31, 508), kernel="COMPUTE", isa="2.05")
def cmpb(s: PtRegs, RA: int, RS: int, RB: int) -> None:
    a = s.gpr[RS] ^ s.gpr[RB]
    a = (a & 0x7F7F7F7F7F7F7F7F) + 0x7F7F7F7F7F7F7F7F | a  # bit 7 of a byte: it differs
    s.gpr[RA] = (~a >> 7 & BYTE_ONES) * 0xFF & s.mask


@insn("bpermd", X(31, 252), kernel="COMPUTE", isa="2.06", bits=64, inline=False)
def bpermd(s: PtRegs, RA: int, RS: int, RB: int) -> None:
    bits, r = s.gpr[RB], 0
    for index in s.gpr[RS].to_bytes(8, "little"):
        r = r >> 1 | (bits >> 63 - index & 1) << 7 if index < 64 else r >> 1
    s.gpr[RA] = r


@insn("brh", X(31, 219), isa="3.1")
def brh(s: PtRegs, RA: int, RS: int) -> None:
    a = s.gpr[RS]
    s.gpr[RA] = (a & 0x00FF00FF00FF00FF) << 8 | a >> 8 & 0x00FF00FF00FF00FF


@insn("brw", X(31, 155), isa="3.1")
def brw(s: PtRegs, RA: int, RS: int) -> None:
    a = s.gpr[RS]
    a = (a & 0x00FF00FF00FF00FF) << 8 | a >> 8 & 0x00FF00FF00FF00FF
    s.gpr[RA] = (a & 0x0000FFFF0000FFFF) << 16 | a >> 16 & 0x0000FFFF0000FFFF


@insn("brd", X(31, 187), isa="3.1", bits=64)
def brd(s: PtRegs, RA: int, RS: int) -> None:
    s.gpr[RA] = int.from_bytes(s.gpr[RS].to_bytes(8, "little"), "big")
