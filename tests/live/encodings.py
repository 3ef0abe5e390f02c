"""Instructions by chance, of a kind that reaches every corner of the decoder."""

from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Final

_PLAIN: Final = (b"\x66", b"\x67", b"\xf2", b"\xf3", b"\x64", b"\x65")
_REFUSED: Final = (b"\x2e", b"\x26", b"\xf0")
_VECTOR: Final = (
    (b"\xc4", (0xE1, 0xE2, 0xE3, 0x41, 0xE7)),
    (b"\xc5", (0xF8, 0xF9, 0xFA, 0xFB, 0x71)),
    (b"\x62", (0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0x71)),
    (b"\x8f", (0xE8, 0xE9, 0xEA, 0xC0)),
)


def random_encodings(seed: int, count: int) -> list[bytes]:
    """Make *count* encodings of 16 bytes, the same for the same seed."""
    random = Random(seed)
    return [_encoding(random) for _ in range(count)]


def _encoding(random: Random) -> bytes:
    kinds = (*_PLAIN, *_REFUSED) if random.random() < 0.05 else _PLAIN
    code = b"\x64" * random.choice((0, 0, 4, 8, 9, 10, 11, 12, 13))  # makes the length matter
    code += b"".join(random.choice(kinds) for _ in range(random.choice((0, 0, 0, 1, 1, 2, 3, 5))))
    if random.random() < 0.4:
        code += bytes([0x40 | random.randrange(16)])
    code += _lead(random) + random.randbytes(16)
    return code[:16]


def _lead(random: Random) -> bytes:
    """Choose a map: one byte, an escape, a vector prefix or REX2."""
    kind = random.randrange(10)
    if kind < 2:
        return b""
    if kind < 5:
        return b"\x0f" + random.choice((b"", b"", b"\x38", b"\x3a"))
    if kind == 9:
        return b"\xd5"
    prefix, payloads = _VECTOR[kind - 5]
    payload = random.choice(payloads) if random.random() < 0.8 else random.randrange(256)
    return prefix + bytes([payload])


def every_opcode() -> Iterator[bytes]:
    """Give every opcode of the legacy maps behind each single prefix and none."""
    prefixes = (b"", *_PLAIN, *_REFUSED, b"\x36", b"\x3e", b"\x48", b"\x41")
    escapes = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
    for prefix, escape, opcode in product(prefixes, escapes, range(256)):
        yield prefix + escape + bytes([opcode, 0xC0])
