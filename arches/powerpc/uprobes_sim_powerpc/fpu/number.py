"""Doubles and singles as bit patterns; rounding of exact values (Power ISA, book I, 4.3).

A finite double is `mantissa * 2**exponent` in integers, so that every intermediate
result is exact and one rounding is left.
"""

from struct import Struct
from typing import Final, NamedTuple

from uprobes_sim_powerpc.fpu.fpscr import FI, FR, OX, UX, VXSNAN, XX

SIGN: Final = 1 << 63
MAGNITUDE: Final = SIGN - 1
INFINITY: Final = 0x7FF0000000000000
QUIET: Final = 1 << 51
DEFAULT_NAN: Final = 0x7FF8000000000000
HIDDEN: Final = 1 << 52
FRACTION: Final = HIDDEN - 1

_SHORT: Final = (1 << 29) - 1
"""Bits of a fraction that a single has not."""

NEAREST: Final = 0
TO_ZERO: Final = 1
UP: Final = 2
DOWN: Final = 3
AWAY: Final = 4
"""Ties away from zero: no mode of the FPSCR, but frin and its kin round so."""

Result = tuple[int, int]
"""A bit pattern, and the events (bits of the FPSCR) of its making."""


class Precision(NamedTuple):
    """A binary floating-point format, to which results are rounded."""

    digits: int
    """Bits of the significand with the hidden one."""
    least: int
    """Exponent of the last bit of the smallest numbers."""
    limit: int
    """Exponent of the first power of two that is too large."""


DOUBLE: Final = Precision(53, -1074, 1024)
SINGLE: Final = Precision(24, -149, 128)


def is_nan(x: int) -> bool:
    """Tell a NaN."""
    return x & MAGNITUDE > INFINITY


def is_infinite(x: int) -> bool:
    """Tell an infinity."""
    return x & MAGNITUDE == INFINITY


def is_finite(x: int) -> bool:
    """Tell a number."""
    return x & INFINITY != INFINITY


def signaling(*operands: int) -> int:
    """Give VXSNAN if one of *operands* is a signaling NaN."""
    for x in operands:
        if is_nan(x) and not x & QUIET:
            return VXSNAN
    return 0


def pick_nan(*operands: int, to: Precision = DOUBLE) -> Result:
    """Take the first NaN and quiet it; as a single it loses the bits that a single has not."""
    first = next(x for x in operands if is_nan(x)) | QUIET
    return first & ~_SHORT if to is SINGLE else first, signaling(*operands)


def ordinal(x: int) -> int:
    """Number the doubles that are no NaNs in their order; -0 comes before +0."""
    return ~(x & MAGNITUDE) if x & SIGN else x


def split(x: int) -> tuple[int, int]:
    """Take a finite double apart into mantissa and exponent, without its sign."""
    exponent = x >> 52 & 0x7FF
    if exponent:
        return x & FRACTION | HIDDEN, exponent - 1075
    return x & FRACTION, -1074


def rounds_up(rest: int, shift: int, odd: int, sign: int, mode: int) -> bool:
    """Decide on the magnitude, of which *shift* bits, *rest*, are to go."""
    half = 1 << shift - 1
    if mode == NEAREST:
        return rest > half or (rest == half and odd == 1)
    if mode == AWAY:
        return rest >= half
    return bool(rest) and mode == (DOWN if sign else UP)


def rounded(sign: int, mantissa: int, exponent: int, to: Precision, mode: int) -> Result:
    """Round a value that is not zero; the result is a double, whatever *to* is.

    A last bit of *mantissa* that stands for "and something more" is enough if two more
    bits than needed are there. Tininess is detected before rounding (4.4.4).
    """
    least = mantissa.bit_length() + exponent - to.digits
    events = 0
    tiny = least < to.least
    if tiny:
        least = to.least
    shift = least - exponent
    if shift > 0:
        rest = mantissa & (1 << shift) - 1
        mantissa >>= shift
        if rest:
            events = XX | FI | UX if tiny else XX | FI
            if rounds_up(rest, shift, mantissa & 1, sign, mode):
                mantissa += 1
                events |= FR
        exponent = least
    if mantissa.bit_length() + exponent > to.limit:
        return _overflow(sign, to, mode)
    return sign << 63 | pack(mantissa, exponent), events


def _overflow(sign: int, to: Precision, mode: int) -> Result:
    if mode in (NEAREST, AWAY) or mode == (DOWN if sign else UP):
        return sign << 63 | INFINITY, OX | XX | FI | FR
    largest = pack((1 << to.digits) - 1, to.limit - to.digits)
    return sign << 63 | largest, OX | XX | FI


def pack(mantissa: int, exponent: int) -> int:
    """Put a value together that a double can hold."""
    if not mantissa:
        return 0
    least = max(mantissa.bit_length() + exponent - 53, -1074)
    shift = exponent - least
    mantissa = mantissa << shift if shift >= 0 else mantissa >> -shift
    return (least + 1074 << 52) + mantissa


def widen(x: int) -> int:
    """Read a single as a double: DOUBLE of the ISA (4.6.2). NaNs keep their bits."""
    exponent = x >> 23 & 0xFF
    sign = (x & 0x80000000) << 32
    if 0 < exponent < 0xFF:
        return sign | (exponent + 896 << 52) + ((x & 0x7FFFFF) << 29)
    if exponent:
        return sign | INFINITY | (x & 0x7FFFFF) << 29
    return sign | pack(x & 0x7FFFFF, -149)


def narrow(x: int) -> int:
    """Store a double as a single without rounding: SINGLE of the ISA (4.6.3)."""
    exponent = x >> 52 & 0x7FF
    if exponent > 896 or not x & MAGNITUDE:
        return x >> 32 & 0xC0000000 | x >> 29 & 0x3FFFFFFF
    if exponent < 874:
        return x >> 32 & 0x80000000
    return x >> 32 & 0x80000000 | (x & FRACTION | HIDDEN) >> 29 + 897 - exponent


_PATTERN: Final = Struct("<Q")
_DOUBLE: Final = Struct("<d")


def number(x: int) -> float:
    """Read a pattern as a number of the host."""
    value: float = _DOUBLE.unpack(_PATTERN.pack(x))[0]
    return value


def bits(value: float) -> int:
    """Give the pattern of a number of the host."""
    pattern: int = _PATTERN.unpack(_DOUBLE.pack(value))[0]
    return pattern
