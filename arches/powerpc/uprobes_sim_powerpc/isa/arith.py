"""Fixed-point arithmetic (Power ISA, book I, 3.3.9)."""

from uprobes_sim_powerpc.isa.define import DX, VA, XO, D, X, inline, insn, narrowed
from uprobes_sim_powerpc.isa.helpers import M32, M64, base, cr0, sext32, sext64
from uprobes_sim_powerpc.regs import PtRegs


@inline
def carry(s: PtRegs, a: int, b: int, r: int) -> None:
    """Set CA and CA32; *r* is the unreduced sum of *a*, *b* and perhaps a carry."""
    s.ca = r >> s.bits
    if s.isa_300:
        s.ca32 = (r ^ a ^ b) >> 32 & 1


@inline
def overflow(s: PtRegs, a: int, b: int, r: int) -> None:
    """Set OV, OV32 and SO for *r*, the sum of *a*, *b* and perhaps a carry."""
    s.ov = ((a ^ r) & (b ^ r)) >> s.bits - 1 & 1
    if s.isa_300:
        s.ov32 = ((a ^ r) & (b ^ r)) >> 31 & 1
    s.so = s.so | s.ov


@inline
def overflows(s: PtRegs, ov: int) -> None:
    """Set OV and OV32 alike, and SO."""
    s.ov = ov
    if s.isa_300:
        s.ov32 = ov
    s.so = s.so | ov


@insn("addi", D(14), kernel="COMPUTE")
def addi(s: PtRegs, RT: int, RA: int, SI: int) -> None:
    s.gpr[RT] = base(s, RA) + SI & s.mask


@insn("addis", D(15), kernel="COMPUTE")
def addis(s: PtRegs, RT: int, RA: int, SI: int) -> None:
    s.gpr[RT] = base(s, RA) + (SI << 16) & s.mask


@insn("addpcis", DX(19, 2), kernel="COMPUTE", isa="3.0")
def addpcis(s: PtRegs, RT: int, DX: int, NIA: int) -> None:
    s.gpr[RT] = NIA + (DX << 16) & s.mask


@insn("addic", D(12), kernel="COMPUTE")
def addic(s: PtRegs, RT: int, RA: int, SI: int) -> None:
    a, b = s.gpr[RA], SI & s.mask
    r = a + b
    s.gpr[RT] = r & s.mask
    carry(s, a, b, r)


@insn("addic.", D(13), kernel="COMPUTE")
def addic_(s: PtRegs, RT: int, RA: int, SI: int) -> None:
    a, b = s.gpr[RA], SI & s.mask
    r = a + b
    s.gpr[RT] = r & s.mask
    carry(s, a, b, r)
    cr0(s, r & s.mask)


@insn("subfic", D(8), kernel="COMPUTE")
def subfic(s: PtRegs, RT: int, RA: int, SI: int) -> None:
    a, b = s.gpr[RA] ^ s.mask, SI & s.mask
    r = a + b + 1
    s.gpr[RT] = r & s.mask
    carry(s, a, b, r)


@insn("mulli", D(7), kernel="COMPUTE")
def mulli(s: PtRegs, RT: int, RA: int, SI: int) -> None:
    s.gpr[RT] = s.gpr[RA] * SI & s.mask


@insn("add[o][.]", XO(31, 266), kernel="COMPUTE")
def add(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = a + b & s.mask
    s.gpr[RT] = r
    if OE:
        overflow(s, a, b, r)
    if Rc:
        cr0(s, r)


@insn("subf[o][.]", XO(31, 40), kernel="COMPUTE")
def subf(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = b - a & s.mask
    s.gpr[RT] = r
    if OE:
        overflow(s, a ^ s.mask, b, r)
    if Rc:
        cr0(s, r)


@insn("neg[o][.]", XO(31, 104), kernel="COMPUTE")
def neg(s: PtRegs, RT: int, RA: int, OE: int, Rc: int) -> None:
    a = s.gpr[RA]
    r = -a & s.mask
    s.gpr[RT] = r
    if OE:
        overflow(s, a ^ s.mask, 0, r)
    if Rc:
        cr0(s, r)


@insn("addc[o][.]", XO(31, 10), kernel="COMPUTE")
def addc(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = a + b
    s.gpr[RT] = r & s.mask
    carry(s, a, b, r)
    if OE:
        overflow(s, a, b, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("subfc[o][.]", XO(31, 8), kernel="COMPUTE")
def subfc(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA] ^ s.mask, s.gpr[RB]
    r = a + b + 1
    s.gpr[RT] = r & s.mask
    carry(s, a, b, r)
    if OE:
        overflow(s, a, b, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("adde[o][.]", XO(31, 138), kernel="COMPUTE")
def adde(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = a + b + s.ca
    s.gpr[RT] = r & s.mask
    carry(s, a, b, r)
    if OE:
        overflow(s, a, b, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("subfe[o][.]", XO(31, 136), kernel="COMPUTE")
def subfe(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA] ^ s.mask, s.gpr[RB]
    r = a + b + s.ca
    s.gpr[RT] = r & s.mask
    carry(s, a, b, r)
    if OE:
        overflow(s, a, b, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("addme[o][.]", XO(31, 234), kernel="COMPUTE")
def addme(s: PtRegs, RT: int, RA: int, OE: int, Rc: int) -> None:
    a = s.gpr[RA]
    r = a + s.mask + s.ca
    s.gpr[RT] = r & s.mask
    carry(s, a, s.mask, r)
    if OE:
        overflow(s, a, s.mask, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("subfme[o][.]", XO(31, 232), kernel="COMPUTE")
def subfme(s: PtRegs, RT: int, RA: int, OE: int, Rc: int) -> None:
    a = s.gpr[RA] ^ s.mask
    r = a + s.mask + s.ca
    s.gpr[RT] = r & s.mask
    carry(s, a, s.mask, r)
    if OE:
        overflow(s, a, s.mask, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("addze[o][.]", XO(31, 202), kernel="COMPUTE")
def addze(s: PtRegs, RT: int, RA: int, OE: int, Rc: int) -> None:
    a = s.gpr[RA]
    r = a + s.ca
    s.gpr[RT] = r & s.mask
    carry(s, a, 0, r)
    if OE:
        overflow(s, a, 0, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("subfze[o][.]", XO(31, 200), kernel="COMPUTE")
def subfze(s: PtRegs, RT: int, RA: int, OE: int, Rc: int) -> None:
    a = s.gpr[RA] ^ s.mask
    r = a + s.ca
    s.gpr[RT] = r & s.mask
    carry(s, a, 0, r)
    if OE:
        overflow(s, a, 0, r)
    if Rc:
        cr0(s, r & s.mask)


@insn("addex", narrowed(X(31, 170), 0, 0x600), isa="3.0")
def addex(s: PtRegs, RT: int, RA: int, RB: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = a + b + s.ov
    s.gpr[RT] = r & s.mask
    s.ov = r >> s.bits
    s.ov32 = (r ^ a ^ b) >> 32 & 1


@insn("addg6s", X(31, 74), isa="2.06", bits=64)
def addg6s(s: PtRegs, RT: int, RA: int, RB: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    no_carries = ~((a + b ^ a ^ b) >> 4) & 0x1111111111111111
    s.gpr[RT] = no_carries * 6


@insn("mullw[o][.]", XO(31, 235), kernel="COMPUTE")
def mullw(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    r = sext32(s.gpr[RA]) * sext32(s.gpr[RB])
    s.gpr[RT] = r & s.mask
    if OE:
        overflows(s, int(not -0x80000000 <= r < 0x80000000))
    if Rc:
        cr0(s, r & s.mask)


@insn("mulhw[.]", XO(31, 75), kernel="COMPUTE")
def mulhw(s: PtRegs, RT: int, RA: int, RB: int, Rc: int) -> None:
    r = sext32(s.gpr[RA]) * sext32(s.gpr[RB]) >> 32 & M32
    s.gpr[RT] = r
    if Rc:
        cr0(s, r)


@insn("mulhwu[.]", XO(31, 11), kernel="COMPUTE")
def mulhwu(s: PtRegs, RT: int, RA: int, RB: int, Rc: int) -> None:
    r = (s.gpr[RA] & M32) * (s.gpr[RB] & M32) >> 32
    s.gpr[RT] = r
    if Rc:
        cr0(s, r)


@insn("mulld[o][.]", XO(31, 233), kernel="COMPUTE", bits=64)
def mulld(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = a * b & M64
    s.gpr[RT] = r
    if OE:
        overflows(s, int(sext64(a) * sext64(b) != sext64(r)))
    if Rc:
        cr0(s, r)


@insn("mulhd[.]", XO(31, 73), kernel="COMPUTE", bits=64)
def mulhd(s: PtRegs, RT: int, RA: int, RB: int, Rc: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = sext64(a) * sext64(b) >> 64 & M64
    s.gpr[RT] = r
    if Rc:
        cr0(s, r)


@insn("mulhdu[.]", XO(31, 9), kernel="COMPUTE", bits=64)
def mulhdu(s: PtRegs, RT: int, RA: int, RB: int, Rc: int) -> None:
    r = s.gpr[RA] * s.gpr[RB] >> 64
    s.gpr[RT] = r
    if Rc:
        cr0(s, r)


@insn("maddhd", VA(4, 48), kernel="COMPUTE", isa="3.0", bits=64)
def maddhd(s: PtRegs, RT: int, RA: int, RB: int, RC: int) -> None:
    a, b, c = s.gpr[RA], s.gpr[RB], s.gpr[RC]
    s.gpr[RT] = sext64(a) * sext64(b) + sext64(c) >> 64 & M64


@insn("maddhdu", VA(4, 49), kernel="COMPUTE", isa="3.0", bits=64)
def maddhdu(s: PtRegs, RT: int, RA: int, RB: int, RC: int) -> None:
    s.gpr[RT] = s.gpr[RA] * s.gpr[RB] + s.gpr[RC] >> 64


@insn("maddld", VA(4, 51), kernel="COMPUTE", isa="3.0", bits=64)
def maddld(s: PtRegs, RT: int, RA: int, RB: int, RC: int) -> None:
    s.gpr[RT] = s.gpr[RA] * s.gpr[RB] + s.gpr[RC] & M64
