"""Every form that the kernel emulates, or rewrites for its slot, by rule."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Final

from live.draw import LEAP, OPERANDS, Drawn
from live.kernel import DATA, Bits

_FLAGS: Final = 8
"""Blocks of each condition: their flags are by chance, so that it holds in some."""
_SP: Final = 4
_RIP_RELATIVE: Final = tuple(
    bytes.fromhex(code)
    for code in ("8b", "03", "8d", "89", "0fb6", "0faf", "0f44", "63", "86", "0fc1", "3b", "85")
)
"""mov, add, lea, store, movzx, imul, cmove, movsxd, xchg, xadd, cmp, test."""


def every_form(bits: Bits) -> list[Callable[[int], Drawn]]:
    """List conditions, pushes and, in a 64-bit task, each register beside each scratch register."""
    fixed: list[Callable[[int], Drawn]] = [
        partial(_fixed, code) for code in _branches_and_pushes(bits)
    ]
    if bits == 32:
        return fixed
    return [
        *fixed,
        *(
            partial(_rip_relative, bytes([rex]) + opcode, reg)
            for rex, opcode, reg in product((0x48, 0x4C, 0x49), _RIP_RELATIVE, range(8))
            if reg != _SP or rex & 0x04
        ),
    ]


def _fixed(code: bytes, at: int) -> Drawn:
    return Drawn(code)


def _branches_and_pushes(bits: Bits) -> Iterator[bytes]:
    near = LEAP.to_bytes(4, "little")
    for condition in range(16):
        for _ in range(_FLAGS):
            yield bytes([0x70 | condition, LEAP])
            yield bytes([0x0F, 0x80 | condition]) + near
    yield bytes([0xEB, LEAP])
    yield b"\xe9" + near
    yield b"\xe8" + near
    for opcode in range(0xE0, 0xE4):
        for _ in range(_FLAGS):
            yield bytes([opcode, LEAP])
    for number in range(8):
        yield bytes([0x50 | number])
        if bits == 64:
            yield bytes([0x41, 0x50 | number])


def _rip_relative(lead: bytes, reg: int, at: int) -> Drawn:
    """Address the data; imul leaves flags undefined."""
    target = DATA + OPERANDS[reg]
    relative = target - (at + len(lead) + 5)
    code = lead + bytes([reg << 3 | 5]) + relative.to_bytes(4, "little", signed=True)
    return Drawn(code, undefined=0xD4 if lead.endswith(b"\x0f\xaf") else 0x10)
