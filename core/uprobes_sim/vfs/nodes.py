"""What a path can lead to: files, directories, links, devices."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.page_cache import Inode
from uprobes_sim.vfs import filemap

T = TypeVar("T")

UID: Final = os.getuid() if hasattr(os, "getuid") else 1000
"""User of the simulated process: who runs the simulator, so that files keep their owners."""

GID: Final = os.getgid() if hasattr(os, "getgid") else 1000
"""Its group."""

_OVERLAY_DEV: Final = 0x1000


@dataclass(slots=True)
class Attr:
    """What stat tells of a file, its size aside."""

    mode: int
    """Kind and permissions (`st_mode`)."""
    ino: int
    uid: int = UID
    gid: int = GID
    nlink: int = 1
    dev: int = _OVERLAY_DEV
    rdev: int = 0
    atime: int = 0
    """Nanoseconds since 1970, as are the next two."""
    mtime: int = 0
    ctime: int = 0
    changed: bool = False
    """The program has set the mode or the times."""

    @classmethod
    def of_host(cls, found: os.stat_result) -> "Attr":
        """Take over what the host says."""
        return cls(
            mode=found.st_mode,
            ino=found.st_ino,
            uid=found.st_uid,
            gid=found.st_gid,
            nlink=found.st_nlink,
            dev=found.st_dev,
            rdev=found.st_rdev,
            atime=found.st_atime_ns,
            mtime=found.st_mtime_ns,
            ctime=found.st_ctime_ns,
        )


class Node(Protocol):
    """Anything that can be opened or has a name (the kernel's inode, with its operations)."""

    attr: Attr

    @property
    def size(self) -> int:
        """`st_size`."""
        ...

    def read_at(self, pos: int, size: int) -> bytes:
        """Read up to *size* bytes; nothing at the end."""
        ...

    def write_at(self, pos: int, data: bytes) -> int:
        """Write *data*, answer how much of it was taken."""
        ...


@dataclass(eq=False, slots=True)
class Regular:
    """A regular file."""

    attr: Attr
    name: str
    """Where it was found first; messages name it so."""
    host: str | None = None
    """Where the host has its contents, until they are read or replaced."""
    host_size: int = 0
    cache: Inode | None = None
    changed: bool = False
    """The contents are not the host's any more, or not under this name."""

    @property
    def inode(self) -> Inode:
        """The page cache, filled from the host at the first look.

        Raises:
            KernelError: the host does not let us read it.
        """
        if self.cache is None:
            data = b"" if self.host is None else read_host(self.host)
            self.cache = Inode(self.attr.ino, self.name, data)
        return self.cache

    @property
    def size(self) -> int:
        """Length in bytes; needs no look at the contents."""
        return self.host_size if self.cache is None else self.cache.size

    def read_at(self, pos: int, size: int) -> bytes:
        """Read through the page cache."""
        return filemap.read(self.inode, pos, size)

    def write_at(self, pos: int, data: bytes) -> int:
        """Write into the page cache; the host's file stays as it is."""
        filemap.write(self.inode, pos, data)
        self.changed = True
        return len(data)

    def truncate(self, size: int) -> None:
        """Make it *size* bytes long."""
        if size == 0 and self.cache is None:
            self.cache = Inode(self.attr.ino, self.name, bytearray())
        filemap.truncate(self.inode, size)
        self.changed = True

    def detach(self) -> None:
        """Take the contents off the host, because the name there is about to go."""
        _ = self.inode
        self.changed = True


@dataclass(eq=False, slots=True)
class Directory:
    """A directory: the host's, with changes laid over it, or one of our own."""

    attr: Attr
    name: str
    parent: "Directory | None"
    """None for the root."""
    host: str | None = None
    """Path on the host whose entries show through."""
    entries: dict[str, Node] = field(default_factory=dict)
    """What has been looked up or made."""
    gone: dict[str, Node] = field(default_factory=dict)
    """What the host has and the program has deleted or replaced."""
    removed: bool = False
    """rmdir has taken it away, but somebody is still in it."""
    special: bool = False
    """Made by the kernel, as /dev is; not for the host."""

    @property
    def size(self) -> int:
        """What file systems say of a small directory."""
        return 4096

    @property
    def path(self) -> str:
        """Absolute path."""
        if self.parent is None:
            return "/"
        return f"{self.parent.path.rstrip('/')}/{self.name}"

    def names(self) -> list[str]:
        """List the entries, sorted.

        Raises:
            KernelError: the host does not let us.
        """
        found = set(self.entries)
        if self.host is not None:
            found |= set(on_host(os.listdir, self.host)) - set(self.gone)
        return sorted(found)

    def read_at(self, pos: int, size: int) -> bytes:
        """Refuse, as read does."""
        raise KernelError(Errno.EISDIR, f"{self.path} is a directory")

    def write_at(self, pos: int, data: bytes) -> int:
        """Refuse, as write does."""
        raise KernelError(Errno.EISDIR, f"{self.path} is a directory")


@dataclass(eq=False, slots=True)
class Symlink:
    """A symbolic link."""

    attr: Attr
    target: str
    changed: bool = False
    """It is not on the host."""

    @property
    def size(self) -> int:
        """Length of the target."""
        return len(os.fsencode(self.target))

    def read_at(self, pos: int, size: int) -> bytes:
        """Refuse: a link is followed, not read."""
        raise KernelError(Errno.EINVAL, "a symbolic link cannot be read")

    def write_at(self, pos: int, data: bytes) -> int:
        """Refuse: a link is followed, not written."""
        raise KernelError(Errno.EINVAL, "a symbolic link cannot be written")


@dataclass(eq=False, slots=True)
class Device:
    """A character device, or whatever else of the host's that is not simulated."""

    attr: Attr
    read: Callable[[int], bytes] | None = None
    """Gives as many bytes as asked for. None: the device is not there."""
    write_errno: Errno | None = None
    """What a write fails with; None: it is swallowed."""
    same_as: int | None = None
    """Opening it is as good as a dup of this descriptor."""

    @property
    def size(self) -> int:
        """Devices have none."""
        return 0

    def read_at(self, pos: int, size: int) -> bytes:
        """Read *size* bytes, or none from a device that is always at its end."""
        if self.read is None:
            raise KernelError(Errno.ENXIO, "this device is not simulated")
        return self.read(size)

    def write_at(self, pos: int, data: bytes) -> int:
        """Swallow *data*."""
        if self.write_errno is not None:
            raise KernelError(self.write_errno, "the device takes nothing")
        return len(data)


def node_of_host(path: str, name: str, parent: Directory, found: os.stat_result) -> Node:
    """Show what the host has at *path* as a node."""
    attr = Attr.of_host(found)
    if stat.S_ISREG(attr.mode):
        return Regular(attr, path, host=path, host_size=found.st_size)
    if stat.S_ISDIR(attr.mode):
        return Directory(attr, name, parent, host=path)
    if stat.S_ISLNK(attr.mode):
        return Symlink(attr, on_host(os.readlink, path))
    return Device(attr)


def read_host(path: str) -> bytes:
    """Read a file of the host.

    Raises:
        KernelError: with the host's errno.
    """

    def read(path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    return on_host(read, path)


def on_host(action: Callable[[str], T], path: str) -> T:
    """Do *action* to a path of the host.

    Raises:
        KernelError: with the host's errno, by its name.
    """
    try:
        return action(path)
    except OSError as exc:
        raise host_error(exc) from exc
    except ValueError as exc:  # a NUL in the path
        raise KernelError(Errno.EINVAL, str(exc)) from exc


def host_error(exc: OSError) -> KernelError:
    """Say with Linux' number what the host said with its own."""
    name = errno.errorcode.get(exc.errno or 0, "EIO")
    return KernelError(Errno.__members__.get(name, Errno.EIO), exc.strerror or str(exc))
