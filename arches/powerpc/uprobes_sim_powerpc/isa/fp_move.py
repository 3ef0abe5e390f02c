"""Floating-point moves, selection and the status register (Power ISA, book I, 4.6.5 to 4.6.10)."""

from typing import Final

from uprobes_sim_powerpc.fpu.convert import compare
from uprobes_sim_powerpc.fpu.fpscr import (
    ENABLES,
    EXCEPTIONS,
    FEX,
    FI,
    FPRF,
    FR,
    FX,
    RN,
    VX,
    happened,
    set_condition,
    summed,
)
from uprobes_sim_powerpc.fpu.number import INFINITY, MAGNITUDE, SIGN
from uprobes_sim_powerpc.isa.define import A, X, insn, leaf, narrowed, pure
from uprobes_sim_powerpc.isa.fp_load import cr1, put
from uprobes_sim_powerpc.isa.helpers import M32
from uprobes_sim_powerpc.regs import PtRegs

DRN: Final = 7 << 32
CONTROL: Final = DRN | ENABLES | 1 << 2 | RN
"""What software sets: rounding modes, enables, NI."""
WRITABLE: Final = DRN | 0xFFFFFFFF & ~(FEX | VX | 1 << 11)
"""All but the sums and a reserved bit."""


@insn("fmr[.]", X(63, 72))
def fmr(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, s.hi[FRB])
    if Rc:
        cr1(s)


@insn("fneg[.]", X(63, 40))
def fneg(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, s.hi[FRB] ^ SIGN)
    if Rc:
        cr1(s)


@insn("fabs[.]", X(63, 264))
def fabs(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, s.hi[FRB] & MAGNITUDE)
    if Rc:
        cr1(s)


@insn("fnabs[.]", X(63, 136))
def fnabs(s: PtRegs, FRT: int, FRB: int, Rc: int) -> None:
    put(s, FRT, s.hi[FRB] | SIGN)
    if Rc:
        cr1(s)


@insn("fcpsgn[.]", X(63, 8), isa="2.05")
def fcpsgn(s: PtRegs, FRT: int, FRA: int, FRB: int, Rc: int) -> None:
    put(s, FRT, s.hi[FRA] & SIGN | s.hi[FRB] & MAGNITUDE)
    if Rc:
        cr1(s)


@insn("fmrgew", X(63, 966), isa="2.07")
def fmrgew(s: PtRegs, FRT: int, FRA: int, FRB: int) -> None:
    put(s, FRT, s.hi[FRA] & ~M32 | s.hi[FRB] >> 32)


@insn("fmrgow", X(63, 838), isa="2.07")
def fmrgow(s: PtRegs, FRT: int, FRA: int, FRB: int) -> None:
    put(s, FRT, (s.hi[FRA] & M32) << 32 | s.hi[FRB] & M32)


@insn("fsel[.]", A(63, 23))
def fsel(s: PtRegs, FRT: int, FRA: int, FRB: int, FRC: int, Rc: int) -> None:
    a = s.hi[FRA]
    # Not below zero and no NaN; minus zero is not below.
    put(s, FRT, s.hi[FRC] if a <= INFINITY or a == SIGN else s.hi[FRB])
    if Rc:
        cr1(s)


@leaf
def order(s: PtRegs, a: int, b: int, ordered: bool) -> int:
    """Compare, record the outcome in FPCC, and give it as a CR field."""
    found, events = compare(a, b, ordered=ordered)
    set_condition(s, found, events)
    return found


@insn("fcmpu", X(63, 0))
def fcmpu(s: PtRegs, BF: int, FRA: int, FRB: int) -> None:
    s.cr[BF] = order(s, s.hi[FRA], s.hi[FRB], False)


@insn("fcmpo", X(63, 32))
def fcmpo(s: PtRegs, BF: int, FRA: int, FRB: int) -> None:
    s.cr[BF] = order(s, s.hi[FRA], s.hi[FRB], True)


@insn("mffs[.]", narrowed(X(63, 583), 0, 31 << 16))
def mffs(s: PtRegs, FRT: int, Rc: int) -> None:
    put(s, FRT, s.fpscr)
    if Rc:
        cr1(s)


@insn("mffsce", narrowed(X(63, 583), 1 << 16, 31 << 16), isa="3.0")
def mffsce(s: PtRegs, FRT: int) -> None:
    put(s, FRT, s.fpscr)
    s.fpscr = summed(s.fpscr & ~ENABLES)


@insn("mffscdrn", narrowed(X(63, 583), 20 << 16, 31 << 16), isa="3.0")
def mffscdrn(s: PtRegs, FRT: int, FRB: int) -> None:
    drn = s.hi[FRB] & DRN
    put(s, FRT, s.fpscr & CONTROL)
    s.fpscr = s.fpscr & ~DRN | drn


@insn("mffscdrni", narrowed(X(63, 583), 21 << 16, 31 << 16), isa="3.0")
def mffscdrni(s: PtRegs, FRT: int, DRM: int) -> None:
    put(s, FRT, s.fpscr & CONTROL)
    s.fpscr = s.fpscr & ~DRN | DRM << 32


@insn("mffscrn", narrowed(X(63, 583), 22 << 16, 31 << 16), isa="3.0")
def mffscrn(s: PtRegs, FRT: int, FRB: int) -> None:
    mode = s.hi[FRB] & RN
    put(s, FRT, s.fpscr & CONTROL)
    s.fpscr = s.fpscr & ~RN | mode


@insn("mffscrni", narrowed(X(63, 583), 23 << 16, 31 << 16), isa="3.0")
def mffscrni(s: PtRegs, FRT: int, RM: int) -> None:
    put(s, FRT, s.fpscr & CONTROL)
    s.fpscr = s.fpscr & ~RN | RM


@insn("mffsl", narrowed(X(63, 583), 24 << 16, 31 << 16), isa="3.0")
def mffsl(s: PtRegs, FRT: int) -> None:
    put(s, FRT, s.fpscr & (CONTROL | FR | FI | FPRF))


@insn("mcrfs", X(63, 64))
def mcrfs(s: PtRegs, BF: int, BFA: int) -> None:
    s.cr[BF] = s.fpscr >> 28 - 4 * BFA & 15
    s.fpscr = summed(s.fpscr & ~((FX | EXCEPTIONS) & 15 << 28 - 4 * BFA))


@pure
def written(FLM: int, L6: int, W: int) -> int:
    """Make the mask of those bits that mtfsf writes."""
    if L6:
        return WRITABLE
    fields = sum(15 << 28 - 4 * n for n in range(8) if FLM & 0x80 >> n)
    return WRITABLE & (fields << 32 if W else fields)


@insn("mtfsf[.]", X(63, 711))
def mtfsf(s: PtRegs, FLM: int, L6: int, W: int, FRB: int, Rc: int) -> None:
    mask = written(FLM, L6, W)
    s.fpscr = summed(s.fpscr & ~mask | s.hi[FRB] & mask)
    if Rc:
        cr1(s)


@insn("mtfsfi[.]", X(63, 134))
def mtfsfi(s: PtRegs, BF: int, W: int, U: int, Rc: int) -> None:
    mask = written(0x80 >> BF, 0, W)
    s.fpscr = summed(s.fpscr & ~mask | U * 0x1111111111111111 & mask)
    if Rc:
        cr1(s)


@insn("mtfsb0[.]", X(63, 70))
def mtfsb0(s: PtRegs, BT: int, Rc: int) -> None:
    s.fpscr = summed(s.fpscr & ~(WRITABLE & 1 << 31 - BT))
    if Rc:
        cr1(s)


@insn("mtfsb1[.]", X(63, 38))
def mtfsb1(s: PtRegs, BT: int, Rc: int) -> None:
    bit = WRITABLE & 1 << 31 - BT
    s.fpscr = summed(happened(s.fpscr, bit) | bit)
    if Rc:
        cr1(s)
