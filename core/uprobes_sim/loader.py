"""ELF files that can be run: their headers, checked as binfmt_elf checks them, and more kindly."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.elf import ET_DYN, ET_EXEC, PF_W, PF_X, PT_INTERP, PT_LOAD
from uprobes_sim.errors import ProgramError
from uprobes_sim.regular import NotRegularError, open_regular
from uprobes_sim.sections import SHT_NOBITS, read_sections
from uprobes_sim.symbols import Image, SymbolTable, read_symbols
from uprobes_sim.uapi import Bits, ByteOrder, Layout
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr

_MAGIC: Final = b"\x7fELF"
_IDENT_BYTES: Final = 16
_CLASSES: Final[dict[int, Bits]] = {1: 32, 2: 64}
_ORDERS: Final[dict[int, ByteOrder]] = {1: "little", 2: "big"}

_EHDR: Final = Layout(
    "16x H:type H:machine I:version L:entry L:phoff L:shoff I:flags"
    " H:ehsize H:phentsize H:phnum H:shentsize H:shnum H:shstrndx"
)
_PHDR: Final[dict[int, Layout]] = {
    32: Layout("I:type L:offset L:vaddr L:paddr L:filesz L:memsz I:flags L:align"),
    64: Layout("I:type I:flags L:offset L:vaddr L:paddr L:filesz L:memsz L:align"),
}

_ET_REL: Final = 1
_MODULE: Final = b"\0.modinfo\0"
"""Name of a section that kernel modules have."""
_KERNEL: Final = 1 << 63
"""From here on addresses are the kernel's, on every 64-bit architecture."""
_NOT_A_PROGRAM: Final = {
    _ET_REL: "is a relocatable object file; link it into a program",
    4: "is a core dump; give the program that dumped it",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One program header; of a PT_LOAD it is what is mapped."""

    vaddr: Vaddr
    offset: Offset
    filesz: int
    memsz: int
    flags: int
    """PF_R, PF_W and PF_X."""
    align: int

    @property
    def executable(self) -> bool:
        """Tell whether code can be in it."""
        return bool(self.flags & PF_X)

    @property
    def writable(self) -> bool:
        """Tell whether the program may write to it."""
        return bool(self.flags & PF_W)

    @property
    def end(self) -> Vaddr:
        """First address behind what the file has of it."""
        return Vaddr(self.vaddr + self.filesz)

    def holds(self, vaddr: int) -> bool:
        """Tell whether the file has bytes of it for *vaddr*."""
        return self.vaddr <= vaddr < self.end


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """A program or shared library, ready to be mapped. Addresses are those of the ELF file."""

    path: Path
    data: bytes = field(repr=False)
    abi: Abi
    e_machine: int
    e_type: int
    e_flags: int
    entry: Vaddr
    phoff: int
    phnum: int
    segments: tuple[Segment, ...]
    others: dict[int, Segment]
    """The program headers that load nothing, by `p_type`, unchecked; the first of each type."""
    dynamic: bool
    """Wants a dynamic linker (PT_INTERP): it can be probed, but not be run here."""

    @property
    def comm(self) -> str:
        """Name of a task that runs it (TASK_COMM_LEN holds 15 characters)."""
        return self.path.name[:15]

    @property
    def phentsize(self) -> int:
        """Length of a program header, in bytes."""
        return _PHDR[self.abi.bits].size(self.abi.bits)

    @cached_property
    def symbols(self) -> SymbolTable:
        """The symbols, read at the first look; those kept apart from a stripped file as well."""
        from uprobes_sim.debug_file import with_separate

        return with_separate(read_symbols(self.data), self.path, self.data)

    @cached_property
    def image(self) -> Image:
        """What a backend may ask of this file."""
        return Image(self.e_flags, self.read, lambda vaddr: self.symbols.section_at(vaddr))

    def segment_of(self, vaddr: int) -> Segment | None:
        """Find the segment that loads bytes of the file to *vaddr*, code before data."""
        found = None
        for each in self.segments:
            if each.vaddr <= vaddr < each.vaddr + each.filesz:
                if each.flags & PF_X:
                    return each
                found = found or each
        return found

    def offset_of(self, vaddr: int, *, executable: bool = False) -> Offset | None:
        """Find the place in the file that is loaded at *vaddr*; None: there is none."""
        for segment in self.segments:
            if executable and not segment.executable:
                continue
            if segment.vaddr <= vaddr < segment.vaddr + segment.filesz:
                return Offset(vaddr - segment.vaddr + segment.offset)
        return None

    def vaddr_of(self, offset: int, *, executable: bool = False) -> Vaddr | None:
        """Find the address at which *offset* of the file is loaded; None: nowhere."""
        for segment in self.segments:
            if executable and not segment.executable:
                continue
            if segment.offset <= offset < segment.offset + segment.filesz:
                return Vaddr(offset - segment.offset + segment.vaddr)
        return None

    def read(self, vaddr: int, size: int) -> bytes:
        """Read what the file has for *vaddr*; fewer than *size* bytes at a segment's end."""
        for segment in self.segments:
            if segment.vaddr <= vaddr < segment.vaddr + segment.filesz:
                start = vaddr - segment.vaddr + segment.offset
                return self.data[start : min(start + size, segment.offset + segment.filesz)]
        return b""


def load(path: Path) -> Program:
    """Read the program or shared library at *path*.

    Raises:
        ProgramError: it is neither; the message says why, and what to do.
    """
    try:
        return _parse(path, _read(path))
    except _BadElf as exc:
        raise ProgramError(f"{path} {exc}") from None


def parse(path: Path, data: bytes) -> Program:
    """Take *data* for the program or shared library that *path* names.

    Raises:
        ProgramError: as `load`.
    """
    try:
        if data[: len(_MAGIC)] != _MAGIC:
            raise _BadElf("is not an ELF file; name an ELF program")
        return _parse(path, data)
    except _BadElf as exc:
        raise ProgramError(f"{path} {exc}") from None


class _BadElf(Exception):
    """A sentence about the file, without its name."""


def _read(path: Path) -> bytes:
    try:
        with open(open_regular(path), "rb") as file:
            start = file.read(_IDENT_BYTES)
            if start[: len(_MAGIC)] == _MAGIC:
                file.seek(0)
                return file.read()
    except NotRegularError:
        if path.is_dir():
            raise _BadElf("is a directory; name a program in it") from None
        raise _BadElf("is no regular file; name an ELF file") from None
    except FileNotFoundError:
        raise _BadElf("does not exist; check the path") from None
    except (OSError, ValueError) as exc:
        raise _BadElf(f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from None
    if not start:
        raise _BadElf("is an empty file; name an ELF program")
    if start[:2] == b"#!":
        raise _BadElf("is a script; name the ELF program of its interpreter")
    if start[:8] in (b"!<arch>\n", b"!<thin>\n"):
        raise _BadElf("is an archive; link it into a program")
    raise _BadElf("is not an ELF file; name an ELF program")


def _parse(path: Path, data: bytes) -> Program:
    bits, order = _abi(data)
    size = _EHDR.size(bits)
    if len(data) < size:
        raise _BadElf(f"is cut off: an ELF header has {size} bytes, the file {len(data)}")
    ehdr = _EHDR.unpack(bits, order, data[:size])
    if ehdr["type"] not in (ET_EXEC, ET_DYN):
        what = _NOT_A_PROGRAM.get(ehdr["type"], "has an unknown e_type; link it into a program")
        if ehdr["type"] == _ET_REL and _MODULE in data:
            what = "is a kernel module; uprobes are for programs, kprobes for the kernel"
        raise _BadElf(what)
    phdrs = _program_headers(data, ehdr, bits, order)
    return Program(
        path=path,
        data=data,
        abi=Abi(bits, order),
        e_machine=ehdr["machine"],
        e_type=ehdr["type"],
        e_flags=ehdr["flags"],
        entry=Vaddr(ehdr["entry"]),
        phoff=ehdr["phoff"],
        phnum=ehdr["phnum"],
        segments=_segments(data, phdrs, bits),
        others={
            phdr["type"]: _segment(phdr) for phdr in reversed(phdrs) if phdr["type"] != PT_LOAD
        },
        dynamic=any(phdr["type"] == PT_INTERP for phdr in phdrs),
    )


def _abi(data: bytes) -> tuple[Bits, ByteOrder]:
    if len(data) < _IDENT_BYTES:
        raise _BadElf("is cut off inside the ELF header; copy it again")
    bits, order = _CLASSES.get(data[4]), _ORDERS.get(data[5])
    if bits is None or order is None:
        raise _BadElf(f"has a broken ELF header: class {data[4]}, byte order {data[5]}")
    return bits, order


def _program_headers(
    data: bytes, ehdr: dict[str, int], bits: Bits, order: ByteOrder
) -> list[dict[str, int]]:
    layout = _PHDR[bits]
    size, start, count = layout.size(bits), ehdr["phoff"], ehdr["phnum"]
    if count == 0:
        raise _BadElf("has no program headers; link it into a program")
    if ehdr["phentsize"] != size:
        raise _BadElf(f"has program headers of {ehdr['phentsize']} bytes, not {size}")
    if start + count * size > len(data):
        raise _BadElf("is cut off: its program headers lie beyond the end; copy it again")
    chunks = (data[at : at + size] for at in range(start, start + count * size, size))
    return [layout.unpack(bits, order, chunk) for chunk in chunks]


def _segments(data: bytes, phdrs: list[dict[str, int]], bits: Bits) -> tuple[Segment, ...]:
    found = []
    for phdr in phdrs:
        if phdr["type"] != PT_LOAD:
            continue
        found.append(_segment(phdr))
    if not found:
        raise _BadElf("has nothing to load (no PT_LOAD); link it into a program")
    code = [segment for segment in found if segment.executable]
    if any(segment.vaddr >= _KERNEL for segment in code):
        raise _BadElf("is a kernel; uprobes are for programs, kprobes for the kernel")
    if any(segment.filesz < segment.memsz for segment in code) and _is_emptied(data):
        raise _BadElf("holds debugging information and no code; name the file it belongs to")
    for segment in found:
        _check_segment(segment, data, bits)
    return tuple(found)


def _is_emptied(data: bytes) -> bool:
    """Tell whether the code was left out, as `objcopy --only-keep-debug` does."""
    sections = [section for section in read_sections(data).rows if section.executable]
    return bool(sections) and all(section.type == SHT_NOBITS for section in sections)


def _segment(phdr: dict[str, int]) -> Segment:
    return Segment(
        Vaddr(phdr["vaddr"]),
        Offset(phdr["offset"]),
        phdr["filesz"],
        phdr["memsz"],
        phdr["flags"],
        phdr["align"],
    )


def _check_segment(segment: Segment, data: bytes, bits: Bits) -> None:
    what = f"segment at {segment.vaddr:#x}"
    if segment.offset + segment.filesz > len(data):
        raise _BadElf(f"is cut off: its {what} ends beyond the end of the file; copy it again")
    if segment.filesz > segment.memsz:
        raise _BadElf(f"is broken: its {what} is longer in the file than in memory")
    if segment.vaddr + segment.memsz > 1 << bits:
        raise _BadElf(f"is broken: its {what} leaves the address space")
    if (segment.vaddr - segment.offset) % PAGE_SIZE:
        raise _BadElf(f"is broken: its {what} and its file offset disagree within a page")
