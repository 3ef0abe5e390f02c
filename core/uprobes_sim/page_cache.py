"""Pages of memory, and the files that they are read from.

Engines share the bytes of a page and never copy them.
"""

import mmap
import os
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from uprobes_sim.memory import Vma

_SLAB_FRAMES: Final = 4096
"""Few and large, since each is a file; what is never touched costs nothing."""


class Slab:
    """A run of frames that lie behind each other in the host's memory.

    It is a file without a name, so that another process can map a frame as well.
    """

    __slots__ = ("__weakref__", "file", "memory", "used")

    def __init__(self) -> None:
        """Make *memory*, all zero, and the descriptor *file* of it."""
        size = _SLAB_FRAMES << PAGE_SHIFT
        self.file = os.memfd_create("uprobes-sim-frames")
        weakref.finalize(self, os.close, self.file)
        os.ftruncate(self.file, size)
        self.memory = mmap.mmap(self.file, size)
        self.used = 0


class Frame:
    """One page of physical memory. Its bytes are shared, never copied."""

    __slots__ = ("data", "index", "mapcount", "slab")

    _slab = Slab()

    def __init__(self) -> None:
        """Take a zeroed page."""
        if Frame._slab.used == _SLAB_FRAMES:
            Frame._slab = Slab()
        self.slab = Frame._slab
        self.index = Frame._slab.used
        """Place in its slab, in pages: neighbours can be mapped in one go."""
        start = self.index << PAGE_SHIFT
        self.data = memoryview(self.slab.memory)[start : start + PAGE_SIZE]
        self.mapcount = 0
        """Page table entries that point here. A private page with more is shared by a fork."""
        Frame._slab.used += 1

    def copy(self) -> "Frame":
        """Take a new page with the same bytes."""
        new = Frame()
        new.data[:] = self.data
        return new


@dataclass(eq=False, slots=True)
class Inode:
    """A file: its bytes in the page cache and who maps it."""

    ino: int
    name: str
    data: bytes | bytearray | memoryview
    pages: dict[int, Frame] = field(default_factory=dict)
    """Page cache by page number in the file."""
    i_mmap: list["Vma"] = field(default_factory=list)
    has_read_folio: bool = True
    """Its file system can read it by pages: not so of procfs, say."""
    is_shmem: bool = False
    """A file of tmpfs, a memfd: older kernels could not probe it."""

    @property
    def size(self) -> int:
        """`i_size`, in bytes."""
        return len(self.data)

    def page(self, pgoff: int) -> Frame | None:
        """Read page number *pgoff* through the page cache; None beyond the end."""
        frame = self.pages.get(pgoff)
        if frame is None:
            chunk = self.data[pgoff << PAGE_SHIFT : (pgoff + 1) << PAGE_SHIFT]
            if not chunk:
                return None
            frame = self.pages[pgoff] = Frame()
            frame.data[: len(chunk)] = chunk
        return frame
