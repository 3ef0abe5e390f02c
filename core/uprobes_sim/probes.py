"""Probes as users write them, and the places in a file that they mean (trace_uprobe)."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from uprobes_sim.errors import ProbeError
from uprobes_sim.hookspecs import ArchHooks
from uprobes_sim.loader import Program
from uprobes_sim.sections import read_sections
from uprobes_sim.symbols import Symbol
from uprobes_sim.units import Offset, Vaddr

_NUMBER: Final = r"0[xX][0-9a-fA-F]+|[0-9]+"
_GRAMMAR: Final = re.compile(
    rf"(?:@(?P<offset>{_NUMBER})"
    rf"|(?P<vaddr>{_NUMBER})"
    rf"|(?P<symbol>[^\s+%:@\d][^\s+%:]*)(?:\+(?P<addend>{_NUMBER}))?)"
    r"(?:%(?P<mode>return|global))?"
)
_USAGE: Final = "SYMBOL, SYMBOL+OFF, SYMBOL%return, SYMBOL%global, 0xVADDR or @0xOFFSET"

_SUGGESTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A probe as it was written. One of *symbol*, *vaddr* and *offset* is there."""

    text: str
    symbol: str | None = None
    vaddr: Vaddr | None = None
    """As in the ELF file."""
    offset: Offset | None = None
    """Place in the file."""
    addend: int | None = None
    """Bytes behind the symbol; None: none were given, which on powerpc is not the same as 0."""
    is_return: bool = False
    want_global: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a probe goes. For the kernel it is the inode and *offset*."""

    vaddr: Vaddr
    """As in the ELF file."""
    offset: Offset
    symbol: str | None
    """The function that holds it, if one is known."""
    label: str
    """`symbol+0x8`, or the address."""


def parse_probe(text: str) -> ProbeSpec:
    """Read a probe.

    Raises:
        ProbeError: it does not follow the grammar.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise ProbeError(f"{text!r} is no probe; write {_USAGE}")
    vaddr, offset, addend = (_number(match[name]) for name in ("vaddr", "offset", "addend"))
    return ProbeSpec(
        text,
        symbol=match["symbol"],
        vaddr=None if vaddr is None else Vaddr(vaddr),
        offset=None if offset is None else Offset(offset),
        addend=addend,
        is_return=match["mode"] == "return",
        want_global=match["mode"] == "global",
    )


def _number(digits: str | None) -> int | None:
    if digits is None:
        return None
    return int(digits, 16) if digits[:2].lower() == "0x" else int(digits)


def resolve(spec: ProbeSpec, program: Program, hook: ArchHooks) -> Place:
    """Find the place in *program* that *spec* means.

    Raises:
        ProbeError: there is none, or none that holds code.
    """
    if spec.offset is not None:
        return _place(program, _vaddr_of_offset(spec, spec.offset, program), spec)
    if spec.vaddr is not None:
        return _place(program, spec.vaddr, spec)
    assert spec.symbol is not None
    symbol = find_symbol(spec, spec.symbol, program)
    # As perf probe has it: with an explicit offset people count from the global entry.
    want_global = spec.want_global or spec.addend is not None
    entry = hook.arch_symbol_entry(symbol=symbol, image=program.image, want_global=want_global)
    return _place(program, Vaddr(entry + (spec.addend or 0)), spec)


def _vaddr_of_offset(spec: ProbeSpec, offset: Offset, program: Program) -> Vaddr:
    if offset >= len(program.data):
        raise ProbeError(
            f"{spec.text}: {program.path} has only {len(program.data):#x} bytes; "
            "an address is written without the @"
        )
    vaddr = program.vaddr_of(offset, executable=True)
    if vaddr is None:
        raise ProbeError(
            f"{spec.text}: nothing executable is loaded from there; {_executable(program)}"
        )
    return vaddr


def _place(program: Program, vaddr: Vaddr, spec: ProbeSpec) -> Place:
    offset = program.offset_of(vaddr, executable=True)
    if offset is None:
        at = "" if spec.vaddr is not None else f" is at {vaddr:#x}, which"
        raise ProbeError(f"{spec.text}:{at} is in no executable segment; {_executable(program)}")
    symbol, distance = _name(program, vaddr, spec)
    if symbol is None:
        return Place(vaddr, offset, None, f"{vaddr:#x}")
    return Place(vaddr, offset, symbol, f"{symbol}+{distance:#x}" if distance else symbol)


def _name(program: Program, vaddr: Vaddr, spec: ProbeSpec) -> tuple[str | None, int]:
    """Name the function that holds *vaddr*, and how far in it is; as the user did, if he did."""
    if spec.symbol is not None:
        return spec.symbol, spec.addend or 0
    nearest = program.symbols.nearest(vaddr)
    return (None, 0) if nearest is None else (nearest.name, vaddr - nearest.value)


def _executable(program: Program) -> str:
    ranges = [
        f"{segment.vaddr:#x}-{segment.vaddr + segment.filesz:#x}"
        for segment in program.segments
        if segment.executable
    ]
    return f"code is at {', '.join(ranges)}" if ranges else "the program has no code at all"


def find_symbol(spec: ProbeSpec, name: str, program: Program) -> Symbol:
    """Find the one symbol *name*.

    Raises:
        ProbeError: there is none, it is imported, or there are several.
    """
    symbols = program.symbols.find(name)
    if not symbols:
        raise ProbeError(f"{spec.text}: {_unknown(name, program)}")
    if symbols[0].undefined:
        raise ProbeError(
            f"{spec.text}: {program.path} imports {name} from a library; "
            "put the probe into the library that defines it"
        )
    if len(symbols) > 1:
        places = ", ".join(f"{symbol.value:#x}" for symbol in symbols)
        raise ProbeError(f"{spec.text}: {name} is at {places}; give one of these addresses")
    return symbols[0]


def _unknown(name: str, program: Program) -> str:
    table, (base, at_sign, _) = program.symbols, name.partition("@")
    names = {symbol.name for symbol in table.symbols if not symbol.undefined}
    if not names:
        return f"{program.path} is stripped, it has no symbols; give 0xVADDR or @0xOFFSET"
    unknown = f"{program.path} has no symbol {name}"
    versions = {symbol.version for symbol in table.by_name.get(base, [])} - {""}
    if at_sign and versions:
        return f"{unknown}; it has {', '.join(f'{base}@{each}' for each in sorted(versions))}"
    close = get_close_matches(base, names, _SUGGESTIONS)
    hint = f"did you mean {' or '.join(close)}?" if close else ""
    if _is_stripped(program):
        lists = hint or "nm -D lists the names it has"
        return f"{unknown} and is stripped of all but those it exports; {lists}"
    return f"{unknown}; {hint or 'nm lists the names it has'}"


def _is_stripped(program: Program) -> bool:
    """Tell whether only those symbols are left that the dynamic linker needs."""
    found = read_sections(program.data)
    return found.named(".symtab") is None and found.named(".dynsym") is not None
