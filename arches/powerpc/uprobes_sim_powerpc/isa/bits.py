"""Bit gathering, decimal and mask tools that need loops (Power ISA, book I, 3.3.13, 3.3.15)."""

from uprobes_sim_powerpc.isa.define import X, insn
from uprobes_sim_powerpc.regs import PtRegs


def gather(value: int, mask: int) -> int:
    """Push the bits of *value* that *mask* selects together, at the right."""
    found = at = 0
    while mask:
        bit = mask & -mask
        found |= bool(value & bit) << at
        at += 1
        mask ^= bit
    return found


def scatter(value: int, mask: int) -> int:
    """Spread the rightmost bits of *value* over the places that *mask* selects."""
    spread = 0
    while mask:
        bit = mask & -mask
        spread |= bit * (value & 1)
        value >>= 1
        mask ^= bit
    return spread


@insn("pextd", X(31, 188), isa="3.1", bits=64)
def pextd(s: PtRegs, RA: int, RS: int, RB: int) -> None:
    s.gpr[RA] = gather(s.gpr[RS], s.gpr[RB])


@insn("pdepd", X(31, 156), isa="3.1", bits=64)
def pdepd(s: PtRegs, RA: int, RS: int, RB: int) -> None:
    s.gpr[RA] = scatter(s.gpr[RS], s.gpr[RB])


@insn("cfuged", X(31, 220), isa="3.1", bits=64)
def cfuged(s: PtRegs, RA: int, RS: int, RB: int) -> None:
    value, mask = s.gpr[RS], s.gpr[RB]
    s.gpr[RA] = gather(value, mask ^ s.mask) << mask.bit_count() | gather(value, mask)


@insn("cntlzdm", X(31, 59), isa="3.1", bits=64)
def cntlzdm(s: PtRegs, RA: int, RS: int, RB: int) -> None:
    mask = s.gpr[RB]
    s.gpr[RA] = mask.bit_count() - gather(s.gpr[RS], mask).bit_length()


@insn("cnttzdm", X(31, 571), isa="3.1", bits=64)
def cnttzdm(s: PtRegs, RA: int, RS: int, RB: int) -> None:
    mask = s.gpr[RB]
    a = gather(s.gpr[RS], mask) | 1 << mask.bit_count()
    s.gpr[RA] = (a & -a).bit_length() - 1


def declet_to_bcd(declet: int) -> int:
    """Read ten bits of densely packed decimal as three digits."""
    a, b, c = declet >> 7, declet >> 4 & 7, declet & 7
    if not declet & 8:
        return a << 8 | b << 4 | c
    low_a, low_b, low_c = a & 1, b & 1, c & 1
    match c >> 1:
        case 0:
            return a << 8 | b << 4 | 8 | low_c
        case 1:
            return a << 8 | (8 | low_b) << 4 | b & 6 | low_c
        case 2:
            return (8 | low_a) << 8 | b << 4 | a & 6 | low_c
    match b >> 1:
        case 0:
            return (8 | low_a) << 8 | (8 | low_b) << 4 | a & 6 | low_c
        case 1:
            return (8 | low_a) << 8 | (a & 6 | low_b) << 4 | 8 | low_c
        case 2:
            return a << 8 | (8 | low_b) << 4 | 8 | low_c
    return (8 | low_a) << 8 | (8 | low_b) << 4 | 8 | low_c


def bcd_to_declet(bcd: int) -> int:
    """Pack three digits into ten bits of densely packed decimal."""
    a, b, c = bcd >> 8 & 15, bcd >> 4 & 15, bcd & 15
    lows = (a & 1) << 7 | (b & 1) << 4 | c & 1
    match a >> 3, b >> 3, c >> 3:
        case 0, 0, 0:
            return lows | (a & 6) << 7 | (b & 6) << 4 | c & 6
        case 0, 0, 1:
            return lows | (a & 6) << 7 | (b & 6) << 4 | 8
        case 0, 1, 0:
            return lows | (a & 6) << 7 | (c & 6) << 4 | 10
        case 1, 0, 0:
            return lows | (c & 6) << 7 | (b & 6) << 4 | 12
        case 1, 1, 0:
            return lows | (c & 6) << 7 | 14
        case 1, 0, 1:
            return lows | (b & 6) << 7 | 0x20 | 14
        case 0, 1, 1:
            return lows | (a & 6) << 7 | 0x40 | 14
    return lows | 0x60 | 14


@insn("cdtbcd", X(31, 282), isa="2.06", bits=64, inline=False)
def cdtbcd(s: PtRegs, RA: int, RS: int) -> None:
    a = s.gpr[RS]
    s.gpr[RA] = sum(
        declet_to_bcd(a >> word + 10 & 0x3FF) << word + 12
        | declet_to_bcd(a >> word & 0x3FF) << word
        for word in (0, 32)
    )


@insn("cbcdtd", X(31, 314), isa="2.06", bits=64, inline=False)
def cbcdtd(s: PtRegs, RA: int, RS: int) -> None:
    a = s.gpr[RS]
    s.gpr[RA] = sum(
        bcd_to_declet(a >> word + 12 & 0xFFF) << word + 10
        | bcd_to_declet(a >> word & 0xFFF) << word
        for word in (0, 32)
    )
