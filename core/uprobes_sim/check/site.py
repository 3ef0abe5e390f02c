"""A probe that has found its place: what the rules look at."""

from dataclasses import dataclass

from uprobes_sim.check.code import Code, Function
from uprobes_sim.elf import PF_R, PF_W, PF_X
from uprobes_sim.languages import Question
from uprobes_sim.loader import Program, Segment
from uprobes_sim.symbols import Section, Symbol
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.version import Config


@dataclass(frozen=True, slots=True)
class Reading:
    """What a number means in a file, as an address or as an offset."""

    vaddr: Vaddr | None
    """As in the ELF file; None: no segment loads it."""
    offset: Offset
    """In the file that the kernel sees, which may be an archive."""
    inner: Offset
    """In the ELF file."""
    segment: Segment | None
    holder: Section | None
    """The section that holds it; None: the file does not tell."""
    symbol: str | None
    label: str
    """`symbol+0x8`, or the address."""

    @property
    def is_code(self) -> bool:
        """Tell whether it is there to be executed."""
        executable = self.segment is not None and self.segment.executable
        return executable and (self.holder is None or self.holder.executable)

    @property
    def section(self) -> str | None:
        """Name of the section."""
        return None if self.holder is None else self.holder.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A probe and its place."""

    question: Question
    program: Program
    code: Code
    config: Config
    reading: Reading
    other: Reading | None
    """What the number would be in the other sense, where it would be code."""
    function: Function | None
    named: Symbol | None
    """The symbol that the user named."""
    is_return: bool
    base: int
    """Where the ELF file starts in the file that the kernel sees: not 0 in an archive."""

    @property
    def vaddr(self) -> Vaddr:
        """Where it is; only asked where that is loaded."""
        assert self.reading.vaddr is not None
        return self.reading.vaddr


def read_vaddr(code: Code, vaddr: Vaddr) -> Reading | None:
    """Say what is at *vaddr*; None: nothing of the file is."""
    segment = code.program.segment_of(vaddr)
    if segment is None:
        return None
    offset = Offset(vaddr - segment.vaddr + segment.offset)
    return _reading(code, vaddr, offset, segment)


def read_offset(code: Code, offset: Offset) -> Reading:
    """Say what is at *offset* of the file that the kernel sees."""
    inner = Offset(offset - code.base)
    holding = [
        segment
        for segment in code.program.segments
        if segment.offset <= inner < segment.offset + segment.filesz
    ]
    if not holding:
        return Reading(None, offset, inner, None, None, None, f"@{offset:#x}")
    segment = max(holding, key=lambda each: each.executable)
    return _reading(code, Vaddr(inner - segment.offset + segment.vaddr), inner, segment)


def _reading(code: Code, vaddr: Vaddr, inner: Offset, segment: Segment) -> Reading:
    offset = Offset(code.base + inner)
    section = code.program.symbols.section_holding(vaddr)
    function = code.function_at(vaddr)
    start, name = (None, None) if function is None else (function.start, function.name)
    if name is None:
        nearest = code.program.symbols.nearest(vaddr)
        if nearest is not None and nearest.kind == "STT_NOTYPE" and segment.executable:
            start, name = nearest.value, nearest.name
    if start is None or name is None:
        return Reading(vaddr, offset, inner, segment, section, None, hex(vaddr))
    distance = vaddr - start
    label = f"{name}+{distance:#x}" if distance else name
    return Reading(vaddr, offset, inner, segment, section, name, label)


def flags_text(segment: Segment) -> str:
    """Write the permissions of a segment as /proc/PID/maps does."""
    letters = ((PF_R, "r"), (PF_W, "w"), (PF_X, "x"))
    return "".join(letter if segment.flags & flag else "-" for flag, letter in letters)
