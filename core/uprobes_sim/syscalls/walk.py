"""Paths as calls give them: a descriptor of a directory and a name (user_path_at)."""

from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.task import Task
from uprobes_sim.vfs.nodes import Directory, Node
from uprobes_sim.vfs.tree import Found

AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_REMOVEDIR: Final = 0x200
AT_SYMLINK_FOLLOW: Final = 0x400
AT_EMPTY_PATH: Final = 0x1000


def walk(k: Kernel, task: Task, dfd: int, path: int, *, follow: bool = True) -> Found:
    """Follow the path that lies at address *path*, from the directory *dfd*.

    Raises:
        KernelError: EBADF, ENOTDIR, ENOENT, ELOOP, …
        PageFault: *path* cannot be read.
    """
    text = k.path(task, path)
    base = task.files.cwd
    if dfd != AT_FDCWD and not text.startswith("/"):
        node = task.files.file(dfd).node
        if not isinstance(node, Directory):
            raise KernelError(Errno.ENOTDIR, f"descriptor {dfd} is no directory")
        base = node
    return k.vfs.walk(base, text, follow=follow)


def node_at(k: Kernel, task: Task, dfd: int, path: int, flags: int) -> Node:
    """Find what a path names; with AT_EMPTY_PATH and no path, what *dfd* refers to.

    Raises:
        KernelError, PageFault: as `walk`.
    """
    if flags & AT_EMPTY_PATH and (path == 0 or not k.path(task, path)):
        if dfd == AT_FDCWD:
            return task.files.cwd or k.vfs.root
        return task.files.file(dfd).node
    return walk(k, task, dfd, path, follow=not flags & AT_SYMLINK_NOFOLLOW).existing()
