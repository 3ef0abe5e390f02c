"""Time: simulated clocks and sleeping (kernel/time/)."""

from typing import Final

from uprobes_sim.clock import TICK
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, signed, syscall
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout

TIMESPEC: Final = Layout("l:sec l:nsec")
TIMESPEC64: Final = Layout("q:sec q:nsec")
"""`struct __kernel_timespec`, of calls whose name ends in 64."""

_TIMEVAL: Final = Layout("l:sec l:usec")
_TMS: Final = Layout("l:utime l:stime l:cutime l:cstime")

_CLOCK_REALTIME: Final = 0
REALTIME: Final = frozenset({0, 5, 11})
"""CLOCK_REALTIME, its coarse kin, CLOCK_TAI: time since 1970."""
_MONOTONIC: Final = frozenset({1, 2, 3, 4, 6, 7})
"""The others: time since the start, of which all is spent in the one process."""
_TIMER_ABSTIME: Final = 1
_NS: Final = 10**9
_US: Final = 1000
_CLK_TCK: Final = 100


def _look(k: Kernel, clock: int) -> int:
    """Read a clock, in nanoseconds; that takes a moment."""
    if clock not in REALTIME | _MONOTONIC:
        raise KernelError(Errno.EINVAL, f"no clock {clock}")
    k.clock.look()
    return k.clock.now if clock in REALTIME else k.clock.uptime


def timespec(k: Kernel, task: Task, vaddr: int, layout: Layout) -> tuple[int, int]:
    """Read seconds and nanoseconds; beside those of a 32-bit task may stand anything.

    Kernel: kernel/time/time.c, get_timespec64.
    """
    value = k.get(task, vaddr, layout)
    nsec = value["nsec"]
    return value["sec"], signed(nsec, 32) if k.abi.bits == 32 else nsec


def duration(k: Kernel, task: Task, vaddr: int, layout: Layout) -> int | None:
    """Read a timeout, in nanoseconds; None: there is none.

    Raises:
        KernelError: EINVAL.
        PageFault: it cannot be read.
    """
    if not vaddr:
        return None
    sec, nsec = timespec(k, task, vaddr, layout)
    if sec < 0 or not 0 <= nsec < _NS:
        raise KernelError(Errno.EINVAL, "no such time")
    return sec * _NS + nsec


def _put(k: Kernel, task: Task, vaddr: int, layout: Layout, time: int) -> int:
    k.put(task, vaddr, layout, sec=time // _NS, nsec=time % _NS)
    return 0


@syscall()
def sys_clock_gettime(k: Kernel, task: Task, clock: Int, tp: Ptr) -> int:
    return _put(k, task, tp, TIMESPEC, _look(k, clock))


@syscall()
def sys_clock_gettime64(k: Kernel, task: Task, clock: Int, tp: Ptr) -> int:
    return _put(k, task, tp, TIMESPEC64, _look(k, clock))


@syscall()
def sys_clock_getres(k: Kernel, task: Task, clock: Int, tp: Ptr) -> int:
    return _put(k, task, tp, TIMESPEC, _resolution(k, clock)) if tp else 0


@syscall()
def sys_clock_getres_time64(k: Kernel, task: Task, clock: Int, tp: Ptr) -> int:
    return _put(k, task, tp, TIMESPEC64, _resolution(k, clock)) if tp else 0


def _resolution(k: Kernel, clock: int) -> int:
    _look(k, clock)
    return TICK


@syscall()
def sys_gettimeofday(k: Kernel, task: Task, tv: Ptr, tz: Ptr) -> int:
    now = _look(k, _CLOCK_REALTIME)
    if tv:
        k.put(task, tv, _TIMEVAL, sec=now // _NS, usec=now % _NS // _US)
    if tz:
        k.put_int(task, tz, 0, 8)
    return 0


@syscall()
def sys_time(k: Kernel, task: Task, tloc: Ptr) -> int:
    now = _look(k, _CLOCK_REALTIME) // _NS
    if tloc:
        k.put_int(task, tloc, now, k.word)
    return now


@syscall()
def sys_times(k: Kernel, task: Task, tbuf: Ptr) -> int:
    k.clock.look()
    ticks = k.clock.uptime * _CLK_TCK // _NS
    if tbuf:
        k.put(task, tbuf, _TMS, utime=ticks)
    return ticks


@syscall()
def sys_nanosleep(k: Kernel, task: Task, rqtp: Ptr, rmtp: Ptr) -> int:
    return _sleep(k, task, 1, 0, rqtp, rmtp, TIMESPEC)


@syscall()
def sys_clock_nanosleep(k: Kernel, task: Task, clock: Int, flags: Int, rqtp: Ptr, rmtp: Ptr) -> int:
    return _sleep(k, task, clock, flags, rqtp, rmtp, TIMESPEC)


@syscall()
def sys_clock_nanosleep_time64(
    k: Kernel, task: Task, clock: Int, flags: Int, rqtp: Ptr, rmtp: Ptr
) -> int:
    return _sleep(k, task, clock, flags, rqtp, rmtp, TIMESPEC64)


def _sleep(
    k: Kernel, task: Task, clock: int, flags: int, rqtp: int, rmtp: int, layout: Layout
) -> int:
    """Sleep, until a signal comes at the most (hrtimer_nanosleep)."""
    now = _look(k, clock)
    time = duration(k, task, rqtp, layout)
    if time is None:
        raise KernelError(Errno.EFAULT, "no time given")
    absolute = bool(flags & _TIMER_ABSTIME)
    deadline = k.clock.uptime + max(time - now if absolute else time, 0)
    if task.restart_deadline is not None:
        deadline, task.restart_deadline = task.restart_deadline, None
    errno = Errno.ERESTARTNOHAND if absolute else Errno.ERESTART_RESTARTBLOCK
    try:
        k.wait(task, "time to pass", lambda: k.clock.uptime >= deadline, deadline, errno)
    except KernelError:
        if not absolute:
            task.restart_deadline = deadline
            if rmtp:
                _put(k, task, rmtp, layout, max(deadline - k.clock.uptime, 0))
        raise
    return 0
