"""Making tasks: fork and its kin (kernel/fork.c)."""

from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.fork import CloneArgs, CloneFlags, kernel_clone
from uprobes_sim.signals import Signal
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Ptr, ULong, syscall
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout

_CSIGNAL: Final = 0xFF
_CLONE_ARGS: Final = Layout(
    "Q:flags Q:pidfd Q:child_tid Q:parent_tid Q:exit_signal Q:stack Q:stack_size Q:tls"
)
_UNKNOWN: Final = ~sum(CloneFlags)
"""Flags that are refused: name spaces, pidfd, ptrace."""


@syscall()
def sys_fork(k: Kernel, task: Task) -> int:
    return _clone(k, task, CloneArgs(flags=CloneFlags(0), exit_signal=Signal.SIGCHLD))


@syscall()
def sys_vfork(k: Kernel, task: Task) -> int:
    flags = CloneFlags.CLONE_VFORK | CloneFlags.CLONE_VM
    return _clone(k, task, CloneArgs(flags=flags, exit_signal=Signal.SIGCHLD))


@syscall()
def sys_clone(
    k: Kernel, task: Task, flags: ULong, stack: Ptr, parent_tid: Ptr, arg4: Ptr, arg5: Ptr
) -> int:
    child_tid, tls = (arg5, arg4) if k.uapi.clone_backwards else (arg4, arg5)
    args = CloneArgs(
        flags=_flags(flags & ~_CSIGNAL),
        exit_signal=flags & _CSIGNAL,
        stack=stack,
        tls=tls,
        parent_tid=parent_tid,
        child_tid=child_tid,
    )
    return _clone(k, task, args)


@syscall()
def sys_clone3(k: Kernel, task: Task, uargs: Ptr, size: ULong) -> int:
    if size < _CLONE_ARGS.size(k.abi.bits):
        raise KernelError(Errno.EINVAL, "clone_args are too short")
    given = k.get(task, uargs, _CLONE_ARGS)
    if bool(given["stack"]) != bool(given["stack_size"]):
        raise KernelError(Errno.EINVAL, "a stack has an address and a size")
    args = CloneArgs(
        flags=_flags(given["flags"]),
        exit_signal=given["exit_signal"],
        stack=given["stack"] + given["stack_size"],
        tls=given["tls"],
        parent_tid=given["parent_tid"],
        child_tid=given["child_tid"],
    )
    return _clone(k, task, args)


def _flags(flags: int) -> CloneFlags:
    if flags & _UNKNOWN:
        raise KernelError(Errno.EINVAL, f"clone flags {flags & _UNKNOWN:#x}")
    return CloneFlags(flags)


def _clone(k: Kernel, task: Task, args: CloneArgs) -> int:
    return kernel_clone(k.tasks, k.linked, task, args).pid
