"""The sections of an ELF file, read without pyelftools: to import that takes longer than to answer.

What is broken is as good as not there: programs run, and are probed, without sections.
"""

from dataclasses import dataclass
from typing import Final

from uprobes_sim.uapi import Bits, ByteOrder, Layout
from uprobes_sim.units import Vaddr

_CLASSES: Final[dict[int, Bits]] = {1: 32, 2: 64}
_ORDERS: Final[dict[int, ByteOrder]] = {1: "little", 2: "big"}
_EHDR: Final[dict[int, Layout]] = {
    32: Layout("32x L:shoff 10x H:shentsize H:shnum H:shstrndx"),
    64: Layout("40x L:shoff 10x H:shentsize H:shnum H:shstrndx"),
}
_SHDR: Final = Layout(
    "I:name I:type L:flags L:addr L:offset L:size I:link I:info L:addralign L:entsize"
)

SHF_ALLOC: Final = 2
SHF_EXECINSTR: Final = 4
SHT_NOBITS: Final = 8


@dataclass(frozen=True, slots=True)
class Section:
    """A section header. Addresses are those of the ELF file; `end` is behind the last byte."""

    name: str
    start: Vaddr
    end: Vaddr
    type: int
    flags: int
    offset: int
    size: int
    link: int
    """Number of the section that belongs to it: the names of symbols, say."""
    entsize: int

    @property
    def loaded(self) -> bool:
        """Tell whether it is part of the program in memory."""
        return bool(self.flags & SHF_ALLOC) and self.size > 0

    @property
    def executable(self) -> bool:
        """Tell whether it holds code."""
        return bool(self.flags & SHF_EXECINSTR)

    def read(self, data: bytes) -> bytes:
        """Take its bytes out of the file *data*."""
        if self.type == SHT_NOBITS:
            return b""
        return data[self.offset : self.offset + self.size]


@dataclass(frozen=True, slots=True)
class Sections:
    """All sections of a file."""

    bits: Bits
    byteorder: ByteOrder
    rows: tuple[Section, ...]

    def named(self, name: str) -> Section | None:
        """Find the first section called *name*."""
        return next((section for section in self.rows if section.name == name), None)


def read_sections(data: bytes) -> Sections:
    """Read the section headers of the ELF file *data*, as far as they are there."""
    bits, order = _CLASSES.get(data[4]), _ORDERS.get(data[5])
    if bits is None or order is None:
        return Sections(64, "little", ())
    layout, size = _EHDR[bits], _SHDR.size(bits)
    if len(data) < layout.size(bits):
        return Sections(bits, order, ())
    ehdr = layout.unpack(bits, order, data[: layout.size(bits)])
    start, count = ehdr["shoff"], ehdr["shnum"]
    if ehdr["shentsize"] != size or not start:
        return Sections(bits, order, ())
    first = data[start : start + size]
    if not count and len(first) == size:  # there are more than the field can tell
        count = _SHDR.unpack(bits, order, first)["size"]
    end = min(start + count * size, len(data))
    chunks = (data[at : at + size] for at in range(start, end - size + 1, size))
    headers = [_SHDR.unpack(bits, order, chunk) for chunk in chunks]
    names = b""
    if ehdr["shstrndx"] < len(headers):
        table = headers[ehdr["shstrndx"]]
        names = data[table["offset"] : table["offset"] + table["size"]]
    return Sections(bits, order, tuple(_section(header, names) for header in headers))


def _section(header: dict[str, int], names: bytes) -> Section:
    return Section(
        name=string_at(names, header["name"]),
        start=Vaddr(header["addr"]),
        end=Vaddr(header["addr"] + header["size"]),
        type=header["type"],
        flags=header["flags"],
        offset=header["offset"],
        size=header["size"],
        link=header["link"],
        entsize=header["entsize"],
    )


def string_at(table: bytes, at: int) -> str:
    """Read the string at *at* of a string table; empty where there is none."""
    end = table.find(0, at)
    return "" if end < 0 else table[at:end].decode(errors="replace")
