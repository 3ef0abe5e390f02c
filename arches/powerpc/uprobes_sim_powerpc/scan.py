"""PowerPC code at memory speed: all words of a piece at once, told apart by bits that matter.

Cells of words are told apart by their primary opcodes and by their last eleven bits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np

from uprobes_sim.arch import Abi
from uprobes_sim.scan import cache
from uprobes_sim.scan.arrays import AnyArray, Bools, Uint32s, Uint64s
from uprobes_sim.scan.sweep import Piece, Places, Sweep, cut
from uprobes_sim.version import Config
from uprobes_sim_powerpc.insn import is_prefix

Words = Uint32s

_PREFIX_OPCODE: Final = 1
_LOST_NONVOLATILE: Final = "powerpc.lost_nonvolatile"
"""An erratum to which it matters which registers are written."""
_UNKNOWN: Final = 0xFFFFFFFF
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


class PowerpcSweeper:
    """Cuts PowerPC code of one ABI."""

    asks_nobody = True

    def __init__(self, abi: Abi, configs: tuple[Config, ...]) -> None:
        """Cut for tasks of *abi*, telling apart what matters to one of *configs*."""
        self._wide = abi.bits == 64
        self._order: Literal["little", "big"] = abi.byteorder
        self._type = np.dtype("<u4" if abi.byteorder == "little" else ">u4")
        targets = any(_LOST_NONVOLATILE in config.in_force for config in configs)
        kept = cache.place(Path(__file__).parent, "relevance", abi.bits, targets, suffix=".npz")
        found = cache.arrays(kept, lambda: _prepare(abi.bits, targets=targets))
        self._words, self._prefixed, self._group = found["words"], found["prefixed"], found["group"]
        self._numbers: dict[str, int] = {}
        """Of each form by its name."""
        self._number_of = np.full(int(self._group.max()) + 1, _UNKNOWN, np.uint32)
        """Number of the form that all of a group have; of the last group it is never known."""
        self._form_of = self._number_of[self._group]
        """The same by cell."""

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

    def _forms(self, words: Words, special: Sequence[int], new: list[tuple[str, int]]) -> Uint32s:
        """Number the forms of words that their bits tell apart, all but the *special* ones."""
        cell = (words >> 15 & 0x1F800 | words & 0x7FF).astype(np.int64)  # numpy indexes fast by it
        form: Uint32s = self._form_of.take(cell)
        open_ = form == _UNKNOWN
        if special:
            open_[special] = False
        todo = np.flatnonzero(open_)
        if not len(todo):
            return form
        relevant = self._words[cell[todo]]
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
        group = self._group[cell[todo]]
        if (group < len(self._number_of) - 1).any():
            self._number_of[group] = form[todo]
            self._number_of[-1] = _UNKNOWN
            self._form_of = self._number_of[self._group]
        return form

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

    def _number(self, name: str, index: int, new: list[tuple[str, int]]) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            new.append((name, index))
        return self._numbers[name]

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
