"""The functions of a Go program, which its runtime needs to know: stripped programs tell them too.

Format: Go's src/runtime/symtab.go, since 1.18.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from uprobes_sim.sections import Sections, string_at
from uprobes_sim.units import Vaddr

SECTION: Final = ".gopclntab"

_MAGICS: Final = (0xFFFFFFF0, 0xFFFFFFF1)
"""Since 1.18, since 1.20."""
_MOST: Final = 1 << 22
"""Functions that are believed."""


@dataclass(frozen=True, slots=True)
class GoFunction:
    """One function."""

    name: str
    start: Vaddr
    size: int


def read_functions(found: Sections, data: bytes) -> Iterator[GoFunction]:
    """List the functions of a Go program, in order; none where the table is missing or other."""
    section = found.named(SECTION)
    if section is None:
        return
    table = section.read(data)
    order = "<" if found.byteorder == "little" else ">"
    word = "Q" if found.bits == 64 else "I"
    header = Struct(f"{order}IxxBB8{word}")
    if len(table) < header.size:
        return
    magic, _, width, count, _, text, names_at, *_, functions_at = header.unpack_from(table)
    if magic not in _MAGICS or width != found.bits // 8 or not 0 < count <= _MOST:
        return
    names, rows = table[names_at:], table[functions_at:]
    entry, function = Struct(f"{order}II"), Struct(f"{order}Ii")
    if len(rows) < (count + 1) * entry.size:
        return
    starts = list(entry.iter_unpack(rows[: count * entry.size]))
    (end, _) = entry.unpack_from(rows, count * entry.size)
    ends = [start for start, _ in starts[1:]] + [end]
    for (start, at), following in zip(starts, ends, strict=True):
        if at + function.size <= len(rows) and following >= start:
            _, name_at = function.unpack_from(rows, at)
            if name := string_at(names, name_at) if name_at >= 0 else "":
                yield GoFunction(name, Vaddr(text + start), following - start)
