"""Copies of a function in its callers, from DWARF."""

from collections import defaultdict
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from uprobes_sim.loader import Program
from uprobes_sim.symbols import read_section
from uprobes_sim.units import Vaddr

if TYPE_CHECKING:
    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.die import DIE
    from elftools.dwarf.dwarfinfo import DWARFInfo

_MOST: Final = 8 << 20
"""Bytes of .debug_info that are read: more takes longer than anybody waits."""


def copies_of(program: Program, name: str) -> tuple[Vaddr, ...]:
    """Find where *name* was copied to; nowhere, as well, where DWARF is missing or broken."""
    if not _has_dwarf(program) or name.encode() not in program.data:
        return ()
    return _copies(program).get(name.encode(), ())


@lru_cache(maxsize=16)
def _has_dwarf(program: Program) -> bool:
    """Tell whether there is DWARF, and not so much of it that nobody would wait for the answer."""
    info = read_section(program.data, ".debug_info")
    return info is not None and 0 < len(info.data) <= _MOST


@lru_cache(maxsize=16)
def _copies(program: Program) -> dict[bytes, tuple[Vaddr, ...]]:
    """Find all copies of all functions, by name: to read DWARF is what takes long."""
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(BytesIO(program.data))
        names, starts = _read(elf.get_dwarf_info())
    except Exception:  # whatever pyelftools meets in a broken file
        return {}
    found = defaultdict[bytes, set[Vaddr]](set)
    for origin, start in starts:
        for name in names.get(origin, ()):
            found[name].add(start)
    return {name: tuple(sorted(copies)) for name, copies in found.items()}


def _read(dwarf: "DWARFInfo") -> tuple[dict[int, set[bytes]], list[tuple[int, Vaddr]]]:
    """Give the names of functions that may be copied, by their DIE; and each copy's, and start."""
    names, starts = dict[int, set[bytes]](), list[tuple[int, Vaddr]]()
    for unit in dwarf.iter_CUs():
        for die in unit.iter_DIEs():
            if die.tag == "DW_TAG_subprogram" and "DW_AT_inline" in die.attributes:
                names[die.offset] = _names(die)
            elif die.tag == "DW_TAG_inlined_subroutine":
                origin, start = _origin(die, unit), _start(die, unit, dwarf)
                if origin is not None and start is not None:
                    starts.append((origin, Vaddr(start)))
    return names, starts


def _names(die: "DIE") -> set[bytes]:
    keys = ("DW_AT_name", "DW_AT_linkage_name")
    return {die.attributes[key].value for key in keys if key in die.attributes}


def _origin(die: "DIE", unit: "CompileUnit") -> int | None:
    """Find the offset of the DIE of which this is a copy."""
    origin = die.attributes.get("DW_AT_abstract_origin")
    if origin is None:
        return None
    base: int = 0 if origin.form == "DW_FORM_ref_addr" else unit.cu_offset
    return base + int(origin.value)


def _start(die: "DIE", unit: "CompileUnit", dwarf: "DWARFInfo") -> int | None:
    """Find the first address of a copy."""
    for key in ("DW_AT_entry_pc", "DW_AT_low_pc"):
        found = die.attributes.get(key)
        if found is not None and found.form.startswith("DW_FORM_addr"):
            value: int = found.value
            return value
    ranges = die.attributes.get("DW_AT_ranges")
    lists = dwarf.range_lists()
    if ranges is None or lists is None:
        return None
    offset = ranges.value
    first: Any = next(iter(lists.get_range_list_at_offset(offset, unit)), None)
    return None if first is None else int(getattr(first, "begin_offset", 0)) or None
