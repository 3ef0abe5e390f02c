"""VEX instructions by chance, of AVX, AVX2, FMA, BMI1 and BMI2.

The kernel takes many of them for something else, and skips them; those after
which a program could not go on are not among them.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from live.kernel import Bits
from uprobes_sim_x86.tables import opcodes

NEEDS: Final = frozenset({"avx", "avx2", "fma", "bmi1", "bmi2"})
"""As /proc/cpuinfo calls what a processor must have."""
_CPUINFO: Final = Path("/proc/cpuinfo")
_NONE: Final = 0
"""vvvv of an instruction that has no second source."""
_SP: Final = 4


class Vex(NamedTuple):
    """An instruction with a VEX prefix, and what may be chosen about it."""

    number: int
    pp: int
    opcode: int
    immediate: bool = False
    """One byte; it is what branches leap over, should it be taken for an offset."""
    sources: bool = True
    """vvvv names a register."""
    member: int | None = None
    """ModRM.reg, if it is of the opcode."""
    general: bool = False
    """Registers are general ones, and flags change."""
    narrow: bool = False
    """Never with L: it is a scalar, or wants memory aligned to 32 bytes."""


def missing() -> frozenset[str]:
    """Tell what this machine's processor lacks."""
    words = frozenset(_CPUINFO.read_text().split()) if _CPUINFO.exists() else frozenset[str]()
    return NEEDS - words


def _rows() -> Iterator[Vex]:
    for pp in range(2):
        for opcode in opcodes("14-15 54-59 5c-5f"):
            yield Vex(1, pp, opcode)
        yield Vex(1, pp, 0xC6, immediate=True)
        for opcode in (0x10, 0x11, 0x51):
            yield Vex(1, pp, opcode, sources=False)
        for opcode in (0x28, 0x29):
            yield Vex(1, pp, opcode, sources=False, narrow=True)
    for opcode in opcodes("63-6b 74-76 7c-7d d0-d3 d8-df e0-e3 e8-e9 eb f2-f3 f5-f6 f8-f9 fc-fe"):
        yield Vex(1, 1, opcode)
    for pp in (1, 2, 3):
        yield Vex(1, pp, 0x70, immediate=True, sources=False)
    for pp in (2, 3):
        for opcode in opcodes("51 58-5a 5c-5f"):
            yield Vex(1, pp, opcode, narrow=True)
    yield Vex(1, 2, 0x7F, sources=False)
    yield Vex(1, 1, 0x7F, sources=False, narrow=True)
    for opcode in opcodes("7c-7d d0"):
        yield Vex(1, 3, opcode)
    yield from _map2()
    for opcode in opcodes("0c-0d 0f 4a-4c 02"):
        yield Vex(3, 1, opcode, immediate=True)
    for opcode in opcodes("04-05"):
        yield Vex(3, 1, opcode, immediate=True, sources=False)
    yield Vex(3, 3, 0xF0, immediate=True, sources=False, general=True, narrow=True)


def _map2() -> Iterator[Vex]:
    for opcode in opcodes("00-05 08-0b 28-29 38-3b 3d 40 45-47 96-98 9c 9e a6-a8 ac b6-b8 bc be"):
        yield Vex(2, 1, opcode)
    for opcode in opcodes("99 9b a9 ad b9 bd bf"):
        yield Vex(2, 1, opcode, narrow=True)
    for opcode in opcodes("1c-1d 20-25 30-35 58-59 78-79"):
        yield Vex(2, 1, opcode, sources=False)
    for pp, opcode in ((0, 0xF2), (0, 0xF5), (2, 0xF5), (3, 0xF5), (3, 0xF6)):
        yield Vex(2, pp, opcode, general=True, narrow=True)
    for pp in range(4):
        yield Vex(2, pp, 0xF7, general=True, narrow=True)
    for member in (1, 2, 3):
        yield Vex(2, 0, 0xF3, member=member, general=True, narrow=True)


ROWS: Final = tuple(_rows())


def draw_fields(random: Random, row: Vex, bits: Bits) -> tuple[int, int, bytes]:
    """Choose ModRM.reg, vvvv and the bytes that follow the prefix's first; R, X and B are clear."""
    registers = [n for n in range(8) if n != _SP or not row.general]
    reg = random.choice(registers) if row.member is None else row.member
    source = random.choice(registers) if row.sources else _NONE
    wide = row.general and bits == 64 and random.random() < 0.5
    high = 0 if row.narrow else random.randrange(2) << 2
    low = wide << 7 | (~source & 0x0F) << 3 | high | row.pp
    if row.number == 1 and random.random() < 0.7:
        return reg, source, bytes([0xC5, 0x80 | low])
    return reg, source, bytes([0xC4, 0xE0 | row.number, low])
