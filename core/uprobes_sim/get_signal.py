"""Delivering signals, on the way back to user mode (the second half of kernel/signal.c)."""

from dataclasses import replace

from uprobes_sim.arch import ArchInfo
from uprobes_sim.errno import Errno
from uprobes_sim.exit import do_group_exit, end_task
from uprobes_sim.hookspecs import ArchHooks
from uprobes_sim.memory import PageFault
from uprobes_sim.sched import Scheduler
from uprobes_sim.send import notify_parent_of_change
from uprobes_sim.signals import (
    IGNORED_BY_DEFAULT,
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SIG_DFL,
    SIG_IGN,
    STOPS,
    UNBLOCKABLE,
    SiCode,
    SigAction,
    SigInfo,
    Signal,
)
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ExitCode
from uprobes_sim.units import Vaddr


def arch_do_signal_or_restart(
    hook: ArchHooks, info: ArchInfo, sched: Scheduler, task: Task
) -> None:
    """Deliver the next signal, or take up again a system call that was given up for none."""
    found = get_signal(sched, task)
    if task.dead:
        return
    if found is None:
        restart_syscall(info, task)
        if task.saved_sigmask is not None:
            task.blocked, task.saved_sigmask = task.saved_sigmask, None
        return
    handle_signal(hook, info, task, *found)


def get_signal(sched: Scheduler, task: Task) -> tuple[SigInfo, SigAction] | None:
    """Take signals until one has a handler; act on those that have none (get_signal)."""
    while True:
        if task.group.group_exit is not None:
            do_group_exit(task, task.group.group_exit)
            return None
        if task.group.exec_task not in (None, task):
            end_task(task, ExitCode())
            return None
        if task.group.stopped is not None:
            sched.wait_event("SIGCONT", lambda: _goes_on(task))
            continue
        info = task.dequeue_signal()
        if info is not None and task.tracer is not None:  # ptrace_signal
            info = task.tracer(info)
            if info is None:
                continue
        if info is None:
            return None
        action = task.sigaction(info.signal)
        if action.handler == SIG_IGN:
            continue
        if action.handler != SIG_DFL:
            if action.flags & SA_RESETHAND:
                task.sigactions[info.signal] = replace(action, handler=SIG_DFL)
            return info, action
        if info.signal in STOPS:
            task.group.stopped = info.signal
            notify_parent_of_change(task.group, SiCode.CLD_STOPPED, info.signal)
        elif info.signal not in IGNORED_BY_DEFAULT:
            do_group_exit(task, ExitCode(signal=info.signal))
            return None


def _goes_on(task: Task) -> bool:
    killed = any(i.signal is Signal.SIGKILL for i in (*task.pending, *task.group.pending))
    if killed:
        task.group.stopped = None
    return task.group.stopped is None or task.group.group_exit is not None


def handle_signal(
    hook: ArchHooks, info: ArchInfo, task: Task, sig: SigInfo, action: SigAction
) -> None:
    """Send the task to its handler (handle_signal and signal_setup_done)."""
    if task.restart is Errno.ERESTARTNOINTR or (
        task.restart is Errno.ERESTARTSYS and action.flags & SA_RESTART
    ):
        restart_syscall(info, task)
    elif task.restart is not None:
        hook.syscall_set_return_value(regs=task.regs, error=int(Errno.EINTR), value=0)
    task.restart = task.restart_deadline = None
    oldset = task.blocked if task.saved_sigmask is None else task.saved_sigmask
    task.saved_sigmask = None
    try:
        hook.setup_rt_frame(task=task, info=sig, action=action, oldset=oldset)
    except PageFault:
        _force_sigsegv(task, sig.signal)
        return
    blocked = action.mask | (0 if action.flags & SA_NODEFER else sig.signal.bit)
    task.blocked |= blocked & ~UNBLOCKABLE


def restart_syscall(info: ArchInfo, task: Task) -> None:
    """Go back onto the system call; its arguments are in the registers still."""
    if task.restart is not None:
        task.regs.ip = Vaddr(task.regs.ip - info.syscall_insn_size)
        task.restart = None


def _force_sigsegv(task: Task, signal: Signal) -> None:
    """Send SIGSEGV for a frame that cannot be written; it cannot be caught if it was one."""
    if signal is Signal.SIGSEGV:
        task.sigactions.pop(signal, None)
    task.force_sig(SigInfo(Signal.SIGSEGV))
