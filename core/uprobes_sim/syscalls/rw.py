"""Reading, writing, positions (fs/read_write.c)."""

from collections.abc import Callable
from typing import Final, TypeVar

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import PageFault
from uprobes_sim.send import send_signal
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, LOff, Long, Ptr, UInt, ULong, signed, syscall
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.vfs import File
from uprobes_sim.vfs.file import O_NONBLOCK
from uprobes_sim.vfs.nodes import UID, Regular
from uprobes_sim.vfs.streams import Pipe

T = TypeVar("T")

MAX_RW_COUNT: Final = 0x7FFFF000
_CHUNK: Final = 1 << 20
"""Bytes that are copied at a time, so that an absurd count costs nothing."""

_IOVEC: Final = Layout("L:base L:len")
_IOV_MAX: Final = 1024

SEEK_SET, SEEK_CUR, SEEK_END = range(3)

Segments = list[tuple[int, int]]
"""Address and length of each piece of user memory."""


@syscall()
def sys_read(k: Kernel, task: Task, fd: Int, buf: Ptr, count: ULong) -> int:
    return _read(k, task, fd, [(buf, count)])


@syscall()
def sys_readv(k: Kernel, task: Task, fd: ULong, vec: Ptr, vlen: ULong) -> int:
    return _read(k, task, signed(fd, 32), _iovec(k, task, vec, vlen))


@syscall()
def sys_pread64(k: Kernel, task: Task, fd: Int, buf: Ptr, count: ULong, pos: LOff) -> int:
    return _read(k, task, fd, [(buf, count)], _checked(pos))


@syscall()
def sys_preadv(
    k: Kernel, task: Task, fd: Int, vec: Ptr, vlen: ULong, pos_l: ULong, pos_h: ULong
) -> int:
    return _read(k, task, fd, _iovec(k, task, vec, vlen), _position(k, pos_l, pos_h))


@syscall()
def sys_write(k: Kernel, task: Task, fd: Int, buf: Ptr, count: ULong) -> int:
    return _write(k, task, fd, [(buf, count)])


@syscall()
def sys_writev(k: Kernel, task: Task, fd: Int, vec: Ptr, vlen: ULong) -> int:
    return _write(k, task, fd, _iovec(k, task, vec, vlen))


@syscall()
def sys_pwrite64(k: Kernel, task: Task, fd: Int, buf: Ptr, count: ULong, pos: LOff) -> int:
    return _write(k, task, fd, [(buf, count)], _checked(pos))


@syscall()
def sys_pwritev(
    k: Kernel, task: Task, fd: Int, vec: Ptr, vlen: ULong, pos_l: ULong, pos_h: ULong
) -> int:
    return _write(k, task, fd, _iovec(k, task, vec, vlen), _position(k, pos_l, pos_h))


def _checked(pos: int) -> int:
    if pos < 0:
        raise KernelError(Errno.EINVAL, "negative position")
    return pos


def _position(k: Kernel, low: int, high: int) -> int:
    return _checked(signed(high << 32 | low, 64) if k.abi.bits == 32 else signed(low, 64))


def _iovec(k: Kernel, task: Task, vec: int, vlen: int) -> Segments:
    if vlen > _IOV_MAX:
        raise KernelError(Errno.EINVAL, f"more than {_IOV_MAX} pieces")
    size = _IOVEC.size(k.abi.bits)
    pieces = [k.get(task, vec + i * size, _IOVEC) for i in range(vlen)]
    if any(piece["len"] >> (k.abi.bits - 1) for piece in pieces):
        raise KernelError(Errno.EINVAL, "a piece has a negative length")
    return [(piece["base"], piece["len"]) for piece in pieces]


def _chunks(segments: Segments) -> Segments:
    """Cut *segments* into pieces of a reasonable length, MAX_RW_COUNT bytes in all."""
    found: Segments = []
    room = MAX_RW_COUNT
    for base, length in segments:
        length = min(length, room)
        room -= length
        found += [(base + at, min(_CHUNK, length - at)) for at in range(0, length, _CHUNK)]
    return found


def _transfer(
    segments: Segments, pos: int | None, move: Callable[[int, int, int | None], int]
) -> int:
    """Move one piece after the other; an error after the first byte is the next call's."""
    done = 0
    for base, length in _chunks(segments):
        try:
            moved = move(base, length, None if pos is None else pos + done)
        except (KernelError, PageFault):
            if done:
                return done
            raise
        done += moved
        if moved < length:
            break
    return done


def _read(k: Kernel, task: Task, fd: int, segments: Segments, pos: int | None = None) -> int:
    file = task.files.file(fd)

    seen = False

    def move(base: int, length: int, at: int | None) -> int:
        nonlocal seen
        data = _when_ready(k, task, file, lambda: file.read(length, at), may_wait=not seen)
        seen = True
        try:
            task.mm.write(base, data)
        except PageFault as fault:
            done = max(fault.vaddr - base, 0)
            if at is None and file.seekable:
                file.pos -= len(data) - done
            if not done:
                raise
            return done
        return len(data)

    if not any(length for _, length in segments):
        file.read(0, pos)
    return _transfer(segments, pos, move)


def _write(k: Kernel, task: Task, fd: int, segments: Segments, pos: int | None = None) -> int:
    file = task.files.file(fd)

    def move(base: int, length: int, at: int | None) -> int:
        return write_file(k, task, file, _readable(task, base, length), at)

    if not any(length for _, length in segments) and not file.writable:
        raise KernelError(Errno.EBADF, "not open for writing")
    return _transfer(segments, pos, move)


def _readable(task: Task, base: int, length: int) -> bytes:
    """Read what comes before the first byte that cannot be read."""
    try:
        return task.mm.read(base, length)
    except PageFault as fault:
        if fault.vaddr <= base:
            raise
        return task.mm.read(base, fault.vaddr - base)


def write_file(k: Kernel, task: Task, file: File, data: bytes, pos: int | None = None) -> int:
    """Write *data* as the task; who writes to a pipe that nobody reads gets SIGPIPE.

    Raises:
        KernelError: with the errno of the write.
        EngineError: it would wait for ever for room in a pipe.
    """
    done = 0

    def write() -> int:
        return file.write(data[done:], None if pos is None else pos + done)

    try:
        done = _when_ready(k, task, file, write)
        while done < len(data) and isinstance(file.node, Pipe) and not file.flags & O_NONBLOCK:
            done += _when_ready(k, task, file, write)
    except KernelError as exc:
        if exc.errno is Errno.EPIPE:
            send_signal(SigInfo(Signal.SIGPIPE, SiCode.SI_USER, pid=task.tgid, uid=UID), task)
        if not done:
            raise
    if isinstance(file.node, Regular):
        k.vfs.touch(file.node)
    return done


def _when_ready(
    k: Kernel, task: Task, file: File, action: Callable[[], T], *, may_wait: bool = True
) -> T:
    """Do *action* once it need not wait any more, at once if the file is non-blocking."""
    while True:
        try:
            return action()
        except KernelError as exc:
            if exc.errno is not Errno.EAGAIN or file.flags & O_NONBLOCK or not may_wait:
                raise
            _wait_for_pipe(k, task, file, exc.reason)


def _wait_for_pipe(k: Kernel, task: Task, file: File, what: str) -> None:
    pipe = file.node
    assert isinstance(pipe, Pipe)
    if file.readable:
        k.wait(task, what, lambda: pipe.readable)
    else:
        k.wait(task, what, lambda: pipe.writable)


@syscall()
def sys_lseek(k: Kernel, task: Task, fd: Int, offset: Long, whence: Int) -> int:
    return seek(task.files.file(fd), offset, whence)


@syscall()
def sys__llseek(
    k: Kernel, task: Task, fd: Int, high: ULong, low: ULong, result: Ptr, whence: UInt
) -> int:
    pos = seek(task.files.file(fd), signed(high << 32 | low, 64), whence)
    k.put_int(task, result, pos, 8)
    return 0


def seek(file: File, offset: int, whence: int) -> int:
    """Move the position of *file*; answer where it is.

    Raises:
        KernelError: ESPIPE, EINVAL.
    """
    if not file.seekable:
        raise KernelError(Errno.ESPIPE, "a pipe has no positions")
    bases = {SEEK_SET: 0, SEEK_CUR: file.pos, SEEK_END: file.node.size}
    if whence not in bases or bases[whence] + offset < 0:
        raise KernelError(Errno.EINVAL, "no such position")
    file.pos = bases[whence] + offset
    if file.pos == 0:
        file.listing = None
    return file.pos


@syscall()
def sys_sendfile64(
    k: Kernel, task: Task, out_fd: Int, in_fd: Int, offset: Ptr, count: ULong
) -> int:
    return _sendfile(k, task, out_fd, in_fd, offset, count, 8)


@syscall()
def sys_sendfile(k: Kernel, task: Task, out_fd: Int, in_fd: Int, offset: Ptr, count: ULong) -> int:
    return _sendfile(k, task, out_fd, in_fd, offset, count, k.word)


def _sendfile(
    k: Kernel, task: Task, out_fd: int, in_fd: int, offset: int, count: int, size: int
) -> int:
    source, sink = task.files.file(in_fd), task.files.file(out_fd)
    if not isinstance(source.node, Regular):
        raise KernelError(Errno.EINVAL, "sendfile reads regular files")
    at = k.get_int(task, offset, size) if offset else source.pos
    done = write_file(k, task, sink, source.read(min(count, _CHUNK), at))
    if offset:
        k.put_int(task, offset, at + done, size)
    else:
        source.pos = at + done
    return done


@syscall()
def sys_ftruncate(k: Kernel, task: Task, fd: Int, length: Long) -> int:
    return _ftruncate(k, task, fd, length)


@syscall()
def sys_ftruncate64(k: Kernel, task: Task, fd: Int, length: LOff) -> int:
    return _ftruncate(k, task, fd, length)


def _ftruncate(k: Kernel, task: Task, fd: int, length: int) -> int:
    file = task.files.file(fd)
    if length < 0 or not file.writable or not isinstance(file.node, Regular):
        raise KernelError(Errno.EINVAL, "cannot be truncated")
    file.node.truncate(length)
    k.vfs.touch(file.node)
    return 0


@syscall()
def sys_fallocate(k: Kernel, task: Task, fd: Int, mode: Int, offset: LOff, length: LOff) -> int:
    file = task.files.file(fd)
    if mode:
        raise KernelError(Errno.EOPNOTSUPP, "fallocate only lengthens files here")
    if not file.writable or not isinstance(file.node, Regular):
        raise KernelError(Errno.EBADF, "not a regular file open for writing")
    if offset < 0 or length <= 0:
        raise KernelError(Errno.EINVAL, "no such range")
    file.node.truncate(max(file.node.size, offset + length))
    return 0


@syscall("fdatasync")
def sys_fsync(k: Kernel, task: Task, fd: Int) -> int:
    task.files.file(fd)
    return 0


@syscall()
def sys_sync(k: Kernel, task: Task) -> int:
    return 0


@syscall("fadvise64_64", "readahead")
def sys_fadvise64(k: Kernel, task: Task, fd: Int) -> int:
    task.files.file(fd)
    return 0
