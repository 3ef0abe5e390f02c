"""Timers of a process by number (kernel/time/posix-timers.c)."""

from dataclasses import dataclass
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.sched import Timer
from uprobes_sim.send import send_group_signal, send_signal
from uprobes_sim.signals import NSIG, SiCode, SigInfo, Signal
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, syscall
from uprobes_sim.syscalls.timekeeping import REALTIME, TIMESPEC, TIMESPEC64, timespec
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ThreadGroup
from uprobes_sim.uapi import Layout

_SIGEVENT: Final = Layout("L:value i:signo i:notify i:tid")
_ITIMERSPEC: Final = Layout("l:interval_sec l:interval_nsec l:sec l:nsec")
_ITIMERSPEC64: Final = Layout("q:interval_sec q:interval_nsec q:sec q:nsec")
_PARTS: Final = {_ITIMERSPEC: TIMESPEC, _ITIMERSPEC64: TIMESPEC64}
_SIGEV_SIGNAL, _SIGEV_NONE, _SIGEV_THREAD_ID = 0, 1, 4
_TIMER_ABSTIME: Final = 1
_NS: Final = 10**9


@dataclass(eq=False, slots=True)
class PosixTimer:
    """`struct k_itimer`."""

    number: int
    clock: int
    group: ThreadGroup
    target: Task | None
    """The thread that gets the signal; None: the process."""
    signal: Signal | None
    value: int
    timer: Timer | None = None
    interval: int = 0
    overrun: int = 0
    """Expirations that the last signal stands for, less one."""


@syscall()
def sys_timer_create(k: Kernel, task: Task, clock: Int, event: Ptr, number: Ptr) -> int:
    timers = task.group.posix_timers
    new = max(timers, default=-1) + 1
    wanted = {"signo": int(Signal.SIGALRM), "notify": _SIGEV_SIGNAL, "value": new, "tid": 0}
    if event:
        wanted = k.get(task, event, _SIGEVENT)
    notify, target = wanted["notify"], None
    if notify not in (_SIGEV_SIGNAL, _SIGEV_NONE, _SIGEV_THREAD_ID):
        raise KernelError(Errno.EINVAL, f"no such notification: {notify}")
    if notify != _SIGEV_NONE and not 1 <= wanted["signo"] <= NSIG:
        raise KernelError(Errno.EINVAL, f"signal {wanted['signo']}")
    if notify == _SIGEV_THREAD_ID:
        target = next((each for each in task.group.threads if each.pid == wanted["tid"]), None)
        if target is None:
            raise KernelError(Errno.EINVAL, f"no thread {wanted['tid']}")
    signal = None if notify == _SIGEV_NONE else Signal(wanted["signo"])
    timers[new] = PosixTimer(new, clock, task.group, target, signal, wanted["value"])
    k.put_int(task, number, new)
    return 0


@syscall()
def sys_timer_settime(k: Kernel, task: Task, number: Int, flags: Int, new: Ptr, old: Ptr) -> int:
    return _settime(k, task, number, flags, new, old, _ITIMERSPEC)


@syscall()
def sys_timer_settime64(k: Kernel, task: Task, number: Int, flags: Int, new: Ptr, old: Ptr) -> int:
    return _settime(k, task, number, flags, new, old, _ITIMERSPEC64)


@syscall()
def sys_timer_gettime(k: Kernel, task: Task, number: Int, value: Ptr) -> int:
    _put(k, task, value, _find(task, number), _ITIMERSPEC)
    return 0


@syscall()
def sys_timer_gettime64(k: Kernel, task: Task, number: Int, value: Ptr) -> int:
    _put(k, task, value, _find(task, number), _ITIMERSPEC64)
    return 0


@syscall()
def sys_timer_getoverrun(k: Kernel, task: Task, number: Int) -> int:
    return _find(task, number).overrun


@syscall()
def sys_timer_delete(k: Kernel, task: Task, number: Int) -> int:
    found = _find(task, number)
    _stop(k, found)
    del task.group.posix_timers[number]
    return 0


def _find(task: Task, number: int) -> PosixTimer:
    found = task.group.posix_timers.get(number)
    if not isinstance(found, PosixTimer):
        raise KernelError(Errno.EINVAL, f"no timer {number}")
    return found


def _settime(
    k: Kernel, task: Task, number: int, flags: int, new: int, old: int, layout: Layout
) -> int:
    found, part = _find(task, number), _PARTS[layout]
    interval = timespec(k, task, new, part)
    first = timespec(k, task, new + part.size(k.abi.bits), part)
    if not all(0 <= nsec < _NS for _, nsec in (interval, first)):
        raise KernelError(Errno.EINVAL, "no such time")
    if old:
        _put(k, task, old, found, layout)
    _stop(k, found)
    time = first[0] * _NS + first[1]
    found.interval = interval[0] * _NS + interval[1]
    if time:
        _start(k, found, _deadline(k, found, time, absolute=bool(flags & _TIMER_ABSTIME)))
    return 0


def _deadline(k: Kernel, timer: PosixTimer, time: int, *, absolute: bool) -> int:
    if not absolute:
        return k.clock.uptime + time
    return time - k.clock.start if timer.clock in REALTIME else time


def _start(k: Kernel, timer: PosixTimer, deadline: int) -> None:
    timer.timer = k.tasks.sched.add_timer(deadline, lambda: _go_off(k, timer, deadline))


def _stop(k: Kernel, timer: PosixTimer) -> None:
    if timer.timer is not None:
        k.tasks.sched.cancel_timer(timer.timer)
        timer.timer = None


def _go_off(k: Kernel, timer: PosixTimer, deadline: int) -> None:
    """Send the signal, and start over after the interval (posix_timer_fn)."""
    timer.timer = None
    if not timer.group.threads:
        return
    if timer.interval:
        timer.overrun = (k.clock.uptime - deadline) // timer.interval
        _start(k, timer, deadline + (timer.overrun + 1) * timer.interval)
    if timer.signal is None:
        return
    info = SigInfo(timer.signal, SiCode.SI_TIMER, timer=timer.number, value=timer.value)
    if timer.target is None:
        send_group_signal(info, timer.group)
    elif not timer.target.dead:
        send_signal(info, timer.target)


def _put(k: Kernel, task: Task, value: int, timer: PosixTimer, layout: Layout) -> None:
    left = 0 if timer.timer is None else max(timer.timer.deadline - k.clock.uptime, 1)
    interval = timer.interval
    k.put(
        task,
        value,
        layout,
        interval_sec=interval // _NS,
        interval_nsec=interval % _NS,
        sec=left // _NS,
        nsec=left % _NS,
    )
