"""Code cut into instructions, a piece at a time, in arrays.

How that is done fast is the architecture's business (`arch_sweeper`); `ScalarSweeper` does it for
any, slowly.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import numpy as np

from uprobes_sim.scan.arrays import Int64s, Uint8s

Places = Int64s

_NOWHERE: Final = 1 << 62


class Piece(NamedTuple):
    """A piece of code to be cut."""

    code: bytes
    """As it lies in the file; behind `stop` at least `max_insn_bytes`, if the file has them."""
    vaddr: int
    """Of its first byte, where an instruction begins."""
    stop: int
    """Bytes of it in which instructions are to begin."""
    starts: Places
    """Places in it, ascending, where an instruction is known to begin."""
    before: bytes = b""
    """What lies before it: `max_insn_bytes`, or nothing."""


class Sweep(NamedTuple):
    """The instructions of a piece: one element of each array for one.

    Good until the next sweep but one.
    """

    at: Places
    """Place in the piece."""
    size: Uint8s
    """In bytes."""
    form: Int64s
    """Number of its form, as an index, of which numpy is fast. All instructions of a form are
    given one answer, the words included; those of a refusal may differ."""
    new: tuple[tuple[str, int], ...]
    """Of each form that was not met before, in the order of their numbers: a name that it has in
    every run, empty if it has none; and the first element that has it."""
    end: int
    """Place in the piece at which to go on."""


class Sweeper(Protocol):
    """Cuts code into instructions; a form keeps its number as long as the sweeper lives."""

    asks_nobody: bool
    """It calls no hooks, so it may run while others do: in a thread, a piece ahead."""

    def sweep(self, piece: Piece) -> Sweep:
        """Cut a piece.

        Where an instruction would reach over a place at which another is known to begin, there is
        none: such bytes are left out. What is no instruction at all counts as one of the smallest
        size.
        """
        ...


class ScalarSweeper:
    """Cuts one instruction after the other, and knows nothing of forms: each is one of its own."""

    asks_nobody = False

    def __init__(self, measure: Callable[[bytes], int], room: int) -> None:
        """Cut by *measure*, which tells the size of what it is given begins with: *room* bytes."""
        self._measure = measure
        self._room = room
        self._forms = 0

    def sweep(self, piece: Piece) -> Sweep:
        """Cut a piece."""
        found, end = cut(piece, self._measure, self._room)
        at, size = np.array(found, np.int64).reshape(-1, 2).T
        first, self._forms = self._forms, self._forms + len(found)
        return Sweep(
            at,
            size.astype(np.uint8),
            np.arange(first, self._forms),
            tuple(("", index) for index in range(len(found))),
            end,
        )


def cut(
    piece: Piece, measure: Callable[[bytes], int], room: int
) -> tuple[list[tuple[int, int]], int]:
    """List place and size of each instruction of a piece, and where to go on."""
    found, at, index = list[tuple[int, int]](), 0, 0
    starts = [*piece.starts.tolist(), _NOWHERE]
    while at < piece.stop:
        while starts[index] <= at:
            index += 1
        size = measure(piece.code[at : at + room].ljust(room, b"\0"))
        if at + size > starts[index]:
            at = starts[index]
            continue
        found.append((at, size))
        at += size
    return found, at
