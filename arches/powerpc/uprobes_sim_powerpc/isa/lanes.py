"""Vectors as numbers of 128 bits and as lists of their elements, first element first.

The tables of the VMX modules say what an instruction does to whole registers or to
elements; here that becomes definitions.
"""

from collections.abc import Callable
from struct import Struct
from typing import Final

from uprobes_sim_powerpc.isa.define import VA, VX, Isa, insn
from uprobes_sim_powerpc.isa.helpers import M64
from uprobes_sim_powerpc.regs import PtRegs

M128: Final = (1 << 128) - 1

_CODES: Final = {8: "B", 16: "H", 32: "I", 64: "Q"}
_UNSIGNED: Final = {bits: Struct(f">{128 // bits}{code}") for bits, code in _CODES.items()}
_SIGNED: Final = {bits: Struct(f">{128 // bits}{code.lower()}") for bits, code in _CODES.items()}


def vr(s: PtRegs, n: int) -> int:
    """Read VR *n* whole."""
    return s.hi[n + 32] << 64 | s.lo[n + 32]


def put_vr(s: PtRegs, n: int, value: int) -> None:
    """Write VR *n*; bits beyond 128 are lost."""
    s.hi[n + 32], s.lo[n + 32] = value >> 64 & M64, value & M64


def split(value: int, bits: int, *, signed: bool = False) -> tuple[int, ...]:
    """Take a vector apart."""
    if bits == 128:
        return (value - (value >> 127 << 128) if signed else value,)
    return (_SIGNED if signed else _UNSIGNED)[bits].unpack(value.to_bytes(16, "big"))


def join(elements: list[int], bits: int) -> int:
    """Put elements together; each loses what lies beyond its size."""
    value = 0
    mask = (1 << bits) - 1
    for element in elements:
        value = value << bits | element & mask
    return value


def unary(name: str, xo: int, compute: Callable[[int], int], isa: Isa = "2.03") -> None:
    """Define `VRT = compute(VRB)`."""

    @insn(name, VX(4, xo), isa=isa, inline=False)
    def meaning(s: PtRegs, VRT: int, VRB: int) -> None:
        put_vr(s, VRT, compute(vr(s, VRB)))


def binary(name: str, xo: int, compute: Callable[[int, int], int], isa: Isa = "2.03") -> None:
    """Define `VRT = compute(VRA, VRB)`."""

    @insn(name, VX(4, xo), isa=isa, inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
        put_vr(s, VRT, compute(vr(s, VRA), vr(s, VRB)))


def ternary(name: str, xo: int, compute: Callable[[int, int, int], int], isa: Isa = "2.03") -> None:
    """Define `VRT = compute(VRA, VRB, VRC)`."""

    @insn(name, VA(4, xo), isa=isa, inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int, VRC: int) -> None:
        put_vr(s, VRT, compute(vr(s, VRA), vr(s, VRB), vr(s, VRC)))


Pairwise = Callable[[int, int], int]
"""What is done to two elements at the same place."""


def pairwise(bits: int, compute: Pairwise, *, signed: bool = False) -> Callable[[int, int], int]:
    """Turn a function of elements into one of vectors."""

    def whole(a: int, b: int) -> int:
        pairs = zip(split(a, bits, signed=signed), split(b, bits, signed=signed), strict=True)
        return join([compute(x, y) for x, y in pairs], bits)

    return whole


def each(bits: int, compute: Callable[[int], int], *, signed: bool = False) -> Callable[[int], int]:
    """Turn a function of an element into one of vectors."""
    return lambda b: join([compute(x) for x in split(b, bits, signed=signed)], bits)


SAT: Final = 1
"""The bit of VSCR that says that some result was saturated."""


def clamp(s: PtRegs, value: int, low: int, high: int) -> int:
    """Saturate to *low* ... *high*, and note it in VSCR."""
    if low <= value <= high:
        return value
    s.vscr |= SAT
    return low if value < low else high


def limits(bits: int, *, signed: bool) -> tuple[int, int]:
    """Give the least and the largest number of that size."""
    return (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
