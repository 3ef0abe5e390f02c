"""VEX-encoded instructions on vectors: one row each, integer, logic and moves.

What they compute is in `lanes`, on what in `forms`. Floating point is the processor's
own affair, and left to that of the host. (SDM vol. 2)
"""

from collections.abc import Callable
from operator import add, and_, eq, gt, mul, or_, sub, xor
from typing import Final

from uprobes_sim_x86.semantics import lanes, shuffles
from uprobes_sim_x86.semantics.forms import (
    ALL_SHIFTS,
    LOGICAL_SHIFTS,
    Key,
    Semantics,
    blend_by_signs,
    broadcast,
    duplicate,
    extract,
    extract_half,
    extract_word,
    full,
    insert,
    insert_half,
    insert_single,
    load,
    load_high,
    load_low,
    load_quadword,
    load_scalar,
    move_from_general,
    move_to_general,
    only_memory,
    repeat,
    shift_by_immediate,
    shift_by_register,
    signs,
    store,
    store_half,
    store_quadword,
    store_scalar,
    test,
    three,
    three_by_immediate,
    two,
    two_by_immediate,
    widen,
    zero_all,
)
from uprobes_sim_x86.semantics.lanes import Binary, Shift
from uprobes_sim_x86.semantics.operands import NotOurs, Operands


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
        (1, 0, 0xC6): three_by_immediate(shuffles.shuffle_singles),
        (1, 1, 0xC6): three_by_immediate(shuffles.shuffle_doubles),
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
        (1, 1, 0x71): shift_by_immediate(2, ALL_SHIFTS),
        (1, 1, 0x72): shift_by_immediate(4, ALL_SHIFTS),
        (1, 1, 0x73): shift_by_immediate(8, LOGICAL_SHIFTS),
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
        (1, 1, 0x70): two_by_immediate(shuffles.shuffle(0, 4)),
        (1, 2, 0x70): two_by_immediate(shuffles.shuffle(8, 2)),
        (1, 3, 0x70): two_by_immediate(shuffles.shuffle(0, 2)),
        (1, 1, 0xC4): insert(2), (1, 1, 0xC5): extract_word,
        (3, 1, 0x14): extract(1), (3, 1, 0x15): extract(2), (3, 1, 0x16): extract(4),
        (3, 1, 0x20): insert(1), (3, 1, 0x22): insert(4), (3, 1, 0x21): insert_single,
        (3, 1, 0x0F): three_by_immediate(shuffles.align),
        (3, 1, 0x0C): three_by_immediate(shuffles.blend(4)),
        (3, 1, 0x0D): three_by_immediate(shuffles.blend(8)),
        (3, 1, 0x0E): three_by_immediate(shuffles.blend(2, repeated=True)),
        (3, 1, 0x4A): blend_by_signs(4), (3, 1, 0x4B): blend_by_signs(8),
        (3, 1, 0x4C): blend_by_signs(1),
        (3, 1, 0x00): full(two_by_immediate(shuffles.permute), wide=True),
        (3, 1, 0x01): full(two_by_immediate(shuffles.permute), wide=True),
        (2, 1, 0x36): full(three(shuffles.permute_words), wide=False),
        (2, 1, 0x16): full(three(shuffles.permute_words), wide=False),
        (2, 1, 0x18): broadcast(4), (2, 1, 0x19): full(broadcast(8)),
        (2, 1, 0x1A): only_memory(full(broadcast(16))),
        (2, 1, 0x5A): only_memory(full(broadcast(16))),
        (2, 1, 0x58): broadcast(4), (2, 1, 0x59): broadcast(8),
        (2, 1, 0x78): broadcast(1), (2, 1, 0x79): broadcast(2),
        (2, 1, 0x1C): _absolute(1), (2, 1, 0x1D): _absolute(2), (2, 1, 0x1E): _absolute(4),
    }  # fmt: skip
    short = {
        (2, 1, 0x0C): three(shuffles.permute_within(4)),
        (2, 1, 0x0D): three(shuffles.permute_within(8)),
        (3, 1, 0x02): three_by_immediate(shuffles.blend(4)),
        (3, 1, 0x04): two_by_immediate(shuffles.shuffle(0, 4)),
        (3, 1, 0x05): two_by_immediate(
            lambda value, order: shuffles.shuffle_doubles(value, value, order)
        ),
    }
    rows |= {key: _not_wide(row) for key, row in short.items()}
    for opcode in (0x06, 0x46):
        rows[3, 1, opcode] = full(three_by_immediate(shuffles.permute_halves), wide=False)
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
