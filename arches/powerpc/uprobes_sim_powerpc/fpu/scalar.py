"""The commonest scalar arithmetic, quick where the host's doubles will do.

They will when rounding is to nearest, no exception is enabled to be summed up, and both the
operands and the result are normal numbers: then the result is the host's, and what is left is
whether it is exact. All else goes the long way.
"""

from typing import Final

from uprobes_sim_powerpc.fpu import arith
from uprobes_sim_powerpc.fpu.fpscr import (
    ENABLES,
    FI,
    FPRF,
    FR,
    FX,
    NEGATIVE,
    POSITIVE,
    RN,
    XX,
    deliver,
    fprf,
)
from uprobes_sim_powerpc.fpu.number import (
    DOUBLE,
    FRACTION,
    HIDDEN,
    INFINITY,
    MAGNITUDE,
    SIGN,
    SINGLE,
)
from uprobes_sim_powerpc.isa.define import leaf
from uprobes_sim_powerpc.regs import PtRegs

_SLOW: Final = RN | ENABLES
_KEPT: Final = ~(FR | FI | FPRF)
_LEAST: Final = 2.0**-1022
_MOST: Final = 2.0**1023
_SHORT: Final = (1 << 29) - 1
"""Bits of a fraction that a single has not."""
_LEAST_SINGLE: Final = 2.0**-126
_MOST_SINGLE: Final = 2.0**127

_bits = memoryview(bytearray(16)).cast("Q")
_doubles = memoryview(_bits.obj).cast("d")
_single = memoryview(bytearray(4)).cast("f")
"""Where bit patterns become the host's numbers and go back."""


def _zero(s: PtRegs, r: float) -> int:
    """Deliver an exact zero."""
    _doubles[0] = r
    value = _bits[0]
    s.fpscr = s.fpscr & _KEPT | fprf(value)
    return value


@leaf
def fadd(s: PtRegs, a: int, b: int) -> int:
    """Add doubles."""
    fpscr = s.fpscr
    if fpscr & _SLOW:
        return deliver(s, arith.add(a, b, DOUBLE, fpscr & RN))
    _bits[0], _bits[1] = a, b
    x, y = _doubles
    r = x + y
    if not _LEAST <= abs(r) < _MOST:
        return deliver(s, arith.add(a, b)) if r else _zero(s, r)
    t = r - x
    lost = (x - (r - t)) + (y - t)
    if lost:
        status = fpscr & _KEPT | (XX | FI if fpscr & XX else FX | XX | FI)
        if (lost < 0) == (r > 0):
            status |= FR
    else:
        status = fpscr & _KEPT
    s.fpscr = status | (POSITIVE if r > 0 else NEGATIVE)
    _doubles[0] = r
    return _bits[0]


@leaf
def fsub(s: PtRegs, a: int, b: int) -> int:
    """Subtract doubles. The long way finds NaNs, whose sign stays."""
    if b & MAGNITUDE >= INFINITY:
        return deliver(s, arith.sub(a, b, DOUBLE, s.fpscr & RN))
    return fadd(s, a, b ^ SIGN)


@leaf
def fmul(s: PtRegs, a: int, b: int) -> int:
    """Multiply doubles."""
    fpscr = s.fpscr
    if fpscr & _SLOW:
        return deliver(s, arith.mul(a, b, DOUBLE, fpscr & RN))
    _bits[0], _bits[1] = a, b
    x, y = _doubles
    r = x * y
    if not ((x and y) or r):
        return _zero(s, r)
    # The least normal number may have been rounded up from what is tiny.
    if not (_LEAST < abs(r) < _MOST and abs(x) >= _LEAST and abs(y) >= _LEAST):
        return deliver(s, arith.mul(a, b))
    _doubles[0] = r
    value = _bits[0]
    exact = (a & FRACTION | HIDDEN) * (b & FRACTION | HIDDEN)
    spare = exact.bit_length() - 53
    status = fpscr & _KEPT | (POSITIVE if r > 0 else NEGATIVE)
    if exact & (1 << spare) - 1:
        status |= XX | FI if fpscr & XX else FX | XX | FI
        if (value ^ exact >> spare) & 1:
            status |= FR
    s.fpscr = status
    return value


@leaf
def fdiv(s: PtRegs, a: int, b: int) -> int:
    """Divide doubles."""
    fpscr = s.fpscr
    _bits[0], _bits[1] = a, b
    x, y = _doubles
    if fpscr & _SLOW or not (abs(x) >= _LEAST and abs(y) >= _LEAST):
        return deliver(s, arith.div(a, b, DOUBLE, fpscr & RN))
    r = x / y
    if not _LEAST < abs(r) < _MOST:
        return deliver(s, arith.div(a, b))
    _doubles[0] = r
    value = _bits[0]
    dividend, divisor = a & FRACTION | HIDDEN, b & FRACTION | HIDDEN
    rest = (dividend << 52 + (dividend < divisor)) - (value & FRACTION | HIDDEN) * divisor
    status = fpscr & _KEPT | (POSITIVE if r > 0 else NEGATIVE)
    if rest:
        status |= XX | FI if fpscr & XX else FX | XX | FI
        if rest < 0:
            status |= FR
    s.fpscr = status
    return value


def _round_to_single(s: PtRegs, r: float, lost: float) -> int:
    """Deliver *r*, rounded again, of which *lost* is left over from the first rounding.

    A sum, product or quotient of singles is not changed by being rounded to double in between:
    a double has more than twice as many digits, and two.
    """
    _single[0] = r
    value = _single[0]
    lost = r - value or lost
    status = s.fpscr & _KEPT | (POSITIVE if r > 0 else NEGATIVE)
    if lost:
        status |= XX | FI if status & XX else FX | XX | FI
        if (lost < 0) == (r > 0):
            status |= FR
    s.fpscr = status
    _doubles[0] = value
    return _bits[0]


def _are_singles(s: PtRegs, a: int, b: int) -> bool:
    """Put doubles into place; tell whether they are short, and rounding is the usual one."""
    _bits[0], _bits[1] = a, b
    return not ((a | b) & _SHORT or s.fpscr & _SLOW)


@leaf
def fadds(s: PtRegs, a: int, b: int) -> int:
    """Add and round to single."""
    if _are_singles(s, a, b):
        x, y = _doubles
        r = x + y
        if _LEAST_SINGLE <= abs(r) < _MOST_SINGLE:
            t = r - x
            return _round_to_single(s, r, (x - (r - t)) + (y - t))
    return deliver(s, arith.add(a, b, SINGLE, s.fpscr & RN))


@leaf
def fsubs(s: PtRegs, a: int, b: int) -> int:
    """Subtract and round to single. The long way finds NaNs, whose sign stays."""
    if b & MAGNITUDE >= INFINITY:
        return deliver(s, arith.sub(a, b, SINGLE, s.fpscr & RN))
    return fadds(s, a, b ^ SIGN)


@leaf
def fmuls(s: PtRegs, a: int, b: int) -> int:
    """Multiply and round to single."""
    if _are_singles(s, a, b):
        x, y = _doubles
        r = x * y
        if _LEAST_SINGLE <= abs(r) < _MOST_SINGLE:
            return _round_to_single(s, r, 0.0)
    return deliver(s, arith.mul(a, b, SINGLE, s.fpscr & RN))


@leaf
def fdivs(s: PtRegs, a: int, b: int) -> int:
    """Divide and round to single."""
    if _are_singles(s, a, b):
        x, y = _doubles
        if y and _LEAST_SINGLE <= abs(r := x / y) < _MOST_SINGLE:
            # Where r is a single, its product with y is exact.
            return _round_to_single(s, r, (x - r * y) / y)
    return deliver(s, arith.div(a, b, SINGLE, s.fpscr & RN))
