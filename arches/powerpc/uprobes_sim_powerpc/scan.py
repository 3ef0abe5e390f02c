"""PowerPC code at memory speed: all words of a piece at once, told apart by the bits that matter.

Which bits matter is read off the definitions: those that say which instruction it is, and the
fields that the kernel's rules and ours look at.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from uprobes_sim.arch import Abi
from uprobes_sim.scan.sweep import Piece, Places, Sweep, cut
from uprobes_sim.version import Config
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.defects import LOST_NONVOLATILE
from uprobes_sim_powerpc.insn import is_prefix
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS
from uprobes_sim_powerpc.writes import target_fields

Words = npt.NDArray[np.uint32]

_CELL: Final = 0xFC0007FF
"""Bits of a word by which cells are told apart: the primary opcode, and where most of the extended
opcodes are."""
_CELLS: Final = 1 << 17
_EXTENDED: Final = 0x7FE
_BY_EXTENDED: Final = (19, 31)
"""Primary opcodes whose extended ones the kernel looks at, whether they are defined or not."""
_OPCODE: Final = 0xFC000000
_PREFIX_OPCODE: Final = 1
_LOOKED_AT: Final = ("OE", "SPR", "R")
"""Fields that decide about emulation, where an instruction has them."""
_UNKNOWN: Final = 0xFFFFFFFF
_LINE: Final = 64
_ROOM: Final = 8

# What of its place matters to an instruction, beside its bits.
_MISALIGNED, _CROSSES, _SUFFIX = 1, 2, 4


class Relevance(NamedTuple):
    """Bits of instructions that matter."""

    words: Words
    """By cell."""
    prefixed: npt.NDArray[np.uint64]
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


@cache
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


def _groups(words: Words) -> tuple[npt.NDArray[np.uint16], int]:
    """Join cells that tell the form by themselves, and the same one; answer how many groups.

    The others have the group behind the last.
    """
    cell = np.arange(_CELLS, dtype=np.uint64)
    value = (cell >> 11 << 26 | cell & 0x7FF) & words
    simple = words & ~np.uint32(_CELL) == 0
    keys, group = np.unique(_key(value, words)[simple], return_inverse=True)
    found = np.full(_CELLS, len(keys), np.uint16)
    found[simple] = group
    return found, len(keys)


def _key(value: npt.NDArray[Any], relevant: Words) -> npt.NDArray[np.uint64]:
    """Make one number of the bits that matter, and of which they are."""
    return value.astype(np.uint64) << np.uint64(32) | relevant


class PowerpcSweeper:
    """Cuts PowerPC code of one ABI."""

    def __init__(self, abi: Abi, configs: tuple[Config, ...]) -> None:
        """Cut for tasks of *abi*, telling apart what matters to one of *configs*."""
        self._wide = abi.bits == 64
        self._order: Literal["little", "big"] = abi.byteorder
        self._type = np.dtype("<u4" if abi.byteorder == "little" else ">u4")
        targets = any(LOST_NONVOLATILE in config.in_force for config in configs)
        self._relevance = relevance(abi.bits, targets=targets)
        self._numbers: dict[str, int] = {}
        """Of each form by its name."""
        self._group, groups = _groups(self._relevance.words)
        self._number_of = np.full(groups + 1, _UNKNOWN, np.uint32)
        """Number of the form that all of a group have; of the last group it is never known."""

    def sweep(self, piece: Piece) -> Sweep:
        """Cut a piece."""
        count = -(-piece.stop // 4)
        raw = np.frombuffer(piece.code.ljust(4 * count, b"\0"), self._type, count)
        words = raw.astype(np.uint32, copy=False)
        prefix = words >> 26 == _PREFIX_OPCODE
        if piece.vaddr % 4 or (piece.starts % 4).any():
            found, end = cut(piece, self._measure, _ROOM)
            at, size = np.array(found, np.int64).reshape(-1, 2).T
            return self._told_apart(piece, at, size, range(len(at)), end)
        if not self._wide or not (prefix.any() or self._is_prefix(piece.before[-4:])):
            every = np.arange(0, 4 * count, 4)
            return self._told_apart(piece, every, np.full(count, 4), (), 4 * count, words)
        at, size, end = _cut_prefixed(prefix, piece.starts)
        prefix = np.append(self._is_prefix(piece.before[-4:]), prefix)
        special = np.flatnonzero((size == 8) | prefix[at // 4])
        return self._told_apart(piece, at, size, special.tolist(), end, words[at // 4])

    def _told_apart(
        self,
        piece: Piece,
        at: Places,
        size: Places,
        special: Sequence[int],
        end: int,
        words: Words | None = None,
    ) -> Sweep:
        """Number the forms: of *special* instructions one by one, of the *words* at once."""
        form, new = np.empty(len(at), np.uint32), list[tuple[str, int]]()
        if words is not None:
            form[:] = self._forms(words, special, new)
        for index in special:
            name = self._name(piece, int(at[index]), int(size[index]))
            form[index] = self._number(name, index, new)
        return Sweep(at, size.astype(np.uint8), form, tuple(new), end)

    def _forms(
        self, words: Words, special: Sequence[int], new: list[tuple[str, int]]
    ) -> npt.NDArray[np.uint32]:
        """Number the forms of words that their bits tell apart, all but the *special* ones."""
        cell = words >> 15 & 0x1F800 | words & 0x7FF
        group = self._group[cell]
        form: npt.NDArray[np.uint32] = self._number_of[group]
        open_ = form == _UNKNOWN
        if special:
            open_[special] = False
        todo = np.flatnonzero(open_)
        if not len(todo):
            return form
        relevant = self._relevance.words[cell[todo]]
        keys, first, which = np.unique(
            _key(words[todo] & relevant, relevant), return_index=True, return_inverse=True
        )
        numbers = np.array(
            [
                self._number(f"{key:x}", index, new)
                for key, index in zip(keys.tolist(), todo[first].tolist(), strict=True)
            ],
            np.uint32,
        )
        form[todo] = numbers[which]
        self._number_of[group[todo]] = form[todo]
        self._number_of[-1] = _UNKNOWN
        return form

    def _name(self, piece: Piece, at: int, size: int) -> str:
        """Name the form of one instruction by its bits and by its place."""
        word = int.from_bytes(piece.code[at : at + 4].ljust(4, b"\0"), self._order)
        relevant = int(self._relevance.words[word >> 15 & 0x1F800 | word & 0x7FF])
        if size == 8:
            second = piece.code[at + 4 : at + 8].ljust(4, b"\0")
            word = word << 32 | int.from_bytes(second, self._order)
            relevant = int(self._relevance.prefixed[word >> 26 & 63])
        vaddr, near = piece.vaddr + at, piece.before[-4:] if at < 4 else b""
        before = (near + piece.code[max(at - 4, 0) : at])[-4:]
        place = _MISALIGNED * bool(vaddr % 4) | _SUFFIX * self._is_prefix(before)
        place |= _CROSSES * (size == 8 and vaddr % _LINE == _LINE - 4)
        return f"{word & relevant:x}/{relevant:x}/{place}"

    def _number(self, name: str, index: int, new: list[tuple[str, int]]) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            new.append((name, index))
        return self._numbers[name]

    def _measure(self, insn: bytes) -> int:
        return 8 if self._is_prefix(insn[:4]) else 4

    def _is_prefix(self, word: bytes) -> bool:
        return self._wide and len(word) == 4 and is_prefix(int.from_bytes(word, self._order))


def _cut_prefixed(prefix: npt.NDArray[np.bool_], starts: Places) -> tuple[Places, Places, int]:
    """Find place and size of each instruction among words of which some are prefixes."""
    size, free, known = np.full(len(prefix), 4), 0, {at // 4 for at in starts.tolist()}
    for index in np.flatnonzero(prefix).tolist():
        if index < free:
            continue  # a suffix that looks like a prefix
        size[index] = 0 if index + 1 in known else 8
        free = index + 1 if index + 1 in known else index + 2
        size[index + 1 : free] = 0
    at = np.flatnonzero(size)
    return 4 * at, size[at], max(4 * len(prefix), 4 * free)
