"""What libraries ask for the sake of threads, where there is one (kernel/futex/, kernel/sched/)."""

from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel, waits_for_ever
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, ULong, syscall
from uprobes_sim.syscalls.timekeeping import TIMESPEC, TIMESPEC64, duration
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout

_FUTEX_CMD_MASK: Final = 0x7F
_FUTEX_WAIT: Final = 0
_FUTEX_WAIT_BITSET: Final = 9
_FUTEX_WAKES: Final = frozenset({1, 3, 4, 5, 10})
"""FUTEX_WAKE, _REQUEUE, _CMP_REQUEUE, _WAKE_OP, _WAKE_BITSET: nobody waits."""


@syscall()
def sys_futex(k: Kernel, task: Task, uaddr: Ptr, op: Int, value: UInt, timeout: Ptr) -> int:
    return _futex(k, task, uaddr, op, value, timeout, TIMESPEC)


@syscall()
def sys_futex_time64(k: Kernel, task: Task, uaddr: Ptr, op: Int, value: UInt, timeout: Ptr) -> int:
    return _futex(k, task, uaddr, op, value, timeout, TIMESPEC64)


def _futex(
    k: Kernel, task: Task, uaddr: int, op: int, value: int, timeout: int, layout: Layout
) -> int:
    command = op & _FUTEX_CMD_MASK
    if uaddr & 3:
        raise KernelError(Errno.EINVAL, "a futex is aligned")
    if command in _FUTEX_WAKES:
        k.get_int(task, uaddr)
        return 0
    if command not in (_FUTEX_WAIT, _FUTEX_WAIT_BITSET):
        raise KernelError(Errno.ENOSYS, f"futex operation {command}")
    if k.get_int(task, uaddr) != value:
        raise KernelError(Errno.EAGAIN, "the futex has changed")
    time = duration(k, task, timeout, layout)
    if time is None:
        raise waits_for_ever(task, f"a futex at {uaddr:#x}")
    k.clock.sleep(time)
    raise KernelError(Errno.ETIMEDOUT, "nobody woke it")


@syscall()
def sys_set_robust_list(k: Kernel, task: Task, head: Ptr, length: ULong) -> int:
    return 0


@syscall()
def sys_sched_yield(k: Kernel, task: Task) -> int:
    return 0


@syscall()
def sys_sched_getaffinity(k: Kernel, task: Task, pid: Int, length: UInt, mask: Ptr) -> int:
    if pid not in (0, task.pid):
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    if length < k.word or length % k.word:
        raise KernelError(Errno.EINVAL, "no room for one word")
    k.put_int(task, mask, 1, k.word)
    return k.word


@syscall()
def sys_getcpu(k: Kernel, task: Task, cpu: Ptr, node: Ptr) -> int:
    for vaddr in (cpu, node):
        if vaddr:
            k.put_int(task, vaddr, 0)
    return 0
