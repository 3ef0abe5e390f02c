"""Starting another program in a process (fs/exec.c, fs/binfmt_script.c)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uprobes_sim.binfmt_elf import exec_program
from uprobes_sim.elf import machine_name
from uprobes_sim.errno import Errno
from uprobes_sim.errors import EngineError, KernelError, ProgramError
from uprobes_sim.exit import mm_release, mmput
from uprobes_sim.fork import new_mm
from uprobes_sim.loader import Program, parse
from uprobes_sim.signals import SIG_IGN
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.posix_timers import sys_timer_delete
from uprobes_sim.syscalls.registry import Int, Ptr, syscall
from uprobes_sim.syscalls.walk import AT_FDCWD, node_at
from uprobes_sim.task import Task, Thread
from uprobes_sim.utask import uprobe_free_utask
from uprobes_sim.vfs.nodes import Directory, Node, Regular
from uprobes_sim.vfs.tree import access

_TASK_COMM_LEN: Final = 16
_MAX_ARG_STRLEN: Final = 1 << 17
_MAX_ARGS: Final = 1 << 16
_MAX_SCRIPTS: Final = 4


@dataclass(frozen=True, slots=True)
class _Image:
    """What is to be started: the file, and the arguments that it gets."""

    node: Regular
    path: str
    argv: tuple[str, ...]


@syscall()
def sys_execve(k: Kernel, task: Task, path: Ptr, argv: Ptr, envp: Ptr) -> None:
    _execve(k, task, AT_FDCWD, path, argv, envp, 0)


@syscall()
def sys_execveat(
    k: Kernel, task: Task, dfd: Int, path: Ptr, argv: Ptr, envp: Ptr, flags: Int
) -> None:
    _execve(k, task, dfd, path, argv, envp, flags)


def _execve(k: Kernel, task: Task, dfd: int, path: int, argv: int, envp: int, flags: int) -> None:
    """Replace the program of *task*. Its probes come with the new mappings (do_execveat_common).

    Raises:
        KernelError: ENOENT, EACCES, ENOEXEC, …; the old program goes on.
        EngineError: it is a program, but none that is simulated.
    """
    node = _executable(node_at(k, task, dfd, path, flags), k.path(task, path))
    args = _strings(k, task, argv)
    image = _resolve_script(k, task, _Image(node, k.path(task, path), args))
    environment = _strings(k, task, envp)
    elf = _load(k, image)

    mm = new_mm(task.mm)
    try:
        started = exec_program(
            elf,
            image.argv,
            environment,
            linked=k.linked,
            mm=mm,
            config=k.config,
            inode=image.node.inode,
        )
    except ProgramError as exc:
        raise EngineError(f"{task.comm} cannot start it: {exc}") from exc
    _begin_new_exec(k, task)
    mm_release(k.tasks, task)
    mmput(task.mm)
    task.mm, task.regs, task.thread = mm, started.regs, Thread()
    task.comm = elf.comm[: _TASK_COMM_LEN - 1]


def _executable(node: Node, name: str) -> Regular:
    if isinstance(node, Directory) or not isinstance(node, Regular) or not access(node, os.X_OK):
        raise KernelError(Errno.EACCES, f"{name} may not be executed")
    return node


def _strings(k: Kernel, task: Task, vaddr: int) -> tuple[str, ...]:
    """Read an array of strings, up to its null pointer."""
    found: list[str] = []
    while vaddr and (at := k.get_int(task, vaddr + len(found) * k.word, k.word)):
        if len(found) == _MAX_ARGS:
            raise KernelError(Errno.E2BIG, "too many arguments")
        found.append(os.fsdecode(task.mm.read_cstring(at, _MAX_ARG_STRLEN)))
    return tuple(found)


def _resolve_script(k: Kernel, task: Task, image: _Image) -> _Image:
    """Put the interpreter in the place of a script (load_script)."""
    for _ in range(_MAX_SCRIPTS):
        start = image.node.read_at(0, 256)
        if not start.startswith(b"#!"):
            return image
        words = start[2:].split(b"\n", 1)[0].strip().split(None, 1)
        if not words:
            raise KernelError(Errno.ENOEXEC, f"{image.path} names no interpreter")
        path, *option = map(os.fsdecode, words)
        node = k.vfs.walk(task.files.cwd, path).existing()
        argv = (path, *option, image.path, *image.argv[1:])
        image = _Image(_executable(node, path), path, argv)
    raise KernelError(Errno.ELOOP, f"{image.path} is a script of a script")


def _load(k: Kernel, image: _Image) -> Program:
    data = image.node.read_at(0, image.node.size)
    if not data.startswith(b"\x7fELF"):
        raise KernelError(Errno.ENOEXEC, f"{image.path} is no program")
    try:
        elf = parse(Path(image.path), data)
    except ProgramError as exc:
        raise KernelError(Errno.ENOEXEC, str(exc)) from exc
    if elf.e_machine not in k.info.elf_machines or elf.abi != k.abi:
        kind = f"{machine_name(elf.e_machine)}, {elf.abi}"
        raise EngineError(f"{image.path} is a program for another machine ({kind})")
    return elf


def _begin_new_exec(k: Kernel, task: Task) -> None:
    """Become the only thread, with nothing of the old program but what is inherited."""
    group = task.group
    if group.exec_task is not None:
        raise KernelError(Errno.EAGAIN, "another thread is starting a program")
    group.exec_task = task
    k.tasks.sched.wait_event("de_thread", lambda: group.threads == [task])
    group.exec_task = None
    for number in list(group.posix_timers):
        sys_timer_delete(k, task, number)
    task.pid = group.tgid
    uprobe_free_utask(task)
    if task.files.users > 1:
        task.files.users -= 1
        task.files = task.files.copy()
    task.files.close_on_exec()
    kept = {sig: act for sig, act in task.sigactions.items() if act.handler == SIG_IGN}
    task.sigactions = kept
    task.altstack = None
