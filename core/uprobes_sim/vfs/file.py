"""Open files, and a process's table of them (fs/file.c)."""

from dataclasses import dataclass, field
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.vfs.nodes import Device, Directory, Node, Regular
from uprobes_sim.vfs.streams import Pipe

O_ACCMODE: Final = 0o3
O_RDONLY: Final = 0o0
O_WRONLY: Final = 0o1
O_RDWR: Final = 0o2
O_CREAT: Final = 0o100
O_EXCL: Final = 0o200
O_TRUNC: Final = 0o1000
O_APPEND: Final = 0o2000
O_NONBLOCK: Final = 0o4000
O_CLOEXEC: Final = 0o2000000
O_PATH: Final = 0o10000000

NOFILE: Final = 1024
"""Largest number of descriptors of a process (RLIMIT_NOFILE)."""


@dataclass(eq=False, slots=True)
class File:
    """`struct file`: what an open made. Descriptors that dup made share it."""

    node: Node
    flags: int
    pos: int = 0
    count: int = 0
    """Descriptors that refer to it."""
    listing: list[str] | None = None
    """Names of an open directory, as they were when reading them began."""

    @property
    def readable(self) -> bool:
        """Opened for reading (FMODE_READ)."""
        return self.flags & O_ACCMODE in (O_RDONLY, O_RDWR) and not self.flags & O_PATH

    @property
    def writable(self) -> bool:
        """Opened for writing (FMODE_WRITE)."""
        return self.flags & O_ACCMODE in (O_WRONLY, O_RDWR) and not self.flags & O_PATH

    @property
    def seekable(self) -> bool:
        """Has positions (FMODE_LSEEK)."""
        return isinstance(self.node, Regular | Directory | Device)

    def read(self, size: int, pos: int | None = None) -> bytes:
        """Read at *pos*, or at the file's own position, which moves.

        Raises:
            KernelError: EBADF, EISDIR, ESPIPE, …
        """
        if not self.readable:
            raise KernelError(Errno.EBADF, "not open for reading")
        data = self.node.read_at(self._position(pos), size)
        if pos is None:
            self.pos += len(data)
        return data

    def write(self, data: bytes, pos: int | None = None) -> int:
        """Write at *pos*, or at the file's own position, which moves.

        Raises:
            KernelError: EBADF, ENOSPC, EPIPE, …
        """
        if not self.writable:
            raise KernelError(Errno.EBADF, "not open for writing")
        at = self._position(pos)
        if self.flags & O_APPEND:
            at = self.node.size
        done = self.node.write_at(at, data)
        if pos is None:
            self.pos = at + done
        return done

    def _position(self, pos: int | None) -> int:
        if pos is None:
            return self.pos
        if not self.seekable:
            raise KernelError(Errno.ESPIPE, "a pipe has no positions")
        if pos < 0:
            raise KernelError(Errno.EINVAL, "negative position")
        return pos

    def get(self) -> "File":
        """Count one more descriptor."""
        self.count += 1
        if self.count == 1 and isinstance(self.node, Pipe):
            self.node.readers += self.readable
            self.node.writers += self.writable
        return self

    def put(self) -> None:
        """Count one descriptor less; a pipe hears of the last."""
        self.count -= 1
        if self.count == 0 and isinstance(self.node, Pipe):
            self.node.readers -= self.readable
            self.node.writers -= self.writable


@dataclass(slots=True)
class Fd:
    """One entry of the table."""

    file: File
    cloexec: bool = False


@dataclass(eq=False, slots=True)
class FilesStruct:
    """`files_struct` and `fs_struct`: descriptors, working directory, umask."""

    cwd: Directory | None = None
    """None: the root."""
    umask: int = 0o022
    fds: dict[int, Fd] = field(default_factory=dict)
    users: int = 1
    """Tasks that share the table."""

    def file(self, fd: int) -> File:
        """Look up a descriptor.

        Raises:
            KernelError: EBADF.
        """
        return self.entry(fd).file

    def entry(self, fd: int) -> Fd:
        """Look up the table's entry of a descriptor.

        Raises:
            KernelError: EBADF.
        """
        found = self.fds.get(fd)
        if found is None:
            raise KernelError(Errno.EBADF, f"descriptor {fd} is not open")
        return found

    def install(self, file: File, *, cloexec: bool = False, lowest: int = 0) -> int:
        """Give *file* the lowest free descriptor from *lowest* on.

        Raises:
            KernelError: EMFILE.
        """
        fd = next((fd for fd in range(lowest, NOFILE) if fd not in self.fds), None)
        if fd is None:
            raise KernelError(Errno.EMFILE, f"all {NOFILE} descriptors are in use")
        self.fds[fd] = Fd(file.get(), cloexec)
        return fd

    def replace(self, fd: int, file: File, *, cloexec: bool = False) -> None:
        """Make *fd* refer to *file*, closing what it was."""
        file.get()
        if fd in self.fds:
            self.close(fd)
        self.fds[fd] = Fd(file, cloexec)

    def close(self, fd: int) -> None:
        """Close a descriptor.

        Raises:
            KernelError: EBADF.
        """
        self.entry(fd).file.put()
        del self.fds[fd]

    def close_on_exec(self) -> None:
        """Close what is marked so (do_close_on_exec)."""
        for fd in [fd for fd, entry in self.fds.items() if entry.cloexec]:
            self.close(fd)

    def copy(self) -> "FilesStruct":
        """Make the table of a child: the same open files under the same numbers (fork)."""
        fds = {fd: Fd(entry.file.get(), entry.cloexec) for fd, entry in self.fds.items()}
        return FilesStruct(self.cwd, self.umask, fds)
