"""New tasks: threads and processes (kernel/fork.c)."""

from contextlib import suppress
from dataclasses import dataclass
from enum import IntFlag

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import Linked
from uprobes_sim.memory import Mm, PageFault
from uprobes_sim.pids import Tasks
from uprobes_sim.signals import SIG_IGN, SigAction, Signal
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ThreadGroup
from uprobes_sim.utask import uprobe_copy_process, uprobe_dup_mmap
from uprobes_sim.xol import UprobesState


class CloneFlags(IntFlag):
    """Flags of clone (include/uapi/linux/sched.h), those that are looked at."""

    CLONE_VM = 0x100
    CLONE_FS = 0x200
    CLONE_FILES = 0x400
    CLONE_SIGHAND = 0x800
    CLONE_VFORK = 0x4000
    CLONE_PARENT = 0x8000
    CLONE_THREAD = 0x10000
    CLONE_SYSVSEM = 0x40000
    CLONE_SETTLS = 0x80000
    CLONE_PARENT_SETTID = 0x100000
    CLONE_CHILD_CLEARTID = 0x200000
    CLONE_DETACHED = 0x400000
    CLONE_CHILD_SETTID = 0x1000000
    CLONE_CLEAR_SIGHAND = 0x100000000


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneArgs:
    """`struct kernel_clone_args`."""

    flags: CloneFlags
    exit_signal: int = 0
    stack: int = 0
    """Stack pointer of the child; 0: as the parent's."""
    tls: int = 0
    parent_tid: int = 0
    child_tid: int = 0


def kernel_clone(tasks: Tasks, linked: Linked, parent: Task, args: CloneArgs) -> Task:
    """Make a child of *parent* and let it run; with CLONE_VFORK wait until it leaves the memory.

    Raises:
        KernelError: EINVAL, flags that do not go together; ENOSYS, the architecture cannot.
        PageFault: what describes the child's thread pointer cannot be read.
    """
    child = copy_process(tasks, linked, parent, args)
    if args.flags & CloneFlags.CLONE_PARENT_SETTID:
        _put_tid(parent.mm, args.parent_tid, child)
    tasks.wake_up_new_task(child)
    if args.flags & CloneFlags.CLONE_VFORK:
        child.vfork_done = False
        tasks.sched.wait_event("vfork", lambda: child.vfork_done or parent.fatal_signal_pending())
    return child


def copy_process(tasks: Tasks, linked: Linked, parent: Task, args: CloneArgs) -> Task:
    """Make a child that does not run yet (copy_process)."""
    flags = args.flags
    _check(flags)
    pid = tasks.alloc_pid()
    tls = args.tls if flags & CloneFlags.CLONE_SETTLS else None
    regs = linked.hook.copy_thread(task=parent, sp=args.stack or None, tls=tls)
    shares_mm, is_vfork = bool(flags & CloneFlags.CLONE_VM), bool(flags & CloneFlags.CLONE_VFORK)
    child = Task(
        pid,
        parent.comm,
        parent.mm if shares_mm else dup_mm(parent.mm),
        regs,
        parent.config,
        sigactions=_copy_sighand(parent, flags),
        blocked=parent.blocked,
        altstack=parent.altstack if is_vfork or not shares_mm else None,
        files=parent.files if flags & CloneFlags.CLONE_FILES else parent.files.copy(),
        group=parent.group if flags & CloneFlags.CLONE_THREAD else _new_group(parent, args),
    )
    child.mm.users += shares_mm
    child.files.users += child.files is parent.files
    if flags & CloneFlags.CLONE_CHILD_CLEARTID:
        child.clear_child_tid = args.child_tid
    if flags & CloneFlags.CLONE_CHILD_SETTID:
        _put_tid(child.mm, args.child_tid, child)
    tasks.add(child)
    uprobe_copy_process(parent, child, shares_mm=shares_mm, is_vfork=is_vfork)
    return child


def _put_tid(mm: Mm, vaddr: int, child: Task) -> None:
    """Tell the number of a child in memory; nobody hears of it where that cannot be written."""
    with suppress(PageFault):
        mm.write(vaddr, child.pid.to_bytes(4, mm.abi.byteorder))


def _check(flags: CloneFlags) -> None:
    if flags & CloneFlags.CLONE_THREAD and not flags & CloneFlags.CLONE_SIGHAND:
        raise KernelError(Errno.EINVAL, "threads share their signal handlers")
    if flags & CloneFlags.CLONE_SIGHAND and not flags & CloneFlags.CLONE_VM:
        raise KernelError(Errno.EINVAL, "who shares signal handlers shares the memory")


def _copy_sighand(parent: Task, flags: CloneFlags) -> dict[Signal, SigAction]:
    """Share what is wanted done with signals, or copy it; ignored ones stay so in any case."""
    if flags & CloneFlags.CLONE_SIGHAND:
        return parent.sigactions
    clear = flags & CloneFlags.CLONE_CLEAR_SIGHAND
    actions = parent.sigactions.items()
    return {sig: act for sig, act in actions if not clear or act.handler == SIG_IGN}


def _new_group(parent: Task, args: CloneArgs) -> ThreadGroup:
    """Make a process under its parent, in the same process group and session."""
    group = ThreadGroup(exit_signal=args.exit_signal)
    sibling = args.flags & CloneFlags.CLONE_PARENT
    group.parent = parent.group.parent if sibling else parent.group
    if group.parent is not None:
        group.parent.children.append(group)
    group.pgrp, group.session = parent.group.pgrp, parent.group.session
    return group


def dup_mm(old: Mm) -> Mm:
    """Copy an address space, breakpoints and all, for a process of its own (dup_mm)."""
    new = new_mm(old)
    old.dup_mmap(new)
    uprobe_dup_mmap(old, new)
    return new


def new_mm(like: Mm) -> Mm:
    """Make an empty address space of the same kind, which the same uprobes know of (mm_alloc)."""
    new = Mm(
        like.abi,
        task_size=like.task_size,
        mmap_base=like.mmap_base,
        exec_readable=like.exec_readable,
    )
    if isinstance(like.uprobes_state, UprobesState):
        like.uprobes_state.uprobes.attach(new)
    return new
