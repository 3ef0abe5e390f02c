"""Instructions by chance for a block: none faults, and each says which flags it leaves undefined.

What Unicorn is known to get wrong is not among them, since the kernel is judged here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from live.draw_vector import ROWS as VEX
from live.draw_vector import draw_fields
from live.kernel import DATA, Bits

LEAP: Final = 3
"""Bytes behind an instruction that a branch leaps over."""
STACK: Final = DATA + 0x280
OPERANDS: Final = range(0x40, 0x180, 16)
"""Where pointers point to: offsets in the data, all aligned for SSE."""
POINTERS: Final = {64: (3, 6, 7, 9, 14), 32: (3, 6, 7)}
"""Registers that hold such an address. rbp points to where a stack may be, rcx is below 4."""
SP: Final = 4

CF, PF, AF, ZF, SF, OF = 1, 4, 0x10, 0x40, 0x80, 0x800
ALL: Final = CF | PF | AF | ZF | SF | OF


@dataclass(frozen=True)
class Drawn:
    """An instruction, and what it needs around it."""

    code: bytes
    before: bytes = b""
    """Executed first, without a probe."""
    undefined: int = AF
    """Flags that no two processors need to have alike."""


class Draw:
    """Choose instructions for tasks of *bits*, the same for the same seed."""

    def __init__(self, bits: Bits, seed: int, *, vectors: bool = False) -> None:
        """Choose among vector instructions only, or among all others."""
        self.bits = bits
        self.random = Random(f"{bits} {seed}")
        self.wide = bits == 64
        self._kinds = (Draw.vex,) if vectors else _KINDS

    def instruction(self, at: int) -> Drawn:
        """Choose one; what comes before it will lie at *at*."""
        kind = self.random.choice(self._kinds)
        return kind(self, at)

    # --- branches, the stack ------------------------------------------------

    def jcc(self, at: int) -> Drawn:
        """Jump on each condition, forward or back."""
        condition = self.random.randrange(16)
        return self._jump(at, bytes([0x70 | condition]), bytes([0x0F, 0x80 | condition]))

    def jmp(self, at: int) -> Drawn:
        return self._jump(at, b"\xeb", b"\xe9")

    def loop(self, at: int) -> Drawn:
        """Loop by ecx or rcx, or jump if it is zero."""
        opcode = bytes([self.random.choice((0xE0, 0xE1, 0xE2, 0xE3))])
        lead = self.random.choice((b"", b"", b"\x67", b"\x64", *((b"\x48",) if self.wide else ())))
        if lead == b"\x67" and not self.wide:
            lead = b""  # by cx: where it is 0 the loop goes on with 65,535
        return self._jump(at, lead + opcode, None)

    def call(self, at: int) -> Drawn:
        lead = self.random.choice((b"", b"", b"\x64", b"\xf2", *((b"\x48",) if self.wide else ())))
        return Drawn(lead + b"\xe8" + LEAP.to_bytes(4, "little"))

    def _jump(self, at: int, short: bytes, near: bytes | None) -> Drawn:
        lead = self.random.choice((b"", b"", b"", b"\xf2", b"\x65"))
        opcode = short if near is None or self.random.random() < 0.5 else near
        size = 1 if opcode is short else 4
        code = lead + opcode
        length = len(code) + size
        if self.random.random() < 0.5:
            return Drawn(code + LEAP.to_bytes(size, "little"))
        # Back to a jump that leads behind everything; what is not taken falls through.
        landing = b"\xeb" + bytes([length + LEAP])
        before = b"\xeb\x02" + landing
        back = -(length + len(landing))
        return Drawn(code + back.to_bytes(size, "little", signed=True), before)

    def push(self, at: int) -> Drawn:
        """Push every register, also in the forms that are not emulated."""
        rexes = (b"", b"\x41", b"\x41", b"\x40", b"\x48", b"\x49") if self.wide else (b"",)
        lead = self.random.choice((b"", b"", b"", b"\x66", b"\xf3")) + self.random.choice(rexes)
        return Drawn(lead + bytes([0x50 | self.random.randrange(8)]))

    def pop(self, at: int) -> Drawn:
        rex = self.random.choice((b"", b"\x41")) if self.wide else b""
        names = range(8) if rex else [name for name in range(8) if name != SP]
        return Drawn(rex + bytes([0x58 | self.random.choice(names)]))

    def ret(self, at: int) -> Drawn:
        """Return behind what is leapt over, with and without an immediate."""
        codes = [b"\xc3", b"\xf3\xc3", b"\xc2\x08\x00", b"\xc2\x10\x00"]
        codes += [b"\x48\xc3", b"\xf2\xc3"] if self.wide else []
        code = self.random.choice(codes)
        target = at + 5 + len(code) + LEAP
        return Drawn(code, b"\x68" + target.to_bytes(4, "little"))

    def indirect(self, at: int) -> Drawn:
        """Call or jump by register or by memory."""
        member = self.random.choice((2, 4))
        if self.random.random() < 0.5:
            number = self.random.choice([n for n in range(16 if self.wide else 8) if n & 7 != SP])
            rex = bytes([0x41]) if number >= 8 else b""
            code = rex + bytes([0xFF, 0xC0 | member << 3 | number & 7])
            move = rex + bytes([0xB8 | number & 7])
            target = at + len(move) + 4 + len(code) + LEAP
            return Drawn(code, move + target.to_bytes(4, "little"))
        where = DATA + self.random.choice(OPERANDS)
        move = b"\x48\xc7\x04\x25" if self.wide else b"\xc7\x05"
        end = at + len(move) + 8
        lead = self.random.choice((b"", b"", b"\x64", b"\x48")) if self.wide else b""
        modrm = bytes([member << 3 | 5])
        if self.wide and self.random.random() < 0.5:
            code = lead + b"\xff" + bytes([member << 3 | 4, 0x25]) + where.to_bytes(4, "little")
        else:
            base = end + len(lead) + 6 if self.wide else 0
            relative = (where - base).to_bytes(4, "little", signed=True)
            code = lead + b"\xff" + modrm + relative
        target = end + len(code) + LEAP
        return Drawn(code, move + where.to_bytes(4, "little") + target.to_bytes(4, "little"))

    def popf(self, at: int) -> Drawn:
        """Pop flags without TF; direction and identification are among them."""
        flags = self.random.randrange(1 << 12) & 0xCD5 | 0x202
        return Drawn(
            self.random.choice((b"\x9d", b"\x9d", b"\xf3\x9d")),
            b"\x68" + flags.to_bytes(4, "little"),
        )

    # --- what has neither operands nor needs --------------------------------

    def nop(self, at: int) -> Drawn:
        """Choose a no-op of any length, recognised as one or not, and what is taken for one."""
        codes = _NOPS + (_NOPS_64 if self.wide else "")
        return Drawn(bytes.fromhex(self.random.choice(codes.split())))

    def implicit(self, at: int) -> Drawn:
        codes = _IMPLICIT + (_IMPLICIT_64 if self.wide else _IMPLICIT_32)
        code = bytes.fromhex(self.random.choice(codes.split()))
        return Drawn(code, undefined=ALL if code in _ADJUST else AF)

    def string(self, at: int) -> Drawn:
        repeat = self.random.choice((b"", b"\xf3", b"\xf2"))
        width = self.random.choice((b"", b"\x66", *((b"\x48",) if self.wide else ())))
        opcode = self.random.choice((0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF))
        lead = repeat + width
        return Drawn(lead + bytes([opcode]))

    def register_in_opcode(self, at: int) -> Drawn:
        """xchg with the accumulator, mov of an immediate, bswap."""
        rexes = (b"", b"\x48", b"\x41", b"\x49") if self.wide else (b"",)
        rex = self.random.choice(rexes)
        low = self.random.choice([n for n in range(8) if n != SP])
        if self.random.random() < 0.3:
            return Drawn(rex + bytes([0x0F, 0xC8 | low]))
        first = self.random.choice((0x90, 0xB0, 0xB8))
        size = {0x90: 0, 0xB0: 1, 0xB8: 8 if rex in (b"\x48", b"\x49") else 4}[first]
        return Drawn(rex + bytes([first | low]) + self.random.randbytes(size))

    # --- what has a ModRM byte ----------------------------------------------

    def integer(self, at: int) -> Drawn:
        """Choose an integer instruction, a prefix, and the width."""
        opcode, immediate, member, undefined = self._integer_opcode()
        prefix = self.random.choice((b"", b"", b"", b"", b"\x66", *self._meaningless()))
        # Unicorn takes REX.R, which means nothing where ModRM.reg is of the opcode, for illegal.
        rexes = (0, 8) if member is not None else (0, 4, 8, 12)
        rex = 0x40 | self.random.choice(rexes) if self.wide and self.random.random() < 0.6 else 0
        if prefix == b"\x66" and immediate == 4 and not rex & 8:
            immediate = 2
        low = [n for n in range(8) if n != SP or rex & 4]
        reg = member if member is not None else self.random.choice(low)
        if opcode == _LEA or self.random.random() < 0.75:
            rex, operand = self._memory(at + len(prefix + opcode), rex, reg, immediate)
        else:
            rex |= self.random.randrange(2) if rex else 0
            rm = self.random.choice([n for n in range(8) if n != SP or rex & 1])
            operand = bytes([0xC0 | reg << 3 | rm])
        code = prefix + _byte(rex) + opcode + operand + self.random.randbytes(immediate)
        return Drawn(code, undefined=undefined)

    def _meaningless(self) -> tuple[bytes, ...]:
        """List prefixes that change no address here; a 32-bit task has no fs and gs."""
        return (b"\x64", b"\x65", b"\x67") if self.wide else ()

    def _integer_opcode(self) -> tuple[bytes, int, int | None, int]:
        """Choose opcode, size of its immediate, ModRM.reg if it is of the opcode, and flags.

        Not 0f b1: where cmpxchg fails, Unicorn clears the upper half of the register.
        Not 0f 18 with a register, either, which Unicorn takes for illegal.
        """
        random = self.random
        arithmetic = random.randrange(8)
        two = random.choice((*range(0x40, 0x50), 0xB6, 0xB7, 0xBE, 0xBF, 0xC0, 0xC1, 0xB0))
        bit_test = random.choice((4, 5, 6, 7))
        return random.choice(
            (
                (bytes([arithmetic << 3 | random.randrange(4)]), 0, None, AF),
                (bytes([random.choice(range(0x84, 0x8C))]), 0, None, AF),
                (_LEA, 0, None, AF),
                (bytes([0x0F, two]), 0, None, AF),
                (bytes([0x0F, 0x90 | random.randrange(16)]), 0, 0, AF),
                (bytes([random.choice((0x80, 0x83))]), 1, arithmetic, AF),
                (b"\xc6", 1, 0, AF),
                (bytes([random.choice((0xD0, 0xD1))]), 0, random.choice(_SHIFTS), AF),
                (bytes([random.choice((0xD2, 0xD3))]), 0, random.choice(_SHIFTS), AF | OF),
                (bytes([random.choice((0xC0, 0xC1))]), 1, random.choice(_SHIFTS), AF | OF | CF),
                (bytes([random.choice((0xF6, 0xF7))]), 0, random.choice((2, 3)), AF),
                (bytes([random.choice((0xF6, 0xF7))]), 0, random.choice((4, 5)), ALL & ~CF & ~OF),
                (bytes([random.choice((0xFE, 0xFF))]), 0, random.choice((0, 1)), AF),
                (b"\xff", 0, 6, AF),
                (b"\x8f", 0, 0, AF),
                (b"\x0f\xba", 1, bit_test, ALL & ~CF & ~ZF),
                (b"\x0f\xaf", 0, None, ALL & ~CF & ~OF),
                (b"\x69", 4, None, ALL & ~CF & ~OF),
                (b"\x6b", 1, None, ALL & ~CF & ~OF),
                (b"\x81", 4, arithmetic, AF),
                (b"\xc7", 4, 0, AF),
            )
        )

    def divide(self, at: int) -> Drawn:
        """Divide by what cannot overflow."""
        before = b"\x31\xd2\xb9" + self.random.randrange(2, 1 << 31).to_bytes(4, "little")
        rex = self.random.choice((b"", b"\x40")) if self.wide else b""
        return Drawn(rex + b"\xf7" + self.random.choice((b"\xf1", b"\xf9")), before, ALL)

    def x87(self, at: int) -> Drawn:
        """Store in some format what was loaded from memory.

        Not by fisttp: Unicorn's is wrong where the integer has no room for it.
        """
        where = (DATA + self.random.choice(OPERANDS)).to_bytes(4, "little")
        absolute = b"\x04\x25" if self.wide else b"\x05"
        before = b"\xdb\xe3\xdd" + absolute + where
        first, member = self.random.choice(
            ((0xD9, 3), (0xDD, 3), (0xDD, 2), (0xDB, 7), (0xDB, 3), (0xDF, 7))
        )
        _, operand = self._memory(at + len(before) + 1, 0, member, 0)
        return Drawn(bytes([first]) + operand, before)

    def sse(self, at: int) -> Drawn:
        """Choose an SSE instruction of the first four xmm registers or memory."""
        random = self.random
        prefix, opcode, immediate, memory = random.choice(_SSE)
        rex = random.choice((0, 0, 0x40, 0x48)) if self.wide else 0
        reg = random.randrange(4)
        if memory or (memory is None and random.random() < 0.7):
            start = at + len(prefix + opcode) + 1
            rex, operand = self._memory(start, rex, reg, immediate, aligned=True)
        else:
            rm = random.choice([n for n in range(4) if n != reg or opcode not in _HORIZONTAL])
            operand = bytes([0xC0 | reg << 3 | rm])
        code = prefix + _byte(rex) + b"\x0f" + opcode + operand + random.randbytes(immediate)
        return Drawn(code)

    def vex(self, at: int) -> Drawn:
        """Choose an instruction with a VEX prefix."""
        random = self.random
        row = random.choice(VEX)
        reg, _, prefix = draw_fields(random, row, self.bits)
        if random.random() < 0.7:
            _, operand = self._memory(
                at + len(prefix) + 1, 0, reg, row.immediate, aligned=not row.general
            )
        else:
            rm = random.choice([n for n in range(8) if n != SP or not row.general])
            operand = bytes([0xC0 | reg << 3 | rm])
        code = prefix + bytes([row.opcode]) + operand + bytes([LEAP] * row.immediate)
        return Drawn(code, undefined=AF | PF | SF if row.general else AF)

    def _memory(
        self, at: int, rex: int, reg: int, immediate: int, *, aligned: bool = False
    ) -> tuple[int, bytes]:
        """Choose an addressing form; half are relative to ip, or absolute in a 32-bit task.

        *at* is where ModRM is but for REX. Answer REX, with the base in it, and the bytes.
        """
        random = self.random
        displacement = random.randrange(0, 0x20, 16 if aligned else 1)
        kind = random.randrange(8)
        if kind < 4:
            target = DATA + random.choice(OPERANDS) + (0 if aligned else random.randrange(16))
            base = at + bool(rex) + 5 + immediate if self.wide else 0
            relative = (target - base).to_bytes(4, "little", signed=True)
            # REX.B means nothing here; the kernel clears it all the same.
            return rex | (random.randrange(2) if rex else 0), bytes([reg << 3 | 5]) + relative
        if kind == 4:
            return rex, bytes([0x44 | reg << 3, 0x24, displacement])  # the stack
        if kind == 5 and not aligned:  # rcx as index
            scaled = random.randrange(4) << 6 | 1 << 3 | random.choice((3, 6, 7))
            return rex, bytes([0x44 | reg << 3, scaled, displacement])
        if kind == 6:
            base = random.choice((3, 5, 6, 7))
            return rex, bytes([0x80 | reg << 3 | base]) + displacement.to_bytes(4, "little")
        base = random.choice(POINTERS[64 if rex else 32])
        return rex | base >> 3, bytes([0x40 | reg << 3 | base & 7, displacement])


def _byte(rex: int) -> bytes:
    return bytes([rex]) if rex else b""


_LEA: Final = b"\x8d"
_HORIZONTAL: Final = frozenset(bytes([0x38, opcode]) for opcode in (1, 2, 3, 5, 6, 7))
"""phaddw to phsubsw: Unicorn reads of its source what it has written, if both are one."""

_KINDS: Final[tuple[Callable[[Draw, int], Drawn], ...]] = (
    *(Draw.integer,) * 9,
    *(Draw.sse,) * 4,
    *(Draw.jcc,) * 3,
    *(Draw.nop,) * 2,
    *(Draw.push,) * 2,
    *(Draw.indirect,) * 2,
    Draw.divide,
    Draw.x87,
    Draw.jmp,
    Draw.loop,
    Draw.call,
    Draw.pop,
    Draw.ret,
    Draw.popf,
    Draw.implicit,
    Draw.string,
    Draw.register_in_opcode,
)

_SHIFTS: Final = (0, 1, 2, 3, 4, 5, 7)

_NOPS: Final = (
    "90 6690 666690 f390 f290 0f1f00 0f1f01 0f1f4000 0f1f4001 0f1f440000 0f1f440001 0f1fc0 "
    "660f1f00 660f1f440000 660f1f4000 0f1f8000000000 0f1f840000000000 660f1f840000000000 "
    "6666666690 f3f3f3f390 0f1e00 f30f1efa f30f1efb 0f1800 0f0d00 d9d0 87db 89c0 8d00 "
    "8d4000 8d7600 8db600000000 0f1f840100000000"
)
_NOPS_64: Final = " 4090 4890 4190 4990 4d90 664190 48f390 488d7600 4889c0 4887db 48660f1f00"

_IMPLICIT: Final = (
    "98 99 f5 f8 f9 fc fd 9e 9f c9 c8100000 c8000001 d7 6698 6699 9c 669c 6a7f 6a80 "
    "6812345678 a810 a900000080 0402 2c03 dbe3 dfe0"
)
_IMPLICIT_64: Final = " 4898 4899 489c 409c 649c f39c"
_IMPLICIT_32: Final = " 60 37 3f 27 2f d40a d50a d6 40 48 47 4f"
_ADJUST: Final = frozenset(bytes.fromhex(code) for code in ["37", "3f", "27", "2f", "d40a", "d50a"])


def _sse_rows() -> tuple[tuple[bytes, bytes, int, bool | None], ...]:
    """List prefix, opcode, size of the immediate, and whether there must be memory or none.

    Not rcpps and rsqrtps, which every processor approximates in its own way.
    """
    rows = list[tuple[bytes, bytes, int, bool | None]]()
    arithmetic = (0x51, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F)
    for opcode in (*arithmetic, 0x10, 0x11, 0x14, 0x15, 0x28, 0x29, 0x2E, 0x2F):
        rows += [(prefix, bytes([opcode]), 0, None) for prefix in (b"", b"\x66")]
    for opcode in (0x10, 0x11, 0x51, 0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0x5F):
        rows += [(prefix, bytes([opcode]), 0, None) for prefix in (b"\xf3", b"\xf2")]
    for opcode in (0x2A, 0x2C, 0x2D):
        rows += [(prefix, bytes([opcode]), 0, None) for prefix in (b"\xf3", b"\xf2")]
    rows += [(b"\xf2", bytes([0x38, opcode]), 0, None) for opcode in (0xF0, 0xF1)]
    packed = (*range(0x60, 0x70), 0x74, 0x75, 0x76, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5)
    packed += (*range(0xD8, 0xE6), *range(0xE8, 0xF0), *range(0xF1, 0xF7), *range(0xF8, 0xFF))
    rows += [(b"\x66", bytes([opcode]), 0, None) for opcode in packed]
    rows += [(b"\x66", bytes([opcode]), 0, True) for opcode in (0x12, 0x13, 0x16, 0x17, 0xD6, 0x7F)]
    rows += [(b"\xf3", bytes([opcode]), 0, None) for opcode in (0x6F, 0x7E, 0x7F, 0x12, 0x16)]
    rows += [(prefix, b"\x70", 1, None) for prefix in (b"\x66", b"\xf2", b"\xf3")]
    rows += [(prefix, b"\xc6", 1, None) for prefix in (b"", b"\x66")]
    rows += [(b"\x66", b"\x38" + bytes([opcode]), 0, None) for opcode in _SSE_38]
    rows += [(b"\x66", b"\x3a" + bytes([opcode]), 1, None) for opcode in (0x0E, 0x0F, 0x0C, 0x0D)]
    rows += [(prefix, b"\x50", 0, False) for prefix in (b"", b"\x66")]
    rows += [(b"\x66", b"\xd7", 0, False)]
    return tuple(rows)


_SSE_38: Final = (*range(12), 0x1C, 0x1D, 0x1E, *range(32, 38), 0x28, 0x29, *range(48, 54))
_SSE: Final = _sse_rows()
