"""x86 code at memory speed: the tables of `tables.py` as arrays, and a cutter that is compiled."""

from itertools import accumulate, product
from pathlib import Path
from typing import Final, Literal

import numpy as np

from uprobes_sim import cache
from uprobes_sim.scan.arrays import AnyArray, Int16s, Int64s, Uint8s
from uprobes_sim.scan.sweep import Piece, Sweep
from uprobes_sim_x86 import cutter
from uprobes_sim_x86.analyze import X86_NOPS
from uprobes_sim_x86.insn import MAX_INSN_SIZE, PROCESSOR
from uprobes_sim_x86.maps import ONE_BYTE_MAPS
from uprobes_sim_x86.native import cutter_for_arrays
from uprobes_sim_x86.tables import (
    FORCE64,
    GROUP_IMMEDIATES,
    INVALID64,
    LEGACY,
    LEGACY_PREFIXES,
    ONE_BYTE,
    VECTOR,
)

_ROOM: Final = MAX_INSN_SIZE + 1
"""Bytes that the cutter may look at, from the start of an instruction on."""
_ESCAPES: Final = ("0f", "0f38", "0f3a")
_VECTORS: Final = ("vex", "evex", "xop")
_MAPS: Final = 32
_PLACES: Final = (
    cutter.KINDS,
    cutter.LEGACY,
    cutter.PROCESSOR,
    cutter.ONE_BYTE,
    cutter.VECTORS,
    cutter.GROUPS,
    cutter.VECTOR_GROUPS,
    cutter.FORCE64,
    cutter.INVALID,
    cutter.NOPS,
    cutter.END,
)
_FIRST_SLOTS: Final = 1 << 14
_NOWHERE: Final = 1 << 62


def _kinds() -> bytes:
    kinds = bytearray(256)
    for number, prefix in enumerate(sorted(LEGACY_PREFIXES), start=1):
        kinds[prefix] = number
    return bytes(kinds)


def _group(space: str, number: int, opcode: int) -> bytes:
    """Give kind and members, as a bit mask, of a group's immediate."""
    kind, members = GROUP_IMMEDIATES.get((space, number, opcode), (cutter.NO_GROUP, ()))
    return bytes([kind, sum(1 << member for member in members)])


def tables(bits: Literal[32, 64]) -> bytes:
    """Lay the tables out behind each other, as `cutter` has their places."""
    legacy = list(product(_ESCAPES, range(4)))
    vector = list(product(_VECTORS, range(_MAPS)))
    parts = (
        _kinds(),
        b"".join(LEGACY[key] for key in legacy),
        b"".join(PROCESSOR[key] for key in legacy),
        ONE_BYTE_MAPS[bits] + ONE_BYTE,
        b"".join(VECTOR.get((*key, pp), bytes(256)) for key in vector for pp in range(4)),
        b"".join(
            _group(name, pp, opcode)
            for name, pp in product(("1", *_ESCAPES), range(4))
            for opcode in range(256)
        ),
        b"".join(_group(*key, opcode) for key in vector for opcode in range(256)),
        bytes(opcode in FORCE64 for opcode in range(256)),
        bytes(bits == 64 and opcode in INVALID64 for opcode in range(256)),
        b"".join(bytes([len(nop)]) + nop.ljust(8, b"\0") for nop in sorted(X86_NOPS)),
    )
    places = list(accumulate(map(len, parts), initial=0))[:-1]
    flat = b"".join(parts)
    assert (*places, len(flat)) == _PLACES
    return flat


def _prepare(bits: Literal[32, 64]) -> dict[str, AnyArray]:
    """Work out all that the cutter looks up."""
    flat, cuts = signed(tables(bits)), np.zeros(2 * 65536, np.int64)
    cutter_for_arrays().find_short_cuts(bits, flat, np.zeros(32, np.int16), cuts)
    return {"tables": flat, "cuts": cuts}


class X86Sweeper:
    """Cuts x86 code of one width."""

    asks_nobody = True

    def __init__(self, bits: Literal[32, 64]) -> None:
        """Cut for tasks of *bits*."""
        self._bits = bits
        self._cutter = cutter_for_arrays()
        kept = cache.place(Path(__file__).parent, "cutter", bits, suffix=".npz")
        found = cache.arrays(kept, lambda: _prepare(bits))
        self._tables, self._cuts = found["tables"], found["cuts"]
        self._found, self._last = _arrays(0), _arrays(0)
        self._count = 0
        self._slots(_FIRST_SLOTS)

    def _slots(self, size: int) -> None:
        self._slot_form = np.full(size, -1, np.int64)
        self._slot_number = np.zeros(size, np.uint32)

    def _grow(self) -> None:
        """Double the hash table."""
        form, number = self._slot_form, self._slot_number
        self._slots(2 * len(form))
        mask = len(self._slot_form) - 1
        self._cutter.enter(form, number, len(form), self._slot_form, self._slot_number, mask)

    def sweep(self, piece: Piece) -> Sweep:
        """Cut a piece."""
        code = signed(piece.code + bytes(_ROOM))
        self._found, self._last = self._last, self._found  # which somebody may still read
        if len(self._found[0]) < piece.stop:
            self._found = _arrays(piece.stop)
        found = self._found
        starts = np.append(piece.starts, _NOWHERE)
        state = np.zeros(5, np.int64)
        new = list[tuple[str, int]]()
        while state[cutter.AT] < piece.stop:
            if 2 * self._count >= len(self._slot_form):
                self._grow()
            room = len(self._slot_form) // 2
            fresh = np.empty(room, np.int64), np.empty(room, np.int64)
            first = self._count
            state[cutter.FORMS], state[cutter.ROOM] = first, room
            slots = self._slot_form, self._slot_number, len(self._slot_form) - 1
            how = self._bits, self._tables, self._cuts
            self._cutter.sweep(code, piece.stop, starts, *how, *found, *slots, *fresh, state)
            self._count = int(state[cutter.FORMS])
            names, indices = (each[: self._count - first].tolist() for each in fresh)
            new += zip(map(_name, names), indices, strict=True)
        count = int(state[cutter.FOUND])
        at, size, form = found
        return Sweep(at[:count], size[:count], form[:count], tuple(new), int(state[cutter.AT]))


def _arrays(room: int) -> tuple[Int64s, Uint8s, Int64s]:
    return np.empty(room, np.int64), np.empty(room, np.uint8), np.empty(room, np.int64)


def signed(data: bytes) -> Int16s:
    """Make an array of bytes that numba does arithmetic with as Python does."""
    return np.frombuffer(data, np.uint8).astype(np.int16)


def _name(form: int) -> str:
    return "" if cutter.has_own_form(form) else f"{form:x}"
