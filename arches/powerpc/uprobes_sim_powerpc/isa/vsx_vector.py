"""VSX vector arithmetic: two doubles or four singles (Power ISA, book I, 7.6.1.5).

All elements are computed before the target is written. A vector of singles is computed as
doubles that are short, rounded to single.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from uprobes_sim_powerpc.fpu import arith, convert
from uprobes_sim_powerpc.fpu.convert import EQ, GT
from uprobes_sim_powerpc.fpu.fpscr import RN, note
from uprobes_sim_powerpc.fpu.number import (
    AWAY,
    DOUBLE,
    DOWN,
    MAGNITUDE,
    SIGN,
    SINGLE,
    TO_ZERO,
    UP,
    Precision,
    Result,
    narrow,
    widen,
)
from uprobes_sim_powerpc.fpu.software import divides, square_roots
from uprobes_sim_powerpc.isa.define import XS, XX3, Form, insn
from uprobes_sim_powerpc.isa.fp_arith import LEAST32, LEAST64, MOST32, MOST64
from uprobes_sim_powerpc.isa.helpers import M32, M64, sext32, sext64
from uprobes_sim_powerpc.regs import PtRegs

Read = Callable[[PtRegs, int], list[int]]
Write = Callable[[PtRegs, int, list[int]], None]


def doublewords(s: PtRegs, X: int) -> list[int]:
    """Read both doublewords."""
    return [s.hi[X], s.lo[X]]


def words(s: PtRegs, X: int) -> list[int]:
    """Read all four words."""
    hi, lo = s.hi[X], s.lo[X]
    return [hi >> 32, hi & M32, lo >> 32, lo & M32]


def even_words(s: PtRegs, X: int) -> list[int]:
    """Read words 0 and 2."""
    return [s.hi[X] >> 32, s.lo[X] >> 32]


def singles(s: PtRegs, X: int) -> list[int]:
    """Read four singles as doubles."""
    return [widen(word) for word in words(s, X)]


def even_singles(s: PtRegs, X: int) -> list[int]:
    """Read singles 0 and 2 as doubles."""
    return [widen(word) for word in even_words(s, X)]


def put_doublewords(s: PtRegs, X: int, values: list[int]) -> None:
    """Write both doublewords, which may be signed numbers."""
    s.hi[X], s.lo[X] = values[0] & M64, values[1] & M64


def put_words(s: PtRegs, X: int, values: list[int]) -> None:
    """Write four words, which may be signed numbers."""
    a, b, c, d = (value & M32 for value in values)
    s.hi[X], s.lo[X] = a << 32 | b, c << 32 | d


def put_twice(s: PtRegs, X: int, values: list[int]) -> None:
    """Write two words, each of them twice (ISA 3.1; words 1 and 3 were undefined before)."""
    s.hi[X], s.lo[X] = ((value & M32) * 0x100000001 for value in values)


def put_singles(s: PtRegs, X: int, values: list[int]) -> None:
    """Write four singles, given as doubles."""
    put_words(s, X, [narrow(value) for value in values])


def put_singles_twice(s: PtRegs, X: int, values: list[int]) -> None:
    """Write two singles, given as doubles, each of them twice."""
    put_twice(s, X, [narrow(value) for value in values])


def settle(s: PtRegs, results: Iterable[Result]) -> list[int]:
    """Record the exceptions of all elements and give their values."""
    values = []
    events = 0
    for value, event in results:
        values.append(value)
        events |= event
    note(s, events)
    return values


class Kind(NamedTuple):
    """A vector of numbers: how to read it, to write it and to round for it."""

    suffix: str
    read: Read
    write: Write
    to: Precision


DP: Final = Kind("dp", doublewords, put_doublewords, DOUBLE)
SP: Final = Kind("sp", singles, put_singles, SINGLE)

Unary = Callable[[int, Precision, int], Result]
Binary = Callable[[int, int, Precision, int], Result]
Fused = Callable[[int, int, int, Precision, int], Result]
"""Operands, precision, rounding mode."""


def _unary(name: str, xo: int, kind: Kind, compute: Unary) -> None:
    @insn(name + kind.suffix, XS(60, xo), isa="2.06", inline=False)
    def meaning(s: PtRegs, XT: int, XB: int) -> None:
        mode = s.fpscr & RN
        kind.write(s, XT, settle(s, (compute(b, kind.to, mode) for b in kind.read(s, XB))))


def _binary(name: str, xo: int, kind: Kind, compute: Binary) -> None:
    @insn(name + kind.suffix, XX3(60, xo), isa="2.06", inline=False)
    def meaning(s: PtRegs, XT: int, XA: int, XB: int) -> None:
        mode = s.fpscr & RN
        pairs = zip(kind.read(s, XA), kind.read(s, XB), strict=True)
        kind.write(s, XT, settle(s, (compute(a, b, kind.to, mode) for a, b in pairs)))


def _fused(name: str, xo: int, kind: Kind, compute: Fused) -> None:
    """Define both forms: XT is the addend in form a, a factor in form m."""

    @insn(f"{name}a{kind.suffix}", XX3(60, xo), isa="2.06", inline=False)
    def addend(s: PtRegs, XT: int, XA: int, XB: int) -> None:
        mode = s.fpscr & RN
        triples = zip(kind.read(s, XA), kind.read(s, XB), kind.read(s, XT), strict=True)
        kind.write(s, XT, settle(s, (compute(*triple, kind.to, mode) for triple in triples)))

    @insn(f"{name}m{kind.suffix}", XX3(60, xo + 8), isa="2.06", inline=False)
    def factor(s: PtRegs, XT: int, XA: int, XB: int) -> None:
        mode = s.fpscr & RN
        triples = zip(kind.read(s, XA), kind.read(s, XT), kind.read(s, XB), strict=True)
        kind.write(s, XT, settle(s, (compute(*triple, kind.to, mode) for triple in triples)))


def _comparison(name: str, xo: int, kind: Kind, wanted: int, *, ordered: bool) -> None:
    form = Form(60 << 26 | xo << 3, 0xFC0003F8)

    @insn(f"{name}{kind.suffix}[.]", form, isa="2.06", inline=False)
    def meaning(s: PtRegs, XT: int, XA: int, XB: int, Rc21: int) -> None:
        pairs = zip(kind.read(s, XA), kind.read(s, XB), strict=True)
        found = settle(s, (convert.compare(a, b, ordered=ordered) for a, b in pairs))
        hits = [-1 if order & wanted else 0 for order in found]
        (put_doublewords if kind is DP else put_words)(s, XT, hits)
        if Rc21:
            s.cr[6] = (8 if all(hits) else 0) | (0 if any(hits) else 2)


def _conversion(
    name: str, xo: int, read: Read, compute: Callable[[int, int], Result], write: Write
) -> None:
    @insn(name, XS(60, xo), isa="2.06", inline=False)
    def meaning(s: PtRegs, XT: int, XB: int) -> None:
        mode = s.fpscr & RN
        write(s, XT, settle(s, (compute(b, mode) for b in read(s, XB))))


def _bits(name: str, xo: int, kind: Kind, compute: Callable[[int], int]) -> None:
    @insn(name + kind.suffix, XS(60, xo), isa="2.06", inline=False)
    def meaning(s: PtRegs, XT: int, XB: int) -> None:
        kind.write(s, XT, [compute(b) for b in kind.read(s, XB)])


def _integral(mode: int) -> Unary:
    return lambda b, to, rn: convert.to_integral(b, mode)


def _current(b: int, to: Precision, mode: int) -> Result:
    return convert.to_integral_exact(b, mode)


def _choice(compute: Callable[[int, int], Result]) -> Binary:
    return lambda a, b, to, mode: compute(a, b)


for _kind, _at in ((SP, 0), (DP, 32)):
    _binary("xvadd", 64 + _at, _kind, arith.add)
    _binary("xvsub", 72 + _at, _kind, arith.sub)
    _binary("xvmul", 80 + _at, _kind, arith.mul)
    _binary("xvdiv", 88 + _at, _kind, arith.div)
    _fused("xvmadd", 65 + _at, _kind, arith.fma)
    _fused("xvmsub", 81 + _at, _kind, arith.fms)
    _fused("xvnmadd", 193 + _at, _kind, arith.fnma)
    _fused("xvnmsub", 209 + _at, _kind, arith.fnms)
    _binary("xvmax", 192 + _at, _kind, _choice(arith.maximum))
    _binary("xvmin", 200 + _at, _kind, _choice(arith.minimum))
    _binary("xvcpsgn", 208 + _at, _kind, lambda a, b, to, rn: (a & SIGN | b & MAGNITUDE, 0))
    _comparison("xvcmpeq", 67 + _at, _kind, EQ, ordered=False)
    _comparison("xvcmpgt", 75 + _at, _kind, GT, ordered=True)
    _comparison("xvcmpge", 83 + _at, _kind, GT | EQ, ordered=True)

for _kind, _at in ((SP, 0), (DP, 64)):
    _unary("xvsqrt", 139 + _at, _kind, arith.sqrt)
    _unary("xvre", 154 + _at, _kind, arith.reciprocal)
    _unary("xvrsqrte", 138 + _at, _kind, arith.reciprocal_sqrt)
    _bits("xvabs", 409 + _at, _kind, lambda b: b & MAGNITUDE)
    _bits("xvnabs", 425 + _at, _kind, lambda b: b | SIGN)
    _bits("xvneg", 441 + _at, _kind, lambda b: b ^ SIGN)


def _integrals(stem: str, at: int, kind: Kind) -> None:
    """Define the five roundings to an integer; their names end after the precision."""
    for suffix, xo, mode in (
        ("", 137, AWAY),
        ("z", 153, TO_ZERO),
        ("p", 169, UP),
        ("m", 185, DOWN),
    ):
        _unary(stem, xo + at, kind._replace(suffix=suffix), _integral(mode))
    _unary(stem, 171 + at, kind._replace(suffix="c"), _current)


_integrals("xvrspi", 0, SP)
_integrals("xvrdpi", 64, DP)


def _to(low: int, high: int) -> Callable[[int, int], Result]:
    """Convert to an integer of that range, rounding to zero."""
    return lambda b, mode: convert.to_integer(b, low, high, TO_ZERO)


def _from(signed: Callable[[int], int] | None, to: Precision) -> Callable[[int, int], Result]:
    """Convert from an integer, which `signed` makes out of bits."""
    return lambda b, mode: convert.from_integer(signed(b) if signed else b, to, mode)


_conversion("xvcvsxddp", 504, doublewords, _from(sext64, DOUBLE), put_doublewords)
_conversion("xvcvuxddp", 488, doublewords, _from(None, DOUBLE), put_doublewords)
_conversion("xvcvsxwdp", 248, even_words, _from(sext32, DOUBLE), put_doublewords)
_conversion("xvcvuxwdp", 232, even_words, _from(None, DOUBLE), put_doublewords)
_conversion("xvcvsxwsp", 184, words, _from(sext32, SINGLE), put_singles)
_conversion("xvcvuxwsp", 168, words, _from(None, SINGLE), put_singles)
_conversion("xvcvsxdsp", 440, doublewords, _from(sext64, SINGLE), put_singles_twice)
_conversion("xvcvuxdsp", 424, doublewords, _from(None, SINGLE), put_singles_twice)
_conversion("xvcvdpsxds", 472, doublewords, _to(LEAST64, MOST64), put_doublewords)
_conversion("xvcvdpuxds", 456, doublewords, _to(0, M64), put_doublewords)
_conversion("xvcvdpsxws", 216, doublewords, _to(LEAST32, MOST32), put_twice)
_conversion("xvcvdpuxws", 200, doublewords, _to(0, M32), put_twice)
_conversion("xvcvspsxws", 152, singles, _to(LEAST32, MOST32), put_words)
_conversion("xvcvspuxws", 136, singles, _to(0, M32), put_words)
_conversion("xvcvspsxds", 408, even_singles, _to(LEAST64, MOST64), put_doublewords)
_conversion("xvcvspuxds", 392, even_singles, _to(0, M64), put_doublewords)
_conversion("xvcvdpsp", 393, doublewords, convert.round_to_single, put_singles_twice)
_conversion("xvcvspdp", 457, even_singles, lambda b, mode: convert.quieted(b), put_doublewords)


@insn("xvtdivdp", XX3(60, 125), isa="2.06", inline=False)
def xvtdivdp(s: PtRegs, BF: int, XA: int, XB: int) -> None:
    s.cr[BF] = divides(s.hi[XA], s.hi[XB]) | divides(s.lo[XA], s.lo[XB])


@insn("xvtsqrtdp", XS(60, 234), isa="2.06", inline=False)
def xvtsqrtdp(s: PtRegs, BF: int, XB: int) -> None:
    s.cr[BF] = square_roots(s.hi[XB]) | square_roots(s.lo[XB])
