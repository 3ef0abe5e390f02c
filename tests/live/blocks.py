"""A program of many blocks: set everything, execute one instruction, show what it left.

In front of each block is another instruction to probe, which puts the block's
number into the slot: if the slot has it still, the block's own was not stepped.
A program without probes has no slots, and shows none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from elf_maker import PAGE, Elf, R, Segment, W, X
from live.draw import ALL, LEAP, OPERANDS, POINTERS, SP, STACK, Draw, Drawn
from live.kernel import CODE, DATA, EXIT, MACHINE, WAIT, Bits
from uprobes_sim.arch import Abi

SHOWN: Final = 0x300
"""Bytes of data that each block writes: memory, the stack with the registers, xmm0 to xmm3."""
SLOT_BYTES: Final = 16
SLOT_AT: Final = {64: 0x7FFF_FFFF_E080, 32: 0xFFFF_D080}
"""Where the first free slot is: the page is the highest of a program whose stack is not there."""
_TEMPLATE: Final = DATA + PAGE // 2
_XMM_AT: Final = DATA + 0x2C0
_BEHIND: Final = {64: bytes.fromhex("48ffc3"), 32: bytes.fromhex("434343")}
"""inc %rbx, or three times inc %ebx: what a branch leaps over."""
_WRITE: Final = {64: "b801000000 bf%s 48be%s ba%s 0f05", 32: "b804000000 bb%s b9%s ba%s cd80"}
_DIRECTION: Final = 0x400

assert all(len(code) == LEAP for code in _BEHIND.values())


@dataclass(frozen=True)
class Blocks:
    """The program, and where its instructions and those that mark the slot are."""

    path: Path
    bits: Bits
    markers: list[int]
    offsets: list[int]
    drawn: list[Drawn]

    @property
    def sites(self) -> list[int]:
        """Offsets of all probes, in the order in which they are hit."""
        return [site for both in zip(self.markers, self.offsets, strict=True) for site in both]


def write_blocks(path: Path, bits: Bits, seed: int, count: int, *, vectors: bool = False) -> Blocks:
    """Write a program of *count* blocks, the same for the same seed."""
    draw = Draw(bits, seed, vectors=vectors)
    return write_drawn(path, bits, [draw.instruction] * count, seed)


def write_drawn(
    path: Path, bits: Bits, choose: Sequence[Callable[[int], Drawn]], seed: int
) -> Blocks:
    """Write a program of one block for each of *choose*, which is told where it will lie."""
    random = Random(f"registers {bits} {seed}")
    text = bytearray(WAIT[bits])
    found = Blocks(path, bits, [], [], [])
    for number, instruction in enumerate(choose):
        found.markers.append(PAGE + len(text))
        text += marker(number) + _reset(bits) + _set_registers(random, bits)
        drawn = instruction(CODE + len(text))
        text += drawn.before
        found.offsets.append(PAGE + len(text))
        found.drawn.append(drawn)
        text += drawn.code + _BEHIND[bits] + _show(bits, drawn.undefined)
    text += EXIT[bits]
    assert len(text) <= DATA - CODE
    _write(path, bytes(text), random.randbytes(PAGE // 2), bits)
    return found


def marker(number: int) -> bytes:
    """Make what is probed in front of a block: it is stepped, and like no other."""
    return b"\xb8" + number.to_bytes(4, "little")


def _write(path: Path, text: bytes, template: bytes, bits: Bits) -> None:
    """Write the executable; *template* is what a block finds in memory."""
    data = Segment(DATA, bytes(PAGE // 2) + template, flags=R | W)
    elf = Elf(
        segments=(Segment(CODE, text, flags=R | X), data),
        abi=Abi(bits, "little"),
        machine=MACHINE[bits],
        entry=CODE,
    )
    path.write_bytes(elf.build())
    path.chmod(0o755)


def _reset(bits: Bits) -> bytes:
    """Clear the direction, fill memory, load xmm0 to xmm7, and empty the floating-point stack."""
    code = b"\xfc\xbe" + _TEMPLATE.to_bytes(4, "little") + b"\xbf" + DATA.to_bytes(4, "little")
    code += b"\xb9" + (SHOWN // 4).to_bytes(4, "little") + b"\xf3\xa5\xdb\xe3"
    return code + b"".join(_xmm(n, bits, b"\x10", _TEMPLATE) for n in range(8))


def _xmm(number: int, bits: Bits, opcode: bytes, at: int) -> bytes:
    """Load (10) an xmm register from its place behind *at*, or store it there (11)."""
    where = (at + 16 * number).to_bytes(4, "little")
    modrm = bytes([number << 3 | 4, 0x25]) if bits == 64 else bytes([number << 3 | 5])
    return b"\x0f" + opcode + modrm + where


def _set_registers(random: Random, bits: Bits) -> bytes:
    flags = random.randrange(1 << 12) & ALL | 0x202
    if random.random() < 0.2:
        flags |= _DIRECTION
    values = [random.getrandbits(bits) for _ in range(16 if bits == 64 else 8)]
    values[1] = random.randrange(4)  # rcx counts repetitions
    for pointer in POINTERS[bits]:
        values[pointer] = DATA + random.choice(OPERANDS)
    values[SP], values[5] = STACK, DATA + random.randrange(0x180, 0x200, 16)
    code = _move(SP, STACK, bits) + b"\x68" + flags.to_bytes(4, "little") + b"\x9d"
    return code + b"".join(_move(at, value, bits) for at, value in enumerate(values))


def _move(number: int, value: int, bits: Bits) -> bytes:
    rex = bytes([0x48 | number >> 3]) if bits == 64 else b""
    return rex + bytes([0xB8 | number & 7]) + value.to_bytes(bits // 8, "little")


def _show(bits: Bits, undefined: int) -> bytes:
    """Push the defined flags and all registers, store xmm0 to xmm3; write it all, and the slot."""
    code = b"\x9c\x81\x24\x24" + (0xFFFF_FFFF & ~undefined).to_bytes(4, "little")
    code += bytes(range(0x50, 0x58))
    if bits == 64:
        code += b"".join(bytes([0x41, 0x50 | at]) for at in range(8))
    code += b"".join(_xmm(n, bits, b"\x11", _XMM_AT) for n in range(4))
    return code + _write_out(1, DATA, SHOWN, bits) + _write_out(2, SLOT_AT[bits], SLOT_BYTES, bits)


def _write_out(fd: int, start: int, size: int, bits: Bits) -> bytes:
    arguments = (
        value.to_bytes(width, "little").hex()
        for value, width in ((fd, 4), (start, bits // 8), (size, 4))
    )
    return bytes.fromhex(_WRITE[bits] % tuple(arguments))
