"""PowerPC code at memory speed: all words of a piece at once, told apart by bits that matter.

Cells of words are told apart by their primary opcodes and by their last eleven bits.
"""

from pathlib import Path
from typing import Final, Literal

import numpy as np

from uprobes_sim import cache
from uprobes_sim.arch import Abi
from uprobes_sim.scan.arrays import AnyArray, Bools, Int64s, Uint32s, Uint64s
from uprobes_sim.scan.sweep import Piece, Places, Sweep, cut
from uprobes_sim.version import Config
from uprobes_sim_powerpc.errata import LOST_NONVOLATILE
from uprobes_sim_powerpc.insn import is_prefix

Words = Uint32s

_PREFIX_OPCODE: Final = 1
_UNKNOWN: Final = -1
_MANY: Final = 1 << 12
"""Words of which most forms are learnt."""
_WORTH: Final = 128
"""A table of all cells is made anew for one word in so many that it would tell."""
_SLOT_BITS: Final = 14
_SLOTS: Final = 1 << _SLOT_BITS
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_LINE: Final = 64
_ROOM: Final = 8

# What of its place matters to an instruction, beside its bits.
_MISALIGNED, _CROSSES, _SUFFIX = 1, 2, 4


def _prepare(bits: Literal[32, 64], *, targets: bool) -> dict[str, AnyArray]:
    from uprobes_sim_powerpc.relevance import prepare  # with all definitions: a fifth of a second

    return prepare(bits, targets=targets)


def _key(value: AnyArray, relevant: Words) -> Uint64s:
    """Make one number of the bits that matter, and of which they are."""
    return value.astype(np.uint64) << np.uint64(32) | relevant


class _Desk:
    """Arrays to work in: of a piece's size each new one would cost a page fault for each page."""

    def __init__(self, count: int) -> None:
        """Have room for *count* words."""
        self.words = np.empty(count, np.uint32)
        self.high = np.empty(count, np.uint32)
        self.low = np.empty(count, np.uint32)
        self.cell = np.empty(count, np.int64)
        self.forms = np.empty(count, np.int64), np.empty(count, np.int64)
        self.open = np.empty(count, np.bool_)
        self.at = np.arange(0, 4 * count, 4)
        self.size = np.full(count, 4, np.uint8)


class _Forms:
    """Numbers of forms, by their names and by keys: what is met often is found by arrays."""

    def __init__(self) -> None:
        """Know none."""
        self._numbers: dict[str, int] = {}
        self._keys = np.zeros(_SLOTS, np.uint64)
        self._found = np.full(_SLOTS, _UNKNOWN, np.int64)
        """Of the key in the same slot. Where two keys want one, the first stays in it."""

    def number(self, name: str, index: int, new: list[tuple[str, int]]) -> int:
        """Number the form *name*; where it is met the first time, it is noted in *new*."""
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            new.append((name, index))
        return self._numbers[name]

    def numbers(self, keys: Uint64s, places: Places, new: list[tuple[str, int]]) -> Int64s:
        """Number the forms that *keys* stand for; *places*: of the instructions."""
        slots = (keys * _SPREAD >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
        found = np.where(self._keys[slots] == keys, self._found[slots], _UNKNOWN)
        missing = np.flatnonzero(found == _UNKNOWN)
        if len(missing):
            some, first, which = np.unique(keys[missing], return_index=True, return_inverse=True)
            firsts = places[missing[first]].tolist()
            numbers = np.array(
                [
                    self.number(f"{key:x}", place, new)
                    for key, place in zip(some.tolist(), firsts, strict=True)
                ],
                np.int64,
            )
            found[missing] = numbers[which]
            slots = slots[missing[first]]
            free = self._found[slots] == _UNKNOWN
            self._keys[slots[free]], self._found[slots[free]] = some[free], numbers[free]
        return found


class PowerpcSweeper:
    """Cuts PowerPC code of one ABI."""

    asks_nobody = True

    def __init__(self, abi: Abi, configs: tuple[Config, ...]) -> None:
        """Cut for tasks of *abi*, telling apart what matters to one of *configs*."""
        self._wide = abi.bits == 64
        self._order: Literal["little", "big"] = abi.byteorder
        self._type = np.dtype("<u4" if abi.byteorder == "little" else ">u4")
        targets = any(LOST_NONVOLATILE in config.in_force for config in configs)
        kept = cache.place(Path(__file__).parent, "relevance", abi.bits, targets, suffix=".npz")
        found = cache.arrays(kept, lambda: _prepare(abi.bits, targets=targets))
        self._words, self._prefixed, self._group = found["words"], found["prefixed"], found["group"]
        self._forms = _Forms()
        self._number_of = np.full(int(self._group.max()) + 1, _UNKNOWN, np.int64)
        """Number of the form that all of a group have; of the last group it is never known."""
        self._form_of = self._number_of[self._group]
        """The same by cell, as of when it was last worth the while."""
        self._desk = _Desk(0)

    def sweep(self, piece: Piece) -> Sweep:
        """Cut a piece."""
        if piece.vaddr % 4 or (piece.starts % 4).any():
            return self._sweep_misaligned(piece)
        count = -(-piece.stop // 4)
        if len(self._desk.at) < count:
            self._desk = _Desk(count)
        desk, new = self._desk, list[tuple[str, int]]()
        desk.forms = desk.forms[::-1]  # somebody may still read those of the last piece
        words, cell, form = self._read(piece.code, count), desk.cell[:count], desk.forms[0][:count]
        self._find_cells(words, cell)
        todo = self._look_up(cell, form)
        if self._wide:
            prefixes = todo[words[todo] >> 26 == _PREFIX_OPCODE]
            if len(prefixes) or self._is_prefix(piece.before[-4:]):
                return self._sweep_prefixed(piece, words, form, prefixes)
        if len(todo) > _MANY:  # to sort them all would take longer
            self._number_words(words, form, todo[:_MANY], new)
            todo = self._look_up(cell, form)
        self._number_words(words, form, todo, new)
        return Sweep(desk.at[:count], desk.size[:count], form, tuple(new), 4 * count)

    def _read(self, code: bytes, count: int) -> Words:
        """Read *count* words; what *code* has too little is 0."""
        raw = np.frombuffer(code.ljust(4 * count, b"\0"), self._type, count)
        if self._type.isnative:
            return raw
        words = self._desk.words[:count]
        words[:] = raw
        return words

    def _find_cells(self, words: Words, cell: Places) -> None:
        high, low = self._desk.high[: len(words)], self._desk.low[: len(words)]
        np.bitwise_and(words, 0x7FF, out=low)
        np.right_shift(words, 15, out=high)
        np.bitwise_and(high, 0x1F800, out=high)
        np.bitwise_or(high, low, out=cell)

    def _look_up(self, cell: Places, form: Int64s) -> Places:
        """Fill in the forms that the cells tell; answer where they do not."""
        self._form_of.take(cell, out=form, mode="clip")  # other modes write through a copy
        return np.flatnonzero(np.equal(form, _UNKNOWN, out=self._desk.open[: len(form)]))

    def _sweep_prefixed(self, piece: Piece, words: Words, form: Int64s, prefixes: Places) -> Sweep:
        """Go on with a piece that has prefixes, or begins behind one."""
        prefix = np.zeros(len(words), np.bool_)
        prefix[prefixes] = True
        at, size, end = _cut_prefixed(prefix, piece.starts)
        place, behind = at // 4, np.append(self._is_prefix(piece.before[-4:]), prefix)
        words, form = words[place], form[place]
        special = (size == 8) | behind[place]
        new = list[tuple[str, int]]()
        self._number_words(words, form, np.flatnonzero((form == _UNKNOWN) & ~special), new)
        for index in np.flatnonzero(special).tolist():
            name = self._name(piece, int(at[index]), int(size[index]))
            form[index] = self._forms.number(name, index, new)
        return Sweep(at, size.astype(np.uint8), form, tuple(new), end)

    def _sweep_misaligned(self, piece: Piece) -> Sweep:
        """Cut a piece in which instructions begin anywhere."""
        found, end = cut(piece, self._measure, _ROOM)
        new = list[tuple[str, int]]()
        form = [
            self._forms.number(self._name(piece, at, size), index, new)
            for index, (at, size) in enumerate(found)
        ]
        at, size = np.array(found, np.int64).reshape(-1, 2).T
        return Sweep(at, size.astype(np.uint8), np.array(form, np.int64), tuple(new), end)

    def _number_words(
        self, words: Words, form: Int64s, todo: Places, new: list[tuple[str, int]]
    ) -> None:
        """Number the forms of the words *todo*, of which their cells do not tell it."""
        if not len(todo):
            return
        chosen = words[todo]
        cell = (chosen >> 15 & 0x1F800 | chosen & 0x7FF).astype(np.int64)
        relevant = self._words[cell]
        form[todo] = numbers = self._forms.numbers(_key(chosen & relevant, relevant), todo, new)
        group = self._group[cell]
        simple = group < len(self._number_of) - 1
        self._number_of[group[simple]] = numbers[simple]
        if _WORTH * np.count_nonzero(simple) > len(words):
            self._form_of = self._number_of[self._group]

    def _name(self, piece: Piece, at: int, size: int) -> str:
        """Name the form of one instruction by its bits and by its place."""
        word = int.from_bytes(piece.code[at : at + 4].ljust(4, b"\0"), self._order)
        relevant = int(self._words[word >> 15 & 0x1F800 | word & 0x7FF])
        if size == 8:
            second = piece.code[at + 4 : at + 8].ljust(4, b"\0")
            word = word << 32 | int.from_bytes(second, self._order)
            relevant = int(self._prefixed[word >> 26 & 63])
        vaddr, near = piece.vaddr + at, piece.before[-4:] if at < 4 else b""
        before = (near + piece.code[max(at - 4, 0) : at])[-4:]
        place = _MISALIGNED * bool(vaddr % 4) | _SUFFIX * self._is_prefix(before)
        place |= _CROSSES * (size == 8 and vaddr % _LINE == _LINE - 4)
        return f"{word & relevant:x}/{relevant:x}/{place}"

    def _measure(self, insn: bytes) -> int:
        return 8 if self._is_prefix(insn[:4]) else 4

    def _is_prefix(self, word: bytes) -> bool:
        return self._wide and len(word) == 4 and is_prefix(int.from_bytes(word, self._order))


def _cut_prefixed(prefix: Bools, starts: Places) -> tuple[Places, Places, int]:
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
