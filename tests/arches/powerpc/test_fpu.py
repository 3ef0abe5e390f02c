"""Floating-point arithmetic of the powerpc engine against exact fractions, and its status."""

import math
import struct
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from uprobes_sim_powerpc.fpu import arith, convert, fpscr, scalar
from uprobes_sim_powerpc.fpu.number import (
    DEFAULT_NAN,
    DOUBLE,
    DOWN,
    INFINITY,
    NEAREST,
    SIGN,
    SINGLE,
    TO_ZERO,
    UP,
    Precision,
    Result,
    bits,
    is_nan,
    narrow,
    number,
    widen,
)
from uprobes_sim_powerpc.regs import PtRegs

MODES = (NEAREST, TO_ZERO, UP, DOWN)
ONE = bits(1.0)
SNAN = INFINITY | 1
QNAN = DEFAULT_NAN | 0x123

finite = st.floats(allow_nan=False, allow_infinity=False).map(bits)
patterns = st.one_of(
    finite,
    st.integers(0, (1 << 64) - 1),
    st.sampled_from([0, SIGN, 1, INFINITY, SIGN | INFINITY, SNAN, QNAN, ONE]),
)


def neighbours(value: Fraction, to: Precision) -> tuple[Fraction, Fraction]:
    """Give the numbers of *to*, without upper limit, next to *value* on both sides."""
    size = value.numerator.bit_length() - value.denominator.bit_length()
    exponent = max(to.least, size - to.digits - 1)
    while abs(value) >= Fraction(2) ** (exponent + to.digits):
        exponent += 1
    unit = Fraction(2) ** exponent
    below = math.floor(value / unit) * unit
    return below, below if below == value else below + unit


def check_rounding(exact: Fraction, result: Result, to: Precision, mode: int) -> None:
    """Check value, XX, FI and FR of *result* against the *exact* value, if in range."""
    value, events = result
    low, high = neighbours(exact, to)
    limit = Fraction(2) ** to.limit
    if max(abs(low), abs(high)) >= limit:
        assert events & fpscr.XX
        assert events & fpscr.OX or abs(exact) < limit
        return
    got = Fraction(number(value))
    toward_zero = low if exact > 0 else high
    wanted = {TO_ZERO: toward_zero, UP: high, DOWN: low}.get(mode)
    if wanted is None:
        assert abs(got - exact) == min(exact - low, high - exact)
    else:
        assert got == wanted
    assert bool(events & fpscr.XX) == bool(events & fpscr.FI) == (low != high)
    assert bool(events & fpscr.FR) == (abs(got) > abs(exact))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("to", [DOUBLE, SINGLE])
@given(a=finite, b=finite, c=finite)
def test_results_are_the_exact_ones_rounded_once(
    a: int, b: int, c: int, to: Precision, mode: int
) -> None:
    x, y, z = (Fraction(number(n)) for n in (a, b, c))

    if x + y:
        check_rounding(x + y, arith.add(a, b, to, mode), to, mode)
    if x * y:
        check_rounding(x * y, arith.mul(a, b, to, mode), to, mode)
    if x and y:
        check_rounding(x / y, arith.div(a, b, to, mode), to, mode)
    if x * y + z:
        check_rounding(x * y + z, arith.fma(a, b, c, to, mode), to, mode)


@given(a=finite.map(lambda a: a & ~SIGN))
def test_square_roots_are_rounded_once(a: int) -> None:
    root, events = arith.sqrt(a)

    assert number(root) == math.sqrt(number(a))
    assert bool(events & fpscr.FI) == (Fraction(number(root)) ** 2 != Fraction(number(a)))


QUICK: list[tuple[Callable[[PtRegs, int, int], int], Callable[..., Result]]] = [
    (scalar.fadd, arith.add),
    (scalar.fsub, arith.sub),
    (scalar.fmul, arith.mul),
    (scalar.fdiv, arith.div),
]


@pytest.mark.parametrize(("quick", "slow"), QUICK)
@example(a=bits(2.0**-1022), b=bits(1 - 2.0**-53), status=0)
@given(a=patterns, b=patterns, status=st.sampled_from([0, 1, 2, 3, fpscr.FX | fpscr.XX, 0xF8]))
def test_the_quick_way_does_what_the_long_way_does(
    quick: Callable[[PtRegs, int, int], int],
    slow: Callable[..., Result],
    a: int,
    b: int,
    status: int,
) -> None:
    one, other = PtRegs(), PtRegs()
    one.fpscr = other.fpscr = status

    value = quick(one, a, b)

    assert value == fpscr.deliver(other, slow(a, b, DOUBLE, status & fpscr.RN))
    assert one.fpscr == other.fpscr


QUICK_SINGLE = [
    (scalar.fadds, arith.add),
    (scalar.fsubs, arith.sub),
    (scalar.fmuls, arith.mul),
    (scalar.fdivs, arith.div),
]
singles = st.one_of(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0x3F000000, 0x40FFFFFF),
    st.sampled_from([0, 1, 0x00800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000]),
).map(widen)


@pytest.mark.parametrize(("quick", "slow"), QUICK_SINGLE)
@given(a=singles, b=singles, status=st.sampled_from([0, 1, 2, 3, fpscr.FX | fpscr.XX, 0xF8]))
def test_the_quick_way_of_singles_does_what_the_long_way_does(
    quick: Callable[[PtRegs, int, int], int],
    slow: Callable[..., Result],
    a: int,
    b: int,
    status: int,
) -> None:
    one, other = PtRegs(), PtRegs()
    one.fpscr = other.fpscr = status

    value = quick(one, a, b)

    assert value == fpscr.deliver(other, slow(a, b, SINGLE, status & fpscr.RN))
    assert one.fpscr == other.fpscr


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (arith.add(INFINITY, SIGN | INFINITY), (DEFAULT_NAN, fpscr.VXISI)),
        (arith.mul(INFINITY, 0), (DEFAULT_NAN, fpscr.VXIMZ)),
        (arith.div(0, SIGN), (DEFAULT_NAN, fpscr.VXZDZ)),
        (arith.div(INFINITY, INFINITY), (DEFAULT_NAN, fpscr.VXIDI)),
        (arith.div(ONE, SIGN), (SIGN | INFINITY, fpscr.ZX)),
        (arith.sqrt(SIGN | ONE), (DEFAULT_NAN, fpscr.VXSQRT)),
        (arith.sqrt(SIGN), (SIGN, 0)),
        (arith.add(ONE, SNAN), (DEFAULT_NAN | 1, fpscr.VXSNAN)),
        (arith.add(QNAN, SNAN), (QNAN, fpscr.VXSNAN)),
        (arith.fma(INFINITY, 0, QNAN), (QNAN, fpscr.VXIMZ)),
        (arith.fma(ONE, QNAN, DEFAULT_NAN | 7), (DEFAULT_NAN | 7, 0)),
        (arith.fnma(ONE, ONE, QNAN), (QNAN, 0)),
        (arith.sub(ONE, ONE, DOUBLE, DOWN), (SIGN, 0)),
        (arith.sub(ONE, ONE, DOUBLE, NEAREST), (0, 0)),
        (arith.maximum(QNAN, ONE), (ONE, 0)),
        (arith.maximum(SIGN, 0), (0, 0)),
        (arith.minimum(0, SIGN), (SIGN, 0)),
    ],
)
def test_special_operands_have_the_result_and_the_exception_of_the_isa(
    result: Result, expected: Result
) -> None:
    assert result == expected


def test_a_negated_product_sum_is_negated_after_the_rounding() -> None:
    tiny = bits(2.0**-60)

    value, _ = arith.fnma(ONE, ONE, tiny, DOUBLE, UP)

    assert number(value) == -math.nextafter(1.0, 2.0)


def test_tininess_is_detected_before_rounding() -> None:
    just_below = bits(math.nextafter(2.0**-1022, 0.0))
    almost_one = bits(1.5)

    value, events = arith.mul(bits(2.0**-1022), bits(1 - 2.0**-53))

    assert (number(value), events & fpscr.UX) == (2.0**-1022, fpscr.UX)
    assert arith.mul(just_below, almost_one)[1] & fpscr.UX == 0


@given(st.integers(0, 0xFFFFFFFF))
def test_a_single_survives_the_way_through_a_register(x: int) -> None:
    assert narrow(widen(x)) == x


@given(st.floats(width=32, allow_nan=False))
def test_a_widened_single_is_the_same_number(value: float) -> None:
    pattern = int.from_bytes(struct.pack(">f", value), "big")

    assert number(widen(pattern)) == value


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (bits(2.5), (2, fpscr.XX | fpscr.FI)),
        (bits(3.5), (4, fpscr.XX | fpscr.FI | fpscr.FR)),
        (bits(2.0**31), (2**31 - 1, fpscr.VXCVI)),
        (bits(-(2.0**31)), (-(2**31), 0)),
        (INFINITY, (2**31 - 1, fpscr.VXCVI)),
        (QNAN, (-(2**31), fpscr.VXCVI)),
        (SNAN, (-(2**31), fpscr.VXCVI | fpscr.VXSNAN)),
    ],
)
def test_conversion_to_an_integer_saturates(x: int, expected: Result) -> None:
    assert convert.to_integer(x, -(2**31), 2**31 - 1, NEAREST) == expected


@given(a=patterns, b=patterns)
def test_comparison_is_that_of_numbers(a: int, b: int) -> None:
    order, events = convert.compare(a, b, ordered=True)

    x, y = number(a), number(b)
    wanted = convert.LT if x < y else convert.GT if x > y else convert.EQ if x == y else 1
    assert order == wanted
    assert bool(events & fpscr.VXVC) == (is_nan(a) or is_nan(b))


def test_exceptions_are_sticky_and_summed() -> None:
    regs = PtRegs()
    regs.fpscr = 0x80  # VE

    fpscr.deliver(regs, arith.sqrt(SIGN | ONE))
    fpscr.deliver(regs, arith.add(ONE, ONE))

    assert regs.fpscr == fpscr.FX | fpscr.FEX | fpscr.VX | fpscr.VXSQRT | fpscr.POSITIVE | 0x80


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (QNAN, 0x11),
        (SIGN | INFINITY, 0x09),
        (SIGN | ONE, 0x08),
        (SIGN | 1, 0x18),
        (SIGN, 0x12),
        (0, 0x02),
        (1, 0x14),
        (ONE, 0x04),
        (INFINITY, 0x05),
    ],
)
def test_fprf_tells_the_class(x: int, expected: int) -> None:
    assert fpscr.fprf(x) >> 12 == expected
