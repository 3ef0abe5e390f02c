"""Floating-point loads, stores and moves (Power ISA, book I, 4.6.2 to 4.6.5)."""

from uprobes_sim_powerpc.fpu.number import narrow, widen
from uprobes_sim_powerpc.isa.define import DS, D, X, inline, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, base, sext32
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs


@inline
def put(s: PtRegs, FRT: int, value: int) -> None:
    """Write an FPR; the rest of its VSR becomes zero (ISA 3.1, undefined before)."""
    s.hi[FRT] = value
    s.lo[FRT] = 0


@inline
def cr1(s: PtRegs) -> None:
    """Record the summary of exceptions in CR field 1."""
    s.cr[1] = s.fpscr >> 28 & 15


def update(RA: int) -> bool:
    """Tell valid fields of an access with update."""
    return RA != 0


@insn("lfs", D(48), kernel="LOAD_FP")
def lfs(s: PtRegs, m: Memory, FRT: int, RA: int, D: int) -> None:
    put(s, FRT, widen(m.load4(base(s, RA) + D)))


@insn("lfsu", D(49), kernel="LOAD_FP", valid=update)
def lfsu(s: PtRegs, m: Memory, FRT: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    put(s, FRT, widen(m.load4(ea)))
    s.gpr[RA] = ea


@insn("lfsx", X(31, 535), kernel="LOAD_FP")
def lfsx(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    put(s, FRT, widen(m.load4(base(s, RA) + s.gpr[RB])))


@insn("lfsux", X(31, 567), kernel="LOAD_FP", valid=update)
def lfsux(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    put(s, FRT, widen(m.load4(ea)))
    s.gpr[RA] = ea


@insn("lfd", D(50), kernel="LOAD_FP")
def lfd(s: PtRegs, m: Memory, FRT: int, RA: int, D: int) -> None:
    put(s, FRT, m.load8(base(s, RA) + D))


@insn("lfdu", D(51), kernel="LOAD_FP", valid=update)
def lfdu(s: PtRegs, m: Memory, FRT: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    put(s, FRT, m.load8(ea))
    s.gpr[RA] = ea


@insn("lfdx", X(31, 599), kernel="LOAD_FP")
def lfdx(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    put(s, FRT, m.load8(base(s, RA) + s.gpr[RB]))


@insn("lfdux", X(31, 631), kernel="LOAD_FP", valid=update)
def lfdux(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    put(s, FRT, m.load8(ea))
    s.gpr[RA] = ea


@insn("stfs", D(52), kernel="STORE_FP")
def stfs(s: PtRegs, m: Memory, FRS: int, RA: int, D: int) -> None:
    m.store4(base(s, RA) + D, narrow(s.hi[FRS]))


@insn("stfsu", D(53), kernel="STORE_FP", valid=update)
def stfsu(s: PtRegs, m: Memory, FRS: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    m.store4(ea, narrow(s.hi[FRS]))
    s.gpr[RA] = ea


@insn("stfsx", X(31, 663), kernel="STORE_FP")
def stfsx(s: PtRegs, m: Memory, FRS: int, RA: int, RB: int) -> None:
    m.store4(base(s, RA) + s.gpr[RB], narrow(s.hi[FRS]))


@insn("stfsux", X(31, 695), kernel="STORE_FP", valid=update)
def stfsux(s: PtRegs, m: Memory, FRS: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    m.store4(ea, narrow(s.hi[FRS]))
    s.gpr[RA] = ea


@insn("stfd", D(54), kernel="STORE_FP")
def stfd(s: PtRegs, m: Memory, FRS: int, RA: int, D: int) -> None:
    m.store8(base(s, RA) + D, s.hi[FRS])


@insn("stfdu", D(55), kernel="STORE_FP", valid=update)
def stfdu(s: PtRegs, m: Memory, FRS: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    m.store8(ea, s.hi[FRS])
    s.gpr[RA] = ea


@insn("stfdx", X(31, 727), kernel="STORE_FP")
def stfdx(s: PtRegs, m: Memory, FRS: int, RA: int, RB: int) -> None:
    m.store8(base(s, RA) + s.gpr[RB], s.hi[FRS])


@insn("stfdux", X(31, 759), kernel="STORE_FP", valid=update)
def stfdux(s: PtRegs, m: Memory, FRS: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    m.store8(ea, s.hi[FRS])
    s.gpr[RA] = ea


@insn("lfiwax", X(31, 855), kernel="LOAD_FP", isa="2.05")
def lfiwax(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    put(s, FRT, sext32(m.load4(base(s, RA) + s.gpr[RB])) & M64)


@insn("lfiwzx", X(31, 887), kernel="LOAD_FP", isa="2.06")
def lfiwzx(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    put(s, FRT, m.load4(base(s, RA) + s.gpr[RB]))


@insn("stfiwx", X(31, 983), kernel="STORE_FP")
def stfiwx(s: PtRegs, m: Memory, FRS: int, RA: int, RB: int) -> None:
    m.store4(base(s, RA) + s.gpr[RB], s.hi[FRS] & M32)


def even_target(FRT: int) -> bool:
    """Tell valid fields of a load of a pair."""
    return FRT & 1 == 0


def even_source(FRS: int) -> bool:
    """Tell valid fields of a store of a pair."""
    return FRS & 1 == 0


def load_pair(s: PtRegs, m: Memory, FRT: int, ea: int) -> None:
    """Fill two FPRs, the even one from the lower address in either byte order."""
    first, second = m.load8(ea), m.load8(ea + 8)
    s.hi[FRT], s.lo[FRT] = first, 0
    s.hi[FRT + 1], s.lo[FRT + 1] = second, 0


def store_pair(s: PtRegs, m: Memory, FRS: int, ea: int) -> None:
    """Store two FPRs, the even one at the lower address in either byte order."""
    m.probe_write(ea, 16)
    m.store8(ea, s.hi[FRS])
    m.store8(ea + 8, s.hi[FRS + 1])


@insn("lfdp", DS(57, 0), kernel="LOAD_FP", isa="2.05", valid=even_target, inline=False)
def lfdp(s: PtRegs, m: Memory, FRT: int, RA: int, DS: int) -> None:
    load_pair(s, m, FRT, base(s, RA) + DS)


@insn("lfdpx", X(31, 791), kernel="LOAD_FP", isa="2.05", valid=even_target, inline=False)
def lfdpx(s: PtRegs, m: Memory, FRT: int, RA: int, RB: int) -> None:
    load_pair(s, m, FRT, base(s, RA) + s.gpr[RB])


@insn("stfdp", DS(61, 0), kernel="STORE_FP", isa="2.05", valid=even_source, inline=False)
def stfdp(s: PtRegs, m: Memory, FRS: int, RA: int, DS: int) -> None:
    store_pair(s, m, FRS, base(s, RA) + DS)


@insn("stfdpx", X(31, 919), kernel="STORE_FP", isa="2.05", valid=even_source, inline=False)
def stfdpx(s: PtRegs, m: Memory, FRS: int, RA: int, RB: int) -> None:
    store_pair(s, m, FRS, base(s, RA) + s.gpr[RB])
