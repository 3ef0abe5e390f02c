"""Copies of a function in its callers, from DWARF."""

from collections.abc import Iterator
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


@lru_cache(maxsize=16)
def copies_of(program: Program, name: str) -> tuple[Vaddr, ...]:
    """Find where *name* was copied to; nowhere, as well, where DWARF is missing or broken."""
    if not _has_dwarf(program) or name.encode() not in program.data:
        return ()
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(BytesIO(program.data))
        return tuple(sorted(set(_copies(elf.get_dwarf_info(), name))))
    except Exception:  # whatever pyelftools meets in a broken file
        return ()


@lru_cache(maxsize=16)
def _has_dwarf(program: Program) -> bool:
    """Tell whether there is DWARF, and not so much of it that nobody would wait for the answer."""
    info = read_section(program.data, ".debug_info")
    return info is not None and 0 < len(info.data) <= _MOST


def _copies(dwarf: "DWARFInfo", name: str) -> Iterator[Vaddr]:
    for unit in dwarf.iter_CUs():
        abstract = {
            die.offset
            for die in unit.iter_DIEs()
            if die.tag == "DW_TAG_subprogram" and "DW_AT_inline" in die.attributes
            if _names(die, name)
        }
        if not abstract:
            continue
        for die in unit.iter_DIEs():
            if die.tag == "DW_TAG_inlined_subroutine" and _origin(die) in abstract:
                start = _start(die, unit, dwarf)
                if start is not None:
                    yield Vaddr(start)


def _names(die: "DIE", name: str) -> bool:
    wanted = name.encode()
    return any(
        key in die.attributes and die.attributes[key].value == wanted
        for key in ("DW_AT_name", "DW_AT_linkage_name")
    )


def _origin(die: "DIE") -> int | None:
    origin = die.attributes.get("DW_AT_abstract_origin")
    if origin is None:
        return None
    offset: int = die.get_DIE_from_attribute("DW_AT_abstract_origin").offset
    return offset


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
