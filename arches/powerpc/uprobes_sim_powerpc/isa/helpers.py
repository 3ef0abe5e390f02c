"""What many definitions share: record bits, carries, masks, effective addresses."""

from typing import Final

from uprobes_sim_powerpc.isa.define import inline, pure
from uprobes_sim_powerpc.regs import PtRegs

M32: Final = 0xFFFFFFFF
M64: Final = 0xFFFFFFFFFFFFFFFF
LT: Final = 8
GT: Final = 4
EQ: Final = 2
SO: Final = 1


@inline
def cr0(s: PtRegs, r: int) -> None:
    """Record the result *r* as a signed number in CR field 0."""
    s.cr[0] = (GT if 0 < r <= s.mask >> 1 else LT if r else EQ) | s.so


@inline
def base(s: PtRegs, RA: int) -> int:
    """Read RA as an address: register 0 counts as nothing."""
    return s.gpr[RA] if RA else 0


@inline
def sext64(x: int) -> int:
    """Read 64 bits as a signed number."""
    return x if x < 0x8000000000000000 else x - 0x10000000000000000


@inline
def sext32(x: int) -> int:
    """Read the low 32 bits as a signed number."""
    return (x & M32 ^ 0x80000000) - 0x80000000


@inline
def biased64(x: int) -> int:
    """Turn signed order of doublewords into that of plain numbers."""
    return x ^ 0x8000000000000000


@inline
def biased32(x: int) -> int:
    """Turn signed order of the low words into that of plain numbers."""
    return x & M32 ^ 0x80000000


@inline
def widened16(s: PtRegs, x: int) -> int:
    """Sign-extend a halfword to a whole register."""
    return x if x < 0x8000 else x + (s.mask - 0xFFFF)


@inline
def widened32(s: PtRegs, x: int) -> int:
    """Sign-extend a word to a whole register."""
    return x if x < 0x80000000 else x + (s.mask - M32)


@inline
def compare(s: PtRegs, BF: int, a: int, b: int) -> None:
    """Put the order of *a* and *b* into a CR field."""
    s.cr[BF] = (LT if a < b else GT if a > b else EQ) | s.so


@pure
def ones(mb: int, me: int, bits: int) -> int:
    """Make MASK(mb, me) of the ISA, which wraps when *mb* lies behind *me*."""
    full = (1 << bits) - 1
    low = full >> mb
    high = full ^ full >> me + 1
    return low & high if mb <= me else low | high


@inline
def sext16(x: int) -> int:
    """Read the low 16 bits as a signed number."""
    return (x & 0xFFFF ^ 0x8000) - 0x8000


@inline
def sext8(x: int) -> int:
    """Read the low 8 bits as a signed number."""
    return (x & 0xFF ^ 0x80) - 0x80


def swap16(x: int) -> int:
    """Reverse the last two bytes."""
    return x << 8 & 0xFF00 | x >> 8 & 0xFF


def swap32(x: int) -> int:
    """Reverse the last four bytes."""
    return int.from_bytes((x & M32).to_bytes(4, "little"), "big")


def swap64(x: int) -> int:
    """Reverse the eight bytes."""
    return int.from_bytes(x.to_bytes(8, "little"), "big")
