"""Numbers that instructions have trouble with."""

import random
import struct
from collections.abc import Callable
from typing import Final

from uprobes_sim_powerpc.isa.define import Insn

INTEGERS: Final = (
    *(0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    *(0x100000000, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF),
)
"""Ends of ranges."""

DOUBLES: Final = (
    *(0x0000000000000000, 0x0000000000000001, 0x000FFFFFFFFFFFFF, 0x0010000000000000),
    *(0x3690000000000000, 0x36A0000000000000, 0x380FFFFFE0000000, 0x3810000000000000),
    *(0x3FE0000000000000, 0x3FF0000000000000, 0x3FF0000000000001, 0x3FF0000010000000),
    *(0x3FF0000030000000, 0x3FF8000000000000, 0x4004000000000000, 0x41DFFFFFFFC00000),
    *(0x41E0000000000000, 0x41EFFFFFFFE00000, 0x43E0000000000000, 0x43F0000000000000),
    *(0x47EFFFFFE0000000, 0x47EFFFFFF0000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000),
    *(0x7FF0000000000001, 0x7FF4000020000000, 0x7FF8000000000000, 0x7FF8123440000000),
)
"""Zero, the ends of denormal, normal and single range, halves, ends of integers, infinity, NaNs."""

SINGLES: Final = (
    *(0x00000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x3F000000, 0x3F800000, 0x3FC00000),
    *(0x4EFFFFFF, 0x4F000000, 0x4F800000, 0x5F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001),
    *(0x7FC00000, 0x7FC12345),
)

_Kind = Callable[[random.Random], int]

_M64: Final = (1 << 64) - 1
_POOL: Final = 1024


def integer(rng: random.Random) -> int:
    """Draw an end of a range, or a number of any length."""
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice(INTEGERS)
    return rng.getrandbits(64) >> rng.randrange(64) * (kind - 1)


def double(rng: random.Random) -> int:
    """Draw a double: an edge, a short fraction, a single, or any of moderate size."""
    match rng.randrange(5):
        case 0 | 1:
            return rng.choice(DOUBLES) | rng.randrange(2) << 63
        case 2:
            number = rng.randrange(1 << rng.randrange(1, 40)) / (1 << rng.randrange(12))
            return int.from_bytes(struct.pack(">d", rng.choice((-1, 1)) * number), "big")
        case 3:
            exponent = 1023 + rng.randrange(-40, 40)
            return rng.randrange(2) << 63 | exponent << 52 | rng.getrandbits(23) << 29
    return rng.randrange(2) << 63 | 1023 + rng.randrange(-60, 70) << 52 | rng.getrandbits(52)


def single_as_double(rng: random.Random) -> int:
    """Draw a double that a single can hold: others are no operands of single arithmetic."""
    while True:
        x = double(rng)
        exponent = x >> 52 & 0x7FF
        if not x & 0x1FFFFFFF and (
            897 <= exponent < 1151 or exponent == 0x7FF or not x << 1 & _M64
        ):
            return x


def single(rng: random.Random) -> int:
    """Draw a single."""
    if rng.random() < 0.4:
        return rng.choice(SINGLES) | rng.randrange(2) << 31
    return rng.randrange(2) << 31 | 127 + rng.randrange(-30, 35) << 23 | rng.getrandbits(23)


def two_singles(rng: random.Random) -> int:
    """Draw a doubleword of two singles."""
    return single(rng) << 32 | single(rng)


def elements(rng: random.Random) -> int:
    """Draw a doubleword whose bytes, halfwords and words are often ends of their ranges."""
    if rng.random() < 0.3:
        return rng.getrandbits(64)
    return int.from_bytes(rng.choices((0, 1, 2, 0x7F, 0x80, 0x81, 0xFF), k=8), "big")


class Pools:
    """Operands drawn beforehand, of each kind, for quick choice."""

    def __init__(self, rng: random.Random) -> None:
        """Fill them."""
        kinds: tuple[_Kind, ...] = (integer, double, single_as_double, two_singles, elements)
        self._pools = {kind: [kind(rng) for _ in range(_POOL)] for kind in kinds}

    def integers(self, rng: random.Random, count: int) -> list[int]:
        """Choose numbers for general purpose registers."""
        return rng.choices(self._pools[integer], k=count)

    def halves(self, rng: random.Random, row: Insn, count: int) -> list[int]:
        """Choose halves of vector registers, such as *row* likes to work on."""
        return rng.choices(self._pools[_kind(row)], k=count)

    def memory(self, rng: random.Random, size: int) -> bytes:
        """Choose *size* bytes of memory."""
        kinds: tuple[_Kind, ...] = (integer, double, two_singles)
        kind = rng.choice(kinds)
        return struct.pack(f"<{size // 8}Q", *rng.choices(self._pools[kind], k=size // 8))


def _kind(row: Insn) -> _Kind:
    name = row.name.removesuffix("[.]")
    if (name.startswith("xv") and name.endswith("sp")) or name.endswith("fp"):
        return two_singles
    if (name.startswith("xs") and name.endswith("sp")) or row.form.value >> 26 == 59:
        return single_as_double
    return double if name[0] in "fx" else elements
