"""Copies of a function in its callers, from DWARF, be it in the file or apart from it."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final, NamedTuple

from uprobes_sim.debug_file import DebugFile, build_id, debug_file, read_elf
from uprobes_sim.loader import Program
from uprobes_sim.symbols import read_section
from uprobes_sim.units import Vaddr

if TYPE_CHECKING:
    from uprobes_sim.check.copies import Copies

_SHOWN: Final = 8


def copies_of(program: Program, name: str, *, plain: bool = False) -> tuple[Vaddr, ...]:
    """Find where the function with the symbol *name* was copied to.

    Nowhere, as well, where DWARF is missing or `unread`. *plain*: *name* may be what the source
    has for a mangled symbol.
    """
    return _found(program, name, plain).copies


def unread(program: Program, name: str, *, plain: bool = False) -> str:
    """Tell why DWARF was not asked for copies of *name*; empty: it was, or there is none."""
    why = _found(program, name, plain).unread
    if not why:
        return ""
    return (
        f"copies of {name} in its callers were not looked for in the DWARF: {why}; gdb may find "
        f"them: gdb -batch -ex {quote(f'break {name}')} -ex 'info breakpoints' "
        f"{quote(str(program.path))}"
    )


class _Found(NamedTuple):
    """What DWARF tells of one function."""

    copies: tuple[Vaddr, ...] = ()
    unread: str = ""


@lru_cache(maxsize=64)
def _found(program: Program, name: str, plain: bool) -> _Found:
    dwarf = _dwarf(program)
    if dwarf is None or isinstance(dwarf, str):
        return _Found(unread=dwarf or "")
    from uprobes_sim.check.copies import UnreadError

    try:
        starts = dwarf.of(name.encode(errors="replace"), plain=plain)
        why = "it is in .dwo files" if dwarf.are_elsewhere else ""
    except UnreadError as error:
        return _Found(unread=str(error))
    except Exception:  # whatever pyelftools meets in a broken file
        return _Found(unread=_BROKEN)
    code = (Vaddr(start) for start in starts)
    return _Found(tuple(sorted(start for start in code if _is_code(program, start))), why)


def few_of(copies: Sequence[Vaddr]) -> str:
    """List copies for a sentence: all of a few, the first of many."""
    shown = ", ".join(f"{copy:#x}" for copy in copies[:_SHOWN])
    more = len(copies) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


_BROKEN: Final = "it is broken"


@lru_cache(maxsize=4)
def _dwarf(program: Program) -> "Copies | str | None":
    """Find the DWARF of *program*, or say why it is not read."""
    found: DebugFile | None = DebugFile(program.path, program.data)
    if read_section(program.data, ".debug_info") is None:
        found = debug_file(program.path, program.data)
    if found is None or read_section(found.data, ".debug_info") is None:
        files = (program.data, found.data if found else b"")
        old = any(read_section(each, ".zdebug_info") is not None for each in files)
        return "it is packed as before 2015, in sections called .zdebug" if old else None
    from uprobes_sim.check.copies import Copies, UnreadError

    try:
        return Copies(found.data, _shared(found))
    except UnreadError as error:
        return str(error)
    except Exception:  # whatever pyelftools meets in a broken file
        return _BROKEN


def _shared(found: DebugFile) -> "Copies | None":
    """Find what `dwz -m` has moved to a file that several share."""
    from uprobes_sim.check.copies import Copies, UnreadError

    link = read_section(found.data, ".gnu_debugaltlink")
    if link is None:
        return None
    name, _, wanted = link.data.partition(b"\0")
    path = found.path.resolve().parent / Path(os.fsdecode(name))
    other = read_elf(path)
    if other is None or build_id(other.data) != wanted.hex():
        raise UnreadError(f"the rest of it, {path}, is not there")
    return Copies(other.data)


def _is_code(program: Program, vaddr: Vaddr) -> bool:
    """Tell whether there is code: linkers leave entries of what they have dropped."""
    segment = program.segment_of(vaddr)
    return segment is not None and segment.executable
