"""VMX products and quotients of Power ISA 3.1 (book I, 6.9.1.3, 6.9.1.7)."""

from uprobes_sim_powerpc.isa.lanes import Pairwise, binary, pairwise


def quotient(a: int, b: int) -> int:
    """Divide towards zero; by zero the result is undefined, here zero."""
    if not b:
        return 0
    return abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)


def remainder(a: int, b: int) -> int:
    """Give what is left of the division, with the sign of *a*."""
    return a - quotient(a, b) * b if b else 0


def high_half(bits: int) -> Pairwise:
    """Multiply and keep the upper half."""
    return lambda a, b: a * b >> bits


for _letter, _bits, _at in (("w", 32, 0), ("d", 64, 64)):
    _high = high_half(_bits)
    binary(f"vmulhu{_letter}", 649 + _at, pairwise(_bits, _high), "3.1")
    binary(f"vmulhs{_letter}", 905 + _at, pairwise(_bits, _high, signed=True), "3.1")
    binary(f"vdivu{_letter}", 139 + _at, pairwise(_bits, quotient), "3.1")
    binary(f"vdivs{_letter}", 395 + _at, pairwise(_bits, quotient, signed=True), "3.1")
    binary(f"vmodu{_letter}", 1675 + _at, pairwise(_bits, remainder), "3.1")
    binary(f"vmods{_letter}", 1931 + _at, pairwise(_bits, remainder, signed=True), "3.1")

binary("vmulld", 457, pairwise(64, int.__mul__), "3.1")
