"""Reading and writing files through the page cache, so that mappings agree (mm/filemap.c)."""

from collections.abc import Iterator
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.page_cache import Inode
from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE

MAX_FILE: Final = 1 << 30
"""Largest file, in bytes, that a program can make. It lives in memory."""


def read(inode: Inode, pos: int, size: int) -> bytes:
    """Read up to *size* bytes at *pos*; fewer at the end of the file."""
    if not inode.pages:
        return bytes(inode.data[pos : pos + size])
    found = bytearray(inode.data[pos : pos + size])
    for pgoff, start, end in _cached(inode, pos, pos + len(found)):
        at = start - (pgoff << PAGE_SHIFT)
        found[start - pos : end - pos] = inode.pages[pgoff].data[at : at + end - start]
    return bytes(found)


def write(inode: Inode, pos: int, data: bytes) -> None:
    """Write *data* at *pos*; a gap before it reads as zeros.

    Raises:
        KernelError: EFBIG.
    """
    end = pos + len(data)
    if end > inode.size:
        truncate(inode, end)
    body = _writable(inode)
    body[pos:end] = data
    for pgoff, low, high in _cached(inode, pos, end):
        at = low - (pgoff << PAGE_SHIFT)
        inode.pages[pgoff].data[at : at + high - low] = data[low - pos : high - pos]


def truncate(inode: Inode, size: int) -> None:
    """Cut the file to *size* bytes, or lengthen it with zeros.

    Raises:
        KernelError: EFBIG.
    """
    if size > MAX_FILE:
        raise KernelError(Errno.EFBIG, f"{inode.name} would be {size} bytes long")
    body = _writable(inode)
    old = len(body)
    if size >= old:
        body.extend(bytes(size - old))
        return
    for pgoff, low, high in _cached(inode, size, old + PAGE_SIZE):
        at = low - (pgoff << PAGE_SHIFT)
        inode.pages[pgoff].data[at : at + high - low] = bytes(high - low)
        if pgoff << PAGE_SHIFT >= size:
            del inode.pages[pgoff]
    del body[size:]


def _writable(inode: Inode) -> bytearray:
    if not isinstance(inode.data, bytearray):
        inode.data = bytearray(inode.data)
    return inode.data


def _cached(inode: Inode, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """List the cached pages that overlap *start* up to *end*, each with its share of it."""
    for pgoff in sorted(inode.pages):
        low = max(start, pgoff << PAGE_SHIFT)
        high = min(end, (pgoff + 1) << PAGE_SHIFT)
        if low < high:
            yield pgoff, low, high
