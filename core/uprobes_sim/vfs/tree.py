"""The tree of files that a program sees, and what it may do to it (fs/namei.c)."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from uprobes_sim.clock import Clock
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.page_cache import Inode
from uprobes_sim.vfs.commit import changes, commit_directory
from uprobes_sim.vfs.file import (
    O_ACCMODE,
    O_CREAT,
    O_EXCL,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
    File,
    FilesStruct,
)
from uprobes_sim.vfs.nodes import (
    Attr,
    Device,
    Directory,
    Node,
    Regular,
    Symlink,
    host_error,
    node_of_host,
)
from uprobes_sim.vfs.special import make_special
from uprobes_sim.vfs.streams import OutputStream, Pipe, Stdin, StdinStream, fifo_attr

_MAXSYMLINKS: Final = 40
_NAME_MAX: Final = 255
_PATH_MAX: Final = 4096
_FIRST_INO: Final = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads: a name in a directory, and what it names if it is there."""

    parent: Directory
    name: str
    """Empty for a directory that was reached as `.`, `..` or `/`."""
    node: Node | None
    slash: bool = False
    """The path ended in one, so it must mean a directory."""

    def existing(self) -> Node:
        """Give the node.

        Raises:
            KernelError: ENOENT.
        """
        if self.node is None:
            raise KernelError(Errno.ENOENT, f"{self.name} does not exist")
        return self.node


class Vfs:
    """All files of one run."""

    def __init__(
        self,
        *,
        stdin: Stdin,
        on_output: Callable[[int, bytes], None],
        exe: Path,
        cwd: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Show the host's files, with nothing changed yet.

        *exe*: the program, which /proc/self/exe names. *cwd*: default the host's.
        """
        self.clock = clock or Clock()
        self.random = Random("uprobes-sim")
        """The only source of random bytes: the same ones in every run."""
        self.stdin = stdin
        self.on_output = on_output
        self._last_ino = _FIRST_INO
        self.root = Directory(self._attr(stat.S_IFDIR | 0o755), "", None, host="/")
        start = _host_cwd() if cwd is None else cwd
        program = os.path.normpath(os.path.join(start, exe))
        make_special(self.root, program, self._attr, self.random.randbytes)
        self._start = self._directory(start)

    def _attr(self, mode: int) -> Attr:
        self._last_ino += 1
        now = self.clock.now
        return Attr(mode=mode, ino=self._last_ino, atime=now, mtime=now, ctime=now)

    def _directory(self, path: str) -> Directory:
        node = self.walk(self.root, path).node
        return node if isinstance(node, Directory) else self.root

    def program_inode(self, path: Path, data: bytes) -> Inode:
        """Give the page cache of the program, the same that its own `open` would find.

        *data*: what was loaded, for a file that the program cannot see.
        """
        node = self.walk(self._start, str(path)).node
        if isinstance(node, Regular):
            return node.inode
        self._last_ino += 1
        return Inode(self._last_ino, str(path), data)

    def changes(self) -> dict[str, bytes]:
        """List what the program has done to files: path and new state, empty if it is gone."""
        return dict(changes(self.root))

    def new_files(self) -> FilesStruct:
        """Make the table of a process that starts: standard input, output and error."""
        files = FilesStruct(self._start)
        streams: list[Node] = [StdinStream(fifo_attr(0), self.stdin)]
        streams += [OutputStream(fifo_attr(fd), fd, self.on_output) for fd in (1, 2)]
        for node in streams:
            files.install(File(node, O_WRONLY if files.fds else O_RDONLY))
        return files

    def new_pipe(self) -> Pipe:
        """Make a pipe that nobody has open yet."""
        self._last_ino += 1
        return Pipe(fifo_attr(self._last_ino))

    def commit(self) -> None:
        """Do to the host what the program has done.

        Raises:
            ProgramError: the host does not let us; what was done before stays done.
        """
        commit_directory(self.root)

    # --- paths ------------------------------------------------------------

    def lookup(self, directory: Directory, name: str) -> Node | None:
        """Look up one name.

        Raises:
            KernelError: with the host's errno.
        """
        node = directory.entries.get(name)
        if node is not None or directory.host is None or name in directory.gone:
            return node
        path = f"{directory.host.rstrip('/')}/{name}"
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise host_error(exc) from exc
        directory.entries[name] = node = node_of_host(path, name, directory, found)
        return node

    def walk(self, base: Directory | None, path: str, *, follow: bool = True) -> Found:
        """Follow *path* from *base*; a last symbolic link only if *follow*.

        Raises:
            KernelError: ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EACCES.
        """
        if not path:
            raise KernelError(Errno.ENOENT, "empty path")
        if len(path) >= _PATH_MAX:
            raise KernelError(Errno.ENAMETOOLONG, "path too long")
        here = self.root if path.startswith("/") or base is None else base
        todo = [part for part in reversed(path.split("/")) if part]
        must_be_directory = path.endswith("/")
        links = 0
        found = Found(here, "", here)
        while todo:
            if not isinstance(found.node, Directory):
                raise KernelError(
                    Errno.ENOENT if found.node is None else Errno.ENOTDIR,
                    f"{found.name} is no directory",
                )
            here = found.node
            name = todo.pop()
            found = self._step(here, name)
            if isinstance(found.node, Symlink) and (todo or follow or must_be_directory):
                links += 1
                if links > _MAXSYMLINKS:
                    raise KernelError(Errno.ELOOP, f"too many symbolic links at {name}")
                target = found.node.target
                todo += [part for part in reversed(target.split("/")) if part]
                start = self.root if target.startswith("/") else here
                found = Found(start, "", start)
        if must_be_directory and not isinstance(found.node, Directory | None):
            raise KernelError(Errno.ENOTDIR, f"{found.name} is no directory")
        return replace(found, slash=must_be_directory)

    def _step(self, here: Directory, name: str) -> Found:
        if len(os.fsencode(name)) > _NAME_MAX:
            raise KernelError(Errno.ENAMETOOLONG, "name too long")
        if name == ".":
            return Found(here, "", here)
        if name == "..":
            parent = here.parent or here
            return Found(parent, "", parent)
        if not access(here, os.X_OK):
            raise KernelError(Errno.EACCES, f"{here.path} may not be searched")
        return Found(here, name, self.lookup(here, name))

    # --- opening ----------------------------------------------------------

    def open(self, files: FilesStruct, found: Found, flags: int, mode: int) -> File:
        """Open what a path has led to, making it if *flags* say so.

        Raises:
            KernelError: ENOENT, EEXIST, EISDIR, EACCES, …
        """
        node = found.node
        if node is None:
            if not flags & O_CREAT:
                raise KernelError(Errno.ENOENT, f"{found.name} does not exist")
            if found.slash:
                raise KernelError(Errno.EISDIR, f"{found.name}/ would be a directory")
            node = Regular(self._attr(stat.S_IFREG | mode & 0o7777 & ~files.umask), found.name)
            node.cache, node.changed = Inode(node.attr.ino, found.name, bytearray()), True
            self._link(found, node)
            return File(node, flags)
        if flags & O_CREAT and flags & O_EXCL:
            raise KernelError(Errno.EEXIST, f"{found.name} exists")
        if isinstance(node, Symlink) and not flags & O_PATH:
            raise KernelError(Errno.ELOOP, f"{found.name} is a symbolic link")
        if not flags & O_PATH:
            self._may_open(node, found, flags)
        if isinstance(node, Device) and node.same_as is not None:
            return files.file(node.same_as)
        if flags & O_TRUNC and isinstance(node, Regular):
            node.truncate(0)
            self.touch(node)
        return File(node, flags)

    def _may_open(self, node: Node, found: Found, flags: int) -> None:
        wanted = flags & O_ACCMODE
        if isinstance(node, Directory) and (wanted != O_RDONLY or flags & O_CREAT):
            raise KernelError(Errno.EISDIR, f"{node.path} is a directory")
        if wanted in (O_RDONLY, O_RDWR) and not access(node, os.R_OK):
            raise KernelError(Errno.EACCES, f"{found.name} may not be read")
        if (wanted != O_RDONLY or flags & O_TRUNC) and not access(node, os.W_OK):
            raise KernelError(Errno.EACCES, f"{found.name} may not be written")

    def touch(self, node: Node) -> None:
        """Note that the contents have changed now."""
        node.attr.mtime = node.attr.ctime = self.clock.now

    # --- changes ----------------------------------------------------------

    def mkdir(self, files: FilesStruct, found: Found, mode: int) -> None:
        """Make a directory.

        Raises:
            KernelError: EEXIST, EACCES.
        """
        attr = self._attr(stat.S_IFDIR | mode & 0o7777 & ~files.umask)
        attr.nlink = 2
        self._link(found, Directory(attr, found.name, found.parent))

    def symlink(self, found: Found, target: str) -> None:
        """Make a symbolic link to *target*.

        Raises:
            KernelError: EEXIST, EACCES.
        """
        self._link(found, Symlink(self._attr(stat.S_IFLNK | 0o777), target, changed=True))

    def link(self, node: Node, found: Found) -> None:
        """Give a file one more name.

        Raises:
            KernelError: EPERM for a directory, EEXIST, EACCES.
        """
        if not isinstance(node, Regular):
            raise KernelError(Errno.EPERM, "only a regular file can have two names")
        self._link(found, node)
        node.detach()
        node.attr.nlink += 1

    def unlink(self, found: Found) -> None:
        """Take a name away.

        Raises:
            KernelError: EISDIR, ENOENT, EACCES.
        """
        node = found.existing()
        if isinstance(node, Directory):
            raise KernelError(Errno.EISDIR, f"{found.name} is a directory")
        self._unlink(found)
        if isinstance(node, Regular):
            _ = node.inode  # who has it open reads on
        node.attr.nlink -= 1

    def rmdir(self, found: Found) -> None:
        """Take an empty directory away.

        Raises:
            KernelError: ENOTDIR, ENOTEMPTY, EBUSY, EACCES.
        """
        node = found.existing()
        if not isinstance(node, Directory):
            raise KernelError(Errno.ENOTDIR, f"{found.name} is no directory")
        if not found.name:
            raise KernelError(Errno.EBUSY, f"{node.path} is in use")
        if node.names():
            raise KernelError(Errno.ENOTEMPTY, f"{node.path} is not empty")
        self._unlink(found)
        node.removed = True

    def rename(self, old: Found, new: Found, *, over: bool = True) -> None:
        """Move *old* to *new*.

        A directory of the host is not moved, as overlayfs does not: EXDEV, and
        programs such as mv copy it.

        Raises:
            KernelError: ENOENT, EEXIST, EXDEV, EISDIR, ENOTDIR, ENOTEMPTY, EINVAL, EACCES.
        """
        node = old.existing()
        if not old.name or (new.node is not None and not new.name):
            raise KernelError(Errno.EBUSY, "the directory is in use")
        if new.node is node:
            return
        if new.node is not None and not over:
            raise KernelError(Errno.EEXIST, f"{new.name} exists")
        if isinstance(node, Directory):
            self._may_move(node, new)
        elif isinstance(new.node, Directory):
            raise KernelError(Errno.EISDIR, f"{new.name} is a directory")
        _may_change(old.parent)
        _may_change(new.parent)
        if new.node is not None:
            self._unlink(new)
        if isinstance(node, Regular):
            node.detach()
        if isinstance(node, Symlink):
            node.changed = True
        self._unlink(old)
        self._link(Found(new.parent, new.name, None), node)

    def _may_move(self, node: Directory, new: Found) -> None:
        if node.host is not None:
            raise KernelError(Errno.EXDEV, f"{node.path} is a directory of the host")
        above: Directory | None = new.parent
        while above is not None:
            if above is node:
                raise KernelError(Errno.EINVAL, f"{node.path} cannot be moved into itself")
            above = above.parent
        if new.node is None:
            return
        if not isinstance(new.node, Directory):
            raise KernelError(Errno.ENOTDIR, f"{new.name} is no directory")
        if new.node.names():
            raise KernelError(Errno.ENOTEMPTY, f"{new.name} is not empty")

    def _link(self, found: Found, node: Node) -> None:
        parent = found.parent
        if found.node is not None:
            raise KernelError(Errno.EEXIST, f"{found.name or parent.path} exists")
        if parent.removed:
            raise KernelError(Errno.ENOENT, "the directory has been removed")
        _may_change(parent)
        parent.entries[found.name] = node
        if isinstance(node, Directory):
            node.name, node.parent = found.name, parent
        self.touch(parent)

    def _unlink(self, found: Found) -> None:
        parent = found.parent
        _may_change(parent)
        node = parent.entries.pop(found.name)
        if parent.host is not None and found.name not in parent.gone and _from_host(node):
            parent.gone[found.name] = node
        self.touch(parent)


def _host_cwd() -> str:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return "/"


def _from_host(node: Node) -> bool:
    match node:
        case Regular() | Directory():
            return node.host is not None
        case Symlink():
            return not node.changed
    return True


def _may_change(directory: Directory) -> None:
    if not access(directory, os.W_OK | os.X_OK):
        raise KernelError(Errno.EACCES, f"{directory.path} may not be changed")


def access(node: Node, wanted: int) -> bool:
    """Tell whether the program may: the host says, for what is the host's, else its mode.

    *wanted*: `os.R_OK`, `os.W_OK` and `os.X_OK`.
    """
    host = node.host if isinstance(node, Regular | Directory) else None
    if host is not None and not node.attr.changed:
        return os.access(host, wanted)
    return (node.attr.mode >> 6) & wanted == wanted
