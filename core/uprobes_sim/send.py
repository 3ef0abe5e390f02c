"""Sending signals (the first half of kernel/signal.c)."""

from uprobes_sim.signals import (
    IGNORED_BY_DEFAULT,
    SA_NOCLDSTOP,
    SIG_DFL,
    SIG_IGN,
    SIGRTMIN,
    STOPS,
    SiCode,
    SigInfo,
    Signal,
)
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ThreadGroup


def send_signal(info: SigInfo, task: Task) -> None:
    """Send a signal to one thread (send_signal_locked with PIDTYPE_PID)."""
    if _prepare(info.signal, task.group, task):
        _queue(info, task.pending)
        task.signal_wake_up()


def send_group_signal(info: SigInfo, group: ThreadGroup) -> None:
    """Send a signal to a process (send_signal_locked with PIDTYPE_TGID)."""
    if group.threads and _prepare(info.signal, group, group.threads[0]):
        _queue(info, group.pending)
        for task in group.threads:
            task.signal_wake_up()


def _queue(info: SigInfo, pending: list[SigInfo]) -> None:
    """Let it wait; a standard signal that waits already is not sent again (legacy_queue)."""
    if info.signal >= SIGRTMIN or all(other.signal != info.signal for other in pending):
        pending.append(info)


def _prepare(signal: Signal, group: ThreadGroup, task: Task) -> bool:
    """Let a stop undo a continuation and the other way round; False: the signal is ignored.

    Kernel: kernel/signal.c, prepare_signal and sig_ignored.
    """
    if signal in STOPS:
        _flush(group, {Signal.SIGCONT})
    elif signal is Signal.SIGCONT:
        _flush(group, STOPS)
        if group.stopped is not None:
            group.stopped = None
            notify_parent_of_change(group, SiCode.CLD_CONTINUED, Signal.SIGCONT)
    return bool(task.blocked & signal.bit) or not _is_ignored(signal, task)


def flush_ignored(signal: Signal, task: Task) -> None:
    """Forget *signal* where it waits, if it has just come to be ignored (do_sigaction)."""
    if _is_ignored(signal, task):
        _flush(task.group, {signal})


def _is_ignored(signal: Signal, task: Task) -> bool:
    handler = task.sigaction(signal).handler
    return handler == SIG_IGN or (handler == SIG_DFL and signal in IGNORED_BY_DEFAULT)


def _flush(group: ThreadGroup, signals: set[Signal] | frozenset[Signal]) -> None:
    for pending in (group.pending, *(task.pending for task in group.threads)):
        pending[:] = [info for info in pending if info.signal not in signals]


def notify_parent_of_change(group: ThreadGroup, code: SiCode, signal: Signal) -> None:
    """Tell the parent that a process has stopped or goes on (do_notify_parent_cldstop)."""
    info = SigInfo(Signal.SIGCHLD, code, pid=group.tgid, status=signal)
    group.change = info
    parent = group.parent
    if parent is None or not parent.threads:
        return
    if not parent.threads[0].sigaction(Signal.SIGCHLD).flags & SA_NOCLDSTOP:
        send_group_signal(info, parent)
