"""Conversions between formats and to integers, and comparisons (Power ISA, 4.6.7, 4.6.8)."""

from typing import Final

from uprobes_sim_powerpc.fpu.fpscr import FI, FR, VXCVI, VXSNAN, VXVC, XX
from uprobes_sim_powerpc.fpu.number import (
    DOUBLE,
    MAGNITUDE,
    SIGN,
    SINGLE,
    Precision,
    Result,
    is_finite,
    is_nan,
    ordinal,
    pack,
    pick_nan,
    rounded,
    rounds_up,
    signaling,
    split,
)

LT: Final = 8
GT: Final = 4
EQ: Final = 2
UNORDERED: Final = 1


def round_to_single(x: int, mode: int = 0) -> Result:
    """Round to single (frsp). A NaN loses the bits that a single has not."""
    if is_nan(x):
        return pick_nan(x, to=SINGLE)
    if not is_finite(x) or not x & MAGNITUDE:
        return x, 0
    return rounded(x >> 63, *split(x), SINGLE, mode)


def integral(x: int, mode: int) -> tuple[int, int]:
    """Round a finite number to an integer, signed; FR, FI and XX tell how."""
    mantissa, exponent = split(x)
    sign = x >> 63
    events = 0
    if exponent >= 0:
        value = mantissa << exponent
    else:
        shift = min(-exponent, 64)
        rest = mantissa & (1 << shift) - 1
        value = mantissa >> shift
        if rest:
            events = XX | FI
            if rounds_up(rest, shift, value & 1, sign, mode):
                value += 1
                events |= FR
    return -value if sign else value, events


def to_integer(x: int, low: int, high: int, mode: int) -> Result:
    """Convert to an integer from *low* to *high*, saturating; a NaN becomes *low*."""
    if is_nan(x):
        return low, signaling(x) | VXCVI
    if not is_finite(x):
        return low if x & SIGN else high, VXCVI
    value, events = integral(x, mode)
    if value < low:
        return low, VXCVI
    if value > high:
        return high, VXCVI
    return value, events


def from_integer(value: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Convert a signed number of any size."""
    return rounded(int(value < 0), abs(value), 0, to, mode) if value else (0, 0)


def to_integral_exact(x: int, mode: int) -> Result:
    """Round to an integer that stays a double, and tell whether that was exact."""
    if is_nan(x):
        return pick_nan(x)
    if not is_finite(x):
        return x, 0
    value, events = integral(x, mode)
    return x & SIGN | pack(abs(value), 0), events


def to_integral(x: int, mode: int) -> Result:
    """Round to an integer that stays a double; being inexact is no exception."""
    value, events = to_integral_exact(x, mode)
    return value, events & VXSNAN


def compare(a: int, b: int, *, ordered: bool = False) -> Result:
    """Give the order as a CR field; an *ordered* comparison does not want any NaN."""
    if is_nan(a) or is_nan(b):
        events = signaling(a, b)
        return UNORDERED, events | VXVC if ordered else events
    if a == b or not (a | b) & MAGNITUDE:
        return EQ, 0
    return LT if ordinal(a) < ordinal(b) else GT, 0


def quieted(x: int) -> Result:
    """Make a signaling NaN quiet, and let all else pass."""
    return pick_nan(x) if is_nan(x) else (x, 0)
