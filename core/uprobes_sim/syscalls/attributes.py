"""Attributes of files: modes, owners, lengths, times (fs/attr.c)."""

import os
import stat
from dataclasses import replace
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, LOff, Long, Ptr, UInt, syscall
from uprobes_sim.syscalls.timekeeping import TIMESPEC, TIMESPEC64, timespec
from uprobes_sim.syscalls.walk import AT_FDCWD, AT_SYMLINK_NOFOLLOW, node_at
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.vfs.nodes import Directory, Node, Regular
from uprobes_sim.vfs.tree import access

_UNCHANGED: Final = 0xFFFFFFFF
_UTIME_NOW: Final = 0x3FFFFFFF
_UTIME_OMIT: Final = 0x3FFFFFFE
_NS: Final = 10**9


@syscall()
def sys_chmod(k: Kernel, task: Task, path: Ptr, mode: UInt) -> int:
    return _chmod(k, node_at(k, task, AT_FDCWD, path, 0), mode)


@syscall()
def sys_fchmod(k: Kernel, task: Task, fd: UInt, mode: UInt) -> int:
    return _chmod(k, task.files.file(fd).node, mode)


@syscall()
def sys_fchmodat(k: Kernel, task: Task, dfd: Int, path: Ptr, mode: UInt) -> int:
    return _chmod(k, node_at(k, task, dfd, path, 0), mode)


def _chmod(k: Kernel, node: Node, mode: int) -> int:
    node.attr.mode = stat.S_IFMT(node.attr.mode) | mode & 0o7777
    node.attr.ctime, node.attr.changed = k.clock.now, True
    return 0


@syscall("chown32")
def sys_chown(k: Kernel, task: Task, path: Ptr, user: UInt, group: UInt) -> int:
    return _chown(node_at(k, task, AT_FDCWD, path, 0), user, group)


@syscall("lchown32")
def sys_lchown(k: Kernel, task: Task, path: Ptr, user: UInt, group: UInt) -> int:
    return _chown(node_at(k, task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), user, group)


@syscall("fchown32")
def sys_fchown(k: Kernel, task: Task, fd: UInt, user: UInt, group: UInt) -> int:
    return _chown(task.files.file(fd).node, user, group)


@syscall()
def sys_fchownat(
    k: Kernel, task: Task, dfd: Int, path: Ptr, user: UInt, group: UInt, flags: Int
) -> int:
    return _chown(node_at(k, task, dfd, path, flags), user, group)


def _chown(node: Node, user: int, group: int) -> int:
    """Let an owner keep what is his; only root may give away."""
    if user not in (_UNCHANGED, node.attr.uid) or group not in (_UNCHANGED, node.attr.gid):
        raise KernelError(Errno.EPERM, f"may not give it to {user}:{group}")
    return 0


@syscall()
def sys_truncate(k: Kernel, task: Task, path: Ptr, length: Long) -> int:
    return _truncate(k, node_at(k, task, AT_FDCWD, path, 0), length)


@syscall()
def sys_truncate64(k: Kernel, task: Task, path: Ptr, length: LOff) -> int:
    return _truncate(k, node_at(k, task, AT_FDCWD, path, 0), length)


def _truncate(k: Kernel, node: Node, length: int) -> int:
    if isinstance(node, Directory):
        raise KernelError(Errno.EISDIR, f"{node.path} is a directory")
    if length < 0 or not isinstance(node, Regular):
        raise KernelError(Errno.EINVAL, "cannot be truncated")
    if not access(node, os.W_OK):
        raise KernelError(Errno.EACCES, f"{node.name} may not be written")
    node.truncate(length)
    k.vfs.touch(node)
    return 0


@syscall()
def sys_utimensat(k: Kernel, task: Task, dfd: Int, path: Ptr, times: Ptr, flags: Int) -> int:
    return _utimensat(k, task, dfd, path, times, flags, TIMESPEC)


@syscall()
def sys_utimensat_time64(k: Kernel, task: Task, dfd: Int, path: Ptr, times: Ptr, flags: Int) -> int:
    return _utimensat(k, task, dfd, path, times, flags, TIMESPEC64)


def _utimensat(
    k: Kernel, task: Task, dfd: int, path: int, times: int, flags: int, layout: Layout
) -> int:
    node = task.files.file(dfd).node if path == 0 else node_at(k, task, dfd, path, flags)
    attr, now = node.attr, k.clock.now
    new = [now, now]
    if times:
        size = layout.size(k.abi.bits)
        given = [timespec(k, task, times + i * size, layout) for i in range(2)]
        new = [_time(*t, now, old) for t, old in zip(given, (attr.atime, attr.mtime), strict=True)]
    node.attr = replace(attr, atime=new[0], mtime=new[1], ctime=now, changed=True)
    return 0


def _time(sec: int, nsec: int, now: int, old: int) -> int:
    if nsec == _UTIME_NOW:
        return now
    if nsec == _UTIME_OMIT:
        return old
    if 0 <= nsec < _NS:
        return sec * _NS + nsec
    raise KernelError(Errno.EINVAL, "no such time")
