"""Paths through a program that run often, each as one Python function.

A trace is what was executed from its head on, once: branches that went some way then are expected
to go that way again, and where they do not, the trace is left. If the path came back to its head,
the function loops. Registers are loaded into variables at the start and put back at the end.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from uprobes_sim.memory import PageFault
from uprobes_sim.units import PAGE_SHIFT
from uprobes_sim_powerpc.isa.interrupts import Interrupt
from uprobes_sim_powerpc.mmu import CODES, CROSSING, Memory
from uprobes_sim_powerpc.op import Op
from uprobes_sim_powerpc.regs import PtRegs
from uprobes_sim_powerpc.translate import FILES, SCALARS, Mode, Piece, Untranslatable, translate

MAX_TRACE: Final = 200
"""Most instructions of a trace."""

_LETTERS: Final = {letter: file for file, letter in FILES.items()}
_VARIABLE: Final = re.compile(rf"\b(?:[{''.join(_LETTERS)}]\d+|{'|'.join(sorted(SCALARS))})\b")

_RESERVED: Final = frozenset({"done", "end", "event", "last", "n", "nip", "s", *FILES})
"""Variables of the function that are no registers."""

Run = Callable[[PtRegs, int, int], int]
"""Execute, given the instructions executed so far and how many there may be in the end.

Answers how many have been executed then; the complement of it if the instruction at `nip` cannot go
on here: it faults, or it must be executed by a call.
"""


@dataclass(eq=False, slots=True)
class Trace:
    """A path, and the function made of it."""

    head: int
    length: int
    """In instructions."""
    run: Run
    pages: frozenset[int]
    """Page numbers of all instructions."""


@dataclass(eq=False, slots=True)
class _Writer:
    """Collects the lines of the function."""

    ops: Sequence[Op]
    follows: int
    mode: Mode
    names: dict[str, object]
    lines: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """First line of each instruction, counted from the first line of the body."""

    def write(self) -> None:
        """Write all instructions."""
        for done, op in enumerate(self.ops):
            self.places.append(len(self.lines))
            nia = self.ops[done + 1].cia if done + 1 < len(self.ops) else self.follows
            try:
                piece = translate(op, self.mode)
                self._rename(piece.names)
            except Untranslatable:
                self._call(done, op, nia)
            else:
                self._write(piece, done + 1, op, nia)

    def _rename(self, names: dict[str, object]) -> None:
        for name, value in names.items():
            if name in _RESERVED or self.names.setdefault(name, value) is not value:
                raise Untranslatable(name)

    def _call(self, done: int, op: Op, follows: int) -> None:
        meaning, args = op.call
        self.names[f"F{done}"], self.names[f"A{done}"] = meaning, args
        self.lines += ["SAVE", f"s.nip = {op.nia}", f"F{done}(s, *A{done})", "LOAD"]
        if op.row.branches:
            self._leave(f"s.nip != {follows}", "s.nip", done + 1)

    def _write(self, piece: Piece, done: int, op: Op, follows: int) -> None:
        self.lines += piece.lines
        if not piece.target:
            return
        fixed = piece.target.isdecimal()
        if not piece.condition:
            if not fixed:
                self._leave(f"{piece.target} != {follows}", piece.target, done)
        elif follows == op.nia:
            self._leave(piece.condition, piece.target, done)
        elif fixed:
            self._leave(f"not ({piece.condition})", str(op.nia), done)
        else:
            self.lines.append(f"nip = {piece.target} if {piece.condition} else {op.nia}")
            self._leave(f"nip != {follows}", "nip", done)

    def _leave(self, condition: str, nip: str, done: int) -> None:
        self.lines += [f"if {condition}:", f"    nip = {nip}", f"    n += {done}", "    break"]


def make(ops: Sequence[Op], follows: int, memory: Memory, mode: Mode) -> Trace:
    """Make a trace of *ops*, after which the program went on at *follows*."""
    head, length = ops[0].cia, len(ops)
    space: dict[str, object] = {"FAULTS": (PageFault, Interrupt, CROSSING), "m": memory}
    space |= {"R": memory.r, "W": memory.w}
    for size in CODES:
        space |= {f"load{size}": memory.struct(size).unpack_from}
        space |= {f"store{size}": memory.struct(size).pack_into}
    writer = _Writer(ops, follows, mode, space)
    writer.write()
    text, first_line = _function(writer.lines, head, follows, length)
    starts = [first_line + place for place in writer.places]
    addresses = [op.cia for op in ops]

    def place(traceback: TracebackType) -> tuple[int, int]:
        done = bisect_right(starts, traceback.tb_lineno) - 1
        return done, addresses[done]

    space["place"] = place
    exec(compile(text, f"<trace {head:#x}>", "exec"), space)
    run = space["run"]
    assert callable(run)
    return Trace(head, length, run, frozenset(op.cia >> PAGE_SHIFT for op in ops))


def _function(lines: list[str], head: int, follows: int, length: int) -> tuple[str, int]:
    """Put the lines of the instructions into a function; answer the number of the first, too."""
    body = "\n".join(lines)
    used = sorted(set(_VARIABLE.findall(body)))
    written = sorted(set(re.findall(rf"^ *({_VARIABLE.pattern}) = ", body, re.MULTILINE)))
    load = [f"{name} = {_home(name)}" for name in used]
    save = [f"{_home(name)} = {name}" for name in written]
    both = {"SAVE": "; ".join(save) or "pass", "LOAD": "; ".join(load) or "pass"}
    files = [f"{file} = s.{file}" for file in FILES]
    set_up = [*files, *load, f"nip = {head}", f"last = end - {length}"]
    start = ["def run(s, n, end):", *_indented(set_up, 1)]
    loop = ["while n <= last:"] if follows == head else ["while True:"]
    close = [f"n += {length}"]
    if follows != head:
        close += [f"nip = {follows}", "break"]
    handler = [
        "except FAULTS as event:",
        "    done, nip = place(event.__traceback__)",
        "    n = ~(n + done)",
    ]
    text = [
        *start,
        *_indented(["try:"], 1),
        *_indented(loop, 2),
        *_indented([both.get(line, line) for line in lines], 3),
        *_indented(close, 3),
        *_indented(handler, 1),
        *_indented([*save, "s.nip = nip", "return n"], 1),
    ]
    return "\n".join(text), len(start) + 3


def _home(name: str) -> str:
    return f"s.{name}" if name in SCALARS else f"{_LETTERS[name[0]]}[{name[1:]}]"


def _indented(lines: Sequence[str], depth: int) -> list[str]:
    return ["    " * depth + line for line in lines]
