"""Files that are opened at once or not at all: never a FIFO, which waits for somebody to write."""

import errno
import os
import stat
from pathlib import Path


class NotRegularError(OSError):
    """A FIFO, a socket, a device or a folder."""


def open_regular(path: Path | str) -> int:
    """Open the regular file *path* for reading; answer its descriptor.

    Raises:
        NotRegularError: it is none.
        OSError: it cannot be opened.
        ValueError: it can be no path.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # a socket
            raise NotRegularError("is no regular file") from None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise NotRegularError("is no regular file")
