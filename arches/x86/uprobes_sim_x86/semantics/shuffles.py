"""Shuffles, permutations and blends, on bytes."""

from collections.abc import Callable

from uprobes_sim_x86.semantics import lanes
from uprobes_sim_x86.semantics.lanes import Binary


def _pick(half: bytes, order: int, size: int, count: int = 4) -> bytes:
    """Take lanes of *half* by two bits each of *order*."""
    picked = (order >> 2 * n & 3 for n in range(count))
    return b"".join(half[n * size : (n + 1) * size] for n in picked)


def shuffle(low: int, size: int) -> Callable[[bytes, int], bytes]:
    """vpshufd, vpshuflw, vpshufhw, vpermilps: four lanes of a half, from its byte *low* on."""

    def run(value: bytes, order: int) -> bytes:
        found = b""
        for at in range(0, len(value), 16):
            half = value[at : at + 16]
            end = low + 4 * size
            found += half[:low] + _pick(half[low:end], order, size) + half[end:]
        return found

    return run


def shuffle_singles(a: bytes, b: bytes, order: int) -> bytes:
    """vshufps."""
    found = b""
    for at in range(0, len(a), 16):
        found += _pick(a[at : at + 16], order, 4, 2) + _pick(b[at : at + 16], order >> 4, 4, 2)
    return found


def shuffle_doubles(a: bytes, b: bytes, order: int) -> bytes:
    """vshufpd; vpermilpd where both are one."""
    found = b""
    for at in range(0, len(a), 16):
        for source in (a, b):
            low = at + 8 * (order & 1)
            found += source[low : low + 8]
            order >>= 1
    return found


def permute(value: bytes, order: int) -> bytes:
    """vpermq, vpermpd."""
    return _pick(value, order, 8)


def permute_halves(a: bytes, b: bytes, order: int) -> bytes:
    """vperm2f128, vperm2i128."""
    sources = (a[:16], a[16:], b[:16], b[16:])
    chosen = (order & 15, order >> 4)
    return b"".join(bytes(16) if n & 8 else sources[n & 3] for n in chosen)


def permute_words(a: bytes, b: bytes) -> bytes:
    """vpermd, vpermps: the first operand tells which lanes of the second."""
    found = lanes.split(b, 4)
    return lanes.join([found[n & 7] for n in lanes.split(a, 4)], 4)


def permute_within(size: int) -> Binary:
    """vpermilps, vpermilpd by a vector."""

    def run(a: bytes, b: bytes) -> bytes:
        chosen = lanes.split(b, size)
        picked = [n & 3 if size == 4 else n >> 1 & 1 for n in chosen]
        return b"".join(a[n * size : (n + 1) * size] for n in picked)

    return lanes.halves(run)


def align(a: bytes, b: bytes, count: int) -> bytes:
    """vpalignr."""
    found = b""
    for at in range(0, len(a), 16):
        both = b[at : at + 16] + a[at : at + 16] + bytes(256)
        found += both[count : count + 16]
    return found


def blend(size: int, *, repeated: bool = False) -> Callable[[bytes, bytes, int], bytes]:
    """vblendps, vblendpd, vpblendw, vpblendd: a bit for each lane."""

    def run(a: bytes, b: bytes, mask: int) -> bytes:
        count = len(a) // size
        chosen = (mask >> (n & 7 if repeated else n) & 1 for n in range(count))
        pairs = enumerate(chosen)
        return b"".join((b if bit else a)[n * size : (n + 1) * size] for n, bit in pairs)

    return run
