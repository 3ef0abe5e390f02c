"""Waiting for children (the second half of kernel/exit.c)."""

from dataclasses import replace
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.exit import death_note, release
from uprobes_sim.siginfo import pack_siginfo
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, syscall
from uprobes_sim.syscalls.resources import RUSAGE
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ThreadGroup

_WNOHANG: Final = 1
_WUNTRACED: Final = 2
_WEXITED: Final = 4
_WCONTINUED: Final = 8
_WNOWAIT: Final = 0x1000000
_LINUX: Final = 0xE0000000
"""__WNOTHREAD, __WALL and __WCLONE: which children count; here all do."""

_P_ALL, _P_PID, _P_PGID = range(3)
_STOPPED: Final = 0x7F
_CONTINUED: Final = 0xFFFF


@syscall()
def sys_wait4(k: Kernel, task: Task, pid: Int, status: Ptr, options: Int, rusage: Ptr) -> int:
    return _wait4(k, task, pid, status, options, rusage)


@syscall()
def sys_waitpid(k: Kernel, task: Task, pid: Int, status: Ptr, options: Int) -> int:
    return _wait4(k, task, pid, status, options, 0)


def _wait4(k: Kernel, task: Task, pid: int, status: int, options: int, rusage: int) -> int:
    if options & 0xFFFFFFFF & ~(_WNOHANG | _WUNTRACED | _WCONTINUED | _LINUX):
        raise KernelError(Errno.EINVAL, f"options {options:#x}")
    which, number = _P_PID, pid
    if pid == -1:
        which = _P_ALL
    elif pid <= 0:
        which, number = _P_PGID, -pid or task.group.pgrp
    found = _wait(k, task, which, number, options | _WEXITED)
    if found is None:
        return 0
    if status:
        k.put_int(task, status, _wait_status(found))
    if rusage:
        k.put(task, rusage, RUSAGE)
    return found.pid


@syscall()
def sys_waitid(
    k: Kernel, task: Task, which: Int, number: Int, infop: Ptr, options: Int, rusage: Ptr
) -> int:
    if which not in (_P_ALL, _P_PID, _P_PGID):
        raise KernelError(Errno.EINVAL, f"waitid of kind {which}")
    if which == _P_PGID and number == 0:
        number = task.group.pgrp
    found = _wait(k, task, which, number, options)
    if infop:
        task.mm.write(infop, bytes(128) if found is None else pack_siginfo(found, k.abi))
    return 0


def _wait(k: Kernel, task: Task, which: int, number: int, options: int) -> SigInfo | None:
    """Wait for something to tell of a child; None: nothing yet, and WNOHANG (do_wait)."""

    def children() -> list[ThreadGroup]:
        return [child for child in task.group.children if _matches(child, which, number)]

    def told() -> SigInfo | None:
        notes = (_note(child, options) for child in children())
        return next((note for note in notes if note is not None), None)

    if not children():
        raise KernelError(Errno.ECHILD, "it has no such child")
    if not options & _WNOHANG:
        k.wait(task, "a child", lambda: not children() or told() is not None)
        if not children():
            raise KernelError(Errno.ECHILD, "it has no such child any more")
    note = told()
    if note is not None and not options & _WNOWAIT:
        _consume(next(c for c in children() if c.tgid == note.pid))
    return note


def _matches(child: ThreadGroup, which: int, number: int) -> bool:
    match which:
        case 1:
            return child.tgid == number
        case 2:
            return child.pgrp == number
    return True


def _note(child: ThreadGroup, options: int) -> SigInfo | None:
    if child.ended is not None:
        return replace(death_note(child), signal=Signal.SIGCHLD) if options & _WEXITED else None
    change = child.change
    if change is None:
        return None
    wanted = _WUNTRACED if change.code == SiCode.CLD_STOPPED else _WCONTINUED
    return change if options & wanted else None


def _consume(child: ThreadGroup) -> None:
    child.change = None
    if child.ended is not None:
        release(child)


def _wait_status(note: SigInfo) -> int:
    match note.code:
        case SiCode.CLD_EXITED:
            return note.status << 8
        case SiCode.CLD_KILLED:
            return note.status
        case SiCode.CLD_DUMPED:
            return note.status | 0x80
        case SiCode.CLD_STOPPED:
            return note.status << 8 | _STOPPED
    return _CONTINUED
