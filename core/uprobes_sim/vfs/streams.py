"""Files without a name in a directory: standard input and output, pipes."""

import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.vfs.nodes import Attr

PIPE_SIZE: Final = 1 << 16
"""What a pipe holds, in bytes (PIPE_DEF_BUFFERS pages)."""


class Stdin:
    """Standard input of the host: read once, when it is asked for, and kept for the next run."""

    def __init__(self, source: BinaryIO) -> None:
        """Read from *source*, which nobody else reads from now on."""
        self._source = source
        self._seen = bytearray()
        self._ended = False

    def read_at(self, pos: int, size: int) -> bytes:
        """Give up to *size* bytes at *pos*, at least one before the end."""
        if pos >= len(self._seen) and not self._ended:
            # A terminal gives a line at a time; read() would wait for all of *size*.
            read = getattr(self._source, "read1", self._source.read)
            chunk = read(max(size, 1))
            self._seen += chunk
            self._ended = not chunk
        return bytes(self._seen[pos : pos + size])


@dataclass(eq=False, slots=True)
class StdinStream:
    """Standard input of one run, a pipe from its beginning."""

    attr: Attr
    source: Stdin
    at: int = 0

    @property
    def size(self) -> int:
        """Pipes have none."""
        return 0

    def read_at(self, pos: int, size: int) -> bytes:
        """Read on from where the last read ended, whatever *pos*."""
        data = self.source.read_at(self.at, size) if size else b""
        self.at += len(data)
        return data

    def write_at(self, pos: int, data: bytes) -> int:
        """Refuse: it is the reading end."""
        raise KernelError(Errno.EBADF, "standard input cannot be written")


@dataclass(eq=False, slots=True)
class OutputStream:
    """Standard output or standard error: a pipe to whoever watches the run."""

    attr: Attr
    fd: int
    on_output: Callable[[int, bytes], None]

    @property
    def size(self) -> int:
        """Pipes have none."""
        return 0

    def read_at(self, pos: int, size: int) -> bytes:
        """Refuse: it is the writing end."""
        raise KernelError(Errno.EBADF, "standard output cannot be read")

    def write_at(self, pos: int, data: bytes) -> int:
        """Show *data*."""
        if data:
            self.on_output(self.fd, data)
        return len(data)


@dataclass(eq=False, slots=True)
class Pipe:
    """A pipe between descriptors of the program."""

    attr: Attr
    buffer: bytearray = field(default_factory=bytearray)
    readers: int = 0
    writers: int = 0

    @property
    def size(self) -> int:
        """Pipes have none."""
        return 0

    @property
    def readable(self) -> bool:
        """Tell whether a read would not wait."""
        return bool(self.buffer) or not self.writers

    @property
    def writable(self) -> bool:
        """Tell whether a write would not wait."""
        return len(self.buffer) < PIPE_SIZE or not self.readers

    def read_at(self, pos: int, size: int) -> bytes:
        """Take up to *size* bytes; nothing when all writers have gone.

        Raises:
            KernelError: EAGAIN: there is nothing yet.
        """
        if not self.readable:
            raise KernelError(Errno.EAGAIN, "the pipe is empty")
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def write_at(self, pos: int, data: bytes) -> int:
        """Take as much as there is room for.

        Raises:
            KernelError: EPIPE: nobody reads; EAGAIN: it is full.
        """
        if not self.readers:
            raise KernelError(Errno.EPIPE, "nobody reads the pipe")
        if not self.writable:
            raise KernelError(Errno.EAGAIN, "the pipe is full")
        taken = data[: PIPE_SIZE - len(self.buffer)]
        self.buffer += taken
        return len(taken)


def fifo_attr(ino: int) -> Attr:
    """What stat tells of a pipe."""
    return Attr(mode=stat.S_IFIFO | 0o600, ino=ino)
