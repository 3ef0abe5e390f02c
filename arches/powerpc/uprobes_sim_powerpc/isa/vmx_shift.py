"""VMX rotates and shifts (Power ISA, book I, 6.8.6, 6.9.3)."""

from collections.abc import Callable

from uprobes_sim_powerpc.isa.define import VX, Isa, insn
from uprobes_sim_powerpc.isa.helpers import ones
from uprobes_sim_powerpc.isa.lanes import binary, join, pairwise, put_vr, split, vr
from uprobes_sim_powerpc.regs import PtRegs


def rotated(x: int, count: int, bits: int) -> int:
    """Rotate an element to the left."""
    return (x << count | x >> bits - count) & (1 << bits) - 1


def _elementwise(letter: str, bits: int, codes: tuple[int, int, int, int], isa: Isa) -> None:
    """Define rotate, left, right and arithmetic right shift for one size."""
    last = bits - 1
    rotate, left, right, arithmetic = codes
    binary(f"vrl{letter}", rotate, pairwise(bits, lambda a, b: rotated(a, b & last, bits)), isa)
    binary(f"vsl{letter}", left, pairwise(bits, lambda a, b: a << (b & last)), isa)
    binary(f"vsr{letter}", right, pairwise(bits, lambda a, b: a >> (b & last)), isa)
    shift = pairwise(bits, lambda a, b: a >> (b & last), signed=True)
    binary(f"vsra{letter}", arithmetic, shift, isa)


_elementwise("b", 8, (4, 260, 516, 772), "2.03")
_elementwise("h", 16, (68, 324, 580, 836), "2.03")
_elementwise("w", 32, (132, 388, 644, 900), "2.03")
_elementwise("d", 64, (196, 1476, 1732, 964), "2.07")

binary("vsl", 452, lambda a, b: a << (b & 7))
binary("vsr", 708, lambda a, b: a >> (b & 7))
binary("vslo", 1036, lambda a, b: a << (b & 0x78))
binary("vsro", 1100, lambda a, b: a >> (b & 0x78))


def _left_each(a: int, b: int) -> int:
    """Shift each byte by its own count; bits come from the byte behind it."""
    source = a.to_bytes(16, "big") + b"\0"
    counts = split(b, 8)
    return join([(source[n] << 8 | source[n + 1]) >> 8 - (counts[n] & 7) for n in range(16)], 8)


def _right_each(a: int, b: int) -> int:
    """Shift each byte by its own count; bits come from the byte before it."""
    source = b"\0" + a.to_bytes(16, "big")
    counts = split(b, 8)
    return join([(source[n] << 8 | source[n + 1]) >> (counts[n] & 7) for n in range(16)], 8)


binary("vslv", 1860, _left_each, "3.0")
binary("vsrv", 1796, _right_each, "3.0")


def _rotate_mask(bits: int) -> Callable[[int, int], tuple[int, int]]:
    """Make the function that rotates an element and makes the mask, both as *control* says."""

    def compute(a: int, control: int) -> tuple[int, int]:
        last = bits - 1
        mask = ones(control >> 16 & last, control >> 8 & last, bits)
        return rotated(a, control & last, bits), mask

    return compute


def _masked(letter: str, bits: int, and_mask: int, insert: int) -> None:
    compute = _rotate_mask(bits)

    def with_mask(a: int, control: int) -> int:
        value, mask = compute(a, control)
        return value & mask

    binary(f"vrl{letter}nm", and_mask, pairwise(bits, with_mask), "3.0")

    @insn(f"vrl{letter}mi", VX(4, insert), isa="3.0", inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
        olds = split(vr(s, VRT), bits)
        pairs = zip(split(vr(s, VRA), bits), split(vr(s, VRB), bits), strict=True)
        results = []
        for old, (a, control) in zip(olds, pairs, strict=True):
            value, mask = compute(a, control)
            results.append(value & mask | old & ~mask)
        put_vr(s, VRT, join(results, bits))


_masked("w", 32, 389, 133)
_masked("d", 64, 453, 197)
