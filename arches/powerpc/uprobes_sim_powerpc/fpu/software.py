"""Tests that software makes before it divides or takes roots by iteration (ftdiv, ftsqrt)."""

from typing import Final

from uprobes_sim_powerpc.fpu.number import MAGNITUDE, SIGN, is_finite, is_nan

FL: Final = 8
"""Always set here: estimates are good enough (fl_flag)."""
FG: Final = 4
"""An operand is an infinity, a zero or a denormal number."""
FE: Final = 2
"""Iteration would not do."""


def _exponent(x: int) -> int:
    return (x >> 52 & 0x7FF) - 1023


def divides(a: int, b: int) -> int:
    """Judge a / b for software division of doubles, as a CR field."""
    ea, eb = _exponent(a), _exponent(b)
    denormal = not eb + 1023
    special = not is_finite(a) or not is_finite(b) or not b & MAGNITUDE
    found = FL | (FG if not is_finite(a) and not is_nan(a) else 0)
    if (not is_finite(b) and not is_nan(b)) or denormal:
        found |= FG
    if (
        special
        or eb <= -1022
        or eb >= 1021
        or (a & MAGNITUDE and (ea - eb >= 1023 or ea - eb <= -1021 or ea <= -970))
    ):
        found |= FE
    return found


def square_roots(b: int) -> int:
    """Judge sqrt(b) for software square roots of doubles, as a CR field."""
    eb = _exponent(b)
    zero = not b & MAGNITUDE
    found = FL
    if zero or not eb + 1023 or (not is_finite(b) and not is_nan(b)):
        found |= FG
    if zero or not is_finite(b) or b & SIGN or eb <= -970:
        found |= FE
    return found
