"""Numbers and structures of the system call interface that differ by architecture."""

import re
import struct
from collections.abc import Mapping
from functools import cache
from typing import Final, Literal, NamedTuple

Bits = Literal[32, 64]
ByteOrder = Literal["little", "big"]

_FIELD: Final = re.compile(r"([bBhHiIqQlL]|\d+[sx])(?::(\w+))?")
_WORDS: Final = {(32, "l"): "i", (32, "L"): "I", (64, "l"): "q", (64, "L"): "Q"}


class Layout(NamedTuple):
    """A C structure, as it lies in memory.

    Fields are written one after the other as `Q:ino`: a character of the
    `struct` module, but `l` and `L` are a `long` of the ABI, and padding is
    explicit (`4x`, or a field without a name).
    """

    fields: str

    def pack(self, bits: Bits, byteorder: ByteOrder, values: Mapping[str, int | bytes]) -> bytes:
        """Write *values*, cut to the width of their fields; a field not named in them is 0."""
        compiled = _compile(self.fields, bits, byteorder)
        return compiled.struct.pack(*[_fit(values.get(n, 0), c) for n, c in compiled.members])

    def unpack(self, bits: Bits, byteorder: ByteOrder, data: bytes) -> dict[str, int]:
        """Read the integers of a structure; *data* is as long as the structure."""
        compiled = _compile(self.fields, bits, byteorder)
        values = compiled.struct.unpack(data)
        return {name: value for (name, _), value in zip(compiled.members, values, strict=True)}

    def size(self, bits: Bits) -> int:
        """Length in bytes."""
        return _compile(self.fields, bits, "little").struct.size


class _Compiled(NamedTuple):
    struct: struct.Struct
    members: tuple[tuple[str, str], ...]
    """Name and character of each field that holds a value; padding fields have no name."""


@cache
def _compile(fields: str, bits: Bits, byteorder: ByteOrder) -> _Compiled:
    parts = [_FIELD.fullmatch(part) for part in fields.split()]
    assert all(parts), f"not a layout: {fields}"
    named = [(m[2] or "", _WORDS.get((bits, m[1]), m[1])) for m in parts if m]
    order = "<" if byteorder == "little" else ">"
    members = tuple(member for member in named if not member[1].endswith("x"))
    return _Compiled(struct.Struct(order + "".join(c for _, c in named)), members)


def _fit(value: int | bytes, char: str) -> int | bytes:
    if char.endswith("s"):
        return value if isinstance(value, bytes) else b""
    assert isinstance(value, int)
    width = 8 * struct.calcsize(f"<{char}")
    value &= (1 << width) - 1
    return value - (1 << width) if char.islower() and value >> (width - 1) else value


class Uapi(NamedTuple):
    """What include/uapi/asm of an architecture says."""

    stat: Layout
    """`struct stat`, which stat, fstat, lstat and newfstatat fill."""

    stat64: Layout
    """`struct stat64`, which stat64, fstat64 and fstatat64 of 32-bit tasks fill."""

    sigaction: Layout
    """`struct sigaction` as rt_sigaction takes it, up to the mask, which comes last."""

    o_directory: int = 0o200000
    o_nofollow: int = 0o400000
    o_direct: int = 0o40000
    o_largefile: int = 0o100000

    fionread: int = 0x541B
    fionbio: int = 0x5421

    aligned_pairs: bool = False
    """A 64-bit argument of a 32-bit task starts at an even argument register."""

    clone_backwards: bool = True
    """clone takes the thread pointer before the address of the child's tid."""

    mmap_by_pointer: bool = False
    """The call named mmap takes the address of its six arguments."""


GENERIC: Final = Uapi(
    stat=Layout(
        "L:dev L:ino I:mode I:nlink I:uid I:gid L:rdev L l:size i:blksize i l:blocks"
        " l:atime L:atime_nsec l:mtime L:mtime_nsec l:ctime L:ctime_nsec I I"
    ),
    stat64=Layout(
        "Q:dev Q:ino I:mode I:nlink I:uid I:gid Q:rdev Q q:size i:blksize i q:blocks"
        " i:atime I:atime_nsec i:mtime I:mtime_nsec i:ctime I:ctime_nsec I I"
    ),
    sigaction=Layout("L:handler L:flags"),
)
"""asm-generic, which newer architectures share."""
