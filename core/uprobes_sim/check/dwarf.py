"""DWARF, as far as it tells of copies of functions; read for speed.

Of most entries no more than the length is taken, and types are passed over. Formats: DWARF 2
to 5, with GNU's forms for split and shared debugging information. Raises what Python does of
broken data, as `BROKEN` lists it.
"""

import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple

from uprobes_sim.sections import Sections, read_sections

BROKEN: Final = (IndexError, KeyError, ValueError, zlib.error)
_MOST: Final = {".debug_info": 24 << 20}
"""Bytes of a section that are read, by its name: more takes longer than anybody waits."""
_MOST_OF_OTHERS: Final = 256 << 20

_SHF_COMPRESSED: Final = 0x800
_ZLIB: Final = 1

_SUBPROGRAM, _INLINED = 0x2E, 0x1D
_TYPES: Final = frozenset({0x01, 0x02, 0x04, 0x13, 0x15, 0x17})
"""Tags of entries inside of which there are no copies: arrays, classes and so on."""
_SIBLING, _NAME, _LOW_PC, _INLINE, _ORIGIN = 0x01, 0x03, 0x11, 0x20, 0x31
_DECLARATION, _SPECIFICATION, _ENTRY_PC, _RANGES = 0x3C, 0x47, 0x52, 0x55
_LINKAGE_NAMES: Final = (0x6E, 0x2007)
_STR_OFFSETS_BASE, _ADDR_BASE, _RNGLISTS_BASE = 0x72, 0x73, 0x74
_PARENTS: Final = 8
"""Entries that an entry may refer to one behind the other."""

_LONGEST: Final = 126
"""Bits of a number."""

_ADDR, _STRING, _STRP, _INDIRECT, _IMPLICIT, _LINE_STRP = 0x01, 0x08, 0x0E, 0x16, 0x21, 0x1F
_REF_ADDR, _REF_ALT, _STRP_ALT, _SUP_STRP = 0x10, 0x1F20, 0x1F21, 0x1D
_REF4: Final = 0x13
_REFS: Final = frozenset({0x11, 0x12, 0x13, 0x14, 0x15})
"""Forms of references inside of a unit."""
_SUPS: Final = frozenset({0x1C, 0x24, _REF_ALT})
"""Forms of references to the file that several share."""
_ADDRX: Final = frozenset({0x1B, 0x29, 0x2A, 0x2B, 0x2C, 0x1F01})
_STRX: Final = frozenset({0x1A, 0x25, 0x26, 0x27, 0x28, 0x1F02})
_RNGLISTX: Final = 0x23
_FIXED: Final = {
    0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x11: 1, 0x12: 2, 0x13: 4, 0x14: 8, 0x19: 0,
    0x1C: 4, 0x1E: 16, 0x20: 8, _IMPLICIT: 0, 0x24: 8, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4,
    0x29: 1, 0x2A: 2, 0x2B: 3, 0x2C: 4,
}  # fmt: skip
"""Bytes of a form."""
_OFFSETS: Final = frozenset({_STRP, 0x17, _SUP_STRP, _LINE_STRP, _REF_ALT, _STRP_ALT})
"""Forms that are offsets into a section."""
_NUMBERS: Final = frozenset({0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, _RNGLISTX, 0x1F01, 0x1F02})
"""Forms of variable length (LEB128)."""
_BLOCKS: Final = {0x0A: 1, 0x03: 2, 0x04: 4, 0x09: 0, 0x18: 0}
"""Forms that begin with their length, in so many bytes; 0: it is a LEB128."""
_LEB, _TEXT, _ANY, _BLOCK = -1, -2, -3, -4
"""Steps over what has no fixed length; from `_BLOCK` down, less the bytes of its length."""


class Value(NamedTuple):
    """One attribute."""

    form: int
    value: int
    """Of a string in place: where it is."""


@dataclass(frozen=True, slots=True)
class Abbrev:
    """The shape of an entry."""

    tag: int
    attributes: tuple[tuple[int, int, int], ...]
    """Name, form and the value of an implicit one."""
    steps: tuple[int, ...]
    """How to get over it: bytes, or a negative number for what has no fixed length."""
    sibling: int | None
    """Place in it of the offset of what follows its children, if nobody need look at them."""
    origin: int | None
    """Place in it of the offset, in the unit, of what it is a copy of, if that is easily read."""


@dataclass(slots=True)
class Unit:
    """The entries of one source file."""

    start: int
    first: int
    """Where its first entry is."""
    end: int
    version: int
    address: int
    """Bytes of an address."""
    offset: int
    """Bytes of an offset."""
    abbrevs: dict[int, Abbrev]
    bases: dict[int, int] = field(default_factory=dict)
    low_pc: int = 0


class Names(NamedTuple):
    """What a function is called."""

    plain: frozenset[bytes]
    mangled: frozenset[bytes]

    @property
    def symbols(self) -> frozenset[bytes]:
        """Names that its symbol can have."""
        return self.mangled or self.plain


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One copy of a function."""

    unit: Unit
    abbrev: Abbrev
    at: int
    """Where its attributes are."""


class Dwarf:
    """The DWARF of one file."""

    def __init__(self, data: bytes, shared: "Dwarf | None" = None) -> None:
        """Look into the ELF file *data*; *shared*: what `dwz` has moved to another file."""
        self._data = data
        self._shared = shared
        self._found: Sections = read_sections(data)
        self._order: Literal["little", "big"] = self._found.byteorder
        self._tables: dict[tuple[int, int, int, int], dict[int, Abbrev]] = {}
        self._sections: dict[str, bytes] = {}

    def section(self, name: str) -> bytes:
        """Read a section, unpacked; empty: it is not there, or too long."""
        if name not in self._sections:
            self._sections[name] = self._unpack(name)
        return self._sections[name]

    def _unpack(self, name: str) -> bytes:
        section = self._found.named(name)
        if section is None:
            return b""
        content, most = section.read(self._data), _MOST.get(name, _MOST_OF_OTHERS)
        if not section.flags & _SHF_COMPRESSED:
            return content if len(content) <= most else b""
        wide = self._found.bits == 64
        head, width, at = (24, 8, 8) if wide else (12, 4, 4)
        size = int.from_bytes(content[at : at + width], self._order)
        if int.from_bytes(content[:4], self._order) != _ZLIB or size > most:
            return b""
        return zlib.decompressobj().decompress(content[head:], most)

    @cached_property
    def info(self) -> bytes:
        """The entries."""
        return self.section(".debug_info")

    def names_it(self, name: bytes) -> bool:
        """Tell whether *name* is anywhere."""
        own = any(
            name in self.section(each) for each in (".debug_str", ".debug_info", ".debug_line_str")
        )
        return own or (self._shared is not None and self._shared.names_it(name))

    # --- units ------------------------------------------------------------

    @cached_property
    def units(self) -> list[Unit]:
        """The units, in order."""
        found, at = [], 0
        while at + 11 < len(self.info):
            unit = self._unit(at)
            found.append(unit)
            self._set_bases(unit)
            at = unit.end
        return found

    def _unit(self, start: int) -> Unit:
        length, at, offset = self._int(start, 4), start + 4, 4
        if length == 0xFFFFFFFF:
            length, at, offset = self._int(at, 8), at + 8, 8
        end, version = at + length, self._int(at, 2)
        at += 2
        if version >= 5:
            kind, address = self.info[at], self.info[at + 1]
            table = self._int(at + 2, offset)
            # A skeleton has an identifier, a type one more.
            at += 2 + offset + {4: 8, 5: 8, 2: 8 + offset, 6: 8 + offset}.get(kind, 0)
        else:
            table, address = self._int(at, offset), self.info[at + offset]
            at += offset + 1
        if end > len(self.info) or not 2 <= version <= 5:
            raise ValueError(f"a unit of DWARF {version}")
        abbrevs = self._abbrevs(table, address, offset, version)
        return Unit(start, at, end, version, address, offset, abbrevs)

    def _set_bases(self, unit: Unit) -> None:
        """Take from the first entry what the others refer to."""
        code, at = self._leb(unit.first)
        if not code:
            return
        values, _ = self._values(unit, unit.abbrevs[code], at)
        default = 8 if unit.version >= 5 else 0
        for name in (_STR_OFFSETS_BASE, _ADDR_BASE, _RNGLISTS_BASE):
            unit.bases[name] = values[name].value if name in values else default
        if _LOW_PC in values:
            unit.low_pc = self._address(unit, values[_LOW_PC]) or 0

    def _abbrevs(self, at: int, address: int, offset: int, version: int) -> dict[int, Abbrev]:
        key = (at, address, offset, version)
        if key not in self._tables:
            sizes = _FIXED | dict.fromkeys(_OFFSETS, offset) | {_ADDR: address}
            sizes[_REF_ADDR] = address if version == 2 else offset
            self._tables[key] = dict(self._read_abbrevs(at, sizes))
        return self._tables[key]

    def _read_abbrevs(self, at: int, sizes: dict[int, int]) -> Iterator[tuple[int, Abbrev]]:
        data = self.section(".debug_abbrev")
        while True:
            code, at = _leb(data, at)
            if not code:
                return
            tag, at = _leb(data, at)
            at += 1
            attributes = []
            while True:
                name, at = _leb(data, at)
                form, at = _leb(data, at)
                implicit, at = _sleb(data, at) if form == _IMPLICIT else (0, at)
                if not form:
                    break
                attributes.append((name, form, implicit))
            yield code, _abbrev(tag, tuple(attributes), sizes)

    # --- entries ----------------------------------------------------------

    def copies(self) -> "dict[tuple[Dwarf, int], list[Copy]]":
        """Find every copy of every function, by the entry of what is copied."""
        found = defaultdict["tuple[Dwarf, int]", list[Copy]](list)
        for unit in self.units:
            for abbrev, at in self._inlined(unit):
                origin = self._origin(unit, abbrev, at)
                if origin is not None:
                    found[origin].append(Copy(unit, abbrev, at))
        return found

    def _origin(self, unit: Unit, abbrev: Abbrev, at: int) -> "tuple[Dwarf, int] | None":
        if abbrev.origin is not None:
            return self, unit.start + self._int(at + abbrev.origin, 4)
        return self._referred(unit, self._values(unit, abbrev, at)[0].get(_ORIGIN))

    def start(self, copy: Copy) -> int | None:
        """Find where a copy is entered."""
        values, _ = self._values(copy.unit, copy.abbrev, copy.at)
        return self._start(copy.unit, values)

    def _inlined(self, unit: Unit) -> Iterator[tuple[Abbrev, int]]:
        """Go through the entries of a unit: this is where the time goes."""
        info, abbrevs, order, start = self.info, unit.abbrevs, self._order, unit.start
        at, end, over = unit.first, unit.end, self._over
        while at < end:
            code = info[at]
            at += 1
            if code >= 0x80:
                code, at = _leb(info, at - 1)
            if not code:
                continue
            abbrev = abbrevs[code]
            if abbrev.tag == _INLINED:
                yield abbrev, at
            elif abbrev.sibling is not None:
                where = at + abbrev.sibling
                following = start + int.from_bytes(info[where : where + 4], order)
                if following > at:
                    at = following
                    continue
            for step in abbrev.steps:
                at = at + step if step >= 0 else over(unit, step, at)

    def _over(self, unit: Unit, step: int, at: int) -> int:
        """Get over what has no fixed length."""
        if step == _LEB:
            while self.info[at] >= 0x80:
                at += 1
            return at + 1
        if step == _TEXT:
            return self.info.index(0, at) + 1
        if step == _ANY:
            form, at = self._leb(at)
            return self._value(unit, form, 0, at)[1]
        width = _BLOCK - step
        length, at = (self._int(at, width), at + width) if width else self._leb(at)
        return at + length

    def _values(self, unit: Unit, abbrev: Abbrev, at: int) -> tuple[dict[int, Value], int]:
        """Read an entry; answer its attributes, and what is behind it."""
        values = {}
        for name, form, implicit in abbrev.attributes:
            values[name], at = self._value(unit, form, implicit, at)
        return values, at

    def _value(self, unit: Unit, form: int, implicit: int, at: int) -> tuple[Value, int]:
        if form == _INDIRECT:
            form, at = self._leb(at)
        if form == _IMPLICIT:
            return Value(form, implicit), at
        if form in _NUMBERS:
            number, at = self._leb(at)
            return Value(form, number), at
        if form == _STRING or form in _BLOCKS:
            return Value(form, at), self._over(unit, _step(form, {}), at)
        size = _FIXED.get(form, unit.offset)
        if form == _ADDR or (form == _REF_ADDR and unit.version == 2):
            size = unit.address
        return Value(form, self._int(at, size)), at + size

    def _referred(self, unit: Unit, value: Value | None) -> "tuple[Dwarf, int] | None":
        if value is None:
            return None
        if value.form in _SUPS:
            return None if self._shared is None else (self._shared, value.value)
        return self, value.value + (unit.start if value.form in _REFS else 0)

    def names_at(self, offset: int) -> Names:
        """Name the function of the entry at *offset*, by what that refers to as well."""
        plain, mangled = set[bytes](), set[bytes]()
        dwarf, at = self, offset
        for _ in range(_PARENTS):
            unit, values = dwarf._entry(at)
            for key in (_NAME, *_LINKAGE_NAMES):
                if key in values:
                    (plain if key == _NAME else mangled).add(dwarf._text(unit, values[key]))
            origin = values.get(_ORIGIN) or values.get(_SPECIFICATION)
            found = dwarf._referred(unit, origin)
            if found is None:
                break
            dwarf, at = found
        return Names(frozenset(plain), frozenset(mangled))

    def _entry(self, offset: int) -> tuple[Unit, dict[int, Value]]:
        unit = self.units[bisect_right(self.units, offset, key=lambda each: each.start) - 1]
        code, at = self._leb(offset)
        return unit, self._values(unit, unit.abbrevs[code], at)[0]

    def _text(self, unit: Unit, value: Value) -> bytes:
        form, at = value
        if form in (_STRP_ALT, _SUP_STRP):
            return b"" if self._shared is None else _text(self._shared.section(".debug_str"), at)
        if form in _STRX:
            where = unit.bases[_STR_OFFSETS_BASE] + at * unit.offset
            table = self.section(".debug_str_offsets")[where : where + unit.offset]
            at = int.from_bytes(table, self._order)
        name = {_STRING: ".debug_info", _LINE_STRP: ".debug_line_str"}.get(form, ".debug_str")
        return _text(self.section(name), at)

    # --- addresses --------------------------------------------------------

    def _start(self, unit: Unit, values: dict[int, Value]) -> int | None:
        entry = values.get(_ENTRY_PC)
        if entry is not None and (entry.form == _ADDR or entry.form in _ADDRX):
            return self._address(unit, entry)
        first = self._address(unit, values.get(_LOW_PC))
        if first is None and _RANGES in values:
            first = self._first_of_ranges(unit, values[_RANGES])
        # DWARF 5: a number is a distance.
        return first if entry is None or first is None else first + entry.value

    def _address(self, unit: Unit, value: Value | None) -> int | None:
        if value is None or value.form not in _ADDRX:
            return None if value is None else value.value
        return self._indexed(unit, value.value)

    def _indexed(self, unit: Unit, index: int) -> int:
        at = unit.bases[_ADDR_BASE] + index * unit.address
        return self._int(at, unit.address, ".debug_addr")

    def _first_of_ranges(self, unit: Unit, value: Value) -> int | None:
        if unit.version < 5:
            return self._first_of_pairs(unit, value.value)
        at = value.value
        if value.form == _RNGLISTX:
            base = unit.bases[_RNGLISTS_BASE] or 12
            at = base + self._int(base + at * unit.offset, unit.offset, ".debug_rnglists")
        return self._first_of_list(unit, at)

    def _first_of_pairs(self, unit: Unit, at: int) -> int | None:
        width, base = unit.address, unit.low_pc
        while True:
            first = self._int(at, width, ".debug_ranges")
            last = self._int(at + width, width, ".debug_ranges")
            at += 2 * width
            if first == (1 << 8 * width) - 1:
                base = last
            elif not first and not last:
                return None
            elif first < last:
                return base + first

    def _first_of_list(self, unit: Unit, at: int) -> int | None:
        data, width, base = self.section(".debug_rnglists"), unit.address, unit.low_pc
        while True:
            kind, at = data[at], at + 1
            if kind == 1:  # DW_RLE_base_addressx
                index, at = _leb(data, at)
                base = self._indexed(unit, index)
            elif kind in (2, 3):  # startx_endx, startx_length
                index, at = _leb(data, at)
                return self._indexed(unit, index)
            elif kind == 4:  # offset_pair
                first, at = _leb(data, at)
                last, at = _leb(data, at)
                if first < last:
                    return base + first
            elif kind == 5:  # base_address
                base, at = self._int(at, width, ".debug_rnglists"), at + width
            elif kind in (6, 7):  # start_end, start_length
                return self._int(at, width, ".debug_rnglists")
            else:
                return None

    # --- numbers ----------------------------------------------------------

    def _int(self, at: int, size: int, section: str = "") -> int:
        content = (self.section(section) if section else self.info)[at : at + size]
        if len(content) < size:
            raise IndexError(at)
        return int.from_bytes(content, self._order)

    def _leb(self, at: int) -> tuple[int, int]:
        return _leb(self.info, at)


def _abbrev(
    tag: int, attributes: tuple[tuple[int, int, int], ...], sizes: dict[int, int]
) -> Abbrev:
    names = {name for name, _, _ in attributes}
    opaque = tag in _TYPES or (tag == _SUBPROGRAM and not names.isdisjoint({_INLINE, _DECLARATION}))
    steps, sibling, origin = [0], None, None
    for name, form, _ in attributes:
        if form == _REF4 and len(steps) == 1:
            if name == _SIBLING and opaque:
                sibling = steps[0]
            elif name == _ORIGIN:
                origin = steps[0]
        step = _step(form, sizes)
        if step >= 0 and steps[-1] >= 0:
            steps[-1] += step
        else:
            steps.append(step)
    return Abbrev(tag, attributes, tuple(step for step in steps if step), sibling, origin)


def _step(form: int, sizes: dict[int, int]) -> int:
    if form in sizes:
        return sizes[form]
    if form in _NUMBERS:
        return _LEB
    if form in _BLOCKS:
        return _BLOCK - _BLOCKS[form]
    return {_STRING: _TEXT, _INDIRECT: _ANY}[form]


def _text(data: bytes, at: int) -> bytes:
    return data[at : data.index(0, at)]


def _leb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] >= 0x80:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if shift > _LONGEST:
            raise ValueError(f"a number of more than {shift} bits")
    return value | data[at] << shift, at + 1


def _sleb(data: bytes, at: int) -> tuple[int, int]:
    value, end = _leb(data, at)
    bits = 7 * (end - at)
    return value - (1 << bits) if value >> bits - 1 else value, end
