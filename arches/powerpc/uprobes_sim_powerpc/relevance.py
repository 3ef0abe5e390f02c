"""Which bits of an instruction matter to the kernel, read off the definitions.

They are those that say which instruction it is, and the fields that the kernel's rules and ours
look at.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final, Literal, NamedTuple

import numpy as np

from uprobes_sim.scan.arrays import AnyArray, Uint16s, Uint32s, Uint64s
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS
from uprobes_sim_powerpc.writes import target_fields

Words = Uint32s

_CELL: Final = 0xFC0007FF
"""Bits of a word by which cells are told apart: the primary opcode, and where most of the extended
opcodes are."""
_CELLS: Final = 1 << 17
_EXTENDED: Final = 0x7FE
_BY_EXTENDED: Final = (19, 31)
"""Primary opcodes whose extended ones the kernel looks at, whether they are defined or not."""
_OPCODE: Final = 0xFC000000
_LOOKED_AT: Final = ("OE", "SPR", "R")
"""Fields that decide about emulation, where an instruction has them."""


class Relevance(NamedTuple):
    """Bits of instructions that matter."""

    words: Words
    """By cell."""
    prefixed: Uint64s
    """By primary opcode of the suffix."""


@cache
def _field_bits(name: str) -> int:
    """Find the bits of an instruction that make up a field."""
    field = FIELDS[name]
    empty = field(0)
    return sum(1 << bit for bit in range(64) if field(1 << bit) != empty)


def _bits(row: Insn, *, targets: bool) -> int:
    """Find the bits that matter of what *row* defines; *targets*: the registers it writes, too."""
    names = {*row.checked, *(name for name in _LOOKED_AT if name in row.fields)}
    if targets:
        names |= target_fields(row)
    bits = row.form.mask
    for name in names:
        bits |= _field_bits(name)
    return bits


def relevance(bits: Literal[32, 64], *, targets: bool) -> Relevance:
    """Gather the bits that matter, for processors of *bits* bits."""
    words = np.full((64, _CELLS // 64), _OPCODE, np.uint32)
    words[list(_BY_EXTENDED)] |= _EXTENDED
    low = np.arange(_CELLS // 64)
    prefixed = np.zeros(64, np.uint64)
    for row in isa.load():
        if row.bits > bits:
            continue
        matter = _bits(row, targets=targets)
        for opcode in _opcodes(row):
            if row.prefixed:
                prefixed[opcode] |= np.uint64(matter)
            else:
                mask = row.form.mask & 0x7FF
                cells = low & mask == row.form.value & mask
                words[opcode, cells] |= np.uint32(matter)
    return Relevance(words.reshape(-1), prefixed | np.uint64(_OPCODE << 32 | _OPCODE))


def _opcodes(row: Insn) -> Iterable[int]:
    """List the primary opcodes, of a prefixed instruction those of its suffix."""
    mask, value = row.form.mask & _OPCODE, row.form.value & _OPCODE
    return (opcode for opcode in range(64) if opcode << 26 & mask == value)


def prepare(bits: Literal[32, 64], *, targets: bool) -> dict[str, AnyArray]:
    """Work out all that a sweep looks up.

    By cell, the bits of a word that matter, and the group of cells that tell the form by
    themselves, and the same one; the cells that do not come last. By primary opcode of the suffix,
    the bits of a prefixed instruction. *targets*: the registers that are written matter, too.
    """
    found = relevance(bits, targets=targets)
    return {**found._asdict(), "group": _groups(found.words)}


def _groups(words: Words) -> Uint16s:
    """Number the groups of cells."""
    cell = np.arange(_CELLS, dtype=np.uint64)
    value = (cell >> 11 << 26 | cell & 0x7FF) & words
    simple = words & ~np.uint32(_CELL) == 0
    keys, group = np.unique((value << np.uint64(32) | words)[simple], return_inverse=True)
    found = np.full(_CELLS, len(keys), np.uint16)
    found[simple] = group
    return found
