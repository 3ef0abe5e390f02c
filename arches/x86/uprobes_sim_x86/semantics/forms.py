"""The forms of VEX-encoded instructions: where operands come from, and where results go.

What is computed is in `lanes`. (SDM vol. 2)
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from uprobes_sim_x86.regs import X86_EFLAGS_CF, X86_EFLAGS_ZF
from uprobes_sim_x86.semantics import lanes, shuffles
from uprobes_sim_x86.semantics.lanes import Binary, Shift, Unary
from uprobes_sim_x86.semantics.operands import NotOurs, Operands

Semantics = Callable[[Operands], None]
Key = tuple[int, int, int]
"""Map, pp (0 none, 1 66, 2 f3, 3 f2) and opcode."""

_FLAGS: Final = 0x8D5


def _no_vvvv(operands: Operands) -> None:
    if operands.insn.vex[2] & 0x78 != 0x78:
        raise NotOurs


def _narrow(operands: Operands) -> None:
    if operands.size != 16:
        raise NotOurs


def _full(operands: Operands) -> None:
    if operands.size != 32:
        raise NotOurs


# --- forms --------------------------------------------------------------------


def three(compute: Binary) -> Semantics:
    """vop reg, vvvv, reg/mem."""

    def run(operands: Operands) -> None:
        size = operands.size
        b = operands.vector_rm(size)
        operands.set_vector(operands.reg, compute(operands.vector(operands.vvvv, size), b))

    return run


def three_by_immediate(compute: Callable[[bytes, bytes, int], bytes]) -> Semantics:
    """vop reg, vvvv, reg/mem, imm8."""

    def run(operands: Operands) -> None:
        size = operands.size
        a, b = operands.vector(operands.vvvv, size), operands.vector_rm(size)
        operands.set_vector(operands.reg, compute(a, b, operands.immediate))

    return run


def two(compute: Unary) -> Semantics:
    """vop reg, reg/mem."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        operands.set_vector(operands.reg, compute(operands.vector_rm(operands.size)))

    return run


def two_by_immediate(compute: Callable[[bytes, int], bytes]) -> Semantics:
    """vop reg, reg/mem, imm8."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        found = compute(operands.vector_rm(operands.size), operands.immediate)
        operands.set_vector(operands.reg, found)

    return run


def full(row: Semantics, *, wide: bool | None = None) -> Semantics:
    """Only with 256 bits, and with this VEX.W."""

    def run(operands: Operands) -> None:
        _full(operands)
        if wide is not None and wide is not bool(operands.insn.vex[2] & 0x80):
            raise NotOurs
        row(operands)

    return run


def load(*, aligned: bool) -> Semantics:
    """Move all of a vector into a register."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        operands.set_vector(operands.reg, operands.vector_rm(operands.size, aligned=aligned))

    return run


def store(*, aligned: bool) -> Semantics:
    """Move all of a vector out of a register."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        value = operands.vector(operands.reg, operands.size)
        if operands.in_memory:
            operands.store(value, aligned=aligned)
        else:
            operands.set_vector(operands.rm, value)

    return run


def only_memory(row: Semantics) -> Semantics:
    """Without a form for two registers."""

    def run(operands: Operands) -> None:
        if not operands.in_memory:
            raise NotOurs
        row(operands)

    return run


# --- moves between kinds of registers -----------------------------------------


def move_from_general(operands: Operands) -> None:
    """vmovd, vmovq."""
    _no_vvvv(operands)
    _narrow(operands)
    size = 8 if operands.wide else 4
    operands.set_vector(operands.reg, operands.general_rm(size).to_bytes(16, "little"))


def move_to_general(operands: Operands) -> None:
    """vmovd, vmovq."""
    _no_vvvv(operands)
    _narrow(operands)
    size = 8 if operands.wide else 4
    value = operands.vector(operands.reg, size)
    if operands.in_memory:
        operands.store(value)
    else:
        operands.set_general(operands.rm, int.from_bytes(value, "little"), size)


def load_quadword(operands: Operands) -> None:
    """vmovq xmm, xmm/m64."""
    _no_vvvv(operands)
    _narrow(operands)
    operands.set_vector(operands.reg, operands.vector_rm(8).ljust(16, b"\0"))


def store_quadword(operands: Operands) -> None:
    """vmovq xmm/m64, xmm."""
    _no_vvvv(operands)
    _narrow(operands)
    value = operands.vector(operands.reg, 8)
    if operands.in_memory:
        operands.store(value)
    else:
        operands.set_vector(operands.rm, value.ljust(16, b"\0"))


def load_scalar(size: int) -> Semantics:
    """vmovss, vmovsd: alone from memory, else into the rest of another register."""

    def run(operands: Operands) -> None:
        if operands.in_memory:
            _no_vvvv(operands)
            operands.set_vector(operands.reg, operands.load(size).ljust(16, b"\0"))
        else:
            rest = operands.vector(operands.vvvv, 16)[size:]
            operands.set_vector(operands.reg, operands.vector(operands.rm, size) + rest)

    return run


def store_scalar(size: int) -> Semantics:
    """vmovss, vmovsd the other way."""

    def run(operands: Operands) -> None:
        value = operands.vector(operands.reg, size)
        if operands.in_memory:
            _no_vvvv(operands)
            operands.store(value)
        else:
            operands.set_vector(operands.rm, value + operands.vector(operands.vvvv, 16)[size:])

    return run


def load_low(operands: Operands) -> None:
    """vmovlps, vmovlpd; of registers vmovhlps."""
    _narrow(operands)
    high = operands.vector(operands.vvvv, 16)[8:]
    low = operands.load(8) if operands.in_memory else operands.vector(operands.rm, 16)[8:]
    operands.set_vector(operands.reg, low + high)


def load_high(operands: Operands) -> None:
    """vmovhps, vmovhpd; of registers vmovlhps."""
    _narrow(operands)
    low = operands.vector(operands.vvvv, 8)
    operands.set_vector(operands.reg, low + operands.vector_rm(8))


def store_half(at: int) -> Semantics:
    """vmovlps, vmovhps and their kin to memory."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        _narrow(operands)
        operands.store(operands.vector(operands.reg, 16)[at : at + 8])

    return only_memory(run)


def signs(size: int) -> Semantics:
    """vpmovmskb, vmovmskps, vmovmskpd."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        if operands.in_memory:
            raise NotOurs
        value = lanes.split(operands.vector(operands.rm, operands.size), size, signed=True)
        found = sum((lane < 0) << n for n, lane in enumerate(value))
        operands.set_general(operands.reg, found, 4)

    return run


def test(operands: Operands) -> None:
    """vptest."""
    _no_vvvv(operands)
    size = operands.size
    source = int.from_bytes(operands.vector_rm(size), "little")
    target = int.from_bytes(operands.vector(operands.reg, size), "little")
    zero = 0 if source & target else X86_EFLAGS_ZF
    carry = 0 if source & ~target else X86_EFLAGS_CF
    operands.set_flags(_FLAGS, zero | carry)


def zero_all(operands: Operands) -> None:
    """vzeroupper, vzeroall."""
    _no_vvvv(operands)
    for number in range(16 if operands.insn.bits == 64 else 8):
        operands.set_vector(number, b"" if operands.size == 32 else operands.vector(number, 16))


def extract(size: int) -> Semantics:
    """vpextrb, vpextrw, vpextrd, vpextrq, vextractps."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        _narrow(operands)
        width = 8 if size == 4 and operands.wide else size
        at = operands.immediate % (16 // width) * width
        value = operands.vector(operands.reg, 16)[at : at + width]
        if operands.in_memory:
            operands.store(value)
        else:
            operands.set_general(operands.rm, int.from_bytes(value, "little"), 8)

    return run


def extract_word(operands: Operands) -> None:
    """vpextrw of the older encoding."""
    _no_vvvv(operands)
    _narrow(operands)
    if operands.in_memory:
        raise NotOurs
    word = lanes.split(operands.vector(operands.rm, 16), 2)[operands.immediate & 7]
    operands.set_general(operands.reg, word, 4)


def insert(size: int) -> Semantics:
    """vpinsrb, vpinsrw, vpinsrd, vpinsrq."""

    def run(operands: Operands) -> None:
        _narrow(operands)
        width = 8 if size == 4 and operands.wide else size
        at = operands.immediate % (16 // width) * width
        value = operands.general_rm(width).to_bytes(width, "little")
        rest = operands.vector(operands.vvvv, 16)
        operands.set_vector(operands.reg, rest[:at] + value + rest[at + width :])

    return run


def insert_half(operands: Operands) -> None:
    """vinsertf128, vinserti128."""
    value, rest = operands.vector_rm(16), operands.vector(operands.vvvv)
    high = operands.immediate & 1
    operands.set_vector(operands.reg, rest[:16] + value if high else value + rest[16:])


def extract_half(operands: Operands) -> None:
    """vextractf128, vextracti128."""
    _no_vvvv(operands)
    at = 16 * (operands.immediate & 1)
    value = operands.vector(operands.reg)[at : at + 16]
    if operands.in_memory:
        operands.store(value)
    else:
        operands.set_vector(operands.rm, value)


# --- widening and repeating ---------------------------------------------------


def broadcast(size: int) -> Semantics:
    """vbroadcast*, vpbroadcast*."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        if operands.insn.vex[2] & 0x80:
            raise NotOurs
        operands.set_vector(operands.reg, operands.vector_rm(size) * (operands.size // size))

    return run


def widen(source: int, target: int, *, signed: bool) -> Semantics:
    """vpmovsx*, vpmovzx*."""

    def run(operands: Operands) -> None:
        _no_vvvv(operands)
        value = operands.vector_rm(operands.size * source // target)
        operands.set_vector(
            operands.reg, lanes.join(lanes.split(value, source, signed=signed), target)
        )

    return run


def repeat(take: tuple[int, ...], size: int) -> Semantics:
    """vmovsldup, vmovshdup, vmovddup of 256 bits: lanes of each half, by number."""

    def run(value: bytes) -> bytes:
        found = b""
        for at in range(0, len(value), 16):
            half = value[at : at + 16]
            found += b"".join(half[n * size : (n + 1) * size] for n in take)
        return found

    return two(run)


def duplicate(operands: Operands) -> None:
    """vmovddup, which reads 8 bytes for 128 bits."""
    if operands.size == 32:
        repeat((0, 0), 8)(operands)
    else:
        _no_vvvv(operands)
        operands.set_vector(operands.reg, operands.vector_rm(8) * 2)


# --- shifts -------------------------------------------------------------------


def shift_by_register(size: int, shift: Shift) -> Semantics:
    """The count is 64 bits of a vector or of 128 bits of memory."""

    def run(operands: Operands) -> None:
        count = int.from_bytes(operands.vector_rm(16)[:8], "little")
        value = operands.vector(operands.vvvv, operands.size)
        operands.set_vector(operands.reg, lanes.shift_all(value, count, size, shift))

    return run


def shift_by_immediate(size: int, members: dict[int, Shift]) -> Semantics:
    """The destination is in VEX.vvvv."""

    def run(operands: Operands) -> None:
        if operands.in_memory:
            raise NotOurs
        value, count = operands.vector(operands.rm, operands.size), operands.immediate
        if size == 8 and operands.insn.reg in _BYTE_SHIFTS:
            found = _BYTE_SHIFTS[operands.insn.reg](value, count)
        elif operands.insn.reg in members:
            found = lanes.shift_all(value, count, size, members[operands.insn.reg])
        else:
            raise NotOurs
        operands.set_vector(operands.vvvv, found)

    return run


def _shift_bytes(value: bytes, count: int, *, left: bool) -> bytes:
    count = min(count, 16)
    found = b""
    for at in range(0, len(value), 16):
        half = value[at : at + 16]
        found += bytes(count) + half[: 16 - count] if left else half[count:] + bytes(count)
    return found


_BYTE_SHIFTS: Final = {
    3: partial(_shift_bytes, left=False),
    7: partial(_shift_bytes, left=True),
}
ALL_SHIFTS: Final[dict[int, Shift]] = {
    2: lanes.shift_right,
    4: lanes.shift_arithmetic,
    6: lanes.shift_left,
}
LOGICAL_SHIFTS: Final = {n: shift for n, shift in ALL_SHIFTS.items() if n != 4}


# --- blends and inserts ------------------------------------------------------


def blend_by_signs(size: int) -> Semantics:
    """vblendvps, vblendvpd, vpblendvb: the register of the immediate has the mask."""

    def run(operands: Operands) -> None:
        number = operands.immediate >> 4
        if operands.insn.bits == 32:
            number &= 7
        if operands.insn.vex[2] & 0x80:
            raise NotOurs
        width = operands.size
        mask = sum(
            (lane < 0) << n
            for n, lane in enumerate(lanes.split(operands.vector(number, width), size, signed=True))
        )
        a, b = operands.vector(operands.vvvv, width), operands.vector_rm(width)
        operands.set_vector(operands.reg, shuffles.blend(size)(a, b, mask))

    return run


def insert_single(operands: Operands) -> None:
    """vinsertps."""
    _narrow(operands)
    order = operands.immediate
    source = operands.vector_rm(4 if operands.in_memory else 16)
    at = 0 if operands.in_memory else 4 * (order >> 6)
    found = bytearray(operands.vector(operands.vvvv, 16))
    to = 4 * (order >> 4 & 3)
    found[to : to + 4] = source[at : at + 4]
    for n in range(4):
        if order >> n & 1:
            found[4 * n : 4 * n + 4] = bytes(4)
    operands.set_vector(operands.reg, bytes(found))
