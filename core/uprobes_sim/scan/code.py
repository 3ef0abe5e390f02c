"""What a scan needs of an ELF file: where code is, where instructions are known to begin, names."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from uprobes_sim.arch import Abi
from uprobes_sim.elf import PF_X, PT_LOAD
from uprobes_sim.errors import ProgramError
from uprobes_sim.scan.arrays import Bools, Int64s, Uint64s
from uprobes_sim.scan.headers import Headers, SectionHeader, read_headers
from uprobes_sim.scan.source import Source
from uprobes_sim.units import Offset, Vaddr

Vaddrs = Uint64s

ET_REL: Final = 1
_ET_CORE: Final = 4

_SHT_PROGBITS, _SHT_SYMTAB, _SHT_NOBITS, _SHT_DYNSYM = 1, 2, 8, 11
_SHF_ALLOC, _SHF_EXECINSTR = 2, 4
_SHN_UNDEF, _SHN_LORESERVE = 0, 0xFF00
_STT_FUNC, _STT_GNU_IFUNC = 2, 10
_PT_NOTE, _PT_GNU_EH_FRAME = 4, 0x6474E550
_NT_GNU_BUILD_ID: Final = 3
_MAX_NOTES: Final = 1 << 16
"""Bytes of a note segment that are looked through."""

_EH_FRAME_HDR: Final = 12
_TABLE_OF_RELATIVE_WORDS: Final = b"\x03\x3b"
"""DW_EH_PE_udata4 for the count, DW_EH_PE_datarel | sdata4 for the table: what linkers write."""


class Range(NamedTuple):
    """A stretch of code: an executable section or, where those are gone, a segment."""

    name: str
    vaddr: Vaddr
    """As in the ELF file; in an object file, which has no addresses, the offset."""
    offset: Offset
    size: int

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.vaddr + self.size


@dataclass(frozen=True, eq=False, slots=True)
class Functions:
    """The functions of a file, by address; those that only `.eh_frame` knows have no name."""

    start: Vaddrs
    end: Vaddrs
    _names: tuple[Int64s, bytes]
    """Place of each name in the string table, -1: none; and the table."""

    def __len__(self) -> int:
        """Count them."""
        return len(self.start)

    def name(self, index: int) -> str | None:
        """Name one of them."""
        at, strings = self._names
        where = int(at[index])
        if where < 0:
            return None
        return strings[where : strings.find(b"\0", where)].decode(errors="replace")

    def label(self, index: int) -> str:
        """Name one of them, by its address if there is no better name."""
        return self.name(index) or hex(int(self.start[index]))

    def holders(self, vaddrs: Vaddrs) -> Int64s:
        """Number the function that holds each of *vaddrs*; -1: none does."""
        if not len(self.start):
            return np.full(len(vaddrs), -1, np.int64)
        index = np.searchsorted(self.start, vaddrs, "right").astype(np.int64) - 1
        index[vaddrs >= self.end[index]] = -1
        return index


class Code(NamedTuple):
    """The code of one ELF file."""

    path: str
    source: Source
    abi: Abi
    e_machine: int
    build_id: str | None
    ranges: tuple[Range, ...]
    """Disjoint in the file, by offset."""
    starts: Vaddrs
    """Where an instruction begins, as symbols and `.eh_frame` tell."""
    functions: Functions
    base: int = 0
    """Where the file begins in the archive in which it is probed."""

    def range_of(self, vaddr: int) -> Range:
        """Find the stretch of code that an address is in."""
        return next(each for each in self.ranges if each.vaddr <= vaddr < each.end)

    def offset_of(self, vaddr: int) -> Offset:
        """Find the place in the file of an address in the code."""
        found = self.range_of(vaddr)
        return Offset(vaddr - found.vaddr + found.offset)

    def probe_offset(self, vaddr: int) -> Offset:
        """Find the place of an address as the kernel counts: from the archive's start, if any."""
        return Offset(self.base + self.offset_of(vaddr))


def read_code(source: Source, label: str, base: int = 0) -> Code:
    """Find the code in an ELF file; *label* names it in messages.

    *base*: where it begins in an archive that is mapped as it is.

    Raises:
        ProgramError: it is no ELF file, or too damaged to find code in.
    """
    headers = read_headers(source, label)
    if headers.e_type == _ET_CORE:
        raise ProgramError(f"{label} is a core dump; scan the program that dumped it")
    if not headers.segments and not headers.sections:
        raise ProgramError(f"{label} is damaged: it has neither segments nor sections")
    _check_whole(headers, source.size, label)
    ranges = _ranges(headers, source.size)
    symbols = _symbols(headers, source)
    return Code(
        label,
        source,
        headers.abi,
        headers.e_machine,
        _build_id(headers, source),
        ranges,
        *_functions(symbols, _eh_frame_starts(headers, source), ranges),
        base,
    )


def _check_whole(headers: Headers, size: int, label: str) -> None:
    """Refuse a file that lost its end, in the words of `loader.parse`.

    A file of debug data has the segments of its program, but not their bytes.
    """
    if any(each.type == _SHT_NOBITS and each.flags & _SHF_EXECINSTR for each in headers.sections):
        return
    for each in headers.segments:
        if each.type == PT_LOAD and each.offset + each.filesz > size:
            raise ProgramError(
                f"{label} is cut off: its segment at {each.vaddr:#x} ends beyond the end of the "
                "file; copy it again"
            )


def _ranges(headers: Headers, size: int) -> tuple[Range, ...]:
    """List what is executable; what lies over each other in a damaged file counts once."""
    wanted = _SHF_EXECINSTR if headers.e_type == ET_REL else _SHF_EXECINSTR | _SHF_ALLOC
    found = [
        _section_range(section, headers.e_type)
        for section in headers.sections
        if section.type == _SHT_PROGBITS and section.flags & wanted == wanted
    ] or [
        Range("segment", Vaddr(each.vaddr), Offset(each.offset), each.filesz)
        for each in headers.segments
        if each.type == PT_LOAD and each.flags & PF_X
    ]
    ranges, end, last = list[Range](), 0, (1 << headers.abi.bits) - 1
    for each in sorted(found, key=lambda each: (each.offset, each.size)):
        skipped = max(end - each.offset, 0)
        length = min(each.size, size - each.offset, last - each.vaddr) - skipped
        if length > 0:
            vaddr, offset = Vaddr(each.vaddr + skipped), Offset(each.offset + skipped)
            ranges.append(Range(each.name, vaddr, offset, length))
            end = offset + length
    return tuple(ranges)


def _section_range(section: SectionHeader, e_type: int) -> Range:
    vaddr = section.offset if e_type == ET_REL else section.addr
    return Range(section.name, Vaddr(vaddr), Offset(section.offset), section.size)


class _Symbols(NamedTuple):
    value: Vaddrs
    size: Vaddrs
    name: Int64s
    strings: bytes


def _none() -> Vaddrs:
    return np.empty(0, np.uint64)


def _symbols(headers: Headers, source: Source) -> _Symbols:
    """Read the functions of `.symtab`, or of `.dynsym` where the file is stripped."""
    tables = {section.type: section for section in headers.sections}
    table = tables.get(_SHT_SYMTAB) or tables.get(_SHT_DYNSYM)
    if table is None or table.link >= len(headers.sections):
        return _Symbols(_none(), _none(), np.empty(0, np.int64), b"")
    rows = headers.records("symbol", source.read(table.offset, table.size))
    kind = rows["info"] & 0xF
    code = (kind == _STT_FUNC) | (kind == _STT_GNU_IFUNC)
    defined = (rows["shndx"] != _SHN_UNDEF) & (rows["shndx"] < _SHN_LORESERVE)
    rows = rows[code & defined]
    strings = headers.sections[table.link]
    names = source.read(strings.offset, strings.size)
    value = rows["value"].astype(np.uint64)
    if headers.e_type == ET_REL:
        offsets = np.array([section.offset for section in headers.sections], np.uint64)
        known = rows["shndx"] < len(offsets)
        rows, value = rows[known], value[known]
        value += offsets[rows["shndx"]]
    at = rows["name"].astype(np.int64)
    at[at >= len(names)] = -1
    # The likeliest of several names at one address comes first, as `SymbolTable.nearest` has it.
    info, last = rows["info"], -np.arange(len(rows))
    order = np.lexsort((last, info >> 4 == 0, info & 0xF != _STT_FUNC, value))
    return _Symbols(value[order], rows["size"].astype(np.uint64)[order], at[order], names)


def _functions(
    symbols: _Symbols, frames: Vaddrs, ranges: tuple[Range, ...]
) -> tuple[Vaddrs, Functions]:
    """Join what symbols and frames tell; answer all starts, and the functions."""
    inside = _inside(symbols.value, ranges)
    value, size, at = symbols.value[inside], symbols.size[inside], symbols.name[inside]
    frames = frames[_inside(frames, ranges)]
    first = np.concatenate(([True], value[1:] != value[:-1])) if len(value) else inside[:0]
    value, size, at = value[first], size[first], at[first]
    left, right = (np.searchsorted(value, frames, side) for side in ("left", "right"))
    nameless = _distinct(frames[left == right])
    start = np.concatenate((value, nameless))
    order = np.argsort(start, kind="stable")
    start = start[order]
    size = np.concatenate((size, np.zeros(len(nameless), np.uint64)))[order]
    at = np.concatenate((at, np.full(len(nameless), -1, np.int64)))[order]
    following = np.concatenate((start[1:], np.array([2**64 - 1], np.uint64)))[: len(start)]
    end = np.where(size > 0, np.minimum(start + size, following), following)
    return start, Functions(start, end, (at, symbols.strings + b"\0"))


def _distinct(vaddrs: Vaddrs) -> Vaddrs:
    """Drop what is there twice from sorted addresses (np.unique imports all of numpy.ma)."""
    return vaddrs[np.concatenate(([True], vaddrs[1:] != vaddrs[:-1]))] if len(vaddrs) else vaddrs


def _inside(vaddrs: Vaddrs, ranges: tuple[Range, ...]) -> Bools:
    """Tell which of *vaddrs* lie in code."""
    inside = np.zeros(len(vaddrs), np.bool_)
    for each in ranges:
        inside |= (vaddrs >= np.uint64(each.vaddr)) & (vaddrs - np.uint64(each.vaddr) < each.size)
    return inside


def _eh_frame_starts(headers: Headers, source: Source) -> Vaddrs:
    """Read where functions begin from the search table of `.eh_frame_hdr` (LSB, 10.6.2)."""
    for segment in headers.segments:
        if segment.type != _PT_GNU_EH_FRAME:
            continue
        table = source.read(segment.offset, segment.filesz)
        if table[:1] != b"\x01" or table[2:4] != _TABLE_OF_RELATIVE_WORDS:
            continue
        count = int.from_bytes(table[8:_EH_FRAME_HDR], headers.abi.byteorder)
        rows = min(count, (len(table) - _EH_FRAME_HDR) // 8)
        pairs = np.frombuffer(table, headers.dtype("i4"), 2 * max(rows, 0), _EH_FRAME_HDR)
        distance = pairs[::2].astype(np.int64)
        mask = (1 << headers.abi.bits) - 1
        base = segment.vaddr & mask
        found = (distance.view(np.uint64) + np.uint64(base)) & np.uint64(mask)
        return np.sort(found)
    return _none()


def _build_id(headers: Headers, source: Source) -> str | None:
    """Read the linker's fingerprint of the file (NT_GNU_BUILD_ID)."""
    places = [(each.offset, each.filesz) for each in headers.segments if each.type == _PT_NOTE]
    for offset, size in places:
        notes, at = source.read(offset, min(size, _MAX_NOTES)), 0
        while at + 12 <= len(notes):
            lengths = [
                int.from_bytes(notes[at + n : at + n + 4], headers.abi.byteorder) for n in (0, 4, 8)
            ]
            name, desc, kind = lengths
            name_at = at + 12
            desc_at = name_at + name + -name % 4
            if kind == _NT_GNU_BUILD_ID and notes[name_at : name_at + name] == b"GNU\0":
                return notes[desc_at : desc_at + desc].hex() or None
            at = desc_at + desc + -desc % 4
    return None
