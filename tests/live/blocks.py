"""A program of many blocks: set all registers, execute one instruction, show what it left.

No instruction faults, none leaves a flag undefined but AF, which is not shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from elf_maker import PAGE
from live.kernel import CODE, DATA, EXIT, WAIT, Bits, write_program

SHOWN: Final = 0x200
"""Bytes of data that each block writes: the stack with the registers, and what memory it has."""
_STACK: Final = DATA + 0x180
_XMM0_AT: Final = DATA + 0x1E0
_BEHIND: Final = {64: bytes.fromhex("48ffc3"), 32: bytes.fromhex("434343")}
"""inc %rbx, or three times inc %ebx: what a branch leaps over."""
_LEAP: Final = 3
_SP: Final = 4
_NAMES: Final = tuple(number for number in range(8) if number != _SP)


@dataclass(frozen=True)
class Blocks:
    """The program, and where its instructions are."""

    path: Path
    offsets: list[int]
    codes: list[bytes]


def write_blocks(path: Path, bits: Bits, seed: int, count: int) -> Blocks:
    """Write a program of *count* blocks, the same for the same seed."""
    random = Random(seed)
    text, offsets, codes = bytearray(WAIT[bits]), list[int](), list[bytes]()
    for _ in range(count):
        text += _set_registers(random, bits)
        code = _instruction(random, bits, CODE + len(text))
        if code[:1] in (b"\xc3", b"\xff") and code in _FAR[bits]:
            text += _FAR[bits][code](CODE + len(text))
        offsets.append(PAGE + len(text))
        codes.append(code)
        text += code + _BEHIND[bits] + _show(bits)
    text += EXIT[bits]
    return Blocks(write_program(path, bytes(text), bits), offsets, codes)


def _move(number: int, value: int, bits: Bits) -> bytes:
    rex = bytes([0x48 | number >> 3]) if bits == 64 else b""
    return rex + bytes([0xB8 | number & 7]) + value.to_bytes(bits // 8, "little")


def _set_registers(random: Random, bits: Bits) -> bytes:
    flags = random.randrange(1 << 12) & 0x8D5 | 0x202
    values = [random.getrandbits(bits) for _ in range(16 if bits == 64 else 8)]
    values[1] = random.randrange(4)  # rcx counts repetitions
    for pointer in (3, 6, 7):
        values[pointer] = DATA + random.randrange(0x40, 0xA0)
    values[_SP], values[5] = _STACK, DATA + random.randrange(0x100, 0x140)
    code = _move(_SP, _STACK, bits) + b"\x68" + flags.to_bytes(4, "little") + b"\x9d"
    return code + b"".join(_move(at, value, bits) for at, value in enumerate(values))


def _show(bits: Bits) -> bytes:
    """Push the flags but AF and all registers, store xmm0, write it all."""
    code = b"\x9c\x81\x24\x24" + (0xFFFF_FFFF & ~0x10).to_bytes(4, "little")
    code += bytes(range(0x50, 0x58))
    absolute = b"\xf3\x0f\x7f\x05"
    write = "b804000000bb01000000b900006000ba00020000cd80"
    if bits == 64:
        code += b"".join(bytes([0x41, 0x50 | at]) for at in range(8))
        absolute = b"\xf3\x0f\x7f\x04\x25"
        write = "b801000000bf01000000be00006000ba000200000f05"
    return code + absolute + _XMM0_AT.to_bytes(4, "little") + bytes.fromhex(write)


_FAR: Final[dict[Bits, dict[bytes, Callable[[int], bytes]]]] = {
    bits: {
        b"\xc3": lambda at: b"\x68" + (at + 5 + 1 + _LEAP).to_bytes(4, "little"),
        b"\xff\xe2": lambda at: b"\xba" + (at + 5 + 2 + _LEAP).to_bytes(4, "little"),
        b"\xff\xd2": lambda at: b"\xba" + (at + 5 + 2 + _LEAP).to_bytes(4, "little"),
    }
    for bits in (64, 32)
}
"""What comes before a return, or a jump or call by edx, so that it leaps as well."""

_CONSTANT: Final = (
    "90 f390 6690 0f1f00 0f1f440000 0f1f840000000000 f30f1efa 9c c9 98 99 f5 f8 f9 fc 9e 9f "
    "a4 a5 aa ab ac a6 ae f3a4 f3aa f3a6 f2ae eb03 e903000000 e803000000 e003 e103 e203 e303 "
    "c3 ffe2 ffd2 660f6ec2 f30f6f07 660fefc0 660ffec0 660f70c01b f20f2ac2 f30f7f06"
)
_MOVE_IMMEDIATE: Final = (b"\xc6", b"\xc7")
_ONLY_64: Final = "4190 4990 4150 4157 415e 4855 66480f7ec0 66480f6ec0"


def _instruction(random: Random, bits: Bits, at: int) -> bytes:
    """Choose an instruction that will lie at about *at*."""
    kind = random.randrange(10)
    if kind < 2:
        codes = f"{_CONSTANT} {_ONLY_64}" if bits == 64 else _CONSTANT
        return bytes.fromhex(random.choice(codes.split()))
    if kind == 2:
        return _register_in_opcode(random)
    if kind == 3:
        condition = bytes([0x70 | random.randrange(16), _LEAP])
        near = bytes([0x0F, condition[0] + 0x10, _LEAP, 0, 0, 0])
        return random.choice((condition, near))
    opcode, immediate, member = _with_modrm(random)
    prefix = b"\x66" if random.random() < 0.1 and immediate < 4 else b""
    rex = 0
    if bits == 64 and random.random() < 0.6:
        # Unicorn takes c6 and c7 with REX.R, which means nothing there, for illegal.
        rex = 0x40 | random.choice((0, 8) if opcode in _MOVE_IMMEDIATE else (0, 4, 8, 12))
    reg = member if member is not None else random.choice(_NAMES)
    lead = prefix + (bytes([rex]) if rex else b"") + opcode
    operand = _operand(random, bits, reg, registers=opcode != b"\x8d", lead=len(lead), at=at)
    return lead + operand(immediate) + random.randbytes(immediate)


def _register_in_opcode(random: Random) -> bytes:
    number = random.choice(_NAMES)
    first = random.choice((0x50, 0x58, 0x90, 0xB8))
    return bytes([first | number]) + (random.randbytes(4) if first == 0xB8 else b"")


def _with_modrm(random: Random) -> tuple[bytes, int, int | None]:
    """Choose an opcode: bytes, size of its immediate, ModRM.reg if that is part of it.

    Not 0f b1: where cmpxchg fails, Unicorn clears the upper half of the register.
    """
    arithmetic = random.randrange(8)
    two = random.choice((*range(0x40, 0x50), 0xB6, 0xB7, 0xBE, 0xBF, 0xC0, 0xC1, 0xB0))
    return random.choice(
        (
            (bytes([arithmetic << 3 | random.randrange(4)]), 0, None),
            (bytes([random.choice((0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B))]), 0, None),
            (b"\x8d", 0, None),
            (bytes([0x0F, two]), 0, None),
            (bytes([0x0F, 0x90 | random.randrange(16)]), 0, 0),
            (bytes([random.choice((0x80, 0x83))]), 1, arithmetic),
            (b"\xc6", 1, 0),
            (bytes([random.choice((0xD0, 0xD1))]), 0, random.choice((0, 1, 2, 3, 4, 5, 7))),
            (bytes([random.choice((0xF6, 0xF7))]), 0, random.choice((2, 3))),
            (bytes([random.choice((0xFE, 0xFF))]), 0, random.choice((0, 1))),
            (b"\x81", 4, arithmetic),
            (b"\xc7", 4, 0),
        )
    )


def _operand(
    random: Random, bits: Bits, reg: int, *, registers: bool, lead: int, at: int
) -> Callable[[int], bytes]:
    """Choose ModRM and what follows; the size of an immediate is told later."""
    kind = random.randrange(4)
    if kind == 0 and registers:
        code = bytes([0xC0 | reg << 3 | random.choice(_NAMES)])
    elif kind == 1:
        code = bytes([0x44 | reg << 3, 0x24, random.randrange(0x10)])  # the stack
    elif kind == 2:
        target = DATA + random.randrange(0x40, 0xC0)
        end = at + lead + 5

        def relative(immediate: int) -> bytes:
            base = end + immediate if bits == 64 else 0
            return bytes([reg << 3 | 5]) + (target - base).to_bytes(4, "little", signed=True)

        return relative
    else:
        code = bytes([0x40 | reg << 3 | random.choice((3, 6, 7)), random.randrange(0x20)])
    return lambda immediate: code
