"""Prefixed floating-point and vector loads and stores (Power ISA 3.1, book I, 4.6.2, 7.6.1)."""

from typing import Final

from uprobes_sim_powerpc.fpu.number import narrow, widen
from uprobes_sim_powerpc.isa.define import LS8, LS8X, MLS, Form, insn
from uprobes_sim_powerpc.isa.fp_load import put
from uprobes_sim_powerpc.isa.helpers import M32, M64
from uprobes_sim_powerpc.isa.prefixed import address, one_base
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs


@insn("plfs", MLS(48), kernel="LOAD_FP", isa="3.1", bits=64, valid=one_base)
def plfs(s: PtRegs, m: Memory, FRT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    put(s, FRT, widen(m.load4(address(s, RA, R, D34, CIA))))


@insn("plfd", MLS(50), kernel="LOAD_FP", isa="3.1", bits=64, valid=one_base)
def plfd(s: PtRegs, m: Memory, FRT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    put(s, FRT, m.load8(address(s, RA, R, D34, CIA)))


@insn("pstfs", MLS(52), kernel="STORE_FP", isa="3.1", bits=64, valid=one_base)
def pstfs(s: PtRegs, m: Memory, FRS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store4(address(s, RA, R, D34, CIA), narrow(s.hi[FRS]))


@insn("pstfd", MLS(54), kernel="STORE_FP", isa="3.1", bits=64, valid=one_base)
def pstfd(s: PtRegs, m: Memory, FRS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store8(address(s, RA, R, D34, CIA), s.hi[FRS])


@insn("plxsd", LS8(42), kernel="LOAD_VSX", isa="3.1", bits=64, valid=one_base)
def plxsd(s: PtRegs, m: Memory, VRT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    put(s, VRT + 32, m.load8(address(s, RA, R, D34, CIA)))


@insn("plxssp", LS8(43), kernel="LOAD_VSX", isa="3.1", bits=64, valid=one_base)
def plxssp(s: PtRegs, m: Memory, VRT: int, RA: int, R: int, D34: int, CIA: int) -> None:
    put(s, VRT + 32, widen(m.load4(address(s, RA, R, D34, CIA))))


@insn("pstxsd", LS8(46), kernel="STORE_VSX", isa="3.1", bits=64, valid=one_base)
def pstxsd(s: PtRegs, m: Memory, VRS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store8(address(s, RA, R, D34, CIA), s.hi[VRS + 32])


@insn("pstxssp", LS8(47), kernel="STORE_VSX", isa="3.1", bits=64, valid=one_base)
def pstxssp(s: PtRegs, m: Memory, VRS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store4(address(s, RA, R, D34, CIA), narrow(s.hi[VRS + 32]))


@insn("plxv", LS8X(50), kernel="LOAD_VSX", isa="3.1", bits=64, valid=one_base)
def plxv(s: PtRegs, m: Memory, XT_8LS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    value = m.load16(address(s, RA, R, D34, CIA))
    s.hi[XT_8LS] = value >> 64
    s.lo[XT_8LS] = value & M64


@insn("pstxv", LS8X(54), kernel="STORE_VSX", isa="3.1", bits=64, valid=one_base)
def pstxv(s: PtRegs, m: Memory, XT_8LS: int, RA: int, R: int, D34: int, CIA: int) -> None:
    m.store16(address(s, RA, R, D34, CIA), s.hi[XT_8LS] << 64 | s.lo[XT_8LS])


XXSPLTI: Final = 0x05000000 << 32
"""Prefix of type 1, 8RR, before a suffix that has an immediate of 32 bits."""


def splat(number: int, mask: int) -> Form:
    """Make the form of a splat of an immediate; *number* tells which."""
    return Form(XXSPLTI | 32 << 26 | number << 17, 0xFFF00000 << 32 | 0xFC000000 | mask << 17)


@insn("xxspltiw", splat(3, 15), isa="3.1", bits=64)
def xxspltiw(s: PtRegs, XT_8RR: int, IMM32: int) -> None:
    s.hi[XT_8RR] = IMM32 * 0x100000001
    s.lo[XT_8RR] = IMM32 * 0x100000001


@insn("xxspltidp", splat(2, 15), isa="3.1", bits=64, inline=False)
def xxspltidp(s: PtRegs, XT_8RR: int, IMM32: int) -> None:
    s.hi[XT_8RR] = s.lo[XT_8RR] = widen(IMM32)


@insn("xxsplti32dx", splat(0, 14), isa="3.1", bits=64, inline=False)
def xxsplti32dx(s: PtRegs, XT_8RR: int, IX: int, IMM32: int) -> None:
    shift = 0 if IX else 32
    kept = M32 << 32 - shift
    s.hi[XT_8RR] = s.hi[XT_8RR] & kept | IMM32 << shift
    s.lo[XT_8RR] = s.lo[XT_8RR] & kept | IMM32 << shift
