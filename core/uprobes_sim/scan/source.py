"""Bytes of files and of members of archives, read where they are needed."""

import os
from pathlib import Path
from typing import Protocol

from uprobes_sim.errors import ProgramError
from uprobes_sim.regular import NotRegularError, open_regular


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
            self._fd = open_regular(path)
        except NotRegularError:
            raise ProgramError(f"{path} is no regular file; name an ELF file") from None
        except (OSError, ValueError) as exc:
            raise ProgramError(f"{path} cannot be read: {_why(exc)}") from None
        self._path = path
        self.size = os.fstat(self._fd).st_size

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
