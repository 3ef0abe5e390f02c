"""What the dynamic linker reads of a file: libraries it needs, relocations, imports.

All of it is found by program headers, so stripped files have it too. Broken parts are as
good as none. Format: System V ABI, chapter 5.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from uprobes_sim.elf import PT_DYNAMIC
from uprobes_sim.errors import ProgramError
from uprobes_sim.loader import Program, load

_DT_NEEDED, _DT_STRTAB, _DT_RELA, _DT_RELASZ, _DT_STRSZ = 1, 5, 7, 8, 10
_DT_SONAME, _DT_RPATH, _DT_REL, _DT_RELSZ, _DT_RUNPATH = 14, 15, 17, 18, 29
_DT_RELRSZ, _DT_RELR = 35, 36
_MOST: Final = 1 << 20
"""Entries of a table that are believed."""
_LONGEST_NAME: Final = 4096

_RELATIVE: Final = {3: 8, 62: 8, 20: 22, 21: 22}
"""Type of the relocation that adds the load address to a pointer, by `e_machine`."""

_FOLDERS: Final = ("lib", "usr/lib", "lib64", "usr/lib64")
_TRIPLETS: Final = {
    (62, 64): ("x86_64-linux-gnu",),
    (3, 32): ("i386-linux-gnu", "i686-linux-gnu"),
    (21, 64): ("powerpc64le-linux-gnu", "powerpc64-linux-gnu"),
    (20, 32): ("powerpc-linux-gnu",),
}
"""Names of Debian's folders for libraries, by `e_machine` and width."""


@dataclass(frozen=True, slots=True)
class Dynamic:
    """The dynamic section."""

    tags: dict[int, int]
    """Values by tag; the last of each."""
    needed: tuple[str, ...]
    """Libraries, in the order in which they are searched."""
    search: tuple[str, ...]
    """Folders that the file itself names (DT_RUNPATH, DT_RPATH)."""


def read_dynamic(program: Program) -> Dynamic:
    """Read the dynamic section of *program*; an empty one where there is none."""
    header = program.others.get(PT_DYNAMIC)
    if header is None:
        return Dynamic({}, (), ())
    entries = list(_entries(program, program.read(header.vaddr, header.filesz)))
    tags = dict(entries)
    strings = tags.get(_DT_STRTAB, 0)
    needed = [_string(program, strings + at) for tag, at in entries if tag == _DT_NEEDED]
    paths = [
        _string(program, strings + at) for tag, at in entries if tag in (_DT_RUNPATH, _DT_RPATH)
    ]
    search = [folder for path in paths for folder in path.split(":") if folder]
    return Dynamic(tags, tuple(filter(None, needed)), tuple(search))


def _entries(program: Program, data: bytes) -> Iterator[tuple[int, int]]:
    row = Struct(_order(program) + ("QQ" if program.abi.bits == 64 else "II"))
    for tag, value in row.iter_unpack(data[: len(data) // row.size * row.size]):
        if tag == 0:
            return
        yield tag, value


def _order(program: Program) -> str:
    return "<" if program.abi.byteorder == "little" else ">"


def _string(program: Program, vaddr: int) -> str:
    return program.read(vaddr, _LONGEST_NAME).partition(b"\0")[0].decode(errors="replace")


def relative_targets(program: Program) -> Iterator[int]:
    """Give the addresses to which relative relocations point."""
    wanted = _RELATIVE.get(program.e_machine)
    if wanted is None:
        return
    tags, wide = read_dynamic(program).tags, program.abi.bits == 64
    row = Struct(_order(program) + ("QQq" if wide else "IIi"))
    mask = 0xFFFFFFFF if wide else 0xFF
    data = program.read(tags.get(_DT_RELA, 0), min(tags.get(_DT_RELASZ, 0), _MOST * row.size))
    for _, info, addend in row.iter_unpack(data[: len(data) // row.size * row.size]):
        if info & mask == wanted:
            yield addend
    yield from _implicit_targets(program, tags, wanted, mask)
    yield from _packed_targets(program, tags)


def _implicit_targets(
    program: Program, tags: dict[int, int], wanted: int, mask: int
) -> Iterator[int]:
    """Give those whose addend is where the relocation is (DT_REL)."""
    size = program.abi.bits // 8
    row = Struct(_order(program) + ("QQ" if size == 8 else "II"))
    data = program.read(tags.get(_DT_REL, 0), min(tags.get(_DT_RELSZ, 0), _MOST * row.size))
    for at, info in row.iter_unpack(data[: len(data) // row.size * row.size]):
        if info & mask == wanted:
            yield int.from_bytes(program.read(at, size), program.abi.byteorder)


def _packed_targets(program: Program, tags: dict[int, int]) -> Iterator[int]:
    """Give those of packed relocations (DT_RELR): an address, and bits for the words behind it."""
    size = program.abi.bits // 8
    row = Struct(_order(program) + ("Q" if size == 8 else "I"))
    data = program.read(tags.get(_DT_RELR, 0), min(tags.get(_DT_RELRSZ, 0), _MOST * row.size))
    places, following = list[int](), 0
    for (entry,) in row.iter_unpack(data[: len(data) // row.size * row.size]):
        if entry & 1:
            places += [
                following + size * bit for bit in range(8 * size - 1) if entry >> bit + 1 & 1
            ]
            following += size * (8 * size - 1)
        else:
            places.append(entry)
            following = entry + size
    for place in places:
        yield int.from_bytes(program.read(place, size), program.abi.byteorder)


def defining(program: Program, name: str) -> Path | None:
    """Find the library that *program* needs and that defines *name*."""
    dynamic = read_dynamic(program)
    for library in dynamic.needed:
        path = find_library(program, library, dynamic.search)
        if path is None:
            continue
        try:
            symbols = load(path).symbols.find(name)
        except ProgramError:
            continue
        if symbols and not symbols[0].undefined:
            return path
    return None


def find_library(program: Program, name: str, search: tuple[str, ...]) -> Path | None:
    """Find the file of a library as the dynamic linker of its machine would, or a cross one."""
    for folder in _library_folders(program, search):
        path = folder / name
        if path.is_file() and _fits(path, program):
            return path
    return None


def _library_folders(program: Program, search: tuple[str, ...]) -> Iterator[Path]:
    origin = str(program.path.resolve().parent)
    for folder in search:
        yield Path(folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin))
    root = Path(os.sep)
    for triplet in _TRIPLETS.get((program.e_machine, program.abi.bits), ()):
        for folder in ("lib", "usr/lib"):
            yield root / folder / triplet
        yield root / "usr" / triplet / "lib"
    for folder in _FOLDERS:
        yield root / folder


def _fits(path: Path, program: Program) -> bool:
    """Tell whether a library is for the same machine: identification and `e_machine`."""
    try:
        with path.open("rb") as file:
            start = file.read(20)
    except OSError:
        return False
    return start[4:6] == program.data[4:6] and start[18:20] == program.data[18:20]


def used(program: Program, names: frozenset[str]) -> str | None:
    """Find one of *names* that *program* imports, or brings along without being a library."""
    table = program.symbols.by_name
    is_library = _DT_SONAME in read_dynamic(program).tags
    return next(
        (
            name
            for name in sorted(names & table.keys())
            if table[name][0].undefined or not is_library
        ),
        None,
    )
