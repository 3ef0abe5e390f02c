"""Symbols of an ELF file, and the places in it that names and addresses mean."""

from collections.abc import Callable
from dataclasses import dataclass

from uprobes_sim.units import Vaddr


@dataclass(frozen=True, slots=True)
class Symbol:
    """One row of a symbol table."""

    name: str
    value: Vaddr
    """As in the ELF file (`st_value`)."""
    size: int
    """In bytes; 0 where the file does not say."""
    other: int
    """`st_other`, whose upper bits belong to the processor's ABI."""
    kind: str
    """`STT_FUNC`, `STT_NOTYPE`, `STT_GNU_IFUNC`, …"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a backend may ask of an ELF file to make sense of a symbol."""

    e_flags: int
    read: Callable[[int, int], bytes]
    """Bytes of the loaded file by address (as in the file) and size; fewer at a segment's end."""
    section: Callable[[int], str | None]
    """Name of the section that holds an address, if there is one."""
