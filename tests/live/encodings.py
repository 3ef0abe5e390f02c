"""Encodings to ask the kernel about: every opcode by rule, and many by chance.

All have 16 bytes, as many as the kernel copies.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, product
from random import Random
from typing import Final, Literal

from uprobes_sim_x86.insn import MAX_INSN_SIZE, Undecodable, decode

Bits = Literal[32, 64]

SIZE: Final = 16

_PLAIN: Final = (b"\x66", b"\x67", b"\xf2", b"\xf3", b"\x64", b"\x65")
_REFUSED: Final = (b"\x2e", b"\x26", b"\xf0")
_PREFIXES: Final = (*_PLAIN, *_REFUSED, b"\x36", b"\x3e")
_REX: Final = tuple(bytes([0x40 | bits]) for bits in range(16))
_ESCAPES: Final = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
_BYTES: Final = tuple(bytes([byte]) for byte in range(256))
_REGISTER, _RELATIVE = b"\xc0", b"\x05"
"""ModRM: a register; what is relative to ip in 64-bit mode."""
_MODRM: Final = (b"\xc0", b"\x05", b"\x04\x25", b"\x44\x24", b"\x84\x05", b"\x46", b"\x86", b"\x06")
"""With SIB where there is one: all lengths that memory operands have."""
_PADDING: Final = b"\x64"
"""A prefix that means nothing to length, mode or verdict."""

_VECTOR: Final = (
    (b"\xc4", (0xE1, 0xE2, 0xE3, 0x41, 0xE7)),
    (b"\xc5", (0xF8, 0xF9, 0xFA, 0xFB, 0x71)),
    (b"\x62", (0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0x71)),
    (b"\x8f", (0xE8, 0xE9, 0xEA, 0xC0)),
)
_GROUPS: Final = (
    "80 83 8c 8e 8f c0 c6 d1 db f6 f7 fe ff 0f00 0f01 0f18 0f71 0f72 0f73 0fae 0fba 0fc7"
)


def every_encoding(bits: Bits) -> dict[str, list[bytes]]:
    """List the encodings that follow the rules, each once, by the name of the rule."""
    seen = set[bytes]()
    found = dict[str, list[bytes]]()
    for name, rule in _RULES.items():
        codes = dict.fromkeys(code.ljust(SIZE, b"\0")[:SIZE] for code in rule(bits))
        found[name] = [code for code in codes if code not in seen]
        seen.update(codes)
    return found


def _legacy(leads: Iterable[bytes]) -> Iterator[bytes]:
    """Put every opcode of the legacy maps behind each of *leads*."""
    for lead, escape, opcode, modrm in product(leads, _ESCAPES, _BYTES, (_REGISTER, _RELATIVE)):
        yield lead + escape + opcode + modrm


def _one_prefix(bits: Bits) -> Iterator[bytes]:
    return _legacy((b"", *_PREFIXES))


def _rex(bits: Bits) -> Iterator[bytes]:
    """Give each REX alone and behind each prefix; what comes before a prefix is none."""
    return _legacy(prefix + rex for prefix, rex in product((b"", *_PREFIXES), _rexes(bits)))


def _rexes(bits: Bits) -> tuple[bytes, ...]:
    return _REX if bits == 64 else (b"\x40", b"\x48")


def _two_prefixes(bits: Bits) -> Iterator[bytes]:
    return _legacy(first + second for first, second in product(_PREFIXES, _PREFIXES))


def _many_prefixes(bits: Bits) -> Iterator[bytes]:
    """Give three to five kinds of prefixes, of which the decoder takes four."""
    kinds = b"\x66\x67\xf3\x64\x65\xf2"
    leads = [kinds[at:] + kinds[:at] for at in range(6)]
    return _legacy(lead[:count] for lead, count in product(leads, (3, 4, 5)))


def _groups(bits: Bits) -> Iterator[bytes]:
    """Give every ModRM byte of the opcodes that are groups."""
    leads = (b"", b"\x66", b"\xf2", b"\xf3", *((b"\x48", b"\x66\x41") if bits == 64 else ()))
    for lead, opcode, modrm in product(leads, _GROUPS.split(), _BYTES):
        yield lead + bytes.fromhex(opcode) + modrm


def _rex2(bits: Bits) -> Iterator[bytes]:
    """Give REX2 with all payloads; in 32-bit mode it is aad."""
    for prefix, payload, opcode in product((b"", b"\x66", b"\xf3"), _BYTES, _BYTES):
        yield prefix + b"\xd5" + payload + opcode + _REGISTER


def _vex2(bits: Bits) -> Iterator[bytes]:
    for payload, opcode in product(_BYTES, _BYTES):
        yield b"\xc5" + payload + opcode + _REGISTER


def _vex3(bits: Bits) -> Iterator[bytes]:
    """Give every map with W, L and pp."""
    for number, low, opcode in product(range(32), _w_l_pp(), _BYTES):
        yield bytes([0xC4, 0xE0 | number, low]) + opcode + _REGISTER


def _w_l_pp() -> tuple[int, ...]:
    return tuple(0x78 | w | low for w in (0, 0x80) for low in range(8))


def _xop(bits: Bits) -> Iterator[bytes]:
    """Give every map with W and pp; the lower maps make it a pop."""
    for number, w, pp, opcode in product(range(32), (0, 0x80), range(4), _BYTES):
        yield bytes([0x8F, 0xE0 | number, 0x78 | w | pp]) + opcode + _REGISTER


def _evex(bits: Bits) -> Iterator[bytes]:
    """Give every map with W, pp, z and the length."""
    last = (0x08, 0x28, 0x48, 0x68, 0x88, 0xC8, 0x18, 0x09)
    for number, w, pp, third, opcode in product(range(8), (0, 0x80), range(4), last, _BYTES):
        yield bytes([0x62, 0xF0 | number, 0x7C | w | pp, third]) + opcode + _REGISTER


def _vector_leads() -> Iterator[bytes]:
    """Give one prefix for each map and pp."""
    for pp in range(4):
        yield bytes([0xC5, 0xF8 | pp])
        for number in (0, 1, 2, 3, 7):
            yield bytes([0xC4, 0xE0 | number, 0x78 | pp])
        for number in range(1, 8):
            yield bytes([0x62, 0xF0 | number, 0x7C | pp, 0x08])
    for number in (8, 9, 10):
        yield bytes([0x8F, 0xE0 | number, 0x78])


def _vector_behind(bits: Bits) -> Iterator[bytes]:
    """Put each prefix, and REX, in front of the vector prefixes."""
    rexes = (b"\x48",) if bits == 64 else ()
    leads = [*_PREFIXES, *rexes]
    for lead, vector, opcode in product(leads, _vector_leads(), _BYTES):
        yield lead + vector + opcode + _REGISTER


def _vector_fields(bits: Bits) -> Iterator[bytes]:
    """Turn R, X, B and vvvv, which are inverted registers; in 32-bit mode les, lds and bound."""
    for high, opcode in product((0x60, 0xA0, 0xC0, 0x00), _BYTES):
        for number, low in product((1, 2, 3), (0x00, 0x05, 0x41, 0x79)):
            yield bytes([0xC4, high | number, low]) + opcode + _RELATIVE
            yield bytes([0x62, high | number, low | 0x04, 0x00]) + opcode + _RELATIVE
            yield bytes([0x62, high | number | 8, low & ~0x04, 0x08]) + opcode + _RELATIVE
        yield bytes([0x8F, high | 9, 0x78]) + opcode + _RELATIVE


def _vector_groups(bits: Bits) -> Iterator[bytes]:
    """Give all members of every vector opcode, as a register and in memory."""
    for lead, opcode, member in product(_vector_leads(), _BYTES, range(8)):
        yield lead + opcode + bytes([0xC0 | member << 3])
        yield lead + opcode + bytes([0x05 | member << 3])


def _lengths(bits: Bits) -> Iterator[bytes]:
    """Pad each instruction until it is as long as one may be, and one byte further."""
    legacy = (
        prefix + escape
        for prefix, escape in product((b"", b"\x66", b"\x67", b"\xf2", b"\xf3"), _ESCAPES)
    )
    wide = (b"\x48" + escape for escape in _ESCAPES) if bits == 64 else ()
    for lead, opcode, modrm in product(chain(legacy, wide, _vector_leads()), _BYTES, _MODRM):
        code = lead + opcode + modrm
        try:
            length = decode(code.ljust(SIZE, b"\0"), bits).length
        except Undecodable:
            continue
        room = MAX_INSN_SIZE - length
        if room >= 0:
            yield _PADDING * room + code
            yield _PADDING * (room + 1) + code


_RULES: Final[dict[str, Callable[[Bits], Iterator[bytes]]]] = {
    "every legacy opcode behind each prefix": _one_prefix,
    "behind each REX, with and without a prefix": _rex,
    "behind each pair of prefixes": _two_prefixes,
    "behind three to five kinds of prefixes": _many_prefixes,
    "every ModRM byte of the groups": _groups,
    "REX2 (APX): every payload and opcode": _rex2,
    "VEX of two bytes: every payload and opcode": _vex2,
    "VEX of three bytes: every map, W, L, pp and opcode": _vex3,
    "XOP: every map, W, pp and opcode": _xop,
    "EVEX: every map, W, pp, opcode, and L'L, z, b, V', aaa": _evex,
    "every vector map and opcode behind each prefix": _vector_behind,
    "R, X, B and vvvv of vector prefixes": _vector_fields,
    "every member of every vector opcode": _vector_groups,
    "every opcode and addressing form at 15 and at 16 bytes": _lengths,
}


def random_encodings(seed: int, count: int) -> list[bytes]:
    """Make *count* encodings of 16 bytes, the same for the same seed."""
    random = Random(seed)
    return [_encoding(random) for _ in range(count)]


def _encoding(random: Random) -> bytes:
    kinds = (*_PLAIN, *_REFUSED) if random.random() < 0.05 else _PLAIN
    code = _PADDING * random.choice((0, 0, 4, 8, 9, 10, 11, 12, 13))  # makes the length matter
    code += b"".join(random.choice(kinds) for _ in range(random.choice((0, 0, 0, 1, 1, 2, 3, 5))))
    if random.random() < 0.4:
        code += bytes([0x40 | random.randrange(16)])
    code += _lead(random) + random.randbytes(SIZE)
    return code[:SIZE]


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
