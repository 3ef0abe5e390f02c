"""Copies of functions in their callers, from DWARF, as pyelftools reads it.

It takes 20 µs for an entry, so only compile units are read that can tell of a function: those
with its name, and those that refer to it in another.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from io import BytesIO
from itertools import count
from typing import Final, Literal, NamedTuple

from elftools.common.exceptions import ELFCompressionError
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

_MOST: Final = 3 << 20
"""Bytes of .debug_info that are read of a file: 5 s of gcc's, 9 s of clang's."""
_MOST_OF_ALL: Final = 256 << 20
"""Bytes of all its sections, unpacked."""
_NEEDLES: Final = 64
"""Numbers that are looked for one by one; where there are more, any unit may have one."""
_LONGEST: Final = 1 << 16
"""Bytes of a number: pyelftools would read on, ever more slowly."""
_PARENTS: Final = 8
"""Entries that an entry may refer to one behind the other."""

_BASE: Final = "DW_AT_str_offsets_base"
_OPAQUE: Final = frozenset(
    f"DW_TAG_{kind}_type"
    for kind in ("array", "class", "enumeration", "structure", "subroutine", "union")
)
"""Tags of entries inside of which there are no copies."""
_ORIGINS: Final = ("DW_AT_abstract_origin", "DW_AT_specification")
_LINKAGE_NAMES: Final = ("DW_AT_linkage_name", "DW_AT_MIPS_linkage_name")
_SHARED: Final = ("DW_FORM_GNU_ref_alt", "DW_FORM_ref_sup4", "DW_FORM_ref_sup8")
_FAR: Final = frozenset({"DW_FORM_ref_addr", *_SHARED})
"""Forms of references that may lead out of the unit."""


class UnreadError(Exception):
    """DWARF that is there and is not read."""


class Names(NamedTuple):
    """What a function is called."""

    plain: frozenset[bytes]
    mangled: frozenset[bytes]

    @property
    def symbols(self) -> frozenset[bytes]:
        """Names that its symbol can have."""
        return self.mangled or self.plain


class Copy(NamedTuple):
    """One copy of a function: where its entry is, as entries take much memory."""

    unit: CompileUnit
    offset: int


class Copies:
    """The copies that the DWARF of one file tells of, as far as they were asked for."""

    def __init__(self, data: bytes, shared: "Copies | None" = None) -> None:
        """Look into the ELF file *data*; *shared*: what `dwz` has moved to another file.

        Raises:
            UnreadError: pyelftools cannot read it, or it is too much.
        """
        elf = ELFFile(BytesIO(data))
        sections = [each for each in elf.iter_sections() if each.name.startswith(".debug_")]
        if sum(section.data_size for section in sections) > _MOST_OF_ALL:
            raise UnreadError(f"there is more of it than {_MOST_OF_ALL >> 20} MiB")
        try:
            self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
        except ELFCompressionError as error:
            raise UnreadError("it is packed in another way than by zlib") from error
        self._shared = shared
        if shared is not None:
            self._dwarf.supplementary_dwarfinfo = shared._dwarf
        self._order: Literal["little", "big"] = "little" if elf.little_endian else "big"
        for each in ("info", "abbrev", "rnglists"):
            if _has_endless_number(_content(getattr(self._dwarf, f"debug_{each}_sec"))):
                raise ValueError(f".debug_{each}: a number without an end")
        self._info = _content(self._dwarf.debug_info_sec)
        self._units: list[CompileUnit] = list(self._dwarf.iter_CUs())
        self._known = dict[tuple[int, int], Names]()
        self._read = set[int]()
        self._budget = _MOST
        self._functions = defaultdict[bytes, set[int]](set)
        self._symbols = defaultdict[bytes, list[Copy]](list)
        self._plain = defaultdict[bytes, list[Copy]](list)

    @cached_property
    def are_elsewhere(self) -> bool:
        """Tell whether entries are left to .dwo files."""
        if self._dwarf.debug_addr_sec is None:  # what .dwo files lack
            return False
        keys = ("DW_AT_dwo_name", "DW_AT_GNU_dwo_name")
        tops = (unit.get_top_DIE() for unit in self._units)
        return any(key in top.attributes for top in tops for key in keys)

    def of(self, name: bytes, *, plain: bool) -> set[int]:
        """Find where copies of a function start, by its symbol or, if *plain*, by any name.

        Raises:
            UnreadError: to read what tells of them takes too long.
        """
        self._look_for(name)
        copies = self._symbols[name] or (self._plain[name] if plain else [])
        return {start for copy in copies if (start := self._start(copy)) is not None}

    # --- units ------------------------------------------------------------

    def _look_for(self, name: bytes) -> None:
        """Read all units that can tell of *name*."""
        functions = self._functions[name]
        if self._shared is not None:
            self._shared._look_for(name)
            functions = functions | self._shared._functions[name]
        where = self._needles(name)
        todo = [unit for unit in self._units if self._mentions(unit, name, where)]
        while todo or functions:
            self._read_all(todo)
            functions = functions | self._functions[name]
            refs = self._numbers(functions)
            todo = [
                unit
                for unit in self._units
                if unit.cu_offset not in self._read
                and _has_any(self._info, unit.cu_offset, _end(unit), refs)
                and _refers_far(unit)
            ]
            if not todo:
                return

    def _numbers(self, numbers: set[int]) -> list[bytes]:
        return [number.to_bytes(4, self._order) for number in numbers if number >> 32 == 0]

    def _needles(self, name: bytes) -> list[bytes]:
        """Write how entries refer to *name* in a table of strings, of which it may be an end."""
        own = _places(_content(self._dwarf.debug_str_sec), name)
        shared = self._shared and _places(_content(self._shared._dwarf.debug_str_sec), name)
        return self._numbers(own | (shared or set()))

    def _mentions(self, unit: CompileUnit, name: bytes, where: Sequence[bytes]) -> bool:
        """Tell whether *name* may be in a unit: in place, in the table, or by its number."""
        start, end = unit.cu_offset, _end(unit)
        if _has_any(self._info, start, end, where):
            return True
        if self._info.find(name + b"\0", start, end) >= 0:
            return True
        if not self._offsets:
            return False
        base = unit.get_top_DIE().attributes.get(_BASE)
        if base is None:
            return False
        following = bisect_right(self._bases, base.value)
        return _has_any(self._offsets, base.value, self._bases[following], where)

    @cached_property
    def _offsets(self) -> bytes:
        return _content(self._dwarf.debug_str_offsets_sec)

    @cached_property
    def _bases(self) -> list[int]:
        """Starts of the units' parts of `_offsets`, and the end."""
        tops = (unit.get_top_DIE().attributes for unit in self._units)
        found = {top[_BASE].value for top in tops if _BASE in top}
        return [*sorted(found), len(self._offsets)]

    def _read_all(self, units: Sequence[CompileUnit]) -> None:
        todo = [unit for unit in units if unit.cu_offset not in self._read]
        size = sum(unit.size for unit in todo)
        if size > self._budget:
            raise UnreadError(
                f"{size / (1 << 20):.1f} MiB of it have the name, which takes too long to read"
            )
        for unit in todo:
            self._read_unit(unit)
            self._budget -= unit.size
            self._read.add(unit.cu_offset)

    def _read_unit(self, unit: CompileUnit) -> None:
        for die in self._entries(unit):
            if die.tag == "DW_TAG_subprogram":
                names = self._names(die)
                for name in names.plain | names.mangled:
                    self._functions[name].add(die.offset)
            elif die.tag == "DW_TAG_inlined_subroutine":
                names = self._names(die)
                for name in names.symbols:
                    self._symbols[name].append(Copy(unit, die.offset))
                for name in names.plain:
                    self._plain[name].append(Copy(unit, die.offset))

    # --- entries ----------------------------------------------------------

    def _entries(self, unit: CompileUnit) -> Iterator[DIE]:
        """Go through a unit, but not into types."""
        at, end = unit.cu_die_offset, _end(unit)
        # Other units refer to the methods in a shared one.
        is_whole = unit.get_top_DIE().tag == "DW_TAG_compile_unit"
        while at < end:
            die = self._entry(unit, at)
            yield die
            at += die.size
            sibling = die.attributes.get("DW_AT_sibling") if is_whole and _is_opaque(die) else None
            if sibling is not None and sibling.form != "DW_FORM_ref_addr":
                at = max(at, unit.cu_offset + sibling.value)

    def _entry(self, unit: CompileUnit, offset: int) -> DIE:
        assert self._dwarf.debug_info_sec is not None
        return DIE(unit, self._dwarf.debug_info_sec.stream, offset)

    def _names(self, die: DIE, depth: int = 0) -> Names:
        """Name the function of an entry, by what that refers to as well."""
        values = die.attributes
        own = Names(
            frozenset(values[key].value for key in ("DW_AT_name",) if key in values),
            frozenset(values[key].value for key in _LINKAGE_NAMES if key in values),
        )
        parent = self._parent(die)
        if parent is None or depth == _PARENTS:
            return own
        key = (id(parent.dwarfinfo), parent.offset)
        if key not in self._known:
            self._known[key] = self._names(parent, depth + 1)
        more = self._known[key]
        return Names(own.plain | more.plain, own.mangled | more.mangled)

    def _parent(self, die: DIE) -> DIE | None:
        key = next((key for key in _ORIGINS if key in die.attributes), None)
        if key is None or (self._shared is None and die.attributes[key].form in _SHARED):
            return None
        return die.get_DIE_from_attribute(key)

    # --- addresses --------------------------------------------------------

    def _start(self, copy: Copy) -> int | None:
        """Find where a copy is entered."""
        die = self._entry(copy.unit, copy.offset)
        entry, low = (die.attributes.get(f"DW_AT_{key}") for key in ("entry_pc", "low_pc"))
        if entry is not None and entry.form.startswith("DW_FORM_addr"):
            return int(entry.value)
        first = self._first(copy.unit, die) if low is None else int(low.value)
        # DWARF 5: a number is a distance.
        return first if entry is None or first is None else first + int(entry.value)

    def _first(self, unit: CompileUnit, die: DIE) -> int | None:
        """Find the first address of its ranges."""
        lists, ranges = self._dwarf.range_lists(), die.attributes.get("DW_AT_ranges")
        if lists is None or ranges is None:
            return None
        low = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = 0 if low is None else low.value
        for row in lists.get_range_list_at_offset(ranges.value, unit):
            if isinstance(row, BaseAddressEntry):
                base = row.base_address
            elif row.begin_offset < row.end_offset:
                return int(row.begin_offset + (0 if row.is_absolute else base))
        return None


def _content(section: DebugSectionDescriptor | None) -> bytes:
    """Take a section's bytes; none, where there is no section."""
    if section is None:
        return b""
    section.stream.seek(0)
    return bytes(section.stream.read())


def _has_endless_number(data: bytes) -> bool:
    return b"\1" * _LONGEST in data.translate(bytes(0x80) + b"\1" * 0x80)


def _places(strings: bytes, name: bytes) -> set[int]:
    return {found.start() for found in re.finditer(re.escape(name + b"\0"), strings)}


def _has_any(data: bytes, start: int, end: int, needles: Sequence[bytes]) -> bool:
    return len(needles) > _NEEDLES or any(data.find(each, start, end) >= 0 for each in needles)


def _end(unit: CompileUnit) -> int:
    return int(unit.cu_offset + unit.size)


def _is_opaque(die: DIE) -> bool:
    """Tell whether nothing in it is a copy with an address."""
    return die.tag in _OPAQUE or (
        die.tag == "DW_TAG_subprogram"
        and ("DW_AT_inline" in die.attributes or "DW_AT_declaration" in die.attributes)
    )


def _refers_far(unit: CompileUnit) -> bool:
    """Tell whether functions of a unit may be those of another."""
    table = unit.get_abbrev_table()
    for code in count(1):
        try:
            specs = table.get_abbrev(code).iter_attr_specs()
        except KeyError:
            return False
        if any(name in _ORIGINS and form in _FAR for name, form in specs):
            return True
    raise AssertionError
