"""Symbols of an ELF file, and the places in it that names and addresses mean."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from struct import Struct
from typing import Final, NamedTuple

from uprobes_sim.sections import Section as Section
from uprobes_sim.sections import Sections, read_sections, string_at
from uprobes_sim.symbol_versions import NO_VERSION, read_versions
from uprobes_sim.uapi import Bits, ByteOrder
from uprobes_sim.units import Vaddr

CODE_KINDS: Final = ("STT_FUNC", "STT_GNU_IFUNC", "STT_NOTYPE")
"""Kinds of symbols that can name code, the likeliest first."""
_LIKELY: Final = {kind: rank for rank, kind in enumerate(CODE_KINDS)}

_LONG: Final = 1 << 20
"""Bytes of a file that is not searched for a section's name: to read the headers is faster."""
_SHN_UNDEF: Final = 0
_STB_LOCAL: Final = 0
_KINDS: Final = {
    0: "STT_NOTYPE",
    1: "STT_OBJECT",
    2: "STT_FUNC",
    6: "STT_TLS",
    10: "STT_GNU_IFUNC",
}
_ROWS: Final[dict[tuple[Bits, ByteOrder], Struct]] = {
    (32, "little"): Struct("<IIIBBH"),
    (32, "big"): Struct(">IIIBBH"),
    (64, "little"): Struct("<IBBHQQ"),
    (64, "big"): Struct(">IBBHQQ"),
}
"""A row of the symbol table (Elf32_Sym, Elf64_Sym)."""


class Symbol(NamedTuple):
    """One row of a symbol table; a tuple, which is made in a third of the time."""

    name: str
    value: Vaddr
    """As in the ELF file (`st_value`)."""
    size: int
    """In bytes; 0 where the file does not say."""
    other: int
    """`st_other`, whose upper bits belong to the processor's ABI."""
    kind: str
    """`STT_FUNC`, `STT_NOTYPE`, `STT_GNU_IFUNC`, …"""
    undefined: bool = False
    """Imported from another file."""
    local: bool = False
    """Seen only in the source file that has it; others may use the name again."""
    superseded: bool = False
    """An older version of a name that has a newer one (`name@V1` beside `name@@V2`)."""
    version: str = ""
    """`V1` of `name@V1`; empty: it has none, or the file does not tell."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a backend may ask of an ELF file to make sense of a symbol."""

    e_flags: int
    read: Callable[[int, int], bytes]
    """Bytes of the loaded file by address (as in the file) and size; fewer at a segment's end."""
    section: Callable[[int], str | None]
    """Name of the section that holds an address, if there is one."""


@dataclass(frozen=True)
class SymbolTable:
    """The symbols of one file: `.symtab`, `.dynsym` where it is stripped, or what Go keeps."""

    symbols: tuple[Symbol, ...]
    sections: tuple[Section, ...]

    @cached_property
    def by_name(self) -> dict[str, list[Symbol]]:
        """The symbols of each name, the likeliest first: defined, functions, global."""
        found: dict[str, list[Symbol]] = {}
        for symbol in self.symbols:
            found.setdefault(symbol.name, []).append(symbol)
        for symbols in found.values():
            if len(symbols) > 1:
                symbols.sort(key=_rank)
        return found

    def find(self, name: str) -> list[Symbol]:
        """List the equally likely symbols of *name*, one for each address.

        Of `name@VERSION`, which may be written `name@@VERSION`, those of that version, unless
        the file tells no versions of it.
        """
        name, at_sign, version = name.partition("@")
        symbols = self.by_name.get(name, [])
        if at_sign and any(symbol.version for symbol in symbols):
            wanted = version.removeprefix("@")
            symbols = [symbol for symbol in symbols if symbol.version == wanted]
        best = [symbol for symbol in symbols if _rank(symbol) == _rank(symbols[0])]
        return list({symbol.value: symbol for symbol in reversed(best)}.values())[::-1]

    def nearest(self, vaddr: int) -> Symbol | None:
        """Find the function that holds *vaddr*, or else a label before it."""
        return _before(self.functions, vaddr) or _before(self._labels, vaddr)

    def section_at(self, vaddr: int) -> str | None:
        """Name the section that is loaded at *vaddr*."""
        section = self.section_holding(vaddr)
        return None if section is None else section.name

    def section_holding(self, vaddr: int) -> Section | None:
        """Find the section that is loaded at *vaddr*."""
        for section in self.sections:
            if section.start <= vaddr < section.end:
                return section
        return None

    @cached_property
    def functions(self) -> list[Symbol]:
        """The functions by value; of several at one address the likeliest comes last."""
        return self._sorted("STT_FUNC", "STT_GNU_IFUNC")

    @cached_property
    def _labels(self) -> list[Symbol]:
        return self._sorted("STT_NOTYPE")

    def _sorted(self, *kinds: str) -> list[Symbol]:
        found = [symbol for symbol in self.symbols if symbol.kind in kinds and not symbol.undefined]
        # The likeliest of several symbols at one address comes last, where bisect stops.
        found.sort(key=_rank, reverse=True)
        return sorted(found, key=attrgetter("value"))


def _before(symbols: list[Symbol], vaddr: int) -> Symbol | None:
    index = bisect_right(symbols, vaddr, key=lambda symbol: symbol.value) - 1
    if index < 0:
        return None
    symbol = symbols[index]
    return symbol if not symbol.size or vaddr < symbol.value + symbol.size else None


def _rank(symbol: Symbol) -> tuple[int, int, int, int]:
    kind = _LIKELY.get(symbol.kind, len(_LIKELY))
    return symbol.undefined, symbol.superseded, kind, symbol.local


@dataclass(frozen=True, slots=True)
class SectionData:
    """A section, loaded or not."""

    start: Vaddr
    """0 where it is not loaded."""
    data: bytes


def read_symbols(data: bytes) -> SymbolTable:
    """Read the symbols of an ELF file; none where its section headers are missing or broken."""
    found = read_sections(data)
    loaded = tuple(section for section in found.rows if section.loaded)
    symbols = tuple(_symbols(found, data)) or tuple(_go_functions(found, data))
    return SymbolTable(symbols, loaded)


def _go_functions(found: Sections, data: bytes) -> Iterator[Symbol]:
    """Take the functions that a stripped Go program names for its own use."""
    from uprobes_sim.gopclntab import read_functions  # few programs are

    for function in read_functions(found, data):
        yield Symbol(function.name, function.start, function.size, 0, "STT_FUNC")


def read_section(data: bytes, name: str) -> SectionData | None:
    """Read the section *name* of an ELF file; None: there is none."""
    known = len(data) > _LONG or name.encode() in data
    section = read_sections(data).named(name) if known else None
    return None if section is None else SectionData(section.start, section.read(data))


def _symbols(found: Sections, data: bytes) -> Iterator[Symbol]:
    """Read the rows as an array: a large program has a hundred thousand of them."""
    table = found.named(".symtab") or found.named(".dynsym")
    if table is None or table.link >= len(found.rows):
        return
    versions = read_versions(found, data) if table.name == ".dynsym" else []
    names = found.rows[table.link].read(data)
    row = _ROWS[found.bits, found.byteorder]
    rows = table.read(data)
    for index, fields in enumerate(row.iter_unpack(rows[: len(rows) // row.size * row.size])):
        if found.bits == 64:
            at, info, other, section, value, size = fields
        else:
            at, value, size, info, other, section = fields
        kind = _KINDS.get(info & 0xF)
        if at and kind is not None:
            name, at_sign, written = string_at(names, at).partition("@")
            version, old = versions[index] if index < len(versions) else NO_VERSION
            yield Symbol(
                name,
                Vaddr(value),
                size,
                other,
                kind,
                section == _SHN_UNDEF,
                info >> 4 == _STB_LOCAL,
                (bool(at_sign) and written[:1] != "@") or old,
                version or written.removeprefix("@"),
            )
