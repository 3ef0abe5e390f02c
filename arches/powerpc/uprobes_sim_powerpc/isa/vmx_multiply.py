"""VMX products and sums across elements (Power ISA, book I, 6.9.1.3 to 6.9.1.6)."""

from collections.abc import Callable

from uprobes_sim_powerpc.isa.define import VA, VX, Isa, insn
from uprobes_sim_powerpc.isa.lanes import (
    binary,
    clamp,
    join,
    limits,
    pairwise,
    put_vr,
    split,
    ternary,
    vr,
)
from uprobes_sim_powerpc.regs import PtRegs


def _half(name: str, xo: int, bits: int, isa: Isa = "2.03") -> None:
    """Multiply the even or the odd elements to twice their size; the name says which, and how."""
    first, signed = name[4] == "o", name[5] == "s"

    def compute(a: int, b: int) -> int:
        pairs = zip(
            split(a, bits, signed=signed)[first::2],
            split(b, bits, signed=signed)[first::2],
            strict=True,
        )
        return join([x * y for x, y in pairs], 2 * bits)

    binary(name, xo, compute, isa)


for _letter, _at in (("b", 0), ("h", 64)):
    _bits = 8 if _letter == "b" else 16
    _half(f"vmulou{_letter}", 8 + _at, _bits)
    _half(f"vmulos{_letter}", 264 + _at, _bits)
    _half(f"vmuleu{_letter}", 520 + _at, _bits)
    _half(f"vmules{_letter}", 776 + _at, _bits)

_half("vmulouw", 136, 32, "2.07")
_half("vmulosw", 392, 32, "2.07")
_half("vmuleuw", 648, 32, "2.07")
_half("vmulesw", 904, 32, "2.07")
_half("vmuloud", 200, 64, "3.1")
_half("vmulosd", 456, 64, "3.1")
_half("vmuleud", 712, 64, "3.1")
_half("vmulesd", 968, 64, "3.1")
binary("vmuluwm", 137, pairwise(32, int.__mul__), "2.07")


def _high_add(name: str, xo: int, rounding: int) -> None:
    """Define `a * b >> 15`, rounded or not, plus c, saturated."""
    low, high = limits(16, signed=True)

    @insn(name, VA(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int, VRC: int) -> None:
        triples = zip(*(split(vr(s, n), 16, signed=True) for n in (VRA, VRB, VRC)), strict=True)
        sums = [clamp(s, (a * b + rounding >> 15) + c, low, high) for a, b, c in triples]
        put_vr(s, VRT, join(sums, 16))


_high_add("vmhaddshs", 32, 0)
_high_add("vmhraddshs", 33, 0x4000)


def _low_add(a: int, b: int, c: int) -> int:
    triples = zip(split(a, 16), split(b, 16), split(c, 16), strict=True)
    return join([x * y + z for x, y, z in triples], 16)


ternary("vmladduhm", 34, _low_add)


def groups(elements: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    """Cut elements into groups that lie in the same larger element."""
    return [elements[n : n + size] for n in range(0, len(elements), size)]


def _products(a: tuple[int, ...], b: tuple[int, ...], size: int) -> list[int]:
    """Sum the products of each group."""
    return [sum(group) for group in groups(tuple(map(int.__mul__, a, b)), size)]


def _multiply_sum(name: str, xo: int, bits: int) -> None:
    """Add to each word the products of the bytes or halfwords in it, as the name says."""
    kind = name[5]
    saturate = name.endswith("s")
    low, high = limits(32, signed=kind == "s")

    @insn(name, VA(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int, VRC: int) -> None:
        a = split(vr(s, VRA), bits, signed=kind in "sm")
        b = split(vr(s, VRB), bits, signed=kind == "s")
        c = split(vr(s, VRC), 32, signed=kind == "s")
        sums = map(int.__add__, _products(a, b, 32 // bits), c)
        put_vr(s, VRT, join([clamp(s, x, low, high) if saturate else x for x in sums], 32))


_multiply_sum("vmsumubm", 36, 8)
_multiply_sum("vmsummbm", 37, 8)
_multiply_sum("vmsumuhm", 38, 16)
_multiply_sum("vmsumuhs", 39, 16)
_multiply_sum("vmsumshm", 40, 16)
_multiply_sum("vmsumshs", 41, 16)
ternary("vmsumudm", 35, lambda a, b, c: _products(split(a, 64), split(b, 64), 2)[0] + c, "3.0")


def _sum_across(name: str, xo: int, bits: int, size: int, *, signed: bool) -> None:
    """Add up *size* elements of VRA and the last word in their place of VRB, saturated."""
    low, high = limits(32, signed=signed)
    words = bits * size // 32

    @insn(name, VX(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
        addends = split(vr(s, VRB), 32, signed=signed)[words - 1 :: words]
        sums = map(sum, groups(split(vr(s, VRA), bits, signed=signed), size))
        totals = [
            clamp(s, total + addend, low, high) & 0xFFFFFFFF
            for total, addend in zip(sums, addends, strict=True)
        ]
        put_vr(s, VRT, join(totals, 32 * words))


_sum_across("vsum4ubs", 1544, 8, 4, signed=False)
_sum_across("vsum4sbs", 1800, 8, 4, signed=True)
_sum_across("vsum4shs", 1608, 16, 2, signed=True)
_sum_across("vsum2sws", 1672, 32, 2, signed=True)
_sum_across("vsumsws", 1928, 32, 4, signed=True)


def carryless(a: int, b: int) -> int:
    """Multiply polynomials over GF(2)."""
    product = 0
    while b:
        product ^= a * (b & -b)
        b &= b - 1
    return product


def _polynomial_sum(bits: int) -> Callable[[int, int], int]:
    def compute(a: int, b: int) -> int:
        products = tuple(map(carryless, split(a, bits), split(b, bits)))
        return join([x ^ y for x, y in groups(products, 2)], 2 * bits)

    return compute


binary("vpmsumb", 1032, _polynomial_sum(8), "2.07")
binary("vpmsumh", 1096, _polynomial_sum(16), "2.07")
binary("vpmsumw", 1160, _polynomial_sum(32), "2.07")
binary("vpmsumd", 1224, _polynomial_sum(64), "2.07")
