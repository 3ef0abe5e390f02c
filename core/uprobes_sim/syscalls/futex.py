"""futex, by operation (kernel/futex/syscalls.c)."""

from enum import IntEnum
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.futex import FUTEX_BITSET_MATCH_ANY, FutexQ, futex_key
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, signed, syscall
from uprobes_sim.syscalls.timekeeping import TIMESPEC, TIMESPEC64, duration
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout

_FUTEX_CMD_MASK: Final = 0x7F
_FUTEX_CLOCK_REALTIME: Final = 0x100


class _Op(IntEnum):
    """Operations (include/uapi/linux/futex.h), those with priority inheritance aside."""

    FUTEX_WAIT = 0
    FUTEX_WAKE = 1
    FUTEX_REQUEUE = 3
    FUTEX_CMP_REQUEUE = 4
    FUTEX_WAKE_OP = 5
    FUTEX_WAIT_BITSET = 9
    FUTEX_WAKE_BITSET = 10


@syscall()
def sys_futex(
    k: Kernel, task: Task, uaddr: Ptr, op: Int, val: UInt, utime: Ptr, uaddr2: Ptr, val3: UInt
) -> int:
    return _futex(k, task, uaddr, op, val, utime, uaddr2, val3, TIMESPEC)


@syscall()
def sys_futex_time64(
    k: Kernel, task: Task, uaddr: Ptr, op: Int, val: UInt, utime: Ptr, uaddr2: Ptr, val3: UInt
) -> int:
    return _futex(k, task, uaddr, op, val, utime, uaddr2, val3, TIMESPEC64)


def _futex(
    k: Kernel,
    task: Task,
    uaddr: int,
    op: int,
    val: int,
    utime: int,
    uaddr2: int,
    val3: int,
    layout: Layout,
) -> int:
    if uaddr & 3:
        raise KernelError(Errno.EINVAL, "a futex is aligned")
    futexes = k.tasks.futexes
    count, count2 = signed(val, 32), signed(utime, 32)
    match op & _FUTEX_CMD_MASK:
        case _Op.FUTEX_WAIT:
            time = duration(k, task, utime, layout)
            deadline = None if time is None else k.clock.uptime + time
            return _wait(k, task, uaddr, val, deadline, FUTEX_BITSET_MATCH_ANY)
        case _Op.FUTEX_WAIT_BITSET:
            time = duration(k, task, utime, layout)
            if time is not None and op & _FUTEX_CLOCK_REALTIME:
                time -= k.clock.start
            return _wait(k, task, uaddr, val, time, val3)
        case _Op.FUTEX_WAKE:
            return futexes.wake(futex_key(task.mm, uaddr), count)
        case _Op.FUTEX_WAKE_BITSET:
            if not val3:
                raise KernelError(Errno.EINVAL, "no bits to wake by")
            return futexes.wake(futex_key(task.mm, uaddr), count, val3)
        case _Op.FUTEX_REQUEUE | _Op.FUTEX_CMP_REQUEUE as command:
            if command == _Op.FUTEX_CMP_REQUEUE and k.get_int(task, uaddr) != val3:
                raise KernelError(Errno.EAGAIN, "the futex has changed")
            key, target = futex_key(task.mm, uaddr), futex_key(task.mm, uaddr2)
            woken = futexes.wake(key, count)
            return woken + futexes.requeue(key, target, count2)
        case _Op.FUTEX_WAKE_OP:
            holds = _wake_op(k, task, uaddr2, val3)
            woken = futexes.wake(futex_key(task.mm, uaddr), count)
            return woken + (futexes.wake(futex_key(task.mm, uaddr2), count2) if holds else 0)
        case command:
            raise KernelError(Errno.ENOSYS, f"futex operation {command}")


def _wait(k: Kernel, task: Task, uaddr: int, val: int, deadline: int | None, bitset: int) -> int:
    """Wait if the futex still has the value *val* (futex_wait)."""
    if not bitset:
        raise KernelError(Errno.EINVAL, "no bits to be woken by")
    if task.restart_deadline is not None:
        deadline, task.restart_deadline = task.restart_deadline, None
    key = futex_key(task.mm, uaddr)
    if k.get_int(task, uaddr) != val:
        raise KernelError(Errno.EAGAIN, "the futex has changed")
    q = FutexQ(key, bitset)
    k.tasks.futexes.queue(q)
    errno = Errno.ERESTARTSYS if deadline is None else Errno.ERESTART_RESTARTBLOCK
    try:
        if not k.wait(task, f"a futex at {uaddr:#x}", lambda: q.woken, deadline, errno):
            raise KernelError(Errno.ETIMEDOUT, "nobody woke it")
    except KernelError as exc:
        if exc.errno is Errno.ERESTART_RESTARTBLOCK:
            task.restart_deadline = deadline
        raise
    finally:
        k.tasks.futexes.unqueue(q)
    return 0


def _wake_op(k: Kernel, task: Task, uaddr: int, encoded: int) -> bool:
    """Change the second futex, and tell whether its old value compares as asked for."""
    op, cmp = encoded >> 28 & 0xF, encoded >> 24 & 0xF
    arg, with_ = signed(encoded >> 12, 12), signed(encoded, 12)
    if op & 8:
        arg = 1 << (arg & 31)
    old = k.get_int(task, uaddr)
    changed = {0: arg, 1: old + arg, 2: old | arg, 3: old & ~arg, 4: old ^ arg}.get(op & 7)
    if changed is None or cmp > 5:
        raise KernelError(Errno.ENOSYS, "no such operation on a futex")
    k.put_int(task, uaddr, changed)
    value = signed(old, 32)
    return (
        value == with_,
        value != with_,
        value < with_,
        value <= with_,
        value > with_,
        value >= with_,
    )[cmp]
