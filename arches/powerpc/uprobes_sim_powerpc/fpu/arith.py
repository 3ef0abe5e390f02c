"""Arithmetic on doubles, rounded once to double or single (Power ISA, book I, 4.6.6).

The operands and the result are bit patterns of doubles; singles are doubles that are short.
"""

from math import isqrt

from uprobes_sim_powerpc.fpu.fpscr import FI, FR, VXIDI, VXIMZ, VXISI, VXSNAN, VXSQRT, VXZDZ, XX, ZX
from uprobes_sim_powerpc.fpu.number import (
    DEFAULT_NAN,
    DOUBLE,
    DOWN,
    INFINITY,
    MAGNITUDE,
    QUIET,
    SIGN,
    Precision,
    Result,
    is_finite,
    is_infinite,
    is_nan,
    ordinal,
    pick_nan,
    rounded,
    signaling,
    split,
)


def _sum(x: tuple[int, int, int], y: tuple[int, int, int], to: Precision, mode: int) -> Result:
    """Add two finite numbers: sign, mantissa, exponent."""
    low = min(x[2], y[2])
    a = x[1] << x[2] - low
    b = y[1] << y[2] - low
    total = (-a if x[0] else a) + (-b if y[0] else b)
    if total:
        return rounded(int(total < 0), abs(total), low, to, mode)
    sign = x[0] if x[0] == y[0] else mode == DOWN
    return sign << 63, 0


def add(a: int, b: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute a + b."""
    if is_finite(a) and is_finite(b):
        return _sum((a >> 63, *split(a)), (b >> 63, *split(b)), to, mode)
    if is_nan(a) or is_nan(b):
        return pick_nan(a, b, to=to)
    if is_finite(b):
        return a, 0
    if is_finite(a) or a == b:
        return b, 0
    return DEFAULT_NAN, VXISI


def sub(a: int, b: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute a - b."""
    return add(a, b if is_nan(b) else b ^ SIGN, to, mode)


def mul(a: int, b: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute a * b."""
    sign = (a ^ b) >> 63
    if is_finite(a) and is_finite(b):
        (ma, ea), (mb, eb) = split(a), split(b)
        product = ma * mb
        return rounded(sign, product, ea + eb, to, mode) if product else (sign << 63, 0)
    if is_nan(a) or is_nan(b):
        return pick_nan(a, b, to=to)
    if not a & MAGNITUDE or not b & MAGNITUDE:
        return DEFAULT_NAN, VXIMZ
    return sign << 63 | INFINITY, 0


def div(a: int, b: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute a / b."""
    sign = (a ^ b) >> 63
    if is_nan(a) or is_nan(b):
        return pick_nan(a, b, to=to)
    if is_infinite(a):
        return (DEFAULT_NAN, VXIDI) if is_infinite(b) else (sign << 63 | INFINITY, 0)
    if is_infinite(b):
        return sign << 63, 0
    (ma, ea), (mb, eb) = split(a), split(b)
    if not mb:
        return (sign << 63 | INFINITY, ZX) if ma else (DEFAULT_NAN, VXZDZ)
    if not ma:
        return sign << 63, 0
    spare = max(56 + mb.bit_length() - ma.bit_length(), 0)
    quotient, rest = divmod(ma << spare, mb)
    return rounded(sign, quotient << 1 | bool(rest), ea - eb - spare - 1, to, mode)


def sqrt(a: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute the square root of a."""
    if is_nan(a):
        return pick_nan(a, to=to)
    if not a & MAGNITUDE:
        return a, 0
    if a & SIGN:
        return DEFAULT_NAN, VXSQRT
    if is_infinite(a):
        return a, 0
    mantissa, exponent = split(a)
    spare = 116 - mantissa.bit_length()
    spare += exponent - spare & 1
    square = mantissa << spare
    root = isqrt(square)
    return rounded(0, root << 1 | (root * root != square), (exponent - spare >> 1) - 1, to, mode)


def fma(
    a: int, c: int, b: int, to: Precision = DOUBLE, mode: int = 0, *, minus: bool = False
) -> Result:
    """Compute a * c + b, or a * c - b if *minus*, with one rounding."""
    zero_by_infinity = (is_infinite(a) and not c & MAGNITUDE) or (
        is_infinite(c) and not a & MAGNITUDE
    )
    if is_nan(a) or is_nan(b) or is_nan(c):
        value, events = pick_nan(a, b, c, to=to)
        return value, events | VXIMZ if zero_by_infinity else events
    if zero_by_infinity:
        return DEFAULT_NAN, VXIMZ
    if minus:
        b ^= SIGN
    sign = (a ^ c) >> 63
    if not (is_finite(a) and is_finite(c)):
        infinity = sign << 63 | INFINITY
        return (infinity, 0) if is_finite(b) or b == infinity else (DEFAULT_NAN, VXISI)
    if not is_finite(b):
        return b, 0
    (ma, ea), (mc, ec) = split(a), split(c)
    return _sum((sign, ma * mc, ea + ec), (b >> 63, *split(b)), to, mode)


def fms(a: int, c: int, b: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute a * c - b."""
    return fma(a, c, b, to, mode, minus=True)


def fnma(a: int, c: int, b: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute -(a * c + b): negated after the rounding, and NaNs not at all."""
    return negated(fma(a, c, b, to, mode))


def fnms(a: int, c: int, b: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Compute -(a * c - b)."""
    return negated(fma(a, c, b, to, mode, minus=True))


def negated(result: Result) -> Result:
    """Change the sign of a result that is no NaN."""
    value, events = result
    return value if is_nan(value) else value ^ SIGN, events


def reciprocal(a: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Estimate 1 / a: to the last bit, which the ISA allows. FR, FI and XX are not affected."""
    value, events = div(0x3FF0000000000000, a, to, mode)
    return value, _estimated(events)


def reciprocal_sqrt(a: int, to: Precision = DOUBLE, mode: int = 0) -> Result:
    """Estimate 1 / sqrt(a), as an estimate: rounded twice."""
    if is_nan(a):
        return pick_nan(a, to=to)
    if a & SIGN and a & MAGNITUDE:
        return DEFAULT_NAN, VXSQRT
    if not a & MAGNITUDE:
        return a | INFINITY, ZX
    value, events = div(0x3FF0000000000000, sqrt(a, DOUBLE, mode)[0], to, mode)
    return value, _estimated(events)


def _estimated(events: int) -> int:
    return events & ~(FR | FI | XX)


def minimum(a: int, b: int) -> Result:
    """Choose the smaller, for VSX: a number wins over a quiet NaN, and -0 is less than +0."""
    return _choose(a, b, wanted=-1)


def maximum(a: int, b: int) -> Result:
    """Choose the larger, for VSX: a number wins over a quiet NaN, and +0 is more than -0."""
    return _choose(a, b, wanted=1)


def _choose(a: int, b: int, *, wanted: int) -> Result:
    if is_nan(a) and (is_nan(b) or signaling(a)):
        return a | QUIET, signaling(a, b)
    if is_nan(a):
        return b, 0
    if is_nan(b):
        return (b | QUIET, VXSNAN) if signaling(b) else (a, 0)
    return a if ordinal(a) * wanted >= ordinal(b) * wanted else b, 0
