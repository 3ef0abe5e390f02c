"""Bytes of files and of members of archives, read where they are needed."""

import os
import stat
from pathlib import Path
from typing import Protocol

from uprobes_sim.errors import ProgramError


class Source(Protocol):
    """The bytes of one file."""

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Read *size* bytes from *offset* on; fewer at the end of the file."""
        ...


class BytesSource:
    """Bytes that are in memory already: a member of an archive."""

    def __init__(self, data: bytes) -> None:
        """Read from *data*."""
        self._data = data
        self.size = len(data)

    def read(self, offset: int, size: int) -> bytes:
        """Read *size* bytes from *offset* on; fewer at the end."""
        return self._data[max(offset, 0) : max(offset, 0) + max(size, 0)]


class FileSource:
    """A file on disk, of which no more is in memory than was asked for.

    It is not mapped: a file that is cut while it is mapped kills its reader.
    """

    def __init__(self, path: Path) -> None:
        """Open *path*.

        Raises:
            ProgramError: it cannot be opened, or is no regular file.
        """
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as exc:
            raise ProgramError(f"{path} cannot be read: {_why(exc)}") from None
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise ProgramError(f"{path} is no regular file; name an ELF file")
        self._path = path
        self.size = status.st_size

    def read(self, offset: int, size: int) -> bytes:
        """Read *size* bytes from *offset* on; fewer at the end.

        Raises:
            ProgramError: the disk fails, say.
        """
        size = min(size, self.size - offset)
        if size <= 0 or offset < 0:
            return b""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as exc:
            raise ProgramError(f"{self._path} cannot be read: {_why(exc)}") from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _why(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or str(exc)
