"""Floating-point arithmetic and conversions on FPRs (Power ISA, book I, 4.6.6, 4.6.7)."""

from typing import Final

from uprobes_sim_powerpc.fpu.arith import (
    fma,
    fms,
    fnma,
    fnms,
    reciprocal,
    reciprocal_sqrt,
    sqrt,
)
from uprobes_sim_powerpc.fpu.convert import (
    from_integer,
    round_to_single,
    to_integer,
    to_integral,
)
from uprobes_sim_powerpc.fpu.fpscr import RN, deliver, deliver_integer
from uprobes_sim_powerpc.fpu.number import AWAY, DOUBLE, DOWN, SINGLE, TO_ZERO, UP
from uprobes_sim_powerpc.fpu.scalar import fadd, fadds, fdiv, fdivs, fmul, fmuls, fsub, fsubs
from uprobes_sim_powerpc.fpu.software import divides, square_roots
from uprobes_sim_powerpc.isa.define import A, X, insn
from uprobes_sim_powerpc.isa.fp_load import cr1, put
from uprobes_sim_powerpc.isa.helpers import M32, M64, sext64
from uprobes_sim_powerpc.regs import PtRegs

LEAST32: Final = -1 << 31
MOST32: Final = (1 << 31) - 1
LEAST64: Final = -1 << 63
MOST64: Final = (1 << 63) - 1


@insn("fadd[.]", A(63, 21))
def fadd_(s: PtRegs, FRT: int, FRA: int, FRB: int, Rc: int) -> None:
    put(s, FRT, fadd(s, s.hi[FRA], s.hi[FRB]))
    if Rc:
        cr1(s)


@insn("fsub[.]", A(63, 20))
def fsub_(s: PtRegs, FRT: int, FRA: int, FRB: int, Rc: int) -> None:
    put(s, FRT, fsub(s, s.hi[FRA], s.hi[FRB]))
    if Rc:
        cr1(s)


@insn("fmul[.]", A(63, 25))
def fmul_(s: PtRegs, FRT: int, FRA: int, FRC: int, Rc: int) -> None:
    put(s, FRT, fmul(s, s.hi[FRA], s.hi[FRC]))
    if Rc:
        cr1(s)


@insn("fdiv[.]", A(63, 18))
def fdiv_(s: PtRegs, FRT: int, FRA: int, FRB: int, Rc: int) -> None:
    put(s, FRT, fdiv(s, s.hi[FRA], s.hi[FRB]))
    if Rc:
        cr1(s)


@insn("fadds[.]", A(59, 21))
def fadds_(s: PtRegs, FRT: int, FRA: int, FRB: int, Rc: int) -> None:
    put(s, FRT, fadds(s, s.hi[FRA], s.hi[FRB]))
    if Rc:
        cr1(s)


@insn("fsubs[.]", A(59, 20))
def fsubs_(s: PtRegs, FRT: int, FRA: int, FRB: int, Rc: int) -> None:
    put(s, FRT, fsubs(s, s.hi[FRA], s.hi[FRB]))
    if Rc:
        cr1(s)


@insn("fmuls[.]", A(59, 25))
def fmuls_(s: PtRegs, FRT: int, FRA: int, FRC: int, Rc: int) -> None:
    put(s, FRT, fmuls(s, s.hi[FRA], s.hi[FRC]))
    if Rc:
        cr1(s)


@insn("fdivs[.]", A(59, 18))
def fdivs_(s: PtRegs, FRT: int, FRA: int, FRB: int, Rc: int) -> None:
    put(s, FRT, fdivs(s, s.hi[FRA], s.hi[FRB]))
    if Rc:
        cr1(s)


@insn("fmadd[.]", A(63, 29))
def fmadd(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fma(s.hi[FRA], s.hi[FRC], s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fmsub[.]", A(63, 28))
def fmsub(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fms(s.hi[FRA], s.hi[FRC], s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fnmadd[.]", A(63, 31))
def fnmadd(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fnma(s.hi[FRA], s.hi[FRC], s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fnmsub[.]", A(63, 30))
def fnmsub(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fnms(s.hi[FRA], s.hi[FRC], s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fsqrt[.]", A(63, 22))
def fsqrt(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, sqrt(s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fre[.]", A(63, 24))
def fre(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, reciprocal(s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("frsqrte[.]", A(63, 26))
def frsqrte(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, reciprocal_sqrt(s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fmadds[.]", A(59, 29))
def fmadds(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fma(s.hi[FRA], s.hi[FRC], s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fmsubs[.]", A(59, 28))
def fmsubs(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fms(s.hi[FRA], s.hi[FRC], s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fnmadds[.]", A(59, 31))
def fnmadds(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fnma(s.hi[FRA], s.hi[FRC], s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fnmsubs[.]", A(59, 30))
def fnmsubs(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    put(s, FRT, deliver(s, fnms(s.hi[FRA], s.hi[FRC], s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fsqrts[.]", A(59, 22))
def fsqrts(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, sqrt(s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fres[.]", A(59, 24))
def fres(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, reciprocal(s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("frsqrtes[.]", A(59, 26))
def frsqrtes(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, reciprocal_sqrt(s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("frsp[.]", X(63, 12))
def frsp(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, round_to_single(s.hi[FRB], s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("frin[.]", X(63, 392), isa="2.05")
def frin(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, to_integral(s.hi[FRB], AWAY)))
    if Rc:
        cr1(s)


@insn("friz[.]", X(63, 424), isa="2.05")
def friz(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, to_integral(s.hi[FRB], TO_ZERO)))
    if Rc:
        cr1(s)


@insn("frip[.]", X(63, 456), isa="2.05")
def frip(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, to_integral(s.hi[FRB], UP)))
    if Rc:
        cr1(s)


@insn("frim[.]", X(63, 488), isa="2.05")
def frim(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, to_integral(s.hi[FRB], DOWN)))
    if Rc:
        cr1(s)


@insn("fctid[.]", X(63, 814))
def fctid(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(
        s,
        FRT,
        deliver_integer(s, to_integer(s.hi[FRB], LEAST64, MOST64, s.fpscr & RN)) & M64,
    )
    if Rc:
        cr1(s)


@insn("fctidz[.]", X(63, 815))
def fctidz(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver_integer(s, to_integer(s.hi[FRB], LEAST64, MOST64, TO_ZERO)) & M64)
    if Rc:
        cr1(s)


@insn("fctidu[.]", X(63, 942), isa="2.06")
def fctidu(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver_integer(s, to_integer(s.hi[FRB], 0, M64, s.fpscr & RN)) & M64)
    if Rc:
        cr1(s)


@insn("fctiduz[.]", X(63, 943), isa="2.06")
def fctiduz(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver_integer(s, to_integer(s.hi[FRB], 0, M64, TO_ZERO)) & M64)
    if Rc:
        cr1(s)


@insn("fctiw[.]", X(63, 14))
def fctiw(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(
        s,
        FRT,
        deliver_integer(s, to_integer(s.hi[FRB], LEAST32, MOST32, s.fpscr & RN)) & M64,
    )
    if Rc:
        cr1(s)


@insn("fctiwz[.]", X(63, 15))
def fctiwz(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver_integer(s, to_integer(s.hi[FRB], LEAST32, MOST32, TO_ZERO)) & M64)
    if Rc:
        cr1(s)


@insn("fctiwu[.]", X(63, 142), isa="2.06")
def fctiwu(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver_integer(s, to_integer(s.hi[FRB], 0, M32, s.fpscr & RN)) & M64)
    if Rc:
        cr1(s)


@insn("fctiwuz[.]", X(63, 143), isa="2.06")
def fctiwuz(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver_integer(s, to_integer(s.hi[FRB], 0, M32, TO_ZERO)) & M64)
    if Rc:
        cr1(s)


@insn("fcfid[.]", X(63, 846))
def fcfid(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, from_integer(sext64(s.hi[FRB]), DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fcfidu[.]", X(63, 974), isa="2.06")
def fcfidu(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, from_integer(s.hi[FRB], DOUBLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fcfids[.]", X(59, 846), isa="2.06")
def fcfids(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, from_integer(sext64(s.hi[FRB]), SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("fcfidus[.]", X(59, 974), isa="2.06")
def fcfidus(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, deliver(s, from_integer(s.hi[FRB], SINGLE, s.fpscr & RN)))
    if Rc:
        cr1(s)


@insn("ftdiv", X(63, 128), isa="2.06")
def ftdiv(s: PtRegs, BF: int, FRA: int, FRB: int) -> None:
    s.cr[BF] = divides(s.hi[FRA], s.hi[FRB])


@insn("ftsqrt", X(63, 160), isa="2.06")
def ftsqrt(s: PtRegs, BF: int, FRB: int) -> None:
    s.cr[BF] = square_roots(s.hi[FRB])
