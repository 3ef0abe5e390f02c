"""Random instructions, and the state that they are executed in."""

import random
from dataclasses import dataclass, field
from typing import Final, Literal

from uprobes_sim_x86.insn import Insn, Undecodable, decode
from uprobes_sim_x86.semantics.scalar import BMI
from uprobes_sim_x86.semantics.vectors import VECTORS as VECTOR_ROWS
from uprobes_sim_x86.tables import opcodes
from x86_box import DATA

Bits = Literal[32, 64]
Key = tuple[int, int, int]

ROWS: Final[tuple[Key, ...]] = tuple(sorted({*VECTOR_ROWS, *BMI}))
"""What our own tables have of VEX: map, pp, opcode."""
VECTORS: Final = {64: 16, 32: 8}
MEMORY: Final = 1024
"""Bytes of memory that are not 0 from `DATA` on, amidst which pointers point."""

_PREFIXES: Final = opcodes("26 2e 36 3e 64-67 f0 f2-f3")
_KEPT_OUT: Final = {
    "": _PREFIXES
    | opcodes("07 0f 17 1f 62 6c-6f 8c 8e 9a 9d c4-c5 ca-cf d5-d6 e4-e7 ea ec-ef f1 f4"),
    "0f": opcodes(
        "00-03 05-09 0b 0e-0f 1a-1b 20-27 30-3f 78-79 a1-a2 a9-aa b2 b4-b5 b9 c7 ff 36 38-3f"
    ),
    "0f38": opcodes("80-82 f8-f9 fc"),
    "0f3a": opcodes("f0"),
}
"""System calls, system instructions, what leaves for elsewhere, what depends on time or chance."""


@dataclass(slots=True)
class Case:
    """One instruction, and the registers and memory before it."""

    code: bytes
    bits: Bits
    general: list[int]
    flags: int
    vectors: list[int]
    upper: bytes = field(repr=False)
    """Upper halves of the ymm registers."""
    mxcsr: int
    x87: list[tuple[int, int]]
    control: int
    status: int
    tags: int
    memory: bytes = field(repr=False)


def legacy_case(rng: random.Random, bits: Bits) -> Case:
    """Draw an instruction without a vector prefix, in a state."""
    return _case(rng, bits, _legacy(rng, bits))


def vex_case(rng: random.Random, bits: Bits, row: Key) -> Case:
    """Draw an instruction of a row of our own tables, in a state."""
    return _case(rng, bits, _vex(rng, bits, row))


def _case(rng: random.Random, bits: Bits, code: bytes) -> Case:
    top = rng.randrange(8)
    return Case(
        code=code,
        bits=bits,
        general=[_general(rng, bits) for _ in range(16)],
        flags=rng.getrandbits(12) & 0x8D5 | (0x400 if rng.random() < 0.1 else 0),
        vectors=[_vector(rng) for _ in range(16)],
        upper=b"".join(_vector(rng).to_bytes(16, "little") for _ in range(16)),
        mxcsr=0x1F80 | rng.choice((0, 0, 0x2000, 0x4000, 0x6000, 0x8000, 0x3F)),
        x87=[_extended(rng) for _ in range(8)],
        control=0x37F | rng.choice((0, 0, 0x400, 0x800, 0xC00)),
        status=top << 11 | rng.getrandbits(16) & 0x4700,
        tags=sum(3 << 2 * (top + n & 7) for n in range(5, 8)),
        memory=b"".join(_vector(rng).to_bytes(16, "little") for _ in range(MEMORY // 16)),
    )


# --- instructions -------------------------------------------------------------


def _legacy(rng: random.Random, bits: Bits) -> bytes:
    while True:
        code = _prefixed(rng, bits)
        try:
            insn = decode(code, bits, as_processor=True)
        except Undecodable:
            continue
        if not insn.vex and not _kept_out(insn):
            return code[: insn.length]


def _kept_out(insn: Insn) -> bool:
    """Leave out members of groups: xsave and its kin, far calls and jumps, transactions."""
    match insn.opcode:
        case b"\x0f\xae":
            return insn.reg in (0, 1, 4, 5, 6, 7) or (insn.modrm or 0) >> 6 == 3
        case b"\xff":
            return insn.reg in (3, 5)
        case b"\xc6" | b"\xc7":
            return insn.modrm == 0xF8
    return False


def _prefixed(rng: random.Random, bits: Bits) -> bytes:
    escape = rng.choices(("", "0f", "0f38", "0f3a", "x87"), (30, 40, 12, 8, 10))[0]
    if escape == "x87":
        escape, opcode = "", rng.randrange(0xD8, 0xE0)
    else:
        kept_out = _KEPT_OUT[escape]
        if bits == 64 and not escape:
            kept_out |= opcodes("40-4f")  # REX
        opcode = rng.choice([op for op in range(256) if op not in kept_out])
    prefixes = rng.choice((b"", b"", b"", b"\x66", b"\x66", b"\xf2", b"\xf3"))
    if rng.random() < 0.03:
        prefixes += rng.choice((b"\xf0", b"\x66", b"\xf2", b"\xf3"))
    rex = bytes([0x40 | rng.getrandbits(4)]) if bits == 64 and rng.random() < 0.5 else b""
    return (prefixes + rex + bytes.fromhex(escape) + bytes([opcode]) + _operands(rng))[:15]


def _vex(rng: random.Random, bits: Bits, row: Key) -> bytes:
    number, pp, opcode = row
    while True:
        extension = rng.getrandbits(3) if bits == 64 else 7
        vvvv = rng.choice((15, 15, rng.getrandbits(4) | (8 if bits == 32 else 0)))
        fields = rng.getrandbits(1) << 7 | vvvv << 3 | rng.getrandbits(1) << 2 | pp
        code = bytes([0xC4, extension << 5 | number, fields, opcode]) + _operands(rng)
        try:
            return code[: decode(code, bits).length]
        except Undecodable:
            continue


def _operands(rng: random.Random) -> bytes:
    """Draw ModRM, and what may follow it: registers, or memory near a pointer."""
    modrm = rng.getrandbits(8)
    if rng.random() < 0.6:
        modrm |= 0xC0
    elif rng.random() < 0.8:
        modrm = modrm & 0x38 | rng.choice((0x00, 0x40)) | rng.choice((1, 2, 3, 6, 7))
    offset = rng.choice((0, 0x10, 0x20, rng.getrandbits(8)))
    rest = (rng.choice((rng.getrandbits(8), rng.randrange(64))) for _ in range(10))
    return bytes([modrm, offset, *rest])


# --- values -------------------------------------------------------------------


def _general(rng: random.Random, bits: Bits) -> int:
    kind = rng.random()
    if kind < 0.55:
        return DATA + 256 + 16 * rng.randrange(32)
    if kind < 0.65:
        return DATA + 256 + rng.randrange(512)
    value = rng.getrandbits(rng.choice((1, 4, 8, 16, 31, 32, 63, 64)))
    return (-value if rng.random() < 0.3 else value) & ((1 << bits) - 1)


_SINGLES: Final = (
    *(0, 0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7FA00001),
    *(0x00000001, 0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0x4F000000, 0xCF000000, 0x3F000001),
)
_DOUBLES: Final = (
    *(0, 1 << 63, 0x3FF0 << 48, 0xBFF0 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 0x7FF8 << 48, 1),
    *(0x800FFFFFFFFFFFFF, 0x0010 << 48, 0x7FEFFFFFFFFFFFFF, 0x41E0 << 48, 0xC1E0 << 48),
    *(0x43E0 << 48, 0x7FF0000000000001, 0x3FF8 << 48),
)


def _vector(rng: random.Random) -> int:
    match rng.randrange(6):
        case 0:
            return rng.getrandbits(128)
        case 1:
            return _lanes([rng.choice(_SINGLES) for _ in range(4)], 32)
        case 2:
            return _lanes([rng.choice(_DOUBLES) for _ in range(2)], 64)
        case 3:
            return _lanes([_ordinary(rng, 23, range(118, 140)) for _ in range(4)], 32)
        case 4:
            return _lanes([_ordinary(rng, 52, range(1000, 1060)) for _ in range(2)], 64)
    return _lanes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.getrandbits(8))) for _ in range(16)], 8)


def _lanes(values: list[int], bits: int) -> int:
    return sum(value << bits * n for n, value in enumerate(values))


def _ordinary(rng: random.Random, fraction: int, exponents: range) -> int:
    """Draw a floating-point number whose size is nothing special."""
    sign = rng.getrandbits(1) << (31 if fraction == 23 else 63)
    return sign | rng.choice(exponents) << fraction | rng.getrandbits(fraction)


def _extended(rng: random.Random) -> tuple[int, int]:
    """Draw a number of 80 bits: mantissa; sign and exponent."""
    sign, one = rng.getrandbits(1) << 15, 1 << 63
    match rng.randrange(8):
        case 0:
            return 0, sign
        case 1:
            return one, 0x7FFF | sign
        case 2:
            return one | 1 << 62 | rng.getrandbits(62), 0x7FFF | sign
        case 3:
            return rng.getrandbits(63), sign
    fraction = rng.getrandbits(rng.choice((0, 8, 63)))
    return one | fraction, 0x3FFF + rng.randrange(-40, 70) | sign
