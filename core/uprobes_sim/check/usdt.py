"""User statically defined tracepoints: the notes that SystemTap's <sys/sdt.h> leaves in a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final

from uprobes_sim.loader import Program
from uprobes_sim.symbols import read_section
from uprobes_sim.units import Vaddr

_OWNER: Final = b"stapsdt\0"
_TYPE: Final = 3
_SECTION: Final = ".note.stapsdt"
_BASE: Final = ".stapsdt.base"


@dataclass(frozen=True, slots=True)
class Tracepoint:
    """One place of a tracepoint. Addresses are those of the ELF file."""

    provider: str
    name: str
    arguments: str
    vaddr: Vaddr
    semaphore: Vaddr | None
    """Counter of those who watch; None: the tracepoint has none."""


@lru_cache(maxsize=16)
def read_tracepoints(program: Program) -> list[Tracepoint]:
    """List the tracepoints of *program*; none where the notes are missing or broken."""
    notes = read_section(program.data, _SECTION)
    if notes is None:
        return []
    base = read_section(program.data, _BASE)
    return list(_read(notes.data, None if base is None else base.start, program))


def _read(data: bytes, base: int | None, program: Program) -> Iterator[Tracepoint]:
    order = "<" if program.abi.byteorder == "little" else ">"
    head, words = (
        Struct(f"{order}III"),
        Struct(order + ("QQQ" if program.abi.bits == 64 else "III")),
    )
    at = 0
    while at + head.size <= len(data):
        name_size, size, kind = head.unpack_from(data, at)
        name_at = at + head.size
        start = name_at + (name_size + 3 & ~3)
        at = start + (size + 3 & ~3)
        owner, desc = data[name_at : name_at + name_size], data[start : start + size]
        if owner != _OWNER or kind != _TYPE or len(desc) < words.size:
            continue
        pc, linked_base, semaphore = words.unpack_from(desc)
        # Prelinking moves the code and the section, but not what the notes say.
        moved = 0 if base is None else base - linked_base
        strings = desc[words.size :].split(b"\0")
        provider, name, arguments = (
            text.decode(errors="replace") for text in (*strings, b"", b"", b"")[:3]
        )
        yield Tracepoint(
            provider,
            name,
            arguments,
            Vaddr(pc + moved),
            Vaddr(semaphore + moved) if semaphore else None,
        )
