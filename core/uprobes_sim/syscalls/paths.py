"""Names of files: opening, making, removing, renaming, listing (fs/namei.c, fs/open.c)."""

import os
import stat
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, ULong, syscall
from uprobes_sim.syscalls.walk import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
    node_at,
    walk,
)
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.vfs.file import O_CLOEXEC, O_CREAT, O_EXCL, O_TRUNC, O_WRONLY
from uprobes_sim.vfs.nodes import Directory, Node, Symlink
from uprobes_sim.vfs.tree import access

_RENAME_NOREPLACE: Final = 1
_DIRENT64_HEADER: Final = 19
"""Bytes before the name in `struct linux_dirent64`."""
_DIRENT64: Final = Layout("Q:ino q:off H:reclen B:type")


@syscall()
def sys_open(k: Kernel, task: Task, path: Ptr, flags: Int, mode: UInt) -> int:
    return _open(k, task, AT_FDCWD, path, flags, mode)


@syscall()
def sys_creat(k: Kernel, task: Task, path: Ptr, mode: UInt) -> int:
    return _open(k, task, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode)


@syscall()
def sys_openat(k: Kernel, task: Task, dfd: Int, path: Ptr, flags: Int, mode: UInt) -> int:
    return _open(k, task, dfd, path, flags, mode)


def _open(k: Kernel, task: Task, dfd: int, path: int, flags: int, mode: int) -> int:
    follow = not flags & k.uapi.o_nofollow and not (flags & O_CREAT and flags & O_EXCL)
    found = walk(k, task, dfd, path, follow=follow)
    if flags & k.uapi.o_directory and not isinstance(found.existing(), Directory):
        raise KernelError(Errno.ENOTDIR, f"{found.name} is no directory")
    file = k.vfs.open(task.files, found, flags & ~O_CLOEXEC, mode)
    return task.files.install(file, cloexec=bool(flags & O_CLOEXEC))


@syscall()
def sys_access(k: Kernel, task: Task, path: Ptr, mode: Int) -> int:
    return _access(k, task, AT_FDCWD, path, mode, 0)


@syscall()
def sys_faccessat(k: Kernel, task: Task, dfd: Int, path: Ptr, mode: Int) -> int:
    return _access(k, task, dfd, path, mode, 0)


@syscall()
def sys_faccessat2(k: Kernel, task: Task, dfd: Int, path: Ptr, mode: Int, flags: Int) -> int:
    return _access(k, task, dfd, path, mode, flags)


def _access(k: Kernel, task: Task, dfd: int, path: int, mode: int, flags: int) -> int:
    if mode & ~(os.R_OK | os.W_OK | os.X_OK):
        raise KernelError(Errno.EINVAL, f"mode {mode:#x}")
    if not access(node_at(k, task, dfd, path, flags), mode):
        raise KernelError(Errno.EACCES, "not allowed")
    return 0


@syscall()
def sys_readlink(k: Kernel, task: Task, path: Ptr, buf: Ptr, size: Int) -> int:
    return _readlink(k, task, AT_FDCWD, path, buf, size)


@syscall()
def sys_readlinkat(k: Kernel, task: Task, dfd: Int, path: Ptr, buf: Ptr, size: Int) -> int:
    return _readlink(k, task, dfd, path, buf, size)


def _readlink(k: Kernel, task: Task, dfd: int, path: int, buf: int, size: int) -> int:
    if size <= 0:
        raise KernelError(Errno.EINVAL, "no room for the target")
    node = node_at(k, task, dfd, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    if not isinstance(node, Symlink):
        raise KernelError(Errno.EINVAL, "not a symbolic link")
    target = os.fsencode(node.target)[:size]
    task.mm.write(buf, target)
    return len(target)


@syscall()
def sys_getcwd(k: Kernel, task: Task, buf: Ptr, size: ULong) -> int:
    cwd = task.files.cwd or k.vfs.root
    if cwd.removed:
        raise KernelError(Errno.ENOENT, "the working directory has been removed")
    path = os.fsencode(cwd.path) + b"\0"
    if len(path) > size:
        raise KernelError(Errno.ERANGE, "the path is longer")
    task.mm.write(buf, path)
    return len(path)


@syscall()
def sys_chdir(k: Kernel, task: Task, path: Ptr) -> int:
    return _chdir(task, node_at(k, task, AT_FDCWD, path, 0))


@syscall()
def sys_fchdir(k: Kernel, task: Task, fd: UInt) -> int:
    return _chdir(task, task.files.file(fd).node)


def _chdir(task: Task, node: Node) -> int:
    if not isinstance(node, Directory):
        raise KernelError(Errno.ENOTDIR, "not a directory")
    if not access(node, os.X_OK):
        raise KernelError(Errno.EACCES, f"{node.path} may not be entered")
    task.files.cwd = node
    return 0


@syscall()
def sys_umask(k: Kernel, task: Task, mask: Int) -> int:
    old, task.files.umask = task.files.umask, mask & 0o777
    return old


@syscall()
def sys_mkdir(k: Kernel, task: Task, path: Ptr, mode: UInt) -> int:
    k.vfs.mkdir(task.files, walk(k, task, AT_FDCWD, path, follow=False), mode)
    return 0


@syscall()
def sys_mkdirat(k: Kernel, task: Task, dfd: Int, path: Ptr, mode: UInt) -> int:
    k.vfs.mkdir(task.files, walk(k, task, dfd, path, follow=False), mode)
    return 0


@syscall()
def sys_rmdir(k: Kernel, task: Task, path: Ptr) -> int:
    k.vfs.rmdir(walk(k, task, AT_FDCWD, path, follow=False))
    return 0


@syscall()
def sys_unlink(k: Kernel, task: Task, path: Ptr) -> int:
    k.vfs.unlink(walk(k, task, AT_FDCWD, path, follow=False))
    return 0


@syscall()
def sys_unlinkat(k: Kernel, task: Task, dfd: Int, path: Ptr, flags: Int) -> int:
    if flags & ~AT_REMOVEDIR:
        raise KernelError(Errno.EINVAL, f"flags {flags:#x}")
    remove = k.vfs.rmdir if flags & AT_REMOVEDIR else k.vfs.unlink
    remove(walk(k, task, dfd, path, follow=False))
    return 0


@syscall()
def sys_rename(k: Kernel, task: Task, old: Ptr, new: Ptr) -> int:
    return _rename(k, task, (AT_FDCWD, old), (AT_FDCWD, new), 0)


@syscall()
def sys_renameat(k: Kernel, task: Task, olddfd: Int, old: Ptr, newdfd: Int, new: Ptr) -> int:
    return _rename(k, task, (olddfd, old), (newdfd, new), 0)


@syscall()
def sys_renameat2(
    k: Kernel, task: Task, olddfd: Int, old: Ptr, newdfd: Int, new: Ptr, flags: UInt
) -> int:
    return _rename(k, task, (olddfd, old), (newdfd, new), flags)


def _rename(k: Kernel, task: Task, old: tuple[int, int], new: tuple[int, int], flags: int) -> int:
    if flags & ~_RENAME_NOREPLACE:
        raise KernelError(Errno.EINVAL, f"flags {flags:#x}")
    source = walk(k, task, *old, follow=False)
    k.vfs.rename(source, walk(k, task, *new, follow=False), over=not flags)
    return 0


@syscall()
def sys_symlink(k: Kernel, task: Task, target: Ptr, path: Ptr) -> int:
    k.vfs.symlink(walk(k, task, AT_FDCWD, path, follow=False), k.path(task, target))
    return 0


@syscall()
def sys_symlinkat(k: Kernel, task: Task, target: Ptr, dfd: Int, path: Ptr) -> int:
    k.vfs.symlink(walk(k, task, dfd, path, follow=False), k.path(task, target))
    return 0


@syscall()
def sys_link(k: Kernel, task: Task, old: Ptr, new: Ptr) -> int:
    node = node_at(k, task, AT_FDCWD, old, AT_SYMLINK_NOFOLLOW)
    k.vfs.link(node, walk(k, task, AT_FDCWD, new, follow=False))
    return 0


@syscall()
def sys_linkat(
    k: Kernel, task: Task, olddfd: Int, old: Ptr, newdfd: Int, new: Ptr, flags: Int
) -> int:
    nofollow = 0 if flags & AT_SYMLINK_FOLLOW else AT_SYMLINK_NOFOLLOW
    node = node_at(k, task, olddfd, old, nofollow | flags & AT_EMPTY_PATH)
    k.vfs.link(node, walk(k, task, newdfd, new, follow=False))
    return 0


@syscall()
def sys_getdents64(k: Kernel, task: Task, fd: UInt, buf: Ptr, count: UInt) -> int:
    file = task.files.file(fd)
    node = file.node
    if not isinstance(node, Directory):
        raise KernelError(Errno.ENOTDIR, f"descriptor {fd} is no directory")
    if file.listing is None:
        file.listing = [".", "..", *node.names()]
    done, pos = bytearray(), file.pos
    while pos < len(file.listing):
        entry = _dirent(k, node, file.listing[pos], pos + 1)
        if len(done) + len(entry) > count:
            break
        done += entry
        pos += 1
    if not done and pos < len(file.listing):
        raise KernelError(Errno.EINVAL, "no room for one entry")
    task.mm.write(buf, bytes(done))
    file.pos = pos
    return len(done)


def _dirent(k: Kernel, directory: Directory, name: str, off: int) -> bytes:
    node: Node | None = directory
    if name == "..":
        node = directory.parent or directory
    elif name != ".":
        node = k.vfs.lookup(directory, name)
    if node is None:
        return b""
    encoded = os.fsencode(name)
    reclen = (_DIRENT64_HEADER + len(encoded) + 1 + 7) & ~7
    kind = stat.S_IFMT(node.attr.mode) >> 12
    values = {"ino": node.attr.ino, "off": off, "reclen": reclen, "type": kind}
    header = _DIRENT64.pack(k.abi.bits, k.abi.byteorder, values)
    return (header + encoded).ljust(reclen, b"\0")
