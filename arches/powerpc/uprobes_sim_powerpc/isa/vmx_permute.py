"""VMX logic, splats, merges, permutations and packing (Power ISA, book I, 6.8, 6.11)."""

from typing import Final

from uprobes_sim_powerpc.isa.define import VA, VX, Isa, insn, narrowed
from uprobes_sim_powerpc.isa.helpers import M64
from uprobes_sim_powerpc.isa.lanes import (
    M128,
    binary,
    clamp,
    join,
    limits,
    put_vr,
    split,
    ternary,
    unary,
    vr,
)
from uprobes_sim_powerpc.isa.vsx_move import permuted
from uprobes_sim_powerpc.regs import PtRegs


@insn("vand", VX(4, 1028))
def vand(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = s.hi[VRA + 32] & s.hi[VRB + 32]
    s.lo[VRT + 32] = s.lo[VRA + 32] & s.lo[VRB + 32]


@insn("vandc", VX(4, 1092))
def vandc(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = s.hi[VRA + 32] & ~s.hi[VRB + 32]
    s.lo[VRT + 32] = s.lo[VRA + 32] & ~s.lo[VRB + 32]


@insn("vor", VX(4, 1156))
def vor(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = s.hi[VRA + 32] | s.hi[VRB + 32]
    s.lo[VRT + 32] = s.lo[VRA + 32] | s.lo[VRB + 32]


@insn("vxor", VX(4, 1220))
def vxor(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = s.hi[VRA + 32] ^ s.hi[VRB + 32]
    s.lo[VRT + 32] = s.lo[VRA + 32] ^ s.lo[VRB + 32]


@insn("vnor", VX(4, 1284))
def vnor(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = M64 ^ (s.hi[VRA + 32] | s.hi[VRB + 32])
    s.lo[VRT + 32] = M64 ^ (s.lo[VRA + 32] | s.lo[VRB + 32])


@insn("vorc", VX(4, 1348), isa="2.07")
def vorc(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = s.hi[VRA + 32] | M64 ^ s.hi[VRB + 32]
    s.lo[VRT + 32] = s.lo[VRA + 32] | M64 ^ s.lo[VRB + 32]


@insn("vnand", VX(4, 1412), isa="2.07")
def vnand(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = M64 ^ s.hi[VRA + 32] & s.hi[VRB + 32]
    s.lo[VRT + 32] = M64 ^ s.lo[VRA + 32] & s.lo[VRB + 32]


@insn("veqv", VX(4, 1668), isa="2.07")
def veqv(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
    s.hi[VRT + 32] = M64 ^ s.hi[VRA + 32] ^ s.hi[VRB + 32]
    s.lo[VRT + 32] = M64 ^ s.lo[VRA + 32] ^ s.lo[VRB + 32]


@insn("vsldoi", narrowed(VA(4, 44), 0, 1 << 10), inline=False)
def vsldoi(s: PtRegs, VRT: int, VRA: int, VRB: int, SHB: int) -> None:
    put_vr(s, VRT, (vr(s, VRA) << 128 | vr(s, VRB)) >> 128 - 8 * SHB)


@insn("mfvscr", VX(4, 1540))
def mfvscr(s: PtRegs, VRT: int) -> None:
    s.hi[VRT + 32] = 0
    s.lo[VRT + 32] = s.vscr


VSCR_BITS: Final = 0x00010001
"""NJ and SAT."""


@insn("mtvscr", VX(4, 1604))
def mtvscr(s: PtRegs, VRB: int) -> None:
    s.vscr = s.lo[VRB + 32] & VSCR_BITS


def _splat(name: str, xo: int, bits: int) -> None:
    last = 128 // bits - 1
    ones = M128 // ((1 << bits) - 1)

    @insn(name, VX(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRB: int, UIM: int) -> None:
        element = vr(s, VRB) >> bits * (last - (UIM & last)) & (1 << bits) - 1
        put_vr(s, VRT, element * ones)


def _splat_immediate(name: str, xo: int, bits: int) -> None:
    mask = (1 << bits) - 1

    @insn(name, VX(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, SIM: int) -> None:
        put_vr(s, VRT, (SIM & mask) * (M128 // mask))


for _bits, _at, _letter in ((8, 0, "b"), (16, 64, "h"), (32, 128, "w")):
    _splat("vsplt" + _letter, 524 + _at, _bits)
    _splat_immediate("vspltis" + _letter, 780 + _at, _bits)


def _merge(name: str, xo: int, bits: int, first: int, step: int, isa: Isa = "2.03") -> None:
    """Interleave elements *first*, *first* + *step* ... of both operands, half of them."""
    chosen = slice(first, 128 // bits if step > 1 else first + 64 // bits, step)

    def compute(a: int, b: int) -> int:
        pairs = zip(split(a, bits)[chosen], split(b, bits)[chosen], strict=True)
        return join([element for pair in pairs for element in pair], bits)

    binary(name, xo, compute, isa)


_merge("vmrghb", 12, 8, 0, 1)
_merge("vmrghh", 76, 16, 0, 1)
_merge("vmrghw", 140, 32, 0, 1)
_merge("vmrglb", 268, 8, 8, 1)
_merge("vmrglh", 332, 16, 4, 1)
_merge("vmrglw", 396, 32, 2, 1)
_merge("vmrgew", 1932, 32, 0, 2, "2.07")
_merge("vmrgow", 1676, 32, 1, 2, "2.07")

ternary("vsel", 42, lambda a, b, c: a & ~c | b & c)
ternary("vperm", 43, lambda a, b, c: permuted(a << 128 | b, c))
ternary("vpermr", 59, lambda a, b, c: permuted(a << 128 | b, c ^ M128), "3.0")


def _permxor(a: int, b: int, c: int) -> int:
    one, other = a.to_bytes(16, "big"), b.to_bytes(16, "big")
    return join([one[n >> 4] ^ other[n & 15] for n in c.to_bytes(16, "big")], 8)


ternary("vpermxor", 45, _permxor, "2.07")


def _pack(name: str, xo: int, bits: int, kinds: str, isa: Isa = "2.03") -> None:
    """Halve elements of *bits* bits; *kinds* are the last letters of the name: "um", "us", "ss"."""
    signed = name[3] == "s"
    low, high = limits(bits // 2, signed=kinds == "ss")

    @insn(name, VX(4, xo), isa=isa, inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
        both = split(vr(s, VRA), bits, signed=signed) + split(vr(s, VRB), bits, signed=signed)
        if kinds == "um":
            put_vr(s, VRT, join(list(both), bits // 2))
        else:
            put_vr(s, VRT, join([clamp(s, x, low, high) for x in both], bits // 2))


_pack("vpkuhum", 14, 16, "um")
_pack("vpkuwum", 78, 32, "um")
_pack("vpkudum", 1102, 64, "um", "2.07")
_pack("vpkuhus", 142, 16, "us")
_pack("vpkuwus", 206, 32, "us")
_pack("vpkudus", 1230, 64, "us", "2.07")
_pack("vpkshus", 270, 16, "us")
_pack("vpkswus", 334, 32, "us")
_pack("vpksdus", 1358, 64, "us", "2.07")
_pack("vpkshss", 398, 16, "ss")
_pack("vpkswss", 462, 32, "ss")
_pack("vpksdss", 1486, 64, "ss", "2.07")


def _unpack(name: str, xo: int, bits: int, isa: Isa = "2.03") -> None:
    """Widen the high or the low half of elements of *bits* bits."""
    count = 64 // bits
    chosen = slice(0, count) if name[4] == "h" else slice(count, None)
    unary(name, xo, lambda b: join(list(split(b, bits, signed=True)[chosen]), 2 * bits), isa)


_unpack("vupkhsb", 526, 8)
_unpack("vupkhsh", 590, 16)
_unpack("vupkhsw", 1614, 32, "2.07")
_unpack("vupklsb", 654, 8)
_unpack("vupklsh", 718, 16)
_unpack("vupklsw", 1742, 32, "2.07")


def _pixel(x: int) -> int:
    return x >> 9 & 0x8000 | x >> 9 & 0x7C00 | x >> 6 & 0x3E0 | x >> 3 & 0x1F


def _unpixel(x: int) -> int:
    alpha = 0xFF000000 if x & 0x8000 else 0
    return alpha | (x & 0x7C00) << 6 | (x & 0x3E0) << 3 | x & 0x1F


binary("vpkpx", 782, lambda a, b: join([_pixel(x) for x in split(a, 32) + split(b, 32)], 16))
unary("vupkhpx", 846, lambda b: join([_unpixel(x) for x in split(b, 16)[:4]], 32))
unary("vupklpx", 974, lambda b: join([_unpixel(x) for x in split(b, 16)[4:]], 32))
