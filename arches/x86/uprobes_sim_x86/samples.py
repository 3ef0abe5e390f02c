"""Instructions for the conformance suite, drawn from the opcode maps.

Without VEX, EVEX and XOP: the host's own processor executes those, if it can, and
tests/live compares them.
"""

from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Final, Literal

from uprobes_sim.arch import Abi
from uprobes_sim.samples import Idioms, InsnSamples, Sample, Spot
from uprobes_sim_x86.insn import MAX_INSN_SIZE, Insn, Undecodable, decode
from uprobes_sim_x86.regs import EXTENDED, GENERAL
from uprobes_sim_x86.tables import (
    INVALID64,
    LEGACY,
    LEGACY_PREFIXES,
    MODRM,
    ONE_BYTE,
    VECTOR_ONLY,
    opcodes,
)

_Bits = Literal[32, 64]

_PP: Final = (b"", b"\x66", b"\xf3", b"\xf2")
_ESCAPES: Final = {"0f": b"\x0f", "0f38": b"\x0f\x38", "0f3a": b"\x0f\x3a"}

_NOT_DRAWN: Final = opcodes("07 0f 17 1f 8e 9a 9c c4-c5 ca-cb cf d5-d6 ea f1 f4")
"""Segments, far transfers, what the engine leaves out; 0f is an escape, c4, c5, d5 are prefixes.

pushf (9c) shows the step bit of a bare step: tests/live compares it.
"""
_NOT_DRAWN_64: Final = INVALID64 | opcodes("40-4f 62")
_NOT_DRAWN_TWO: Final = opcodes(
    "00-09 0b 0e-0f 20-27 30-37 38 3a a1-a2 a9-aa b2 b4-b5 b9 c7 f0 ff 78-79 04 0a 0c 36 39 3b-3f"
)
"""System instructions, time, segments, what is no instruction or differs by processor."""
_VECTOR_OPCODES: Final = opcodes("10-17 28-2f 50-7f c2 c4-c6 d0-fe")
"""Two-byte opcodes of which a prefix makes another instruction."""
_DIGITS: Final = {
    b"\x8f": (0,),
    b"\xc6": (0,),
    b"\xc7": (0,),
    b"\xd9": (0, 1, 2, 3, 5, 7),  # fldenv and fnstenv know where the last instruction lay
    b"\xdd": (0, 1, 2, 3, 7),
    b"\xfe": (0, 1),
    b"\xff": (0, 1, 2, 4, 6),
    b"\x0f\xae": (5, 6, 7),
    b"\x0f\xba": (4, 5, 6, 7),
}
"""ModRM.reg of opcodes of which not every member is drawn."""
_REGISTERS_ONLY: Final = frozenset(
    map(bytes.fromhex, ["0fae", "0f50", "0fd7", "0ff7", "0fc5", "0f71", "0f72", "0f73"])
)
_MEMORY_ONLY: Final = frozenset({b"\x8d", b"\x62", b"\x0f\xc3", b"\x0f\xe7", b"\x0f\x2b"})
_SHIFT_DOUBLE: Final = frozenset({b"\x0f\xa4", b"\x0f\xac"})
"""shld and shrd by a number: relative to ip, Unicorn 2.1.4 is a byte off."""
_BARE: Final = frozenset({b"\xcc", b"\xff", b"\xe0", b"\xe1", b"\xe2", b"\xe3"})
"""Drawn without prefixes: a breakpoint behind one is none to the kernel, 66 shortens ip."""
_STRINGS: Final = opcodes("a4-a7 aa-af")
_BASES: Final = ("bx", "si", "di")
_BASE_NUMBERS: Final = (3, 6, 7)
_WITH_REX_B: Final = ("r11", "r14", "r15")
_FLAGS: Final = 0x202
_FREE_FLAGS: Final = 0xCD5
_SP: Final = 4


@cache
def samples(abi: Abi) -> InsnSamples:
    """Give the samples of tasks of *abi*."""
    bits = abi.bits
    rows = dict(_rows(bits))

    def find(insn: bytes) -> str | None:
        try:
            found = decode(insn[:MAX_INSN_SIZE], bits, as_processor=True)
        except Undecodable:
            return None
        name = _name(found)
        return name if name in rows else None

    def draw(row: str, spot: Spot, random: Random) -> Sample:
        return _Drawer(bits, spot, random).draw(*rows[row])

    general = [name for name in GENERAL if name != "sp"]
    return InsnSamples(
        rows=tuple(rows),
        registers=dict.fromkeys(general + list(EXTENDED if bits == 64 else ()), (1 << bits) - 1),
        find=find,
        draw=draw,
        idioms=Idioms(
            nop=b"\x90",
            call=lambda at, to: b"\xe8" + (to - at - 5).to_bytes(4, "little", signed=True),
            jump=lambda at, to: b"\xe9" + (to - at - 5).to_bytes(4, "little", signed=True),
            ret=b"\xc3",
            syscall=b"\x0f\x05" if bits == 64 else b"\xcd\x80",
        ),
    )


def _rows(bits: _Bits) -> Iterator[tuple[str, tuple[bytes, bytes]]]:
    """List the rows: name, and prefix and opcode."""
    absent = _NOT_DRAWN | LEGACY_PREFIXES | (_NOT_DRAWN_64 if bits == 64 else frozenset())
    for opcode in range(256):
        if opcode not in absent:
            yield f"{opcode:02x}", (b"", bytes([opcode]))
    for (escape, pp), attributes in LEGACY.items():
        for opcode, attribute in enumerate(attributes):
            if _is_drawn(escape, pp, opcode, attribute):
                code = _ESCAPES[escape] + bytes([opcode])
                yield f"{_PP[pp].hex()} {code.hex()}".strip(), (_PP[pp], code)


def _is_drawn(escape: str, pp: int, opcode: int, attribute: int) -> bool:
    if escape == "0f3a" and opcode in range(0x60, 0x64):
        return False  # pcmpestrm and its kin: Unicorn 2.1.4 dies of some operands
    if escape != "0f":
        return bool(attribute & MODRM) and not attribute & VECTOR_ONLY
    if opcode in _NOT_DRAWN_TWO or attribute & VECTOR_ONLY:
        return False
    if opcode in _VECTOR_OPCODES:
        return bool(attribute & MODRM) or (opcode == 0x77 and not pp)
    return not pp


def _name(insn: Insn) -> str:
    """Name the row of an instruction."""
    if insn.vex:
        return "vector"
    code = insn.opcode
    if len(code) == 1 or (len(code) == 2 and code[1] not in _VECTOR_OPCODES):
        return code.hex()
    last = next((each for each in reversed(insn.prefixes) if each in b"\x66\xf3\xf2"), None)
    return code.hex() if last is None else f"{last:02x} {code.hex()}"


class _Drawer:
    """Draws one sample."""

    def __init__(self, bits: _Bits, spot: Spot, random: Random) -> None:
        self._bits = bits
        self._spot = spot
        self._random = random
        self._regs: dict[str, int] = {}
        self._mem: dict[int, bytes] = {}

    def draw(self, prefix: bytes, opcode: bytes) -> Sample:
        """Draw a sample of the row that *prefix* and *opcode* lead to."""
        lead = self._prefixes(prefix, opcode) + opcode
        self._surroundings(opcode)
        code = lead + self._operands(opcode, len(lead)) + self._random.randbytes(12)
        if opcode == b"\xcd":
            code = lead + b"\x81"  # int3 and a system call have opcodes, or numbers, of their own
        elif opcode == b"\xc8":
            code = lead + self._random.randbytes(1) + b"\0\0"  # no nesting: that is the host's
        insn = decode(code[:MAX_INSN_SIZE], self._bits, as_processor=True)
        code = self._relative(code[: insn.length], insn)
        before = self._vectors() if opcode[0] == 0x0F and len(opcode) > 1 else b""
        return Sample(code, self._regs, self._mem, before)

    # --- prefixes -------------------------------------------------------------

    def _prefixes(self, prefix: bytes, opcode: bytes) -> bytes:
        random = self._random
        if opcode in _BARE:
            return prefix
        if opcode[0] in _STRINGS and random.random() < 0.3:
            prefix = random.choice((b"\xf2", b"\xf3"))
        elif not prefix and len(opcode) == 1 and random.random() < 0.1:
            prefix = b"\x66"
        if self._bits == 64 and opcode[0] not in (0x90, 0xC6, 0xC7) and random.random() < 0.4:
            prefix += bytes([0x40 | random.choice((0, 8, 4, 1, 9, 12))])
        return prefix

    # --- operands -------------------------------------------------------------

    def _operands(self, opcode: bytes, lead: int) -> bytes:
        """Choose ModRM and what addresses memory, if the opcode has that."""
        random = self._random
        if not _has_modrm(opcode):
            return b""
        reg = random.choice(_DIGITS.get(opcode, range(8)))
        kind = random.choice((0, 1, 3) if opcode in _SHIFT_DOUBLE else (0, 1, 2, 3))
        if opcode in _REGISTERS_ONLY or (kind == 0 and opcode not in _MEMORY_ONLY):
            return bytes([0xC0 | reg << 3 | random.choice((0, 1, 2, 3, 5, 6, 7))])
        if kind == 1:
            return bytes([0x44 | reg << 3, 0x24, random.randrange(0, 64, 8)])  # the stack
        if kind == 2:
            return bytes([reg << 3 | 5]) + bytes(4)  # relative to ip, or absolute: see below
        base, displacement = random.randrange(3), random.randrange(-64, 64)
        for name in (_BASES[base], _WITH_REX_B[base]):
            if name in _BASES or self._bits == 64:
                self._regs[name] = self._spot.operand - displacement
        return bytes([0x40 | reg << 3 | _BASE_NUMBERS[base], displacement & 0xFF])

    def _relative(self, code: bytes, insn: Insn) -> bytes:
        """Fill in the displacement of an operand without a base."""
        if insn.modrm is None or insn.modrm & 0xC7 != 5:
            return code
        base = self._spot.vaddr + len(code) if self._bits == 64 else 0
        displacement = (self._spot.operand - base).to_bytes(4, "little", signed=True)
        at = insn.modrm_at + 1
        return code[:at] + displacement + code[at + 4 :]

    def _surroundings(self, opcode: bytes) -> None:
        """Give the registers and the memory that implicit operands lie in."""
        random, spot = self._random, self._spot
        near = spot.data.start + random.randrange(0x100, 0x800)
        self._regs["flags"] = _FLAGS | random.getrandbits(12) & _FREE_FLAGS
        self._regs["cx"] = random.choice((0, 1, 1, random.getrandbits(8)))
        if opcode[0] in _STRINGS:
            self._regs |= {"si": spot.operand, "di": near, "cx": random.randrange(2)}
        elif opcode in (b"\xc8", b"\xc9"):
            self._regs["bp"] = spot.stack - 32
        elif opcode == b"\xd7":
            self._regs["bx"] = spot.operand - 128
        elif opcode == b"\xff":
            self._targets()

    def _targets(self) -> None:
        """Let every register, and memory, name code that may be gone to."""
        random, spot = self._random, self._spot
        target = random.choice(spot.code)
        for name in ("ax", "cx", "dx", "bx", "bp", "si", "di", *EXTENDED):
            if self._bits == 64 or name not in EXTENDED:
                self._regs[name] = target
        size = self._bits // 8
        first = max(spot.data.start, min(spot.operand, spot.data.stop - size))
        self._mem[first] = target.to_bytes(size, "little")

    def _vectors(self) -> bytes:
        """Load xmm0 to xmm7 from memory, which is random."""
        code, at = b"", self._spot.data.start
        start = self._spot.vaddr
        for number in range(8):
            modrm = bytes([number << 3 | 5])
            left = 7 * (7 - number)  # bytes of what follows
            base = start - left if self._bits == 64 else 0
            displacement = (at + 16 * number - base).to_bytes(4, "little", signed=True)
            code += b"\x0f\x10" + modrm + displacement
        return code


def _has_modrm(opcode: bytes) -> bool:
    if len(opcode) == 1:
        return bool(ONE_BYTE[opcode[0]] & MODRM)
    escape = opcode[:-1].hex()
    return any(LEGACY[escape, pp][opcode[-1]] & MODRM for pp in range(4))
