"""Signals: what a program wants done with them, and sending them to itself (kernel/signal.c)."""

from enum import IntEnum
from typing import Final, cast

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.signals import SiCode, SigAction, SigInfo, Signal
from uprobes_sim.syscalls.kernel import Kernel, waits_for_ever
from uprobes_sim.syscalls.registry import Int, Ptr, ULong, syscall
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout

_NSIG: Final = 64
_SIGSET_BYTES: Final = 8
_UNBLOCKABLE: Final = 1 << Signal.SIGKILL - 1 | 1 << Signal.SIGSTOP - 1
_STACK_T: Final = Layout("L:sp i:flags L:size")
_STACK_T_64: Final = Layout("L:sp i:flags 4x L:size")
_SS_DISABLE: Final = 2
_MINSIGSTKSZ: Final = 2048


class _How(IntEnum):
    SIG_BLOCK = 0
    SIG_UNBLOCK = 1
    SIG_SETMASK = 2


def _get_sigset(k: Kernel, task: Task, vaddr: int) -> int:
    """Read a `sigset_t`: an array of longs, signal 1 in the first whatever the byte order."""
    words = range(_SIGSET_BYTES // k.word)
    return sum(k.get_int(task, vaddr + i * k.word, k.word) << i * k.abi.bits for i in words)


def _put_sigset(k: Kernel, task: Task, vaddr: int, sigset: int) -> None:
    for i in range(_SIGSET_BYTES // k.word):
        word = sigset >> i * k.abi.bits & (1 << k.abi.bits) - 1
        k.put_int(task, vaddr + i * k.word, word, k.word)


def _check_size(size: int) -> None:
    if size != _SIGSET_BYTES:
        raise KernelError(Errno.EINVAL, f"a signal set has {_SIGSET_BYTES} bytes")


@syscall()
def sys_rt_sigaction(k: Kernel, task: Task, sig: Int, act: Ptr, oact: Ptr, size: ULong) -> int:
    _check_size(size)
    layout = k.uapi.sigaction
    mask_at = layout.size(k.abi.bits)
    new = None
    if act:
        mask = _get_sigset(k, task, act + mask_at)
        new = SigAction(**k.get(task, act, layout), mask=mask)
    if not 1 <= sig <= _NSIG or (new and sig in (Signal.SIGKILL, Signal.SIGSTOP)):
        raise KernelError(Errno.EINVAL, f"signal {sig}")
    signal = cast(Signal, sig)  # or a real-time signal, which has no name
    old = task.sigaction(signal)
    if new is not None:
        task.sigactions[signal] = new
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
        mask = _get_sigset(k, task, new) & ~_UNBLOCKABLE
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
    waiting = {info.signal for info in task.pending}
    _put_sigset(k, task, out, sum(1 << signal - 1 for signal in waiting))
    return 0


@syscall("pause")
def sys_rt_sigsuspend(k: Kernel, task: Task) -> int:
    raise waits_for_ever(task, "for a signal")


@syscall()
def sys_sigaltstack(k: Kernel, task: Task, new: Ptr, old: Ptr) -> int:
    layout = _STACK_T_64 if k.abi.bits == 64 else _STACK_T
    size = layout.size(k.abi.bits)
    before = task.altstack
    if new:
        stack = k.get(task, new, layout)
        if not stack["flags"] & _SS_DISABLE and stack["size"] < _MINSIGSTKSZ:
            raise KernelError(Errno.ENOMEM, "a signal stack that small")
        task.altstack = b"" if stack["flags"] & _SS_DISABLE else task.mm.read(new, size)
    if old:
        if before:
            task.mm.write(old, before)
        else:
            k.put(task, old, layout, flags=_SS_DISABLE)
    return 0


@syscall("tkill")
def sys_kill(k: Kernel, task: Task, pid: Int, sig: Int) -> int:
    return _kill(task, pid, sig)


@syscall()
def sys_tgkill(k: Kernel, task: Task, tgid: Int, pid: Int, sig: Int) -> int:
    if tgid != task.tgid:
        raise KernelError(Errno.ESRCH, f"no process {tgid}")
    return _kill(task, pid, sig)


def _kill(task: Task, pid: int, sig: int) -> int:
    if not 0 <= sig <= _NSIG:
        raise KernelError(Errno.EINVAL, f"signal {sig}")
    if abs(pid) not in (0, 1, task.pid):
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    if pid == 1:
        raise KernelError(Errno.EPERM, "not allowed")
    if sig in (Signal.SIGSTOP, Signal.SIGTSTP, Signal.SIGTTIN, Signal.SIGTTOU):
        raise waits_for_ever(task, "it has stopped itself")
    if sig in Signal.__members__.values():
        task.pending.append(SigInfo(Signal(sig), SiCode.SI_USER))
    elif sig:
        raise KernelError(Errno.ENOSYS, f"real-time signal {sig} is not simulated")
    return 0
