"""Branches, system calls and traps (Power ISA, book I, 2.4, 2.6, 3.3.12)."""

from uprobes_sim_powerpc.isa.define import DS, D, X, inline, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, sext32, sext64
from uprobes_sim_powerpc.isa.interrupts import SystemCall, Trapped
from uprobes_sim_powerpc.regs import PtRegs


@inline
def taken(s: PtRegs, BO: int, BI: int) -> bool:
    """Decide a conditional branch; CTR has been decremented."""
    return bool(
        (BO & 4 or (not s.ctr if BO & 2 else s.ctr))
        and (
            BO & 16
            or (s.cr[BI >> 2] & 8 >> (BI & 3) if BO & 8 else not s.cr[BI >> 2] & 8 >> (BI & 3))
        )
    )


@insn("b[l][a]", D(18), kernel="BRANCH")
def b(s: PtRegs, LI: int, AA: int, LK: int, CIA: int, NIA: int) -> None:
    if LK:
        s.link = NIA
    s.nip = (LI if AA else CIA + LI) & s.mask


@insn("bc[l][a]", D(16), kernel="BRANCH")
def bc(s: PtRegs, BO: int, BI: int, BD: int, AA: int, LK: int, CIA: int, NIA: int) -> None:
    if LK:
        s.link = NIA
    if not BO & 4:
        s.ctr = s.ctr - 1 & s.mask
    if taken(s, BO, BI):
        s.nip = (BD if AA else CIA + BD) & s.mask


@insn("bclr[l]", X(19, 16), kernel="BRANCH")
def bclr(s: PtRegs, BO: int, BI: int, LK: int, NIA: int) -> None:
    target = s.link & s.mask - 3
    if LK:
        s.link = NIA
    if not BO & 4:
        s.ctr = s.ctr - 1 & s.mask
    if taken(s, BO, BI):
        s.nip = target


def decrements_not(BO: int) -> bool:
    """Tell valid fields of bcctr: CTR cannot be target and counter at once."""
    return bool(BO & 4)


@insn("bcctr[l]", X(19, 528), kernel="BRANCH", valid=decrements_not)
def bcctr(s: PtRegs, BO: int, BI: int, LK: int, NIA: int) -> None:
    if LK:
        s.link = NIA
    if taken(s, BO, BI):
        s.nip = s.ctr & s.mask - 3


@insn("bctar[l]", X(19, 560), isa="2.07", bits=64)
def bctar(s: PtRegs, BO: int, BI: int, LK: int, NIA: int) -> None:
    if LK:
        s.link = NIA
    if not BO & 4:
        s.ctr = s.ctr - 1 & s.mask
    if taken(s, BO, BI):
        s.nip = s.tar & s.mask - 3


@insn("sc", DS(17, 2), kernel="SYSCALL")
def sc(s: PtRegs) -> None:
    raise SystemCall


@inline
def trap_if(s: PtRegs, TO: int, a: int, b: int, mask: int) -> None:
    """Trap when *a* and *b*, signed numbers, relate as TO says."""
    if (
        (TO & 16 and a < b)
        or (TO & 8 and a > b)
        or (TO & 4 and a == b)
        or (TO & 2 and a & mask < b & mask)
        or (TO & 1 and a & mask > b & mask)
    ):
        raise Trapped


@insn("tw", X(31, 4), kernel="COMPUTE")
def tw(s: PtRegs, TO: int, RA: int, RB: int) -> None:
    if TO == 31:
        raise Trapped
    trap_if(s, TO, sext32(s.gpr[RA]), sext32(s.gpr[RB]), M32)


@insn("twi", D(3), kernel="COMPUTE")
def twi(s: PtRegs, TO: int, RA: int, SI: int) -> None:
    trap_if(s, TO, sext32(s.gpr[RA]), SI, M32)


@insn("td", X(31, 68), kernel="COMPUTE", bits=64)
def td(s: PtRegs, TO: int, RA: int, RB: int) -> None:
    trap_if(s, TO, sext64(s.gpr[RA]), sext64(s.gpr[RB]), M64)


@insn("tdi", D(2), kernel="COMPUTE", bits=64)
def tdi(s: PtRegs, TO: int, RA: int, SI: int) -> None:
    trap_if(s, TO, sext64(s.gpr[RA]), SI, M64)
