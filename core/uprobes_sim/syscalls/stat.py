"""What files are: the stat family (fs/stat.c)."""

import os
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, syscall
from uprobes_sim.syscalls.walk import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, node_at
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.units import PAGE_SIZE, page_align
from uprobes_sim.vfs.nodes import Node, Symlink

_AT_NO_AUTOMOUNT: Final = 0x800
_AT_STATX_SYNC_TYPE: Final = 0x6000
_STAT_FLAGS: Final = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | _AT_NO_AUTOMOUNT

_BLOCK: Final = 512
_STATX_BASIC_STATS: Final = 0x7FF
_NS: Final = 10**9

_STATX: Final = Layout(
    "I:mask I:blksize Q:attributes I:nlink I:uid I:gid H:mode 2x Q:ino Q:size Q:blocks Q"
    " q:atime I:atime_nsec 4x q I 4x q:ctime I:ctime_nsec 4x q:mtime I:mtime_nsec 4x"
    " I:rdev_major I:rdev_minor I:dev_major I:dev_minor 112x"
)

_STATFS: Final = Layout(
    "L:type L:bsize L:blocks L:bfree L:bavail L:files L:ffree Q L:namelen L:frsize L L L L L"
)
_OVERLAYFS_MAGIC: Final = 0x794C7630


def _values(node: Node) -> dict[str, int]:
    attr, size = node.attr, node.size
    values = {
        "dev": attr.dev,
        "ino": attr.ino,
        "mode": attr.mode,
        "nlink": attr.nlink,
        "uid": attr.uid,
        "gid": attr.gid,
        "rdev": attr.rdev,
        "size": size,
        "blksize": PAGE_SIZE,
        "blocks": 0 if isinstance(node, Symlink) else page_align(size) // _BLOCK,
    }
    for name in ("atime", "mtime", "ctime"):
        values[name], values[f"{name}_nsec"] = divmod(getattr(attr, name), _NS)
    return values


@syscall()
def sys_stat(k: Kernel, task: Task, path: Ptr, buf: Ptr) -> int:
    return _stat(k, task, AT_FDCWD, path, buf, 0)


@syscall()
def sys_lstat(k: Kernel, task: Task, path: Ptr, buf: Ptr) -> int:
    return _stat(k, task, AT_FDCWD, path, buf, AT_SYMLINK_NOFOLLOW)


@syscall()
def sys_newfstatat(k: Kernel, task: Task, dfd: Int, path: Ptr, buf: Ptr, flags: Int) -> int:
    return _stat(k, task, dfd, path, buf, flags)


@syscall()
def sys_fstat(k: Kernel, task: Task, fd: UInt, buf: Ptr) -> int:
    k.put(task, buf, k.uapi.stat, **_values(task.files.file(fd).node))
    return 0


@syscall()
def sys_stat64(k: Kernel, task: Task, path: Ptr, buf: Ptr) -> int:
    return _stat64(k, task, AT_FDCWD, path, buf, 0)


@syscall()
def sys_lstat64(k: Kernel, task: Task, path: Ptr, buf: Ptr) -> int:
    return _stat64(k, task, AT_FDCWD, path, buf, AT_SYMLINK_NOFOLLOW)


@syscall()
def sys_fstatat64(k: Kernel, task: Task, dfd: Int, path: Ptr, buf: Ptr, flags: Int) -> int:
    return _stat64(k, task, dfd, path, buf, flags)


@syscall()
def sys_fstat64(k: Kernel, task: Task, fd: UInt, buf: Ptr) -> int:
    k.put(task, buf, k.uapi.stat64, **_values(task.files.file(fd).node))
    return 0


def _stat(k: Kernel, task: Task, dfd: int, path: int, buf: int, flags: int) -> int:
    k.put(task, buf, k.uapi.stat, **_values(_node(k, task, dfd, path, flags)))
    return 0


def _stat64(k: Kernel, task: Task, dfd: int, path: int, buf: int, flags: int) -> int:
    k.put(task, buf, k.uapi.stat64, **_values(_node(k, task, dfd, path, flags)))
    return 0


def _node(k: Kernel, task: Task, dfd: int, path: int, flags: int) -> Node:
    if flags & ~_STAT_FLAGS:
        raise KernelError(Errno.EINVAL, f"flags {flags:#x}")
    return node_at(k, task, dfd, path, flags)


@syscall()
def sys_statx(k: Kernel, task: Task, dfd: Int, path: Ptr, flags: UInt, mask: UInt, buf: Ptr) -> int:
    values = _values(_node(k, task, dfd, path, flags & ~_AT_STATX_SYNC_TYPE))
    rdev, dev = values.pop("rdev"), values.pop("dev")
    values |= {"mask": _STATX_BASIC_STATS, "rdev_major": os.major(rdev)}
    values |= {"rdev_minor": os.minor(rdev), "dev_major": os.major(dev)}
    k.put(task, buf, _STATX, dev_minor=os.minor(dev), **values)
    return 0


@syscall()
def sys_statfs(k: Kernel, task: Task, path: Ptr, buf: Ptr) -> int:
    node_at(k, task, AT_FDCWD, path, 0)
    k.put(task, buf, _STATFS, **_FILE_SYSTEM)
    return 0


@syscall()
def sys_fstatfs(k: Kernel, task: Task, fd: UInt, buf: Ptr) -> int:
    task.files.file(fd)
    k.put(task, buf, _STATFS, **_FILE_SYSTEM)
    return 0


_FILE_SYSTEM: Final = {
    "type": _OVERLAYFS_MAGIC,
    "bsize": PAGE_SIZE,
    "frsize": PAGE_SIZE,
    "blocks": 1 << 20,
    "bfree": 1 << 19,
    "bavail": 1 << 19,
    "files": 1 << 20,
    "ffree": 1 << 19,
    "namelen": 255,
}
"""A file system of 4 GiB, half full, whatever the host has."""
