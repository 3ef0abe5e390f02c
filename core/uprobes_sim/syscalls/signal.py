"""Signals: what a program wants done with them, sending and awaiting them (kernel/signal.c)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import PageFault
from uprobes_sim.send import flush_ignored, send_group_signal, send_signal
from uprobes_sim.siginfo import (
    SIGINFO_SIZE,
    SIGSET_BYTES,
    pack_altstack,
    pack_siginfo,
    pack_sigset,
    stack_t_size,
    unpack_altstack,
    unpack_siginfo,
    unpack_sigset,
)
from uprobes_sim.signals import NSIG, UNBLOCKABLE, SiCode, SigAction, SigInfo, Signal
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, ULong, syscall
from uprobes_sim.syscalls.timekeeping import TIMESPEC, TIMESPEC64, duration
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ThreadGroup
from uprobes_sim.uapi import Layout
from uprobes_sim.vfs.nodes import UID

_MINSIGSTKSZ: Final = 2048
_INIT: Final = 1


class _How(IntEnum):
    SIG_BLOCK = 0
    SIG_UNBLOCK = 1
    SIG_SETMASK = 2


def _get_sigset(k: Kernel, task: Task, vaddr: int) -> int:
    return unpack_sigset(task.mm.read(vaddr, SIGSET_BYTES), k.abi)


def _put_sigset(k: Kernel, task: Task, vaddr: int, sigset: int) -> None:
    task.mm.write(vaddr, pack_sigset(sigset, k.abi))


def _check_size(size: int) -> None:
    if size != SIGSET_BYTES:
        raise KernelError(Errno.EINVAL, f"a signal set has {SIGSET_BYTES} bytes")


def _signal(number: int) -> Signal:
    if not 1 <= number <= NSIG:
        raise KernelError(Errno.EINVAL, f"signal {number}")
    return Signal(number)


@contextmanager
def temporary_mask(k: Kernel, task: Task, vaddr: int) -> Iterator[None]:
    """Block the signals at *vaddr*, and no others, while the task waits (set_user_sigmask).

    If it waits in vain, the old set comes back behind the handler.
    """
    old = task.blocked
    if vaddr:
        task.blocked = _get_sigset(k, task, vaddr) & ~UNBLOCKABLE
    try:
        yield
    except KernelError as exc:
        if vaddr and exc.errno is Errno.ERESTARTNOHAND:
            task.saved_sigmask = old
        else:
            task.blocked = old
        raise
    except PageFault:
        task.blocked = old
        raise
    task.blocked = old


@syscall()
def sys_rt_sigaction(k: Kernel, task: Task, sig: Int, act: Ptr, oact: Ptr, size: ULong) -> int:
    _check_size(size)
    layout = k.uapi.sigaction
    mask_at = layout.size(k.abi.bits)
    new = None
    if act:
        mask = _get_sigset(k, task, act + mask_at) & ~UNBLOCKABLE
        new = SigAction(**k.get(task, act, layout), mask=mask)
    signal = _signal(sig)
    if new and signal in (Signal.SIGKILL, Signal.SIGSTOP):
        raise KernelError(Errno.EINVAL, f"{signal.name} cannot be caught")
    old = task.sigaction(signal)
    if new is not None:
        task.sigactions[signal] = new
        flush_ignored(signal, task)
    if oact:
        values = {"handler": old.handler, "flags": old.flags, "restorer": old.restorer}
        k.put(task, oact, layout, **values)
        _put_sigset(k, task, oact + mask_at, old.mask)
    return 0


@syscall()
def sys_rt_sigprocmask(k: Kernel, task: Task, how: Int, new: Ptr, old: Ptr, size: ULong) -> int:
    _check_size(size)
    before = task.blocked
    if new:
        mask = _get_sigset(k, task, new) & ~UNBLOCKABLE
        match how:
            case _How.SIG_BLOCK:
                task.blocked |= mask
            case _How.SIG_UNBLOCK:
                task.blocked &= ~mask
            case _How.SIG_SETMASK:
                task.blocked = mask
            case _:
                raise KernelError(Errno.EINVAL, f"how {how}")
    if old:
        _put_sigset(k, task, old, before)
    return 0


@syscall()
def sys_rt_sigpending(k: Kernel, task: Task, out: Ptr, size: ULong) -> int:
    _check_size(size)
    waiting = {info.signal for info in (*task.pending, *task.group.pending)}
    _put_sigset(k, task, out, sum(signal.bit for signal in waiting))
    return 0


@syscall()
def sys_pause(k: Kernel, task: Task) -> int:
    k.wait(task, "a signal", lambda: False, errno=Errno.ERESTARTNOHAND)
    return 0


@syscall()
def sys_rt_sigsuspend(k: Kernel, task: Task, mask: Ptr, size: ULong) -> int:
    _check_size(size)
    with temporary_mask(k, task, mask):
        k.wait(task, "a signal", lambda: False, errno=Errno.ERESTARTNOHAND)
    return 0


@syscall()
def sys_rt_sigtimedwait(
    k: Kernel, task: Task, mask: Ptr, uinfo: Ptr, timeout: Ptr, size: ULong
) -> int:
    return _sigtimedwait(k, task, mask, uinfo, timeout, size, TIMESPEC)


@syscall()
def sys_rt_sigtimedwait_time64(
    k: Kernel, task: Task, mask: Ptr, uinfo: Ptr, timeout: Ptr, size: ULong
) -> int:
    return _sigtimedwait(k, task, mask, uinfo, timeout, size, TIMESPEC64)


def _sigtimedwait(
    k: Kernel, task: Task, mask: int, uinfo: int, timeout: int, size: int, layout: Layout
) -> int:
    """Take one of the signals at *mask* without a handler, when it comes (do_sigtimedwait)."""
    _check_size(size)
    wanted = _get_sigset(k, task, mask) & ~UNBLOCKABLE
    time = duration(k, task, timeout, layout)
    deadline = None if time is None else k.clock.uptime + time
    if not _waiting(task, wanted):
        blocked, task.blocked = task.blocked, task.blocked & ~wanted
        try:
            k.wait(task, "a signal", lambda: bool(_waiting(task, wanted)), deadline, Errno.EINTR)
        finally:
            task.blocked = blocked
    found = _waiting(task, wanted)
    if not found:
        raise KernelError(Errno.EAGAIN, "no such signal came in time")
    info = min(found, key=lambda info: info.signal)
    (task.pending if info in task.pending else task.group.pending).remove(info)
    if uinfo:
        task.mm.write(uinfo, pack_siginfo(info, k.abi))
    return info.signal


def _waiting(task: Task, wanted: int) -> list[SigInfo]:
    return [info for info in (*task.pending, *task.group.pending) if info.signal.bit & wanted]


@syscall()
def sys_rt_sigreturn(k: Kernel, task: Task) -> None:
    _sigreturn(k, task, is_rt=True)


@syscall()
def sys_sigreturn(k: Kernel, task: Task) -> None:
    _sigreturn(k, task, is_rt=False)


def _sigreturn(k: Kernel, task: Task, *, is_rt: bool) -> None:
    """Go back to where the signal came; a frame that cannot be read is SIGSEGV."""
    try:
        blocked = k.linked.hook.arch_sigreturn(task=task, is_rt=is_rt)
    except PageFault:
        task.force_sig(SigInfo(Signal.SIGSEGV))
    else:
        task.blocked = blocked & ~UNBLOCKABLE


@syscall()
def sys_sigaltstack(k: Kernel, task: Task, new: Ptr, old: Ptr) -> int:
    before, sp = task.altstack, task.regs.sp
    if new:
        stack, _ = unpack_altstack(task.mm.read(new, stack_t_size(k.abi)), k.abi)
        if before is not None and sp in before:
            raise KernelError(Errno.EPERM, "a handler runs on it")
        if stack is not None and stack.size < _MINSIGSTKSZ:
            raise KernelError(Errno.ENOMEM, "a signal stack that small")
        task.altstack = stack
    if old:
        task.mm.write(old, pack_altstack(before, sp, k.abi))
    return 0


@syscall()
def sys_kill(k: Kernel, task: Task, pid: Int, sig: Int) -> int:
    """Send a signal to a process, to a group of processes, or (-1) to all others."""
    if sig:
        _signal(sig)
    if pid == _INIT:
        raise KernelError(Errno.EPERM, "not allowed")
    groups = list(_targets(k, task, pid))
    if not groups and pid != -1:
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    if sig:
        info = SigInfo(Signal(sig), SiCode.SI_USER, pid=task.tgid, uid=UID)
        for group in groups:
            send_group_signal(info, group)
    return 0


def _targets(k: Kernel, task: Task, pid: int) -> Iterable[ThreadGroup]:
    if pid > 0:
        found = k.tasks.find_group(pid) if pid != task.tgid else task.group
        return [] if found is None else [found]
    groups = set(k.tasks.groups()) | {task.group}
    ordered = sorted(groups, key=lambda group: group.tgid)
    if pid == -1:
        return [group for group in ordered if group is not task.group]
    return [group for group in ordered if group.pgrp == (-pid or task.group.pgrp)]


@syscall()
def sys_tkill(k: Kernel, task: Task, pid: Int, sig: Int) -> int:
    return _tkill(k, task, None, pid, sig)


@syscall()
def sys_tgkill(k: Kernel, task: Task, tgid: Int, pid: Int, sig: Int) -> int:
    return _tkill(k, task, tgid, pid, sig)


def _tkill(k: Kernel, task: Task, tgid: int | None, pid: int, sig: int) -> int:
    if sig:
        _signal(sig)
    target = task if pid == task.pid else k.tasks.find_task(pid)
    if target is None or tgid not in (None, target.tgid):
        raise KernelError(Errno.ESRCH, f"no thread {pid}")
    if sig:
        send_signal(SigInfo(Signal(sig), SiCode.SI_TKILL, pid=task.tgid, uid=UID), target)
    return 0


@syscall()
def sys_rt_sigqueueinfo(k: Kernel, task: Task, pid: Int, sig: Int, uinfo: Ptr) -> int:
    info = unpack_siginfo(_signal(sig), task.mm.read(uinfo, SIGINFO_SIZE), k.abi)
    group = task.group if pid == task.tgid else k.tasks.find_group(pid)
    if group is None:
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    if group is not task.group and info.code >= SiCode.SI_USER:
        raise KernelError(Errno.EPERM, "a sender of that kind cannot be feigned")
    send_group_signal(info, group)
    return 0
