"""VSX scalar arithmetic: doubleword 0 of any VSR (Power ISA, book I, 7.6.1.4).

The rules are those of the FPRs; what differs is which registers, and a minimum and a
maximum that FPRs have not.
"""

from collections.abc import Callable

from uprobes_sim_powerpc.fpu import arith, convert
from uprobes_sim_powerpc.fpu.fpscr import FPCC, RN, deliver, deliver_integer, deliver_single, note
from uprobes_sim_powerpc.fpu.number import (
    AWAY,
    DOUBLE,
    DOWN,
    FRACTION,
    HIDDEN,
    INFINITY,
    MAGNITUDE,
    SIGN,
    SINGLE,
    TO_ZERO,
    UP,
    Precision,
    Result,
    is_infinite,
    is_nan,
    narrow,
    widen,
)
from uprobes_sim_powerpc.fpu.scalar import fadd, fadds, fdiv, fdivs, fmul, fmuls, fsub, fsubs
from uprobes_sim_powerpc.fpu.software import divides, square_roots
from uprobes_sim_powerpc.isa.define import XS, XX3, Isa, X, insn, leaf, narrowed
from uprobes_sim_powerpc.isa.fp_arith import LEAST32, LEAST64, MOST32, MOST64
from uprobes_sim_powerpc.isa.fp_load import put
from uprobes_sim_powerpc.isa.fp_move import order
from uprobes_sim_powerpc.isa.helpers import EQ, GT, LT, M32, M64, sext64
from uprobes_sim_powerpc.regs import PtRegs


@insn("xsadddp", XX3(60, 32), isa="2.06")
def xsadddp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fadd(s, s.hi[XA], s.hi[XB]))


@insn("xssubdp", XX3(60, 40), isa="2.06")
def xssubdp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fsub(s, s.hi[XA], s.hi[XB]))


@insn("xsmuldp", XX3(60, 48), isa="2.06")
def xsmuldp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fmul(s, s.hi[XA], s.hi[XB]))


@insn("xsdivdp", XX3(60, 56), isa="2.06")
def xsdivdp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fdiv(s, s.hi[XA], s.hi[XB]))


@insn("xsaddsp", XX3(60, 0), isa="2.07")
def xsaddsp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fadds(s, s.hi[XA], s.hi[XB]))


@insn("xssubsp", XX3(60, 8), isa="2.07")
def xssubsp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fsubs(s, s.hi[XA], s.hi[XB]))


@insn("xsmulsp", XX3(60, 16), isa="2.07")
def xsmulsp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fmuls(s, s.hi[XA], s.hi[XB]))


@insn("xsdivsp", XX3(60, 24), isa="2.07")
def xsdivsp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, fdivs(s, s.hi[XA], s.hi[XB]))


@insn("xsrdpi", XS(60, 73), isa="2.06")
def xsrdpi(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.to_integral(s.hi[XB], AWAY)))


@insn("xsrdpiz", XS(60, 89), isa="2.06")
def xsrdpiz(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.to_integral(s.hi[XB], TO_ZERO)))


@insn("xsrdpip", XS(60, 105), isa="2.06")
def xsrdpip(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.to_integral(s.hi[XB], UP)))


@insn("xsrdpim", XS(60, 121), isa="2.06")
def xsrdpim(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.to_integral(s.hi[XB], DOWN)))


@insn("xsrdpic", XS(60, 107), isa="2.06")
def xsrdpic(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.to_integral_exact(s.hi[XB], s.fpscr & RN)))


@insn("xsrsp", XS(60, 281), isa="2.07")
def xsrsp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.round_to_single(s.hi[XB], s.fpscr & RN)))


@insn("xscvsxddp", XS(60, 376), isa="2.06")
def xscvsxddp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.from_integer(sext64(s.hi[XB]), DOUBLE, s.fpscr & RN)))


@insn("xscvuxddp", XS(60, 360), isa="2.06")
def xscvuxddp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.from_integer(s.hi[XB], DOUBLE, s.fpscr & RN)))


@insn("xscvsxdsp", XS(60, 312), isa="2.07")
def xscvsxdsp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.from_integer(sext64(s.hi[XB]), SINGLE, s.fpscr & RN)))


@insn("xscvuxdsp", XS(60, 296), isa="2.07")
def xscvuxdsp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.from_integer(s.hi[XB], SINGLE, s.fpscr & RN)))


@insn("xscvdpsxds", XS(60, 344), isa="2.06")
def xscvdpsxds(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver_integer(s, convert.to_integer(s.hi[XB], LEAST64, MOST64, TO_ZERO)) & M64)


@insn("xscvdpuxds", XS(60, 328), isa="2.06")
def xscvdpuxds(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver_integer(s, convert.to_integer(s.hi[XB], 0, M64, TO_ZERO)) & M64)


@insn("xscvdpsxws", XS(60, 88), isa="2.06")
def xscvdpsxws(s: PtRegs, XT: int, XB: int) -> None:
    word = deliver_integer(s, convert.to_integer(s.hi[XB], LEAST32, MOST32, TO_ZERO)) & M32
    put(s, XT, word * 0x100000001)


@insn("xscvdpuxws", XS(60, 72), isa="2.06")
def xscvdpuxws(s: PtRegs, XT: int, XB: int) -> None:
    word = deliver_integer(s, convert.to_integer(s.hi[XB], 0, M32, TO_ZERO))
    put(s, XT, word * 0x100000001)


@insn("xscvdpsp", XS(60, 265), isa="2.06")
def xscvdpsp(s: PtRegs, XT: int, XB: int) -> None:
    word = narrow(deliver_single(s, convert.round_to_single(s.hi[XB], s.fpscr & RN)))
    put(s, XT, word * 0x100000001)


@insn("xscvdpspn", XS(60, 267), isa="2.07")
def xscvdpspn(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, narrow(s.hi[XB]) * 0x100000001)


@insn("xscvspdp", XS(60, 329), isa="2.06")
def xscvspdp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, deliver(s, convert.quieted(widen(s.hi[XB] >> 32))))


@insn("xscvspdpn", XS(60, 331), isa="2.07")
def xscvspdpn(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, widen(s.hi[XB] >> 32))


@insn("xsabsdp", XS(60, 345), isa="2.06")
def xsabsdp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, s.hi[XB] & MAGNITUDE)


@insn("xsnabsdp", XS(60, 361), isa="2.06")
def xsnabsdp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, s.hi[XB] | SIGN)


@insn("xsnegdp", XS(60, 377), isa="2.06")
def xsnegdp(s: PtRegs, XT: int, XB: int) -> None:
    put(s, XT, s.hi[XB] ^ SIGN)


@insn("xscpsgndp", XX3(60, 176), isa="2.06")
def xscpsgndp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, s.hi[XA] & SIGN | s.hi[XB] & MAGNITUDE)


@insn("xscmpudp", XX3(60, 35), isa="2.06")
def xscmpudp(s: PtRegs, BF: int, XA: int, XB: int) -> None:
    s.cr[BF] = order(s, s.hi[XA], s.hi[XB], False)


@insn("xscmpodp", XX3(60, 43), isa="2.06")
def xscmpodp(s: PtRegs, BF: int, XA: int, XB: int) -> None:
    s.cr[BF] = order(s, s.hi[XA], s.hi[XB], True)


@insn("xstdivdp", XX3(60, 61), isa="2.06")
def xstdivdp(s: PtRegs, BF: int, XA: int, XB: int) -> None:
    s.cr[BF] = divides(s.hi[XA], s.hi[XB])


@insn("xstsqrtdp", XS(60, 106), isa="2.06")
def xstsqrtdp(s: PtRegs, BF: int, XB: int) -> None:
    s.cr[BF] = square_roots(s.hi[XB])


@leaf
def advise(s: PtRegs, result: Result) -> int:
    """Record exceptions of an operation that leaves FR, FI and FPRF alone; give its value."""
    value, events = result
    note(s, events)
    return value


@insn("xsmaxdp", XX3(60, 160), isa="2.06")
def xsmaxdp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, advise(s, arith.maximum(s.hi[XA], s.hi[XB])))


@insn("xsmindp", XX3(60, 168), isa="2.06")
def xsmindp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, advise(s, arith.minimum(s.hi[XA], s.hi[XB])))


@insn("xsmaxcdp", XX3(60, 128), isa="3.0")
def xsmaxcdp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, advise(s, c_choice(s.hi[XA], s.hi[XB], GT)))


@insn("xsmincdp", XX3(60, 136), isa="3.0")
def xsmincdp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, advise(s, c_choice(s.hi[XA], s.hi[XB], LT)))


def c_choice(a: int, b: int, wanted: int) -> Result:
    """Choose as `a > b ? a : b` of C does, or with another order that is *wanted*."""
    found, events = convert.compare(a, b)
    return a if found == wanted else b, events


@insn("xscmpeqdp", XX3(60, 3), isa="3.0")
def xscmpeqdp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, advise(s, mask_if(s.hi[XA], s.hi[XB], EQ, False)))


@insn("xscmpgtdp", XX3(60, 11), isa="3.0")
def xscmpgtdp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, advise(s, mask_if(s.hi[XA], s.hi[XB], GT, True)))


@insn("xscmpgedp", XX3(60, 19), isa="3.0")
def xscmpgedp(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    put(s, XT, advise(s, mask_if(s.hi[XA], s.hi[XB], GT | EQ, True)))


def mask_if(a: int, b: int, wanted: int, ordered: bool) -> Result:
    """Make all ones if the order is one of those *wanted*, else zeros."""
    found, events = convert.compare(a, b, ordered=ordered)
    return M64 if found & wanted else 0, events


@insn("xsxexpdp", narrowed(XS(60, 347), 0, 31 << 16), isa="3.0", bits=64)
def xsxexpdp(s: PtRegs, RT: int, XB: int) -> None:
    s.gpr[RT] = s.hi[XB] >> 52 & 0x7FF


@insn("xsxsigdp", narrowed(XS(60, 347), 1 << 16, 31 << 16), isa="3.0", bits=64)
def xsxsigdp(s: PtRegs, RT: int, XB: int) -> None:
    hidden = HIDDEN if 0 < s.hi[XB] >> 52 & 0x7FF < 0x7FF else 0
    s.gpr[RT] = s.hi[XB] & FRACTION | hidden


@insn("xsiexpdp", X(60, 918), isa="3.0", bits=64)
def xsiexpdp(s: PtRegs, XT: int, RA: int, RB: int) -> None:
    put(s, XT, s.gpr[RA] & (SIGN | FRACTION) | (s.gpr[RB] & 0x7FF) << 52)


def classify(x: int) -> int:
    """Tell the class of a double as a bit of DCMX."""
    negative = x >> 63
    if is_nan(x):
        return 0x40
    if is_infinite(x):
        return 0x10 if negative else 0x20
    if not x & MAGNITUDE:
        return 0x04 if negative else 0x08
    if x & INFINITY:
        return 0
    return 0x01 if negative else 0x02


@insn("xststdcdp", XS(60, 362), isa="3.0")
def xststdcdp(s: PtRegs, BF: int, XB: int, DCMX: int) -> None:
    s.cr[BF] = (LT if s.hi[XB] >> 63 else 0) | (EQ if classify(s.hi[XB]) & DCMX else 0)
    s.fpscr = s.fpscr & ~FPCC | s.cr[BF] << 12


def _one(name: str, xo: int, compute: Callable[[int, Precision, int], Result], isa: Isa) -> None:
    """Define a function of one operand; its name says to which precision it rounds."""
    to = SINGLE if name.endswith("sp") else DOUBLE

    @insn(name, XS(60, xo), isa=isa, inline=False)
    def meaning(s: PtRegs, XT: int, XB: int) -> None:
        put(s, XT, deliver(s, compute(s.hi[XB], to, s.fpscr & RN)))


_one("xssqrtdp", 75, arith.sqrt, "2.06")
_one("xssqrtsp", 11, arith.sqrt, "2.07")
_one("xsredp", 90, arith.reciprocal, "2.06")
_one("xsresp", 26, arith.reciprocal, "2.07")
_one("xsrsqrtedp", 74, arith.reciprocal_sqrt, "2.06")
_one("xsrsqrtesp", 10, arith.reciprocal_sqrt, "2.07")

Fused = Callable[[int, int, int, Precision, int], Result]
"""Factor, factor, addend."""


def _fused(name: str, xo: int, compute: Fused, isa: Isa) -> None:
    """Define a fused multiply-add: XT is the addend in form a, a factor in form m."""
    to = SINGLE if name.endswith("sp") else DOUBLE
    kind = name[:-2], name[-2:]

    @insn(f"{kind[0]}a{kind[1]}", XX3(60, xo), isa=isa, inline=False)
    def addend(s: PtRegs, XT: int, XA: int, XB: int) -> None:
        put(s, XT, deliver(s, compute(s.hi[XA], s.hi[XB], s.hi[XT], to, s.fpscr & RN)))

    @insn(f"{kind[0]}m{kind[1]}", XX3(60, xo + 8), isa=isa, inline=False)
    def factor(s: PtRegs, XT: int, XA: int, XB: int) -> None:
        put(s, XT, deliver(s, compute(s.hi[XA], s.hi[XT], s.hi[XB], to, s.fpscr & RN)))


_fused("xsmaddsp", 1, arith.fma, "2.07")
_fused("xsmsubsp", 17, arith.fms, "2.07")
_fused("xsnmaddsp", 129, arith.fnma, "2.07")
_fused("xsnmsubsp", 145, arith.fnms, "2.07")
_fused("xsmadddp", 33, arith.fma, "2.06")
_fused("xsmsubdp", 49, arith.fms, "2.06")
_fused("xsnmadddp", 161, arith.fnma, "2.06")
_fused("xsnmsubdp", 177, arith.fnms, "2.06")
