"""Tasks: `task_struct`, and `uprobe_task` with its states."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from uprobes_sim.arch import ArchUprobe, Regs
from uprobes_sim.memory import Mm
from uprobes_sim.signals import (
    COREDUMP,
    IGNORED_BY_DEFAULT,
    SIG_DFL,
    SIG_IGN,
    SigAction,
    SigInfo,
    Signal,
)
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config
from uprobes_sim.vfs import FilesStruct

if TYPE_CHECKING:
    from uprobes_sim.uprobes import Uprobe
    from uprobes_sim.uretprobes import ReturnInstance


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

    @property
    def depth(self) -> int:
        """Number of pending return probes."""
        return len(self.return_instances)


@dataclass(slots=True)
class Thread:
    """`struct thread_struct`, as far as uprobes look at it."""

    trap_nr: int = 0
    """Number of the last exception that became a signal (trap_nr, trap_no, fault_code)."""


@dataclass(eq=False, slots=True)
class Task:
    """`struct task_struct`."""

    pid: int
    comm: str
    mm: Mm
    regs: Regs
    config: Config
    thread: Thread = field(default_factory=Thread)
    utask: UprobeTask | None = None
    tif_uprobe: bool = False
    """TIF_UPROBE: uprobes have something to do before the task goes back to user mode."""
    pending: list[SigInfo] = field(default_factory=list)
    """Signals that wait for delivery, oldest first."""
    sigactions: dict[Signal, SigAction] = field(default_factory=dict)
    """What the program wants done with signals, where not the default."""
    blocked: int = 0
    """Signals that it holds back, bit 0 for signal 1."""
    altstack: bytes = b""
    """`stack_t` as sigaltstack has set it; empty: none."""
    files: FilesStruct = field(default_factory=FilesStruct)
    """Open files and the working directory."""
    exit_status: int | None = None
    """Set when the task has left by exit."""
    killed_by: Signal | None = None
    """Set when a signal has ended the task."""

    @property
    def tgid(self) -> int:
        """Thread group, which is what user space calls the pid."""
        return self.pid

    @property
    def dead(self) -> bool:
        """Tell whether the task has ended."""
        return self.exit_status is not None or self.killed_by is not None

    def force_sig(self, info: SigInfo) -> None:
        """Send a signal that the task cannot put off (force_sig_info).

        Where it is blocked or ignored, the default action comes back.
        """
        bit = 1 << (info.signal - 1)
        if self.blocked & bit or self.sigaction(info.signal).handler == SIG_IGN:
            self.blocked &= ~bit
            self.sigactions.pop(info.signal, None)
        self.pending.append(info)

    def _deliverable(self, info: SigInfo) -> bool:
        return not self.blocked & 1 << (info.signal - 1)

    def signal_pending(self) -> bool:
        """Tell whether a signal waits that is not blocked (TIF_SIGPENDING)."""
        return any(map(self._deliverable, self.pending))

    def fatal_signal_pending(self) -> bool:
        """Tell whether a signal waits that ends the task at once and dumps no core.

        Kernel: kernel/signal.c, complete_signal, which turns such a one into SIGKILL.
        """
        return any(
            self._deliverable(info)
            and info.signal not in COREDUMP | IGNORED_BY_DEFAULT
            and self.sigaction(info.signal).handler == SIG_DFL
            for info in self.pending
        )

    def dequeue_signal(self) -> SigInfo:
        """Take the oldest signal that is not blocked."""
        info = next(filter(self._deliverable, self.pending))
        self.pending.remove(info)
        return info

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
