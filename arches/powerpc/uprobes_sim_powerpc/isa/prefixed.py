"""Prefixed fixed-point instructions (Power ISA 3.1, book I, 3.3.2 to 3.3.9)."""

from uprobes_sim_powerpc.isa.define import LS8, MLS, inline, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, base, sext16, sext32
from uprobes_sim_powerpc.isa.multiple import even
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs


def one_base(RA: int, R: int) -> bool:
    """Tell valid fields: relative to this instruction or to RA, not to both."""
    return not (R and RA)


def pair_and_base(RT: int, RA: int, R: int) -> bool:
    """Tell valid fields of plq."""
    return RT % 2 == 0 and RT != RA and one_base(RA, R)


def even_and_base(RS: int, RA: int, R: int) -> bool:
    """Tell valid fields of pstq."""
    return even(RS) and one_base(RA, R)


@inline
def address(s: PtRegs, RA: int, R: int, D34: int, CIA: int) -> int:
    """Compute the effective address."""
    return (CIA if R else base(s, RA)) + D34


@insn("paddi", MLS(14), kernel="COMPUTE", isa="3.1", bits=64, valid=one_base)
def paddi(s: PtRegs, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    s.gpr[RT] = address(s, RA, R, D34, CIA) & s.mask


@insn("plbz", MLS(34), kernel="LOAD", isa="3.1", bits=64, valid=one_base)
def plbz(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    s.gpr[RT] = m.load1(address(s, RA, R, D34, CIA))


@insn("plhz", MLS(40), kernel="LOAD", isa="3.1", bits=64, valid=one_base)
def plhz(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    s.gpr[RT] = m.load2(address(s, RA, R, D34, CIA))


@insn("plha", MLS(42), kernel="LOAD", isa="3.1", bits=64, valid=one_base)
def plha(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    s.gpr[RT] = sext16(m.load2(address(s, RA, R, D34, CIA))) & M64


@insn("plwz", MLS(32), kernel="LOAD", isa="3.1", bits=64, valid=one_base)
def plwz(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    s.gpr[RT] = m.load4(address(s, RA, R, D34, CIA))


@insn("plwa", LS8(41), kernel="LOAD", isa="3.1", bits=64, valid=one_base)
def plwa(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    s.gpr[RT] = sext32(m.load4(address(s, RA, R, D34, CIA))) & M64


@insn("pld", LS8(57), kernel="LOAD", isa="3.1", bits=64, valid=one_base)
def pld(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    s.gpr[RT] = m.load8(address(s, RA, R, D34, CIA))


@insn("pstb", MLS(38), kernel="STORE", isa="3.1", bits=64, valid=one_base)
def pstb(s: PtRegs, m: Memory, RS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store1(address(s, RA, R, D34, CIA), s.gpr[RS] & 0xFF)


@insn("psth", MLS(44), kernel="STORE", isa="3.1", bits=64, valid=one_base)
def psth(s: PtRegs, m: Memory, RS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store2(address(s, RA, R, D34, CIA), s.gpr[RS] & 0xFFFF)


@insn("pstw", MLS(36), kernel="STORE", isa="3.1", bits=64, valid=one_base)
def pstw(s: PtRegs, m: Memory, RS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store4(address(s, RA, R, D34, CIA), s.gpr[RS] & M32)


@insn("pstd", LS8(61), kernel="STORE", isa="3.1", bits=64, valid=one_base)
def pstd(s: PtRegs, m: Memory, RS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store8(address(s, RA, R, D34, CIA), s.gpr[RS])


@insn("plq", LS8(56), kernel="LOAD", isa="3.1", bits=64, valid=pair_and_base)
def plq(s: PtRegs, m: Memory, RT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    ea = address(s, RA, R, D34, CIA)
    first, second = m.load8(ea), m.load8(ea + 8)
    s.gpr[RT] = first
    s.gpr[RT + 1] = second


@insn("pstq", LS8(60), kernel="STORE", isa="3.1", bits=64, valid=even_and_base)
def pstq(s: PtRegs, m: Memory, RS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    ea = address(s, RA, R, D34, CIA)
    m.probe_write(ea, 16)
    m.store8(ea, s.gpr[RS])
    m.store8(ea + 8, s.gpr[RS + 1])
