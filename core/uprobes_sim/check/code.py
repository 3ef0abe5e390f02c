"""The code of a file: where its functions are, and where instructions start in them."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from uprobes_sim.arch import ArchInfo
from uprobes_sim.check.frames import Frames
from uprobes_sim.flow import Flow
from uprobes_sim.hookspecs import ArchHooks
from uprobes_sim.loader import Program
from uprobes_sim.symbols import Symbol
from uprobes_sim.units import Vaddr

_BEFORE: Final = 64
"""Bytes before a place from which its boundary is guessed."""
_POINTED: Final = "a relocation, the entry point or the start of a section"
_LONGEST: Final = 1 << 20
"""Bytes of a function that are believed."""


@dataclass(frozen=True, slots=True)
class Function:
    """A piece of code that is entered at its start."""

    start: Vaddr
    end: Vaddr
    symbol: Symbol | None
    """None: only call frame information tells of it."""
    basis: str
    """How its start is known, in words."""

    @property
    def name(self) -> str | None:
        """The symbol's name."""
        return None if self.symbol is None else self.symbol.name


@dataclass(frozen=True, slots=True)
class Boundary:
    """Whether an instruction starts at a place."""

    starts: bool
    insn_start: Vaddr
    """The place, or the start of the instruction that it is inside of."""
    confidence: float
    """1: the file tells."""
    basis: str


@dataclass(slots=True)
class _Walk:
    """The instructions from a start on, as far as somebody wanted to know: each is read once."""

    more: Iterator[tuple[Vaddr, Flow]]
    end: int
    """Behind the last of them."""
    starts: list[Vaddr] = field(default_factory=list)
    leaves: int | None = None
    """End of the first behind which the program does not go on."""
    unknown: int | None = None
    """Place of the first that is none."""

    def go_to(self, vaddr: int) -> None:
        """Read on up to and with the instruction at *vaddr*."""
        while self.end <= vaddr:
            self._read()

    def leaves_before(self, vaddr: int) -> bool:
        """Tell whether the program does not go on to *vaddr*; reads no further than that takes."""
        while self.leaves is None and self.end <= vaddr:
            self._read()
        return self.leaves is not None and self.leaves <= vaddr

    def _read(self) -> None:
        at, flow = next(self.more)
        self.starts.append(at)
        self.end = at + flow.size
        if self.leaves is None and not flow.goes_on:
            self.leaves = self.end
        if self.unknown is None and flow.kind == "unknown":
            self.unknown = at

    def holding(self, vaddr: int) -> Vaddr:
        """Find the start of the instruction that *vaddr* is in."""
        return self.starts[bisect_right(self.starts, vaddr) - 1]


class Code:
    """The code of one file."""

    def __init__(self, program: Program, hook: ArchHooks, info: ArchInfo, base: int = 0) -> None:
        """Read *program*, which starts at *base* of its archive, as *hook* reads instructions."""
        self.program = program
        self.base = base
        self.frames = Frames(program)
        self.hook = hook
        self.info = info
        self._walks: dict[Vaddr, _Walk] = {}

    @property
    def alignment(self) -> int:
        """Bytes of which an offset must be a multiple: those of a breakpoint."""
        return self.info.swbp_size

    def flow(self, vaddr: Vaddr) -> Flow:
        """Say what the instruction at *vaddr* does."""
        insn = self.program.read(vaddr, self.info.max_insn_bytes)
        return self.hook.arch_insn_flow(insn=insn, vaddr=vaddr, abi=self.info.abi)

    def walk(self, start: Vaddr, end: int) -> Iterator[tuple[Vaddr, Flow]]:
        """Give the instructions from *start* up to *end*, one behind the other."""
        at = start
        while at < end:
            flow = self.flow(at)
            yield at, flow
            at = Vaddr(at + flow.size)

    # --- functions --------------------------------------------------------

    @cached_property
    def _rows(self) -> list[tuple[Vaddr, Symbol]]:
        """The functions that have symbols, by their start; of several there the likeliest."""
        table = self.program.symbols
        described = any(section.name == ".opd" for section in table.sections)
        best = {symbol.value: symbol for symbol in table.functions}
        if not described:
            return list(best.items())  # in order, as `functions` is
        rows = [(self.entry(symbol, want_global=True), symbol) for symbol in best.values()]
        return sorted(rows, key=_start)

    @property
    def count(self) -> int:
        """Number of the functions that have symbols."""
        return len(self._rows)

    @property
    def functions(self) -> Iterator[Function]:
        """The functions that have symbols, in order."""
        return map(self._function, range(len(self._rows)))

    def named(self, name: str) -> list[Function]:
        """Find the functions called *name*."""
        wanted = {symbol.value for symbol in self.program.symbols.by_name.get(name, ())}
        return [
            self._function(index)
            for index, (_, symbol) in enumerate(self._rows if wanted else ())
            if symbol.value in wanted and symbol.name == name
        ]

    def _function(self, index: int) -> Function:
        start, symbol = self._rows[index]
        return Function(start, self._end(index), symbol, f"the symbol {symbol.name}")

    def entry(self, symbol: Symbol, *, want_global: bool) -> Vaddr:
        """Find the code of a function, for callers from other files or from its own."""
        return self.hook.arch_symbol_entry(
            symbol=symbol, image=self.program.image, want_global=want_global
        )

    def _end(self, index: int) -> Vaddr:
        """Find where a function ends: by its size, or else where the next thing starts."""
        start, symbol = self._rows[index]
        segment = self.program.segment_of(start)
        limit = start if segment is None else min(segment.end, start + _LONGEST)
        if symbol.size:
            return Vaddr(min(start + symbol.size, limit))
        frame = self.frames.at(start)
        if frame is not None and frame.start == start:
            return Vaddr(min(frame.end, limit))
        after = bisect_right(self._rows, start, key=_start)
        following = self._rows[after][0] if after < len(self._rows) else limit
        section = self.program.symbols.section_holding(start)
        return Vaddr(min(following, limit, limit if section is None else section.end))

    def function_at(self, vaddr: int) -> Function | None:
        """Find the function that holds *vaddr*."""
        index = bisect_right(self._rows, vaddr, key=_start) - 1
        if index >= 0 and vaddr < self._end(index):
            return self._function(index)
        frame = self.frames.at(vaddr)
        if frame is None:
            return None
        end = min(frame.end, frame.start + _LONGEST)
        return Function(frame.start, Vaddr(end), None, ".eh_frame")

    # --- boundaries -------------------------------------------------------

    def boundary(self, vaddr: Vaddr) -> Boundary:
        """Tell whether an instruction starts at *vaddr*, and how sure that is."""
        known = self._known_start(vaddr)
        if known is not None:
            start, basis = known
            walk = self._walk(start)
            walk.go_to(vaddr)
            # Data in the code: what comes behind it is not known.
            lost = walk.unknown is not None and walk.unknown <= vaddr and self.info.swbp_size == 1
            if not lost:
                at = walk.holding(vaddr)
                return Boundary(at == vaddr, at, 1.0, basis)
        return self._guess(vaddr)

    def _walk(self, start: Vaddr) -> _Walk:
        """Give the walk from *start*, as far as it has come."""
        if start not in self._walks:
            self._walks[start] = _Walk(self.walk(start, 1 << 64), start)
        return self._walks[start]

    def _known_start(self, vaddr: Vaddr) -> tuple[Vaddr, str] | None:
        """Find the nearest instruction before *vaddr* whose start the file tells."""
        function = self.function_at(vaddr)
        if function is not None:
            return function.start, function.basis
        start = self._pointer_before(vaddr)
        if start is None:
            return None
        segment = self.program.segment_of(vaddr)
        near = segment is not None and segment.holds(start)
        return (start, _POINTED) if near and self._flows(start, vaddr) else None

    def _pointer_before(self, vaddr: Vaddr) -> Vaddr | None:
        """Find the last place in the code, up to *vaddr*, to which the file itself points."""
        for at in range(bisect_right(self._pointers, vaddr) - 1, -1, -1):
            start = self._pointers[at]
            if vaddr - start >= _LONGEST:
                return None
            if self._is_code(start):
                return Vaddr(start)
        return None

    def _flows(self, start: Vaddr, vaddr: Vaddr) -> bool:
        """Tell whether the program gets from *start* to *vaddr* without a jump."""
        return not self._walk(start).leaves_before(vaddr)

    @cached_property
    def _pointers(self) -> list[int]:
        """Places to which the file itself points, in the code or not, in order."""
        from uprobes_sim.check.dynamic import relative_targets

        sections = self.program.symbols.sections
        starts = (section.start for section in sections if section.executable)
        return sorted({self.program.entry, *starts, *relative_targets(self.program)})

    def _is_code(self, vaddr: int) -> bool:
        segment = self.program.segment_of(vaddr)
        section = self.program.symbols.section_holding(vaddr)
        loaded = segment is not None and segment.executable
        return loaded and (section is None or section.executable)

    def _guess(self, vaddr: Vaddr) -> Boundary:
        """Start reading at every place before *vaddr*: right readings soon agree."""
        step = self.info.swbp_size
        if step > 1:
            start = Vaddr(vaddr - vaddr % step)
            return Boundary(start == vaddr, start, 1.0, "instructions of fixed size")
        segment = self.program.segment_of(vaddr)
        first = max(segment.vaddr if segment else vaddr, vaddr - _BEFORE)
        readings, votes = self._readings(first, vaddr), dict[Vaddr, int]()
        for before in range(first, vaddr):
            found = readings[before]
            if found is not None:
                votes[found] = votes.get(found, 0) + 1
        if not votes:
            return Boundary(True, vaddr, 0.5, "no reading comes here")
        # The place itself wins a draw.
        best = max(votes, key=lambda at: (votes[at], at == vaddr))
        count, total = votes[best], sum(votes.values())
        # However few agree, they may be wrong together: no more than a guess.
        confidence = count / (total + 1)
        basis = f"{count} of {total} readings that start up to {_BEFORE} bytes before"
        return Boundary(best == vaddr, best, confidence, basis)

    def _readings(self, first: int, vaddr: Vaddr) -> dict[int, Vaddr | None]:
        """Read from every place on; answer the start of what holds *vaddr*, None: that is no code.

        Backwards: each reading goes on as one that is known.
        """
        found: dict[int, Vaddr | None] = {}
        for at in range(vaddr, first - 1, -1):
            flow = self.flow(Vaddr(at))
            if flow.kind == "unknown":
                found[at] = None
            else:
                behind = at + flow.size
                found[at] = Vaddr(at) if behind > vaddr else found[behind]
        return found


def _start(row: tuple[Vaddr, Symbol]) -> Vaddr:
    return row[0]
