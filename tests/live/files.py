"""The instructions of this machine's own programs and libraries, judged where they lie."""

import ctypes
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from live.kernel import SLOT
from uprobes_sim_x86.insn import MAX_INSN_SIZE, Undecodable, decode

LIBRARIES: Final = ("libc.so.6", "libm.so.6", "libstdc++.so.6", "libcrypto.so.3")
_EXECUTABLE: Final = 0x4
"""SHF_EXECINSTR."""
_MAP: Final = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    memory = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
print("mapped", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Code:
    """A file, and where its instructions start."""

    path: Path
    data: bytes
    offsets: list[int]

    def insn(self, offset: int) -> bytes:
        """Read what the kernel would copy."""
        return self.data[offset : offset + SLOT].ljust(SLOT, b"\0")


def system_files() -> list[Path]:
    """Find the libraries that this process can load, and the file of the interpreter itself.

    The library that an interpreter may consist of is mapped already.
    """
    for name in LIBRARIES:
        with suppress(OSError):
            ctypes.CDLL(name)
    wanted = {name.partition(".")[0] for name in LIBRARIES}
    mapped = {Path(line.split()[-1]) for line in Path("/proc/self/maps").read_text().splitlines()}
    libraries = {
        path.resolve()
        for path in mapped
        if path.name.partition(".")[0] in wanted or path.name.startswith("libpython")
    }
    return sorted({Path(sys.executable).resolve(), *libraries})


def read_code(path: Path) -> Code:
    """Find the instructions of all executable sections: the decoder starts anew at each symbol."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        entries = sorted(set(_function_addresses(elf)))
        sections = [
            (section["sh_addr"], section["sh_offset"], section.data())
            for section in elf.iter_sections()
            if section["sh_flags"] & _EXECUTABLE and section["sh_type"] == "SHT_PROGBITS"
        ]
    offsets = [
        offset + at for vaddr, offset, data in sections for at in _starts(data, vaddr, entries)
    ]
    return Code(path, path.read_bytes(), offsets)


def _function_addresses(elf: ELFFile) -> Iterator[int]:
    for name in (".symtab", ".dynsym"):
        table = elf.get_section_by_name(name)
        if isinstance(table, SymbolTableSection):
            for symbol in table.iter_symbols():
                if symbol["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC"):
                    yield symbol["st_value"]


def _starts(data: bytes, vaddr: int, entries: Sequence[int]) -> Iterator[int]:
    """Give the offset of each instruction; what is none is gone through byte by byte."""
    at = 0
    nearest = bisect_right(entries, vaddr)
    while at < len(data):
        yield at
        try:
            length = decode(data[at : at + MAX_INSN_SIZE], 64).length
        except Undecodable:
            length = 1
        while nearest < len(entries) and entries[nearest] <= vaddr + at:
            nearest += 1
        if nearest < len(entries) and entries[nearest] < vaddr + at + length:
            length = entries[nearest] - vaddr - at
        at += length


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Let a process map a file so that it may be executed, but never execute it."""
    command = [sys.executable, "-c", _MAP, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the file cannot be mapped"
            yield
        finally:
            process.kill()
