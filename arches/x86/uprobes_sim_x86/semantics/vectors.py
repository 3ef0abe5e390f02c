"""VEX-encoded instructions on vectors: one row each, integer, logic and moves.

What they compute is in `lanes`; here is where it comes from and goes to. Floating
point is the processor's own affair, and left to that of the host. (SDM vol. 2)
"""

from collections.abc import Callable
from functools import partial
from operator import add, and_, eq, gt, mul, or_, sub, xor
from typing import Final

from uprobes_sim_x86.regs import X86_EFLAGS_CF, X86_EFLAGS_ZF
from uprobes_sim_x86.semantics import lanes
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
_ALL_SHIFTS: Final[dict[int, Shift]] = {
    2: lanes.shift_right,
    4: lanes.shift_arithmetic,
    6: lanes.shift_left,
}
_LOGICAL_SHIFTS: Final = {n: shift for n, shift in _ALL_SHIFTS.items() if n != 4}


# --- shuffles -----------------------------------------------------------------


def _pick(half: bytes, order: int, size: int, count: int = 4) -> bytes:
    """Take lanes of *half* by two bits each of *order*."""
    picked = (order >> 2 * n & 3 for n in range(count))
    return b"".join(half[n * size : (n + 1) * size] for n in picked)


def shuffle(low: int, size: int) -> Callable[[bytes, int], bytes]:
    """vpshufd, vpshuflw, vpshufhw, vpermilps: four lanes of a half, from its byte *low* on."""

    def run(value: bytes, order: int) -> bytes:
        found = b""
        for at in range(0, len(value), 16):
            half = value[at : at + 16]
            end = low + 4 * size
            found += half[:low] + _pick(half[low:end], order, size) + half[end:]
        return found

    return run


def shuffle_singles(a: bytes, b: bytes, order: int) -> bytes:
    """vshufps."""
    found = b""
    for at in range(0, len(a), 16):
        found += _pick(a[at : at + 16], order, 4, 2) + _pick(b[at : at + 16], order >> 4, 4, 2)
    return found


def shuffle_doubles(a: bytes, b: bytes, order: int) -> bytes:
    """vshufpd; vpermilpd where both are one."""
    found = b""
    for at in range(0, len(a), 16):
        for source in (a, b):
            low = at + 8 * (order & 1)
            found += source[low : low + 8]
            order >>= 1
    return found


def permute(value: bytes, order: int) -> bytes:
    """vpermq, vpermpd."""
    return _pick(value, order, 8)


def permute_halves(a: bytes, b: bytes, order: int) -> bytes:
    """vperm2f128, vperm2i128."""
    sources = (a[:16], a[16:], b[:16], b[16:])
    chosen = (order & 15, order >> 4)
    return b"".join(bytes(16) if n & 8 else sources[n & 3] for n in chosen)


def permute_words(a: bytes, b: bytes) -> bytes:
    """vpermd, vpermps: the first operand tells which lanes of the second."""
    found = lanes.split(b, 4)
    return lanes.join([found[n & 7] for n in lanes.split(a, 4)], 4)


def permute_within(size: int) -> Binary:
    """vpermilps, vpermilpd by a vector."""

    def run(a: bytes, b: bytes) -> bytes:
        chosen = lanes.split(b, size)
        picked = [n & 3 if size == 4 else n >> 1 & 1 for n in chosen]
        return b"".join(a[n * size : (n + 1) * size] for n in picked)

    return lanes.halves(run)


def align(a: bytes, b: bytes, count: int) -> bytes:
    """vpalignr."""
    found = b""
    for at in range(0, len(a), 16):
        both = b[at : at + 16] + a[at : at + 16] + bytes(256)
        found += both[count : count + 16]
    return found


def blend(size: int, *, repeated: bool = False) -> Callable[[bytes, bytes, int], bytes]:
    """vblendps, vblendpd, vpblendw, vpblendd: a bit for each lane."""

    def run(a: bytes, b: bytes, mask: int) -> bytes:
        count = len(a) // size
        chosen = (mask >> (n & 7 if repeated else n) & 1 for n in range(count))
        pairs = enumerate(chosen)
        return b"".join((b if bit else a)[n * size : (n + 1) * size] for n, bit in pairs)

    return run


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
        operands.set_vector(operands.reg, blend(size)(a, b, mask))

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


# --- the table ----------------------------------------------------------------


def _average(x: int, y: int) -> int:
    return x + y + 1 >> 1


def _high_product(x: int, y: int) -> int:
    return x * y >> 16


def _rounded_product(x: int, y: int) -> int:
    return (x * y >> 14) + 1 >> 1


def _and_not(x: int, y: int) -> int:
    return ~x & y


def _saturated(compute: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda x, y: lanes.clamp(compute(x, y), 2, signed=True)


def _absolute(size: int) -> Semantics:
    return two(lambda v: lanes.join([abs(n) for n in lanes.split(v, size, signed=True)], size))


def _rows(pps: tuple[int, ...], opcode: int, row: Semantics) -> dict[Key, Semantics]:
    return {(1, pp, opcode): row for pp in pps}


def _lanewise() -> dict[Key, Semantics]:
    """Collect what is computed lane by lane."""
    each, saturating, compare = lanes.each, lanes.saturating, lanes.compare
    first: dict[int, Binary] = {
        0xFC: each(1, add), 0xFD: each(2, add), 0xFE: each(4, add), 0xD4: each(8, add),
        0xF8: each(1, sub), 0xF9: each(2, sub), 0xFA: each(4, sub), 0xFB: each(8, sub),
        0xEC: saturating(1, add, signed=True), 0xED: saturating(2, add, signed=True),
        0xDC: saturating(1, add, signed=False), 0xDD: saturating(2, add, signed=False),
        0xE8: saturating(1, sub, signed=True), 0xE9: saturating(2, sub, signed=True),
        0xD8: saturating(1, sub, signed=False), 0xD9: saturating(2, sub, signed=False),
        0xD5: each(2, mul), 0xE5: each(2, _high_product, signed=True),
        0xE4: each(2, _high_product), 0xF4: lanes.even(4, signed=False),
        0xF5: lanes.multiply_and_add, 0xF6: lanes.sum_of_differences,
        0xE0: each(1, _average), 0xE3: each(2, _average),
        0xDA: each(1, min), 0xDE: each(1, max),
        0xEA: each(2, min, signed=True), 0xEE: each(2, max, signed=True),
        0x74: compare(1, eq), 0x75: compare(2, eq), 0x76: compare(4, eq),
        0x64: compare(1, gt), 0x65: compare(2, gt), 0x66: compare(4, gt),
        0xDB: lanes.bitwise(and_), 0xDF: lanes.bitwise(_and_not),
        0xEB: lanes.bitwise(or_), 0xEF: lanes.bitwise(xor),
        0x60: lanes.unpack(1, high=False), 0x61: lanes.unpack(2, high=False),
        0x62: lanes.unpack(4, high=False), 0x6C: lanes.unpack(8, high=False),
        0x68: lanes.unpack(1, high=True), 0x69: lanes.unpack(2, high=True),
        0x6A: lanes.unpack(4, high=True), 0x6D: lanes.unpack(8, high=True),
        0x63: lanes.pack(2, signed=True), 0x6B: lanes.pack(4, signed=True),
        0x67: lanes.pack(2, signed=False),
    }  # fmt: skip
    second: dict[int, Binary] = {
        0x00: lanes.halves(lanes.shuffle_bytes),
        0x01: lanes.horizontal(2, add), 0x02: lanes.horizontal(4, add),
        0x03: lanes.horizontal(2, _saturated(add)), 0x04: lanes.multiply_and_add_bytes,
        0x05: lanes.horizontal(2, sub), 0x06: lanes.horizontal(4, sub),
        0x07: lanes.horizontal(2, _saturated(sub)),
        0x08: each(1, lanes.sign, signed=True), 0x09: each(2, lanes.sign, signed=True),
        0x0A: each(4, lanes.sign, signed=True), 0x0B: each(2, _rounded_product, signed=True),
        0x28: lanes.even(4, signed=True), 0x29: compare(8, eq), 0x37: compare(8, gt),
        0x2B: lanes.pack(4, signed=False), 0x40: each(4, mul),
        0x38: each(1, min, signed=True), 0x39: each(4, min, signed=True),
        0x3A: each(2, min), 0x3B: each(4, min),
        0x3C: each(1, max, signed=True), 0x3D: each(4, max, signed=True),
        0x3E: each(2, max), 0x3F: each(4, max),
    }  # fmt: skip
    rows = {(1, 1, opcode): three(compute) for opcode, compute in first.items()}
    return rows | {(2, 1, opcode): three(compute) for opcode, compute in second.items()}


def _moves() -> dict[Key, Semantics]:
    """Collect moves, and logic and shuffles of what may be floating point."""
    rows = {
        (1, 1, 0x6F): load(aligned=True), (1, 2, 0x6F): load(aligned=False),
        (1, 1, 0x7F): store(aligned=True), (1, 2, 0x7F): store(aligned=False),
        (1, 3, 0xF0): only_memory(load(aligned=False)),
        (1, 1, 0xE7): only_memory(store(aligned=True)),
        (2, 1, 0x2A): only_memory(load(aligned=True)),
        (1, 1, 0x6E): move_from_general, (1, 1, 0x7E): move_to_general,
        (1, 2, 0x7E): load_quadword, (1, 1, 0xD6): store_quadword,
        (1, 2, 0x10): load_scalar(4), (1, 3, 0x10): load_scalar(8),
        (1, 2, 0x11): store_scalar(4), (1, 3, 0x11): store_scalar(8),
        (1, 0, 0x12): load_low, (1, 1, 0x12): only_memory(load_low),
        (1, 0, 0x16): load_high, (1, 1, 0x16): only_memory(load_high),
        (1, 2, 0x12): repeat((0, 0, 2, 2), 4), (1, 2, 0x16): repeat((1, 1, 3, 3), 4),
        (1, 3, 0x12): duplicate,
        (1, 1, 0xD7): signs(1), (1, 0, 0x50): signs(4), (1, 1, 0x50): signs(8),
        (1, 0, 0x77): zero_all, (2, 1, 0x17): test,
        (1, 0, 0xC6): three_by_immediate(shuffle_singles),
        (1, 1, 0xC6): three_by_immediate(shuffle_doubles),
    }  # fmt: skip
    both = (0, 1)
    for opcode, row in {
        0x10: load(aligned=False),
        0x11: store(aligned=False),
        0x28: load(aligned=True),
        0x29: store(aligned=True),
        0x2B: only_memory(store(aligned=True)),
        0x13: store_half(0),
        0x17: store_half(8),
        0x54: three(lanes.bitwise(and_)),
        0x55: three(lanes.bitwise(_and_not)),
        0x56: three(lanes.bitwise(or_)),
        0x57: three(lanes.bitwise(xor)),
    }.items():
        rows |= _rows(both, opcode, row)
    for pp, size in ((0, 4), (1, 8)):
        rows[1, pp, 0x14] = three(lanes.unpack(size, high=False))
        rows[1, pp, 0x15] = three(lanes.unpack(size, high=True))
    return rows


def _shifts() -> dict[Key, Semantics]:
    """Collect shifts."""
    left, right, arithmetic = lanes.shift_left, lanes.shift_right, lanes.shift_arithmetic
    by_register = {
        0xD1: (2, right), 0xD2: (4, right), 0xD3: (8, right), 0xE1: (2, arithmetic),
        0xE2: (4, arithmetic), 0xF1: (2, left), 0xF2: (4, left), 0xF3: (8, left),
    }  # fmt: skip
    rows = {(1, 1, op): shift_by_register(size, how) for op, (size, how) in by_register.items()}
    return rows | {
        (1, 1, 0x71): shift_by_immediate(2, _ALL_SHIFTS),
        (1, 1, 0x72): shift_by_immediate(4, _ALL_SHIFTS),
        (1, 1, 0x73): shift_by_immediate(8, _LOGICAL_SHIFTS),
        (2, 1, 0x45): _by_width(right),
        (2, 1, 0x47): _by_width(left),
        (2, 1, 0x46): _by_width(arithmetic, wide=False),
    }


def _by_width(shift: Shift, *, wide: bool = True) -> Semantics:
    """vpsllv, vpsrlv, vpsrav: VEX.W tells how wide lanes are."""
    rows = {False: three(lanes.shift_each(4, shift)), True: three(lanes.shift_each(8, shift))}

    def run(operands: Operands) -> None:
        long = bool(operands.insn.vex[2] & 0x80)
        if long and not wide:
            raise NotOurs
        rows[long](operands)

    return run


def _rearranging() -> dict[Key, Semantics]:
    """Collect shuffles, blends, broadcasts, and moves of parts."""
    rows = {
        (1, 1, 0x70): two_by_immediate(shuffle(0, 4)),
        (1, 2, 0x70): two_by_immediate(shuffle(8, 2)),
        (1, 3, 0x70): two_by_immediate(shuffle(0, 2)),
        (1, 1, 0xC4): insert(2), (1, 1, 0xC5): extract_word,
        (3, 1, 0x14): extract(1), (3, 1, 0x15): extract(2), (3, 1, 0x16): extract(4),
        (3, 1, 0x20): insert(1), (3, 1, 0x22): insert(4), (3, 1, 0x21): insert_single,
        (3, 1, 0x0F): three_by_immediate(align),
        (3, 1, 0x0C): three_by_immediate(blend(4)), (3, 1, 0x0D): three_by_immediate(blend(8)),
        (3, 1, 0x0E): three_by_immediate(blend(2, repeated=True)),
        (3, 1, 0x4A): blend_by_signs(4), (3, 1, 0x4B): blend_by_signs(8),
        (3, 1, 0x4C): blend_by_signs(1),
        (3, 1, 0x00): full(two_by_immediate(permute), wide=True),
        (3, 1, 0x01): full(two_by_immediate(permute), wide=True),
        (2, 1, 0x36): full(three(permute_words), wide=False),
        (2, 1, 0x16): full(three(permute_words), wide=False),
        (2, 1, 0x18): broadcast(4), (2, 1, 0x19): full(broadcast(8)),
        (2, 1, 0x1A): only_memory(full(broadcast(16))),
        (2, 1, 0x5A): only_memory(full(broadcast(16))),
        (2, 1, 0x58): broadcast(4), (2, 1, 0x59): broadcast(8),
        (2, 1, 0x78): broadcast(1), (2, 1, 0x79): broadcast(2),
        (2, 1, 0x1C): _absolute(1), (2, 1, 0x1D): _absolute(2), (2, 1, 0x1E): _absolute(4),
    }  # fmt: skip
    short = {
        (2, 1, 0x0C): three(permute_within(4)),
        (2, 1, 0x0D): three(permute_within(8)),
        (3, 1, 0x02): three_by_immediate(blend(4)),
        (3, 1, 0x04): two_by_immediate(shuffle(0, 4)),
        (3, 1, 0x05): two_by_immediate(lambda value, order: shuffle_doubles(value, value, order)),
    }
    rows |= {key: _not_wide(row) for key, row in short.items()}
    for opcode in (0x06, 0x46):
        rows[3, 1, opcode] = full(three_by_immediate(permute_halves), wide=False)
    for opcode in (0x18, 0x38):
        rows[3, 1, opcode] = full(insert_half, wide=False)
        rows[3, 1, opcode + 1] = full(extract_half, wide=False)
    pairs = ((1, 2), (1, 4), (1, 8), (2, 4), (2, 8), (4, 8))
    for n, (source, target) in enumerate(pairs):
        rows[2, 1, 0x20 + n] = widen(source, target, signed=True)
        rows[2, 1, 0x30 + n] = widen(source, target, signed=False)
    return rows


def _not_wide(row: Semantics) -> Semantics:
    def run(operands: Operands) -> None:
        if operands.insn.vex[2] & 0x80:
            raise NotOurs
        row(operands)

    return run


VECTORS: Final[dict[Key, Semantics]] = _lanewise() | _moves() | _shifts() | _rearranging()
"""The rows."""
