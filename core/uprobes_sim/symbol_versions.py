"""Versions of dynamic symbols, by which a library keeps older forms of a function.

Format: Linux Standard Base, "Symbol Versioning".
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from uprobes_sim.sections import Section, Sections, string_at
from uprobes_sim.uapi import ByteOrder

_HIDDEN: Final = 0x8000
"""Mark in .gnu.version: a newer version goes by the same name."""
_BASE: Final = 1
"""Flag of a definition that names the file itself (VER_FLG_BASE)."""
_ORDERS: Final[dict[ByteOrder, str]] = {"little": "<", "big": ">"}
_DEFINITION, _NAME_OF_DEFINITION = "HHHHIII", "II"
_NEED, _NAME_OF_NEED = "HHIII", "IHHII"
_MOST: Final = 1 << 15
"""Numbers that there can be."""


class SymbolVersion(NamedTuple):
    """The version of one dynamic symbol."""

    name: str
    """Empty: the symbol has none."""
    superseded: bool


NO_VERSION: Final = SymbolVersion("", superseded=False)


def read_versions(found: Sections, data: bytes) -> list[SymbolVersion]:
    """List the versions of the dynamic symbols of a file, in their order; as far as there are."""
    section = found.named(".gnu.version")
    if section is None:
        return []
    names = dict([*_needs(found, data), *_definitions(found, data)])
    numbers = section.read(data)
    form = Struct(_ORDERS[found.byteorder] + "H")
    return [
        SymbolVersion(names.get(number & ~_HIDDEN, ""), superseded=bool(number & _HIDDEN))
        for (number,) in form.iter_unpack(numbers[: len(numbers) & ~1])
    ]


def _definitions(found: Sections, data: bytes) -> Iterator[tuple[int, str]]:
    """Give the versions that the file defines, by number."""
    section = found.named(".gnu.version_d")
    if section is None:
        return
    names = _names(found, data, section)
    for at, (_, flags, number, _, _, name_at, _) in _chain(found, data, section, _DEFINITION):
        first = Struct(_ORDERS[found.byteorder] + _NAME_OF_DEFINITION)
        content = section.read(data)[at + name_at :][: first.size]
        if not flags & _BASE and len(content) == first.size:
            yield number, string_at(names, first.unpack(content)[0])


def _needs(found: Sections, data: bytes) -> Iterator[tuple[int, str]]:
    """Give the versions that the file wants of others, by number."""
    section = found.named(".gnu.version_r")
    if section is None:
        return
    names = _names(found, data, section)
    for at, (_, _, _, first, _) in _chain(found, data, section, _NEED):
        rows = _chain(found, data, section, _NAME_OF_NEED, at + first)
        for _, (_, _, number, name, _) in rows:
            yield number, string_at(names, name)


def _chain(
    found: Sections, data: bytes, section: Section, form: str, at: int = 0
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Follow rows of which the last field tells how far on the next one is."""
    row, content = Struct(_ORDERS[found.byteorder] + form), section.read(data)
    for _ in range(_MOST):
        if at + row.size > len(content):
            return
        fields = row.unpack_from(content, at)
        yield at, fields
        if not fields[-1]:
            return
        at += fields[-1]


def _names(found: Sections, data: bytes, section: Section) -> bytes:
    return found.rows[section.link].read(data) if section.link < len(found.rows) else b""
