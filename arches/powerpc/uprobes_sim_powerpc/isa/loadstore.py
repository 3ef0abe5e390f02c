"""Fixed-point loads and stores (Power ISA, book I, 3.3.2 to 3.3.4)."""

from uprobes_sim_powerpc.isa.define import DS, D, X, insn
from uprobes_sim_powerpc.isa.helpers import M32, base, swap16, swap32, swap64, widened16, widened32
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs


def load_update(RA: int, RT: int) -> bool:
    """Tell valid fields of a load with update."""
    return RA not in (0, RT)


def store_update(RA: int) -> bool:
    """Tell valid fields of a store with update."""
    return RA != 0


@insn("lbz", D(34), kernel="LOAD")
def lbz(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    s.gpr[RT] = m.load1(base(s, RA) + D)


@insn("lbzu", D(35), kernel="LOAD", valid=load_update)
def lbzu(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    s.gpr[RT] = m.load1(ea)
    s.gpr[RA] = ea


@insn("lbzx", X(31, 87), kernel="LOAD")
def lbzx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = m.load1(base(s, RA) + s.gpr[RB])


@insn("lbzux", X(31, 119), kernel="LOAD", valid=load_update)
def lbzux(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    s.gpr[RT] = m.load1(ea)
    s.gpr[RA] = ea


@insn("lhz", D(40), kernel="LOAD")
def lhz(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    s.gpr[RT] = m.load2(base(s, RA) + D)


@insn("lhzu", D(41), kernel="LOAD", valid=load_update)
def lhzu(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    s.gpr[RT] = m.load2(ea)
    s.gpr[RA] = ea


@insn("lhzx", X(31, 279), kernel="LOAD")
def lhzx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = m.load2(base(s, RA) + s.gpr[RB])


@insn("lhzux", X(31, 311), kernel="LOAD", valid=load_update)
def lhzux(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    s.gpr[RT] = m.load2(ea)
    s.gpr[RA] = ea


@insn("lha", D(42), kernel="LOAD")
def lha(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    s.gpr[RT] = widened16(s, m.load2(base(s, RA) + D))


@insn("lhau", D(43), kernel="LOAD", valid=load_update)
def lhau(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    s.gpr[RT] = widened16(s, m.load2(ea))
    s.gpr[RA] = ea


@insn("lhax", X(31, 343), kernel="LOAD")
def lhax(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = widened16(s, m.load2(base(s, RA) + s.gpr[RB]))


@insn("lhaux", X(31, 375), kernel="LOAD", valid=load_update)
def lhaux(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    s.gpr[RT] = widened16(s, m.load2(ea))
    s.gpr[RA] = ea


@insn("lwz", D(32), kernel="LOAD")
def lwz(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    s.gpr[RT] = m.load4(base(s, RA) + D)


@insn("lwzu", D(33), kernel="LOAD", valid=load_update)
def lwzu(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    s.gpr[RT] = m.load4(ea)
    s.gpr[RA] = ea


@insn("lwzx", X(31, 23), kernel="LOAD")
def lwzx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = m.load4(base(s, RA) + s.gpr[RB])


@insn("lwzux", X(31, 55), kernel="LOAD", valid=load_update)
def lwzux(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    s.gpr[RT] = m.load4(ea)
    s.gpr[RA] = ea


@insn("lwa", DS(58, 2), kernel="LOAD", bits=64)
def lwa(s: PtRegs, m: Memory, RT: int, RA: int, DS: int) -> None:
    s.gpr[RT] = widened32(s, m.load4(base(s, RA) + DS))


@insn("lwax", X(31, 341), kernel="LOAD", bits=64)
def lwax(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = widened32(s, m.load4(base(s, RA) + s.gpr[RB]))


@insn("lwaux", X(31, 373), kernel="LOAD", bits=64, valid=load_update)
def lwaux(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    s.gpr[RT] = widened32(s, m.load4(ea))
    s.gpr[RA] = ea


@insn("ld", DS(58, 0), kernel="LOAD", bits=64)
def ld(s: PtRegs, m: Memory, RT: int, RA: int, DS: int) -> None:
    s.gpr[RT] = m.load8(base(s, RA) + DS)


@insn("ldu", DS(58, 1), kernel="LOAD", bits=64, valid=load_update)
def ldu(s: PtRegs, m: Memory, RT: int, RA: int, DS: int) -> None:
    ea = s.gpr[RA] + DS & s.mask
    s.gpr[RT] = m.load8(ea)
    s.gpr[RA] = ea


@insn("ldx", X(31, 21), kernel="LOAD", bits=64)
def ldx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = m.load8(base(s, RA) + s.gpr[RB])


@insn("ldux", X(31, 53), kernel="LOAD", bits=64, valid=load_update)
def ldux(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    s.gpr[RT] = m.load8(ea)
    s.gpr[RA] = ea


@insn("stb", D(38), kernel="STORE")
def stb(s: PtRegs, m: Memory, RS: int, RA: int, D: int) -> None:
    m.store1(base(s, RA) + D, s.gpr[RS] & 0xFF)


@insn("stbu", D(39), kernel="STORE", valid=store_update)
def stbu(s: PtRegs, m: Memory, RS: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    m.store1(ea, s.gpr[RS] & 0xFF)
    s.gpr[RA] = ea


@insn("stbx", X(31, 215), kernel="STORE")
def stbx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    m.store1(base(s, RA) + s.gpr[RB], s.gpr[RS] & 0xFF)


@insn("stbux", X(31, 247), kernel="STORE", valid=store_update)
def stbux(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    m.store1(ea, s.gpr[RS] & 0xFF)
    s.gpr[RA] = ea


@insn("sth", D(44), kernel="STORE")
def sth(s: PtRegs, m: Memory, RS: int, RA: int, D: int) -> None:
    m.store2(base(s, RA) + D, s.gpr[RS] & 0xFFFF)


@insn("sthu", D(45), kernel="STORE", valid=store_update)
def sthu(s: PtRegs, m: Memory, RS: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    m.store2(ea, s.gpr[RS] & 0xFFFF)
    s.gpr[RA] = ea


@insn("sthx", X(31, 407), kernel="STORE")
def sthx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    m.store2(base(s, RA) + s.gpr[RB], s.gpr[RS] & 0xFFFF)


@insn("sthux", X(31, 439), kernel="STORE", valid=store_update)
def sthux(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    m.store2(ea, s.gpr[RS] & 0xFFFF)
    s.gpr[RA] = ea


@insn("stw", D(36), kernel="STORE")
def stw(s: PtRegs, m: Memory, RS: int, RA: int, D: int) -> None:
    m.store4(base(s, RA) + D, s.gpr[RS] & M32)


@insn("stwu", D(37), kernel="STORE", valid=store_update)
def stwu(s: PtRegs, m: Memory, RS: int, RA: int, D: int) -> None:
    ea = s.gpr[RA] + D & s.mask
    m.store4(ea, s.gpr[RS] & M32)
    s.gpr[RA] = ea


@insn("stwx", X(31, 151), kernel="STORE")
def stwx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    m.store4(base(s, RA) + s.gpr[RB], s.gpr[RS] & M32)


@insn("stwux", X(31, 183), kernel="STORE", valid=store_update)
def stwux(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    m.store4(ea, s.gpr[RS] & M32)
    s.gpr[RA] = ea


@insn("std", DS(62, 0), kernel="STORE", bits=64)
def std(s: PtRegs, m: Memory, RS: int, RA: int, DS: int) -> None:
    m.store8(base(s, RA) + DS, s.gpr[RS])


@insn("stdu", DS(62, 1), kernel="STORE", bits=64, valid=store_update)
def stdu(s: PtRegs, m: Memory, RS: int, RA: int, DS: int) -> None:
    ea = s.gpr[RA] + DS & s.mask
    m.store8(ea, s.gpr[RS])
    s.gpr[RA] = ea


@insn("stdx", X(31, 149), kernel="STORE", bits=64)
def stdx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    m.store8(base(s, RA) + s.gpr[RB], s.gpr[RS])


@insn("stdux", X(31, 181), kernel="STORE", bits=64, valid=store_update)
def stdux(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = s.gpr[RA] + s.gpr[RB] & s.mask
    m.store8(ea, s.gpr[RS])
    s.gpr[RA] = ea


@insn("lhbrx", X(31, 790), kernel="LOAD")
def lhbrx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = swap16(m.load2(base(s, RA) + s.gpr[RB]))


@insn("lwbrx", X(31, 534), kernel="LOAD")
def lwbrx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = swap32(m.load4(base(s, RA) + s.gpr[RB]))


@insn("ldbrx", X(31, 532), kernel="LOAD", isa="2.06", bits=64)
def ldbrx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    s.gpr[RT] = swap64(m.load8(base(s, RA) + s.gpr[RB]))


@insn("sthbrx", X(31, 918), kernel="STORE")
def sthbrx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    m.store2(base(s, RA) + s.gpr[RB], swap16(s.gpr[RS]))


@insn("stwbrx", X(31, 662), kernel="STORE")
def stwbrx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    m.store4(base(s, RA) + s.gpr[RB], swap32(s.gpr[RS]))


@insn("stdbrx", X(31, 660), kernel="STORE", isa="2.06", bits=64)
def stdbrx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    m.store8(base(s, RA) + s.gpr[RB], swap64(s.gpr[RS]))
