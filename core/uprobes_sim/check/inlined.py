"""Copies of a function in its callers, from DWARF, be it in the file or apart from it."""

import os
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from uprobes_sim.check.dwarf import BROKEN, Copy, Dwarf
from uprobes_sim.debug_file import DebugFile, build_id, debug_file, read_elf
from uprobes_sim.loader import Program
from uprobes_sim.symbols import read_section
from uprobes_sim.units import Vaddr

_SHOWN: Final = 8


def copies_of(program: Program, name: str, *, plain: bool = False) -> tuple[Vaddr, ...]:
    """Find where the function with the symbol *name* was copied to.

    Nowhere, as well, where DWARF is missing or broken. *plain*: *name* may be what the source
    has for a mangled symbol.
    """
    dwarf, text = _dwarf(program), name.encode(errors="replace")
    try:
        if dwarf is None or not dwarf.names_it(text):
            return ()
        found = _copies(dwarf)
        copies = found.symbols.get(text, ()) or (found.plain.get(text, ()) if plain else ())
        starts = {Vaddr(start) for copy in copies if (start := dwarf.start(copy)) is not None}
    except BROKEN:
        return ()
    return tuple(sorted(start for start in starts if _is_code(program, start)))


def few_of(copies: Sequence[Vaddr]) -> str:
    """List copies for a sentence: all of a few, the first of many."""
    shown = ", ".join(f"{copy:#x}" for copy in copies[:_SHOWN])
    more = len(copies) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


@lru_cache(maxsize=4)
def _dwarf(program: Program) -> Dwarf | None:
    """Find the DWARF of *program*."""
    found: DebugFile | None = DebugFile(program.path, program.data)
    if read_section(program.data, ".debug_info") is None:
        found = debug_file(program.path, program.data)
    if found is None or read_section(found.data, ".debug_info") is None:
        return None
    return Dwarf(found.data, _shared(found))


def _shared(found: DebugFile) -> Dwarf | None:
    """Find what `dwz -m` has moved to a file that several share."""
    link = read_section(found.data, ".gnu_debugaltlink")
    if link is None:
        return None
    name, _, wanted = link.data.partition(b"\0")
    other = read_elf(found.path.resolve().parent / Path(os.fsdecode(name)))
    return Dwarf(other.data) if other and build_id(other.data) == wanted.hex() else None


class _Copies(NamedTuple):
    """All copies of all functions."""

    symbols: dict[bytes, list[Copy]]
    plain: dict[bytes, list[Copy]]


@lru_cache(maxsize=4)
def _copies(dwarf: Dwarf) -> _Copies:
    """Find all copies of all functions, by name: to read DWARF is what takes long."""
    symbols, plain = defaultdict[bytes, list[Copy]](list), defaultdict[bytes, list[Copy]](list)
    for (holder, origin), copies in dwarf.copies().items():
        names = holder.names_at(origin)
        for name in names.symbols:
            symbols[name] += copies
        for name in names.plain:
            plain[name] += copies
    return _Copies(symbols, plain)


def _is_code(program: Program, vaddr: Vaddr) -> bool:
    """Tell whether there is code: linkers leave entries of what they have dropped."""
    segment = program.segment_of(vaddr)
    return segment is not None and segment.executable
