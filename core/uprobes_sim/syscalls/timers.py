"""Timers that send signals (kernel/time/itimer.c, kernel/time/posix-timers.c)."""

from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.send import send_group_signal
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, syscall
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ThreadGroup
from uprobes_sim.uapi import Layout

_ITIMERVAL: Final = Layout("l:interval_sec l:interval_usec l:sec l:usec")
_ITIMER_REAL: Final = 0
_NS: Final = 10**9
_US: Final = 1000


@syscall()
def sys_alarm(k: Kernel, task: Task, seconds: UInt) -> int:
    left = _left(k, task.group)
    _arm(k, task.group, seconds * _NS, 0)
    return -(-left // _NS)


@syscall()
def sys_getitimer(k: Kernel, task: Task, which: Int, value: Ptr) -> int:
    _check(which)
    _put(k, task, value)
    return 0


@syscall()
def sys_setitimer(k: Kernel, task: Task, which: Int, new: Ptr, old: Ptr) -> int:
    _check(which)
    wanted = dict.fromkeys(("interval_sec", "interval_usec", "sec", "usec"), 0)
    if new:
        wanted = k.get(task, new, _ITIMERVAL)
    if not all(0 <= wanted[name] < 10**6 for name in ("interval_usec", "usec")):
        raise KernelError(Errno.EINVAL, "no such time")
    if old:
        _put(k, task, old)
    interval = wanted["interval_sec"] * _NS + wanted["interval_usec"] * _US
    _arm(k, task.group, wanted["sec"] * _NS + wanted["usec"] * _US, interval)
    return 0


def _check(which: int) -> None:
    if which != _ITIMER_REAL:
        raise KernelError(Errno.EINVAL, "only ITIMER_REAL is simulated")


def _left(k: Kernel, group: ThreadGroup) -> int:
    timer = group.real_timer
    return 0 if timer is None else max(timer.deadline - k.clock.uptime, 1)


def _put(k: Kernel, task: Task, value: int) -> None:
    left, interval = _left(k, task.group), task.group.real_interval
    k.put(
        task,
        value,
        _ITIMERVAL,
        interval_sec=interval // _NS,
        interval_usec=interval % _NS // _US,
        sec=left // _NS,
        usec=left % _NS // _US,
    )


def _arm(k: Kernel, group: ThreadGroup, time: int, interval: int) -> None:
    """Set ITIMER_REAL of a process; *time* 0 stops it."""
    sched = k.tasks.sched
    if group.real_timer is not None:
        sched.cancel_timer(group.real_timer)
    group.real_timer, group.real_interval = None, interval
    if time:
        deadline = k.clock.uptime + time
        group.real_timer = sched.add_timer(deadline, lambda: _it_real_fn(k, group, deadline))


def _it_real_fn(k: Kernel, group: ThreadGroup, deadline: int) -> None:
    """Send SIGALRM; go off again after the interval, which is not shifted by being late."""
    group.real_timer = None
    if not group.threads:
        return
    send_group_signal(SigInfo(Signal.SIGALRM, SiCode.SI_KERNEL), group)
    if group.real_interval:
        behind = k.clock.uptime - deadline
        following = deadline + (behind // group.real_interval + 1) * group.real_interval
        group.real_timer = k.tasks.sched.add_timer(
            following, lambda: _it_real_fn(k, group, following)
        )
