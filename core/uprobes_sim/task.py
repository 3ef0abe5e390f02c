"""Tasks: `task_struct`, and `uprobe_task` with its states."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from uprobes_sim.arch import ArchUprobe, Regs
from uprobes_sim.errno import Errno
from uprobes_sim.memory import Mm
from uprobes_sim.signals import (
    COREDUMP,
    IGNORED_BY_DEFAULT,
    SIG_DFL,
    SIG_IGN,
    STOPS,
    SYNCHRONOUS,
    SiCode,
    SigAction,
    SigAltStack,
    SigInfo,
    Signal,
)
from uprobes_sim.thread_group import ThreadGroup
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config

if TYPE_CHECKING:
    from uprobes_sim.uprobes import Uprobe
    from uprobes_sim.uretprobes import ReturnInstance
    from uprobes_sim.vfs import FilesStruct


class UprobeTaskState(Enum):
    """`enum uprobe_task_state` (include/linux/uprobes.h)."""

    UTASK_RUNNING = 0
    UTASK_SSTEP = 1
    UTASK_SSTEP_ACK = 2
    UTASK_SSTEP_TRAPPED = 3
    UTASK_BP_HIT = 4
    """Of kernels up to 3.7, where it has number 1."""


@dataclass(slots=True)
class ArchUprobeTask:
    """`struct arch_uprobe_task`: what a backend keeps while an instruction is stepped.

    `saved_trap_nr` is what every backend needs; a backend with more derives.
    """

    saved_trap_nr: int = 0


@dataclass(slots=True)
class UprobeTask:
    """`struct uprobe_task`: a task's part in the probes it hits."""

    state: UprobeTaskState = UprobeTaskState.UTASK_RUNNING
    active_uprobe: "Uprobe | None" = None
    """The probe whose copy is being stepped, else None."""
    vaddr: Vaddr = Vaddr(0)
    """Address of the original of that copy."""
    xol_vaddr: Vaddr = Vaddr(0)
    """Address of the copy: its slot in the out-of-line page."""
    autask: ArchUprobeTask = field(default_factory=ArchUprobeTask)
    auprobe: ArchUprobe | None = None
    """The backend's part of the probe while its handlers run, else None."""
    return_instances: list["ReturnInstance"] = field(default_factory=list)
    """Pending return probes, the newest last."""
    signal_denied: bool = False
    """A signal was held back while a copy was being stepped."""

    @property
    def depth(self) -> int:
        """Number of pending return probes."""
        return len(self.return_instances)


@dataclass(slots=True)
class Thread:
    """`struct thread_struct`, as far as uprobes and signal frames look at it."""

    trap_nr: int = 0
    """Number of the last exception that became a signal (trap_nr, trap_no, fault_code)."""
    error_code: int = 0
    """What the processor said of that exception (error_code, dsisr)."""
    fault_address: int = 0
    """Where it was, for a page fault (cr2, dar)."""
    claimed_trap_nr: int | None = None
    """What `trap_nr` should be if the trap that uprobes have claimed is the program's own; None:
    the kernel forgets it."""


def _no_files() -> "FilesStruct":
    from uprobes_sim.vfs import FilesStruct  # not for those who only want to know

    return FilesStruct()


@dataclass(eq=False, slots=True)
class Task:
    """`struct task_struct`: a thread."""

    pid: int
    """Its own number, which user space calls the tid."""
    comm: str
    mm: Mm
    regs: Regs
    config: Config
    thread: Thread = field(default_factory=Thread)
    utask: UprobeTask | None = None
    tif_uprobe: bool = False
    """TIF_UPROBE: uprobes have something to do before the task goes back to user mode."""
    pending: list[SigInfo] = field(default_factory=list)
    """Signals to this thread that wait for delivery, oldest first."""
    sigactions: dict[Signal, SigAction] = field(default_factory=dict)
    """What the program wants done with signals, where not the default (sighand_struct)."""
    blocked: int = 0
    """Signals that it holds back, bit 0 for signal 1."""
    saved_sigmask: int | None = None
    """What `blocked` is to be again once the call that has changed it is over (sigsuspend)."""
    altstack: SigAltStack | None = None
    files: "FilesStruct" = field(default_factory=_no_files)
    """Open files and the working directory."""
    group: ThreadGroup = field(default_factory=ThreadGroup)
    """The process it belongs to."""
    restart: Errno | None = None
    """Why the system call that it has just made was given up: one of ERESTART*."""
    restart_deadline: int | None = None
    """When the sleep ends that is about to be taken up again (restart_block)."""
    clear_child_tid: int = 0
    """Address at which the end of the thread is told."""
    vfork_done: bool = True
    """False while the parent waits for this child to leave its memory."""
    tracer: Callable[[SigInfo], SigInfo | None] | None = None
    """A debugger that sees each signal before it is delivered, and lets through what it likes."""
    exit_status: int | None = None
    """Set when the task has left by exit."""
    killed_by: Signal | None = None
    """Set when a signal has ended the task."""

    def __post_init__(self) -> None:
        """Become a thread of the process."""
        self.group.join(self)

    @property
    def tgid(self) -> int:
        """Thread group, which is what user space calls the pid."""
        return self.group.tgid

    @property
    def dead(self) -> bool:
        """Tell whether the task has ended."""
        return self.exit_status is not None or self.killed_by is not None

    def force_sig(self, info: SigInfo) -> None:
        """Send a signal that the task cannot put off (force_sig_info).

        Where it is blocked or ignored, the default action comes back.
        """
        if self.blocked & info.signal.bit or self.sigaction(info.signal).handler == SIG_IGN:
            self.blocked &= ~info.signal.bit
            self.sigactions.pop(info.signal, None)
        self.pending.append(info)
        self.signal_wake_up()

    def signal_wake_up(self) -> None:
        """Set TIF_SIGPENDING: what came before is looked at again, too."""
        if self.utask is not None:
            self.utask.signal_denied = False

    def takes(self, signal: Signal) -> bool:
        """Tell whether *signal* to the process is this thread's: the first that has it not blocked.

        Kernel: kernel/signal.c, complete_signal.
        """
        takers = (each for each in self.group.threads if not each.blocked & signal.bit)
        return next(takers, None) is self

    def _deliverable(self) -> Iterator[SigInfo]:
        """List what could be delivered now, the thread's own before the process's."""
        for info in self.pending:
            if not self.blocked & info.signal.bit:
                yield info
        for info in self.group.pending:
            if self.takes(info.signal):
                yield info

    def signal_pending(self) -> bool:
        """Tell whether a signal waits that is neither blocked nor held back (TIF_SIGPENDING)."""
        group = self.group
        if not (self.pending or group.pending or group.group_exit or group.exec_task):
            return False
        if self.utask is not None and self.utask.signal_denied:
            return False
        if group.group_exit is not None or group.exec_task not in (None, self):
            return True
        return any(True for _ in self._deliverable())

    def fatal_signal_pending(self) -> bool:
        """Tell whether a signal waits that ends the task at once and dumps no core.

        Kernel: kernel/signal.c, complete_signal, which turns such a one into SIGKILL.
        """
        if self.group.group_exit is not None or self.group.exec_task not in (None, self):
            return True
        return any(
            info.signal not in COREDUMP | IGNORED_BY_DEFAULT | STOPS
            and self.sigaction(info.signal).handler == SIG_DFL
            for info in self._deliverable()
        )

    def dequeue_signal(self) -> SigInfo | None:
        """Take the signal that is next: one that an instruction caused, else the lowest number.

        Kernel: kernel/signal.c, dequeue_synchronous_signal and next_signal.
        """
        found = list(self._deliverable())
        if not found:
            return None
        own = [info for info in found if info in self.pending]
        caused = [i for i in own if i.signal in SYNCHRONOUS and i.code > SiCode.SI_USER]
        first = caused[0] if caused else min(own or found, key=lambda info: info.signal)
        (self.pending if first in own else self.group.pending).remove(first)
        return first

    def sigaction(self, signal: Signal) -> SigAction:
        """Look up what the program wants done with *signal*."""
        return self.sigactions.get(signal, SigAction())


def uprobe_pre_sstep_notifier(task: Task) -> bool:
    """Claim a breakpoint exception for uprobes. The backend's trap handler calls this.

    True: consumed, what there is to do happens on the way back to user mode.
    Kernel: kernel/events/uprobes.c, uprobe_pre_sstep_notifier.
    """
    pending = task.utask is not None and bool(task.utask.return_instances)
    if not task.mm.has_uprobes and not pending:
        return False
    if task.utask is not None and task.config.kernel.has("utask_bp_hit"):
        task.utask.state = UprobeTaskState.UTASK_BP_HIT  # whatever it was
    task.tif_uprobe = True
    return True


def uprobe_post_sstep_notifier(task: Task) -> bool:
    """Claim a single-step exception for uprobes. The backend's trap handler calls this.

    Kernel: kernel/events/uprobes.c, uprobe_post_sstep_notifier.
    """
    utask = task.utask
    if utask is None or utask.active_uprobe is None:
        return False
    utask.state = UprobeTaskState.UTASK_SSTEP_ACK
    task.tif_uprobe = True
    return True
