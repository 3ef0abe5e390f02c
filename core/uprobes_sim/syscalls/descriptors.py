"""Descriptors: closing, duplicating, pipes, waiting (fs/file.c, fs/fcntl.c, fs/select.c)."""

from enum import IntEnum
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, ULong, syscall
from uprobes_sim.syscalls.signal import temporary_mask
from uprobes_sim.syscalls.timekeeping import TIMESPEC, TIMESPEC64, duration
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.vfs import File
from uprobes_sim.vfs.file import NOFILE, O_APPEND, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_WRONLY
from uprobes_sim.vfs.streams import PIPE_SIZE, Pipe


class _Fcntl(IntEnum):
    """Commands of fcntl (include/uapi/linux/fcntl.h), the locks aside."""

    F_DUPFD = 0
    F_GETFD = 1
    F_SETFD = 2
    F_GETFL = 3
    F_SETFL = 4
    F_DUPFD_CLOEXEC = 1030
    F_SETPIPE_SZ = 1031
    F_GETPIPE_SZ = 1032


_LOCKS: Final = frozenset({6, 7, 13, 14, 37, 38})
"""F_SETLK, F_SETLKW, their 64-bit and open-file-description kin: nobody else is there."""
_FD_CLOEXEC: Final = 1

_POLLFD: Final = Layout("i:fd h:events h:revents")
_POLLIN: Final = 0x1
_POLLOUT: Final = 0x4
_POLLERR: Final = 0x8
_POLLHUP: Final = 0x10
_POLLNVAL: Final = 0x20
_MS: Final = 10**6


@syscall()
def sys_close(k: Kernel, task: Task, fd: UInt) -> int:
    task.files.close(fd)
    return 0


@syscall()
def sys_close_range(k: Kernel, task: Task, first: UInt, last: UInt, flags: UInt) -> int:
    if first > last or flags:
        raise KernelError(Errno.EINVAL, "no such range, or flags")
    for fd in [fd for fd in task.files.fds if first <= fd <= last]:
        task.files.close(fd)
    return 0


@syscall()
def sys_dup(k: Kernel, task: Task, fd: UInt) -> int:
    return task.files.install(task.files.file(fd))


@syscall()
def sys_dup2(k: Kernel, task: Task, oldfd: UInt, newfd: UInt) -> int:
    file = task.files.file(oldfd)
    if newfd != oldfd:
        _replace(task, newfd, file, cloexec=False)
    return newfd


@syscall()
def sys_dup3(k: Kernel, task: Task, oldfd: UInt, newfd: UInt, flags: Int) -> int:
    if oldfd == newfd or flags & ~O_CLOEXEC:
        raise KernelError(Errno.EINVAL, "the same descriptor, or flags")
    _replace(task, newfd, task.files.file(oldfd), cloexec=bool(flags))
    return newfd


def _replace(task: Task, fd: int, file: File, *, cloexec: bool) -> None:
    if fd >= NOFILE:
        raise KernelError(Errno.EBADF, f"descriptor {fd} is too large")
    task.files.replace(fd, file, cloexec=cloexec)


@syscall("fcntl64")
def sys_fcntl(k: Kernel, task: Task, fd: UInt, command: UInt, arg: ULong) -> int:
    entry = task.files.entry(fd)
    match command:
        case _Fcntl.F_DUPFD | _Fcntl.F_DUPFD_CLOEXEC:
            if arg >= NOFILE:
                raise KernelError(Errno.EINVAL, f"descriptor {arg} is too large")
            cloexec = command == _Fcntl.F_DUPFD_CLOEXEC
            return task.files.install(entry.file, cloexec=cloexec, lowest=arg)
        case _Fcntl.F_GETFD:
            return _FD_CLOEXEC * entry.cloexec
        case _Fcntl.F_SETFD:
            entry.cloexec = bool(arg & _FD_CLOEXEC)
        case _Fcntl.F_GETFL:
            largefile = k.uapi.o_largefile if k.abi.bits == 64 else 0
            return entry.file.flags | largefile
        case _Fcntl.F_SETFL:
            settable = O_APPEND | O_NONBLOCK
            entry.file.flags = entry.file.flags & ~settable | arg & settable
        case _ if command in _LOCKS:
            pass
        case _Fcntl.F_SETPIPE_SZ | _Fcntl.F_GETPIPE_SZ if isinstance(entry.file.node, Pipe):
            return PIPE_SIZE
        case _:
            raise KernelError(Errno.EINVAL, f"fcntl command {command}")
    return 0


@syscall()
def sys_flock(k: Kernel, task: Task, fd: UInt, command: UInt) -> int:
    task.files.file(fd)
    return 0


@syscall()
def sys_ioctl(k: Kernel, task: Task, fd: UInt, request: UInt, arg: Ptr) -> int:
    file = task.files.file(fd)
    if request == k.uapi.fionbio:
        wanted = k.get_int(task, arg)
        file.flags = file.flags & ~O_NONBLOCK | (O_NONBLOCK if wanted else 0)
        return 0
    if request == k.uapi.fionread and isinstance(file.node, Pipe):
        k.put_int(task, arg, len(file.node.buffer))
        return 0
    raise KernelError(Errno.ENOTTY, "there are no terminals here")


@syscall()
def sys_pipe(k: Kernel, task: Task, fds: Ptr) -> int:
    return _pipe(k, task, fds, 0)


@syscall()
def sys_pipe2(k: Kernel, task: Task, fds: Ptr, flags: Int) -> int:
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        raise KernelError(Errno.EINVAL, f"flags {flags:#x}")
    return _pipe(k, task, fds, flags)


def _pipe(k: Kernel, task: Task, fds: int, flags: int) -> int:
    pipe = k.vfs.new_pipe()
    for i, mode in enumerate((O_RDONLY, O_WRONLY)):
        file = File(pipe, mode | flags & O_NONBLOCK)
        fd = task.files.install(file, cloexec=bool(flags & O_CLOEXEC))
        k.put_int(task, fds + 4 * i, fd)
    return 0


@syscall()
def sys_poll(k: Kernel, task: Task, fds: Ptr, count: UInt, timeout: Int) -> int:
    return _poll(k, task, fds, count, None if timeout < 0 else timeout * _MS)


@syscall()
def sys_ppoll(k: Kernel, task: Task, fds: Ptr, count: UInt, timeout: Ptr, mask: Ptr) -> int:
    with temporary_mask(k, task, mask):
        return _poll(k, task, fds, count, duration(k, task, timeout, TIMESPEC))


@syscall()
def sys_ppoll_time64(k: Kernel, task: Task, fds: Ptr, count: UInt, timeout: Ptr, mask: Ptr) -> int:
    with temporary_mask(k, task, mask):
        return _poll(k, task, fds, count, duration(k, task, timeout, TIMESPEC64))


def _poll(k: Kernel, task: Task, fds: int, count: int, timeout: int | None) -> int:
    if count > NOFILE:
        raise KernelError(Errno.EINVAL, f"more than {NOFILE} descriptors")
    size = _POLLFD.size(k.abi.bits)
    entries = [k.get(task, at, _POLLFD) for at in range(fds, fds + count * size, size)]

    def revents() -> list[int]:
        return [_revents(task, entry["fd"], entry["events"]) for entry in entries]

    deadline = None if timeout is None else k.clock.uptime + timeout
    k.wait(
        task,
        "poll, and no descriptor will become ready",
        lambda: any(revents()),
        deadline,
        Errno.ERESTARTNOHAND,
    )
    found = revents()
    for at, entry, bits in zip(range(fds, fds + count * size, size), entries, found, strict=True):
        k.put(task, at, _POLLFD, fd=entry["fd"], events=entry["events"], revents=bits)
    return sum(map(bool, found))


def _revents(task: Task, fd: int, events: int) -> int:
    if fd < 0:
        return 0
    if fd not in task.files.fds:
        return _POLLNVAL
    file = task.files.file(fd)
    node = file.node
    if not isinstance(node, Pipe):
        return events & (_POLLIN | _POLLOUT)
    if file.readable:
        found = _POLLIN if node.buffer else 0
        return found & events | (0 if node.writers else _POLLHUP)
    found = _POLLOUT if node.writable else 0
    return found & events | (0 if node.readers else _POLLERR)
