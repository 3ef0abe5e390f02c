"""The call frame information of a file, as far as it tells where functions are.

`.eh_frame_hdr` is a sorted table, so that looking one function up reads one entry. It is
found by a program header: stripped files have it too. Broken parts are as good as none.
Format: Linux Standard Base, "Exception Frames"; DWARF 5, 6.4.1.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from struct import Struct
from typing import Final, Literal

from uprobes_sim.elf import PT_GNU_EH_FRAME
from uprobes_sim.loader import Program
from uprobes_sim.units import Vaddr

_SORTED_TABLE: Final = bytes([1, 0x1B, 0x03, 0x3B])
"""Version 1; pointer to .eh_frame and entries relative, count absolute, four bytes each."""
_EMPTY: Final = 0xFF
_PC_RELATIVE: Final = 0x10
_SIZES: Final = {0x0: 0, 0x2: 2, 0x3: 4, 0x4: 8, 0xA: 2, 0xB: 4, 0xC: 8}
"""Bytes of a value by the low half of its encoding; 0: a pointer."""
_SIGNED: Final = 0x8
_LONGEST: Final = 1 << 16
"""Bytes of one entry that are believed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One function, as an unwinder sees it."""

    start: Vaddr
    end: Vaddr
    handles: bool
    """It has something to do when an exception passes: a handler, or things to destroy."""


class Frames:
    """The frames of one file."""

    def __init__(self, program: Program) -> None:
        """Look into *program*; nothing is read yet."""
        self._program = program
        self._order: Literal["little", "big"] = program.abi.byteorder

    @cached_property
    def _table(self) -> list[tuple[Vaddr, Vaddr]]:
        """Start of each function, and address of its entry."""
        header = self._program.others.get(PT_GNU_EH_FRAME)
        if header is None:
            return []
        data = self._program.read(header.vaddr, header.filesz)
        if data[:4] != _SORTED_TABLE or len(data) < 12:
            return []
        count = self._int(data[8:12])
        rows = data[12 : 12 + 8 * count]
        base = header.vaddr
        row = Struct("<ii" if self._order == "little" else ">ii")
        whole = rows[: len(rows) // row.size * row.size]
        table = [(Vaddr(base + at), Vaddr(base + entry)) for at, entry in row.iter_unpack(whole)]
        return table if all(a[0] <= b[0] for a, b in pairwise(table)) else []

    def _int(self, field: bytes) -> int:
        return int.from_bytes(field, self._order)

    @cached_property
    def starts(self) -> list[Vaddr]:
        """Where functions start, in order."""
        return [start for start, _ in self._table]

    def at(self, vaddr: int) -> Frame | None:
        """Find the function that holds *vaddr*."""
        index = bisect_right(self._table, vaddr, key=lambda row: row[0]) - 1
        if index < 0:
            return None
        start, entry = self._table[index]
        try:
            size, handles = self._read(entry)
        except (IndexError, ValueError):
            return None
        return Frame(start, Vaddr(start + size), handles) if vaddr < start + size else None

    def _read(self, entry: int) -> tuple[int, bool]:
        """Read the size of a function, and whether it handles exceptions."""
        body, at = self._body(entry)
        encoding, has_handler = self._common(at - self._int(body[:4]))
        width = _SIZES[encoding & 0x7] or self._program.abi.bits // 8
        size = self._int(body[4 + width : 4 + 2 * width])
        after = 4 + 2 * width
        if not has_handler:
            return size, False
        length, after = _uleb(body, after)
        return size, bool(self._int(body[after : after + length]))

    def _body(self, entry: int) -> tuple[bytes, int]:
        """Read what is behind the length of an entry; answer it, and its address."""
        length = self._int(self._program.read(entry, 4))
        if not 4 <= length < _LONGEST:
            raise ValueError(length)
        return self._program.read(entry + 4, length), entry + 4

    def _common(self, entry: int) -> tuple[int, bool]:
        """Read a CIE: the encoding of addresses, and whether functions may have handlers."""
        body, _ = self._body(entry)
        end = body.index(0, 5)
        augmentation = body[5:end].decode("latin-1")
        if not augmentation.startswith("z"):
            return 0, False
        _, at = _uleb(body, end + 1)  # code alignment
        _, at = _uleb(body, at)  # data alignment, whose sign does not matter
        at += 1  # the register of the return address
        _, at = _uleb(body, at)
        encoding = 0
        for letter in augmentation[1:]:
            if letter == "R":
                encoding = body[at]
                at += 1
            elif letter == "L":
                at += 1
            elif letter == "P":
                at += 1 + (_SIZES[body[at] & 0x7] or self._program.abi.bits // 8)
            else:
                break
        return encoding, "L" in augmentation


def _uleb(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; answer it, and where the next thing is."""
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
    return value | data[at] << shift, at + 1
