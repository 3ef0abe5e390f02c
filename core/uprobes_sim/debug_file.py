"""What is kept apart from a stripped file: its symbols and its DWARF.

Debuggers and tracers find it by the build ID, or by the name that the file gives
(`.gnu_debuglink`); Fedora's programs hold their symbols packed (`.gnu_debugdata`). A file
that does not belong, or is broken, is as good as none.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uprobes_sim.regular import open_regular
from uprobes_sim.sections import read_sections
from uprobes_sim.symbols import Symbol, SymbolTable, read_section, read_symbols

_FOLDER: Final = Path(os.sep, "usr", "lib", "debug")
_ELF: Final = b"\x7fELF"
_NOTE_HEAD: Final = 16
"""Bytes of a note before the build ID: three lengths and `GNU`."""
_MOST: Final = 64 << 20
"""Bytes of packed symbols that are unpacked."""


@dataclass(frozen=True, eq=False)
class DebugFile:
    """An ELF file that has what another one lacks."""

    path: Path
    data: bytes


def with_separate(table: SymbolTable, path: Path, data: bytes) -> SymbolTable:
    """Add to the symbols of a stripped file those that are kept apart from it."""
    if read_sections(data).named(".symtab") is not None:
        return table
    known = {(symbol.name, symbol.value) for symbol in table.symbols}
    more = (
        symbol
        for symbol in _separate(path, data)
        if not symbol.undefined and (symbol.name, symbol.value) not in known
    )
    return SymbolTable((*table.symbols, *more), table.sections)


def _separate(path: Path, data: bytes) -> Iterator[Symbol]:
    for each in (_unpacked(data), debug_file(path, data)):
        if each is not None:
            yield from read_symbols(each if isinstance(each, bytes) else each.data).symbols


def _unpacked(data: bytes) -> bytes | None:
    packed = read_section(data, ".gnu_debugdata")
    if packed is None:
        return None
    from lzma import LZMADecompressor, LZMAError

    try:
        found = LZMADecompressor().decompress(packed.data, _MOST)
    except (LZMAError, EOFError):
        return None
    return found if found[: len(_ELF)] == _ELF else None


def debug_file(path: Path, data: bytes) -> DebugFile | None:
    """Find the file with the symbols and the DWARF of the ELF file *data* at *path*."""
    own, link = build_id(data), read_section(data, ".gnu_debuglink")
    name, crc = ("", b"") if link is None else (_string(link.data), link.data[-4:])
    for candidate in _candidates(path, own, name):
        found = read_elf(candidate)
        if found is None or found.data == data:
            continue
        theirs = build_id(found.data)
        if own == theirs if own and theirs else _has_sum(found.data, crc):
            return found
    return None


def _has_sum(data: bytes, crc: bytes) -> bool:
    return zlib.crc32(data).to_bytes(4, "little" if data[5:6] == b"\1" else "big") == crc


def read_elf(path: Path) -> DebugFile | None:
    """Read an ELF file; None: there is none."""
    try:
        with open(open_regular(path), "rb") as file:
            start = file.read(len(_ELF))
            return DebugFile(path, start + file.read()) if start == _ELF else None
    except (OSError, ValueError):
        return None


def _candidates(path: Path, own: str, name: str) -> Iterator[Path]:
    if len(own) > 2:
        yield _FOLDER / ".build-id" / own[:2] / f"{own[2:]}.debug"
    if name and os.sep not in name:
        folder = path.resolve().parent
        yield folder / name
        yield folder / ".debug" / name
        yield _FOLDER / folder.relative_to(folder.anchor) / name


def build_id(data: bytes) -> str:
    """Read the build ID, in hexadecimal digits; empty: there is none."""
    note = read_section(data, ".note.gnu.build-id")
    return "" if note is None else note.data[_NOTE_HEAD:].hex()


def _string(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")
