"""What vector instructions compute, on bytes: lane by lane, or by halves of 16 bytes."""

import struct
from collections.abc import Callable, Sequence
from typing import Final

Binary = Callable[[bytes, bytes], bytes]
Unary = Callable[[bytes], bytes]

_UNSIGNED: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
_HALF: Final = 16


def split(value: bytes, size: int, *, signed: bool = False) -> tuple[int, ...]:
    """Take *value* apart into lanes of *size* bytes."""
    code = _UNSIGNED[size]
    return struct.unpack(f"<{len(value) // size}{code.lower() if signed else code}", value)


def join(lanes: Sequence[int], size: int) -> bytes:
    """Put lanes together, each of them cut to *size* bytes."""
    mask = (1 << 8 * size) - 1
    return struct.pack(f"<{len(lanes)}{_UNSIGNED[size]}", *(lane & mask for lane in lanes))


def each(size: int, compute: Callable[[int, int], int], *, signed: bool = False) -> Binary:
    """Compute lane by lane."""

    def run(a: bytes, b: bytes) -> bytes:
        lanes = zip(split(a, size, signed=signed), split(b, size, signed=signed), strict=True)
        return join([compute(x, y) for x, y in lanes], size)

    return run


def halves(compute: Binary) -> Binary:
    """Compute for each half by itself."""

    def run(a: bytes, b: bytes) -> bytes:
        return b"".join(compute(a[at : at + 16], b[at : at + 16]) for at in range(0, len(a), 16))

    return run


def bitwise(compute: Callable[[int, int], int]) -> Binary:
    """Compute on all bits at once."""

    def run(a: bytes, b: bytes) -> bytes:
        size = len(a)
        found = compute(int.from_bytes(a, "little"), int.from_bytes(b, "little"))
        return (found & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    return run


def clamp(value: int, size: int, *, signed: bool) -> int:
    """Saturate."""
    top = 1 << 8 * size - signed
    return min(max(value, -top if signed else 0), top - 1)


def saturating(size: int, compute: Callable[[int, int], int], *, signed: bool) -> Binary:
    """Compute lane by lane, and saturate."""
    return each(size, lambda x, y: clamp(compute(x, y), size, signed=signed), signed=signed)


def compare(size: int, holds: Callable[[int, int], bool]) -> Binary:
    """Fill each lane for which *holds* with ones."""
    return each(size, lambda x, y: -1 if holds(x, y) else 0, signed=True)


# --- rearranging --------------------------------------------------------------


def unpack(size: int, *, high: bool) -> Binary:
    """Interleave the low or the high lanes of each half."""

    def run(a: bytes, b: bytes) -> bytes:
        at = _HALF // 2 if high else 0
        pairs = range(at, at + _HALF // 2, size)
        return b"".join(a[n : n + size] + b[n : n + size] for n in pairs)

    return halves(run)


def pack(size: int, *, signed: bool) -> Binary:
    """Narrow lanes of *size* bytes to half of it, with saturation."""

    def run(a: bytes, b: bytes) -> bytes:
        lanes = split(a + b, size, signed=True)
        return join([clamp(lane, size // 2, signed=signed) for lane in lanes], size // 2)

    return halves(run)


def shuffle_bytes(a: bytes, b: bytes) -> bytes:
    """pshufb of one half."""
    return bytes(0 if index & 0x80 else a[index & 15] for index in b)


def horizontal(size: int, compute: Callable[[int, int], int]) -> Binary:
    """Compute on neighbours."""

    def run(a: bytes, b: bytes) -> bytes:
        lanes = split(a + b, size, signed=True)
        pairs = zip(lanes[::2], lanes[1::2], strict=True)
        return join([compute(x, y) for x, y in pairs], size)

    return halves(run)


# --- multiplying --------------------------------------------------------------


def even(size: int, *, signed: bool) -> Binary:
    """Multiply every other lane, to twice the width."""

    def run(a: bytes, b: bytes) -> bytes:
        x, y = split(a, size, signed=signed)[::2], split(b, size, signed=signed)[::2]
        return join([p * q for p, q in zip(x, y, strict=True)], 2 * size)

    return run


def multiply_and_add(a: bytes, b: bytes) -> bytes:
    """pmaddwd."""
    x, y = split(a, 2, signed=True), split(b, 2, signed=True)
    products = [p * q for p, q in zip(x, y, strict=True)]
    return join([products[n] + products[n + 1] for n in range(0, len(products), 2)], 4)


def multiply_and_add_bytes(a: bytes, b: bytes) -> bytes:
    """pmaddubsw: unsigned bytes of the first by signed ones of the second."""
    products = [p * q for p, q in zip(a, split(b, 1, signed=True), strict=True)]
    sums = [products[n] + products[n + 1] for n in range(0, len(products), 2)]
    return join([clamp(total, 2, signed=True) for total in sums], 2)


def sum_of_differences(a: bytes, b: bytes) -> bytes:
    """psadbw."""
    distances = [abs(x - y) for x, y in zip(a, b, strict=True)]
    return join([sum(distances[at : at + 8]) for at in range(0, len(a), 8)], 8)


def sign(x: int, y: int) -> int:
    """psign."""
    return x if y > 0 else -x if y < 0 else 0


# --- shifting -----------------------------------------------------------------


def shift_left(lane: int, count: int, bits: int) -> int:
    """Shift out to the left."""
    return lane << count if count < bits else 0


def shift_right(lane: int, count: int, bits: int) -> int:
    """Shift zeros in from the left."""
    return lane >> count if count < bits else 0


def shift_arithmetic(lane: int, count: int, bits: int) -> int:
    """Shift the sign in from the left."""
    lane -= (lane >> bits - 1) << bits
    return lane >> min(count, bits - 1)


Shift = Callable[[int, int, int], int]


def shift_all(value: bytes, count: int, size: int, shift: Shift) -> bytes:
    """Shift every lane by the same count."""
    return join([shift(lane, count, 8 * size) for lane in split(value, size)], size)


def shift_each(size: int, shift: Shift) -> Binary:
    """Shift every lane by a count of its own."""
    return each(size, lambda lane, count: shift(lane, count, 8 * size))
