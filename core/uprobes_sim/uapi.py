"""Numbers and structures of the system call interface that differ by architecture."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Layout:
    """A C structure: one `struct` character a field; a name of "" is padding."""

    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uapi:
    """What include/uapi/asm of an architecture says."""

    stat: Layout
    """`struct stat` as newfstatat (64 bits) or fstatat64 (32 bits) fills it."""

    open_flags: Mapping[str, int]
    """`O_DIRECTORY`, `O_NOFOLLOW`, `O_DIRECT`, `O_LARGEFILE`: the ones that differ."""

    ioctls: Mapping[str, int]
    """`TCGETS`, `TIOCGWINSZ`, …"""


GENERIC: Final = Uapi(
    stat=Layout(()),
    open_flags=MappingProxyType({}),
    ioctls=MappingProxyType({}),
)
"""asm-generic, which newer architectures share."""
