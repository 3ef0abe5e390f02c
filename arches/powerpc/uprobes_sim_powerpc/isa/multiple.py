"""Multiple, string, quadword and reserving accesses (book I, 3.3.5, 3.3.6; book II, 4.6)."""

from uprobes_sim_powerpc.isa.define import DS, D, X, inline, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, base
from uprobes_sim_powerpc.isa.interrupts import Misaligned
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import NO_RESERVATION, PtRegs


def load_words(s: PtRegs, m: Memory, ea: int, first: int, size: int) -> None:
    """Load *size* bytes into registers from *first* on, four each; register 0 follows 31."""
    data = m.load(ea, size)
    for n in range(0, size, 4):
        word = data[n : n + 4].ljust(4, b"\0")
        s.gpr[(first + n // 4) % 32] = int.from_bytes(word, m.byteorder)


def store_words(s: PtRegs, m: Memory, ea: int, first: int, size: int) -> None:
    """Store *size* bytes from registers from *first* on."""
    words = (
        (s.gpr[(first + n // 4) % 32] & M32).to_bytes(4, m.byteorder) for n in range(0, size, 4)
    )
    m.store(ea, b"".join(words)[:size])


def base_below(RA: int, RT: int) -> bool:
    """Tell valid fields of lmw: the base must not be loaded over, not even where it is 0."""
    return RA < RT


@insn("lmw", D(46), kernel="LOAD_MULTI", valid=base_below, inline=False)
def lmw(s: PtRegs, m: Memory, RT: int, RA: int, D: int) -> None:
    load_words(s, m, base(s, RA) + D, RT, 4 * (32 - RT))


@insn("stmw", D(47), kernel="STORE_MULTI", inline=False)
def stmw(s: PtRegs, m: Memory, RS: int, RA: int, D: int) -> None:
    store_words(s, m, base(s, RA) + D, RS, 4 * (32 - RS))


@insn("lswi", X(31, 597), kernel="LOAD_MULTI", inline=False)
def lswi(s: PtRegs, m: Memory, RT: int, RA: int, NB: int) -> None:
    load_words(s, m, base(s, RA), RT, NB or 32)


@insn("stswi", X(31, 725), kernel="STORE_MULTI", inline=False)
def stswi(s: PtRegs, m: Memory, RS: int, RA: int, NB: int) -> None:
    store_words(s, m, base(s, RA), RS, NB or 32)


@insn("lswx", X(31, 533), kernel="LOAD_MULTI", inline=False)
def lswx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    load_words(s, m, base(s, RA) + s.gpr[RB], RT, s.xer_rest & 0x7F)


@insn("stswx", X(31, 661), kernel="STORE_MULTI", inline=False)
def stswx(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    store_words(s, m, base(s, RA) + s.gpr[RB], RS, s.xer_rest & 0x7F)


def load_pair(RT: int, RA: int) -> bool:
    """Tell valid fields of lq."""
    return RT % 2 == 0 and RT != RA


def load_pair_indexed(RT: int, RA: int, RB: int) -> bool:
    """Tell valid fields of lqarx."""
    return RT % 2 == 0 and RT not in (RA, RB)


def even(RS: int) -> bool:
    """Tell valid fields of a store of a pair."""
    return RS % 2 == 0


@insn("lq", D(56), kernel="LOAD", isa="2.07", bits=64, valid=load_pair)
def lq(s: PtRegs, m: Memory, RT: int, RA: int, DQ: int) -> None:
    pair = m.load16(base(s, RA) + DQ)
    s.gpr[RT] = pair >> 64
    s.gpr[RT + 1] = pair & M64


@insn("stq", DS(62, 2), kernel="STORE", isa="2.07", bits=64, valid=even)
def stq(s: PtRegs, m: Memory, RS: int, RA: int, DS: int) -> None:
    m.store16(base(s, RA) + DS, s.gpr[RS] << 64 | s.gpr[RS + 1])


@inline
def aligned(s: PtRegs, ea: int, size: int) -> None:
    """Insist that *ea* is a multiple of *size*."""
    if ea & size - 1:
        raise Misaligned(ea)


@inline
def conditional(s: PtRegs, ea: int) -> None:
    """Tell in CR0 whether the store at *ea* was done, and give the reservation up."""
    s.cr[0] = (2 if s.reserve_ea == ea else 0) | s.so
    s.reserve_ea = NO_RESERVATION


@insn("lbarx", X(31, 52), kernel="LARX", isa="2.06")
def lbarx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    s.gpr[RT] = m.load1(ea)
    s.reserve_ea = ea


@insn("stbcx.", X(31, 694), kernel="STCX", isa="2.06")
def stbcx_(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    if s.reserve_ea == ea:
        m.store1(ea, s.gpr[RS] & 0xFF)
    conditional(s, ea)


@insn("lharx", X(31, 116), kernel="LARX", isa="2.06")
def lharx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 2)
    s.gpr[RT] = m.load2(ea)
    s.reserve_ea = ea


@insn("sthcx.", X(31, 726), kernel="STCX", isa="2.06")
def sthcx_(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 2)
    if s.reserve_ea == ea:
        m.store2(ea, s.gpr[RS] & 0xFFFF)
    conditional(s, ea)


@insn("lwarx", X(31, 20), kernel="LARX")
def lwarx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 4)
    s.gpr[RT] = m.load4(ea)
    s.reserve_ea = ea


@insn("stwcx.", X(31, 150), kernel="STCX")
def stwcx_(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 4)
    if s.reserve_ea == ea:
        m.store4(ea, s.gpr[RS] & M32)
    conditional(s, ea)


@insn("ldarx", X(31, 84), kernel="LARX", bits=64)
def ldarx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 8)
    s.gpr[RT] = m.load8(ea)
    s.reserve_ea = ea


@insn("stdcx.", X(31, 214), kernel="STCX", bits=64)
def stdcx_(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 8)
    if s.reserve_ea == ea:
        m.store8(ea, s.gpr[RS])
    conditional(s, ea)


@insn("lqarx", X(31, 276), kernel="LARX", isa="2.07", bits=64, valid=load_pair_indexed)
def lqarx(s: PtRegs, m: Memory, RT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 16)
    pair = m.load16(ea)
    s.gpr[RT] = pair >> 64
    s.gpr[RT + 1] = pair & M64
    s.reserve_ea = ea


@insn("stqcx.", X(31, 182), kernel="STCX", isa="2.07", bits=64, valid=even)
def stqcx_(s: PtRegs, m: Memory, RS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & s.mask
    aligned(s, ea, 16)
    if s.reserve_ea == ea:
        m.store16(ea, s.gpr[RS] << 64 | s.gpr[RS + 1])
    conditional(s, ea)
