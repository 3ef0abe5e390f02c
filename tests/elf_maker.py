"""Writes small ELF files, so that tests of the loader need no compiler."""

import struct
from dataclasses import dataclass, field
from typing import Final

from uprobes_sim.arch import Abi

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
PT_LOAD, PT_INTERP = 1, 3
R, W, X = 4, 2, 1
STT: Final = {"NOTYPE": 0, "OBJECT": 1, "FUNC": 2, "GNU_IFUNC": 10}
TOY: Final = 0x7070
PAGE: Final = 0x1000


@dataclass(frozen=True)
class Segment:
    vaddr: int
    data: bytes = b""
    memsz: int | None = None
    flags: int = R | X
    kind: int = PT_LOAD
    align: int = PAGE


@dataclass(frozen=True)
class Sym:
    name: str
    value: int
    kind: str = "FUNC"
    size: int = 0
    other: int = 0
    section: int = 1
    local: bool = False


@dataclass(frozen=True)
class Part:
    """A section: a piece of a segment, or data that is not loaded."""

    name: str
    vaddr: int = 0
    size: int = 0
    data: bytes = b""
    kind: int = 1
    executable: bool = False


@dataclass
class Elf:
    """An ELF file; each segment's bytes start at a page of the file, after the headers."""

    segments: tuple[Segment, ...] = (Segment(0x10000, b"\0" * 64),)
    symbols: tuple[Sym, ...] = ()
    parts: tuple[Part, ...] = ()
    """Sections behind `.text`, from number 2 on."""
    abi: Abi = field(default_factory=lambda: Abi(64, "little"))
    e_type: int = ET_EXEC
    machine: int = TOY
    entry: int = 0x10000
    flags: int = 0
    dynsym: bool = False
    changes: dict[str, int] = field(default_factory=dict)
    """Fields of the ELF header that are written wrong on purpose."""

    def build(self) -> bytes:
        wide = self.abi.bits == 64
        order = "<" if self.abi.byteorder == "little" else ">"
        ehsize, phentsize = (64, 56) if wide else (52, 32)
        body = bytearray(ehsize + phentsize * len(self.segments))
        phdrs = bytearray()
        for segment in self.segments:
            body += bytes(-len(body) % PAGE)
            offset, filesz = len(body), len(segment.data)
            memsz = filesz if segment.memsz is None else segment.memsz
            where = (offset, segment.vaddr, segment.vaddr, filesz, memsz)
            if wide:
                fields = (segment.kind, segment.flags, *where, segment.align)
                phdrs += struct.pack(f"{order}IIQQQQQQ", *fields)
            else:
                fields = (segment.kind, *where, segment.flags, segment.align)
                phdrs += struct.pack(f"{order}IIIIIIII", *fields)
            body += segment.data
        shoff, shnum = self._sections(body, order, wide=wide)
        header = {
            "type": self.e_type,
            "machine": self.machine,
            "version": 1,
            "entry": self.entry,
            "phoff": ehsize,
            "shoff": shoff,
            "flags": self.flags,
            "ehsize": ehsize,
            "phentsize": phentsize,
            "phnum": len(self.segments),
            "shentsize": 64 if wide else 40,
            "shnum": shnum,
            "shstrndx": shnum - 1 if shnum else 0,
        } | self.changes
        ident = bytes([0x7F, *b"ELF", 2 if wide else 1, 1 if order == "<" else 2, 1]).ljust(
            16, b"\0"
        )
        form = f"{order}HHIQQQIHHHHHH" if wide else f"{order}HHIIIIIHHHHHH"
        body[: ehsize + len(phdrs)] = ident + struct.pack(form, *header.values()) + phdrs
        return bytes(body)

    def _offset(self, vaddr: int) -> int:
        """Find where an address lies in the file: each segment starts at a page."""
        at = PAGE
        for segment in self.segments:
            if segment.vaddr <= vaddr < segment.vaddr + len(segment.data):
                return at + vaddr - segment.vaddr
            at += -(-len(segment.data) // PAGE) * PAGE
        raise ValueError(f"{vaddr:#x} is in no segment")

    def _sections(self, body: bytearray, order: str, *, wide: bool) -> tuple[int, int]:
        """Append .text (of the first segment), the symbols and the names; answer where."""
        if not self.symbols and not self.parts:
            return 0, 0
        strings, rows = bytearray(1), bytearray(24 if wide else 16)
        for symbol in self.symbols:
            info = (0 if symbol.local else 16) | STT[symbol.kind]
            at = len(strings)
            strings += symbol.name.encode() + b"\0"
            tail = (info, symbol.other, symbol.section)
            if wide:
                rows += struct.pack(f"{order}IBBHQQ", at, *tail, symbol.value, symbol.size)
            else:
                rows += struct.pack(f"{order}IIIBBH", at, symbol.value, symbol.size, *tail)
        table = ".dynsym" if self.dynsym else ".symtab"
        names = b"\0.text\0" + table.encode() + b"\0.strtab\0.shstrtab\0"
        names += b"".join(part.name.encode() + b"\0" for part in self.parts)
        first = self.segments[0]
        entry_size = 24 if wide else 16
        sections = [(0, 0, 0, 0, 0, 0, 0, 0)]
        sections.append((names.index(b".text"), 1, 6, first.vaddr, PAGE, len(first.data), 0, 0))
        for part in self.parts:
            at = names.index(b"\0" + part.name.encode() + b"\0") + 1
            where = self._offset(part.vaddr) if part.size else len(body)
            flags = (2 if part.size else 0) | 4 * part.executable
            size = part.size or len(part.data)
            sections.append((at, part.kind, flags, part.vaddr, where, size, 0, 0))
            body += b"" if part.size else part.data
        strings_at = len(sections) + 1
        for name, kind, data, link, size in (
            (table, 11 if self.dynsym else 2, bytes(rows), strings_at, entry_size),
            (".strtab", 3, bytes(strings), 0, 0),
            (".shstrtab", 3, names, 0, 0),
        ):
            at = names.index(name.encode() + b"\0")
            sections.append((at, kind, 0, 0, len(body), len(data), link, size))
            body += data
        shoff = len(body)
        form = f"{order}IIQQQQIIQQ" if wide else f"{order}IIIIIIIIII"
        for name_at, kind, flags, addr, offset, length, link, entry_bytes in sections:
            fields = (name_at, kind, flags, addr, offset, length, link, 0, 1, entry_bytes)
            body += struct.pack(form, *fields)
        return shoff, len(sections)
