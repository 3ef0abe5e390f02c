"""VMX floating point: four singles, to nearest, without FPSCR (Power ISA, book I, 6.10).

VSCR.NJ, which Linux sets, makes denormal operands and results zero.
"""

from collections.abc import Callable
from math import log2
from typing import Final

from uprobes_sim_powerpc.fpu import arith, convert
from uprobes_sim_powerpc.fpu.convert import EQ, GT, LT
from uprobes_sim_powerpc.fpu.fpscr import UX
from uprobes_sim_powerpc.fpu.number import (
    DEFAULT_NAN,
    DOWN,
    INFINITY,
    MAGNITUDE,
    NEAREST,
    SIGN,
    SINGLE,
    TO_ZERO,
    UP,
    Result,
    bits,
    is_finite,
    is_nan,
    narrow,
    number,
    pick_nan,
    widen,
)
from uprobes_sim_powerpc.isa.define import VA, VC, VX, insn
from uprobes_sim_powerpc.isa.helpers import sext32
from uprobes_sim_powerpc.isa.lanes import clamp, join, limits, put_vr, split, vr
from uprobes_sim_powerpc.regs import PtRegs

NJ: Final = 1 << 16
"""The bit of VSCR: no denormal numbers."""

_LEAST: Final = 897 << 52
"""The smallest normal single, as a double."""


def flushed(s: PtRegs, x: int) -> int:
    """Make a denormal single zero if VSCR.NJ says so."""
    return x & SIGN if s.vscr & NJ and x & MAGNITUDE < _LEAST else x


def operands(s: PtRegs, n: int) -> list[int]:
    """Read four singles as doubles."""
    return [flushed(s, widen(x)) for x in split(vr(s, n), 32)]


def put_results(s: PtRegs, VRT: int, results: list[Result]) -> None:
    """Write four singles, given as doubles; whether they are tiny counts before the rounding."""
    tiny = UX if s.vscr & NJ else 0
    values = [x & SIGN if events & tiny else flushed(s, x) for x, events in results]
    put_vr(s, VRT, join([narrow(x) for x in values], 32))


def _unary(name: str, xo: int, compute: Callable[[int], Result]) -> None:
    @insn(name, VX(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRB: int) -> None:
        put_results(s, VRT, [compute(b) for b in operands(s, VRB)])


def _binary(name: str, xo: int, compute: Callable[[int, int], Result]) -> None:
    @insn(name, VX(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
        pairs = zip(operands(s, VRA), operands(s, VRB), strict=True)
        put_results(s, VRT, [compute(a, b) for a, b in pairs])


def _fused(name: str, xo: int, compute: Callable[[int, int, int], Result]) -> None:
    @insn(name, VA(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int, VRC: int) -> None:
        triples = zip(operands(s, VRA), operands(s, VRC), operands(s, VRB), strict=True)
        put_results(s, VRT, [compute(*triple) for triple in triples])


def _maximum(a: int, b: int) -> Result:
    """Choose the larger; unlike in VSX, any NaN wins."""
    return pick_nan(a, b) if is_nan(a) or is_nan(b) else arith.maximum(a, b)


def _minimum(a: int, b: int) -> Result:
    return pick_nan(a, b) if is_nan(a) or is_nan(b) else arith.minimum(a, b)


def _power_of_two(b: int) -> Result:
    """Estimate 2 ** b."""
    if is_nan(b):
        return pick_nan(b)
    if not is_finite(b):
        return 0 if b & SIGN else INFINITY, 0
    exponent = max(min(number(b), 300.0), -300.0)
    return convert.round_to_single(bits(2.0**exponent))


def _logarithm(b: int) -> Result:
    """Estimate the logarithm to base 2."""
    if is_nan(b):
        return pick_nan(b)
    if not b & MAGNITUDE:
        return SIGN | INFINITY, 0
    if b & SIGN:
        return DEFAULT_NAN, 0
    return convert.round_to_single(bits(log2(number(b)))) if is_finite(b) else (b, 0)


_binary("vaddfp", 10, lambda a, b: arith.add(a, b, SINGLE))
_binary("vsubfp", 74, lambda a, b: arith.sub(a, b, SINGLE))
_binary("vmaxfp", 1034, _maximum)
_binary("vminfp", 1098, _minimum)
_fused("vmaddfp", 46, lambda a, c, b: arith.fma(a, c, b, SINGLE))
_fused("vnmsubfp", 47, lambda a, c, b: arith.fnms(a, c, b, SINGLE))
_unary("vrefp", 266, lambda b: arith.reciprocal(b, SINGLE))
_unary("vrsqrtefp", 330, lambda b: arith.reciprocal_sqrt(b, SINGLE))
_unary("vexptefp", 394, _power_of_two)
_unary("vlogefp", 458, _logarithm)
_unary("vrfin", 522, lambda b: convert.to_integral(b, NEAREST))
_unary("vrfiz", 586, lambda b: convert.to_integral(b, TO_ZERO))
_unary("vrfip", 650, lambda b: convert.to_integral(b, UP))
_unary("vrfim", 714, lambda b: convert.to_integral(b, DOWN))


def scaled(x: int, power: int) -> int:
    """Multiply a double by a power of two, both small enough to be exact."""
    return arith.mul(x, 1023 + power << 52)[0]


@insn("vcfux", VX(4, 778), inline=False)
def vcfux(s: PtRegs, VRT: int, UIM: int, VRB: int) -> None:
    exact = [scaled(convert.from_integer(x)[0], -UIM) for x in split(vr(s, VRB), 32)]
    put_vr(s, VRT, join([narrow(convert.round_to_single(x)[0]) for x in exact], 32))


@insn("vcfsx", VX(4, 842), inline=False)
def vcfsx(s: PtRegs, VRT: int, UIM: int, VRB: int) -> None:
    exact = [scaled(convert.from_integer(sext32(x))[0], -UIM) for x in split(vr(s, VRB), 32)]
    put_vr(s, VRT, join([narrow(convert.round_to_single(x)[0]) for x in exact], 32))


def _to_integer(name: str, xo: int, *, signed: bool) -> None:
    low, high = limits(32, signed=signed)

    @insn(name, VX(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, UIM: int, VRB: int) -> None:
        results = []
        for x in operands(s, VRB):
            if is_nan(x):
                results.append(0)
            elif is_finite(x):
                results.append(clamp(s, convert.integral(scaled(x, UIM), TO_ZERO)[0], low, high))
            else:
                results.append(clamp(s, low - 1 if x & SIGN else high + 1, low, high))
        put_vr(s, VRT, join(results, 32))


_to_integer("vctuxs", 906, signed=False)
_to_integer("vctsxs", 970, signed=True)


def _comparison(name: str, xo: int, wanted: int) -> None:
    @insn(f"{name}[.]", VC(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int, Rc21: int) -> None:
        pairs = zip(operands(s, VRA), operands(s, VRB), strict=True)
        hits = [-1 if convert.compare(a, b)[0] & wanted else 0 for a, b in pairs]
        put_vr(s, VRT, join(hits, 32))
        if Rc21:
            s.cr[6] = (8 if all(hits) else 0) | (0 if any(hits) else 2)


_comparison("vcmpeqfp", 198, EQ)
_comparison("vcmpgefp", 454, GT | EQ)
_comparison("vcmpgtfp", 710, GT)


@insn("vcmpbfp[.]", VC(4, 966), inline=False)
def vcmpbfp(s: PtRegs, VRT: int, VRA: int, VRB: int, Rc21: int) -> None:
    outside = []
    for a, b in zip(operands(s, VRA), operands(s, VRB), strict=True):
        above = not convert.compare(a, b)[0] & (LT | EQ)
        below = not convert.compare(a, b ^ SIGN)[0] & (GT | EQ)
        outside.append(above << 31 | below << 30)
    put_vr(s, VRT, join(outside, 32))
    if Rc21:
        s.cr[6] = 0 if any(outside) else 2
