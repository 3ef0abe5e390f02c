"""The headers of an ELF file, of any kind and however damaged."""

from typing import Any, Final, NamedTuple

import numpy as np

from uprobes_sim.arch import Abi
from uprobes_sim.errors import ProgramError
from uprobes_sim.scan.arrays import AnyArray
from uprobes_sim.scan.source import Source
from uprobes_sim.uapi import Bits, ByteOrder

_IDENT_BYTES: Final = 16
_CLASSES: Final[dict[int, Bits]] = {1: 32, 2: 64}
_ORDERS: Final[dict[int, ByteOrder]] = {1: "little", 2: "big"}

_FIELDS: Final = {
    "ehdr": {
        bits: f"type:u2 machine:u2 version:u4 entry:{w} phoff:{w} shoff:{w} flags:u4 ehsize:u2"
        " phentsize:u2 phnum:u2 shentsize:u2 shnum:u2 shstrndx:u2"
        for bits, w in ((32, "u4"), (64, "u8"))
    },
    "phdr": {
        32: "type:u4 offset:u4 vaddr:u4 paddr:u4 filesz:u4 memsz:u4 flags:u4 align:u4",
        64: "type:u4 flags:u4 offset:u8 vaddr:u8 paddr:u8 filesz:u8 memsz:u8 align:u8",
    },
    "shdr": {
        bits: f"name:u4 type:u4 flags:{w} addr:{w} offset:{w} size:{w} link:u4 info:u4"
        f" addralign:{w} entsize:{w}"
        for bits, w in ((32, "u4"), (64, "u8"))
    },
    "symbol": {
        32: "name:u4 value:u4 size:u4 info:u1 other:u1 shndx:u2",
        64: "name:u4 info:u1 other:u1 shndx:u2 value:u8 size:u8",
    },
}
"""Records of an ELF file, by class: Elf32_Ehdr and its like."""


class SegmentHeader(NamedTuple):
    """One program header."""

    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int


class SectionHeader(NamedTuple):
    """One section header."""

    name: str
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int


class Headers(NamedTuple):
    """What the headers say; what they say of places beyond the file's end is believed."""

    abi: Abi
    e_type: int
    e_machine: int
    segments: tuple[SegmentHeader, ...] = ()
    sections: tuple[SectionHeader, ...] = ()

    def dtype(self, form: str) -> str:
        """Give the numpy type of a number in this file: `i4` becomes `>i4`."""
        return ("<" if self.abi.byteorder == "little" else ">") + form

    def records(self, kind: str, data: bytes) -> AnyArray:
        """Read as many whole records as *data* has."""
        fields = [field.split(":") for field in _FIELDS[kind][self.abi.bits].split()]
        record = np.dtype([(name, self.dtype(form)) for name, form in fields])
        return np.frombuffer(data, record, count=len(data) // record.itemsize)


def read_headers(source: Source, label: str) -> Headers:
    """Read the headers of an ELF file; section headers that lie beyond its end are not there.

    Raises:
        ProgramError: it is no ELF file, or cut off inside its ELF header.
    """
    ident = source.read(0, 64)
    if ident[:4] != b"\x7fELF":
        raise ProgramError(f"{label} is no ELF file")
    if len(ident) < 52:
        raise ProgramError(f"{label} is cut off inside the ELF header; copy it again")
    bits, order = _CLASSES.get(ident[4]), _ORDERS.get(ident[5])
    if bits is None or order is None:
        raise ProgramError(
            f"{label} has a broken ELF header: class {ident[4]}, byte order {ident[5]}"
        )
    plain = Headers(Abi(bits, order), 0, 0)
    found = plain.records("ehdr", ident[_IDENT_BYTES:])
    if not len(found):
        raise ProgramError(f"{label} is cut off inside the ELF header; copy it again")
    (ehdr,) = found[:1]
    size = int(ehdr["phnum"]) * _entry(plain, "phdr")
    segments = plain.records("phdr", source.read(int(ehdr["phoff"]), size))
    if len(segments) < int(ehdr["phnum"]):
        raise ProgramError(
            f"{label} is cut off: its program headers lie beyond the end; copy it again"
        )
    return Headers(
        plain.abi,
        int(ehdr["type"]),
        int(ehdr["machine"]),
        tuple(
            SegmentHeader(
                *(int(row[key]) for key in ("type", "flags", "offset", "vaddr", "filesz"))
            )
            for row in segments
        ),
        _sections(plain, ehdr, source),
    )


def _entry(headers: Headers, kind: str) -> int:
    return headers.records(kind, b"").dtype.itemsize


def _sections(headers: Headers, ehdr: Any, source: Source) -> tuple[SectionHeader, ...]:  # noqa: ANN401  a record of numpy
    start, size = int(ehdr["shoff"]), _entry(headers, "shdr")
    if not start:
        return ()
    rows = headers.records("shdr", source.read(start, size))
    count = int(ehdr["shnum"]) or (int(rows[0]["size"]) if len(rows) else 0)
    rows = headers.records("shdr", source.read(start, min(count * size, source.size)))
    names = int(ehdr["shstrndx"])
    strings = b""
    if names < len(rows):
        strings = source.read(int(rows[names]["offset"]), int(rows[names]["size"]))
    return tuple(
        SectionHeader(
            _string(strings, int(row["name"])),
            *(int(row[key]) for key in ("type", "flags", "addr", "offset", "size", "link")),
        )
        for row in rows
    )


def _string(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    return strings[at : end if end >= 0 else None].decode(errors="replace") if at >= 0 else ""
