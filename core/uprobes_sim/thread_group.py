"""Processes: what the threads of one share, and what its parent learns of it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from uprobes_sim.signals import COREDUMP, SigInfo, Signal

if TYPE_CHECKING:
    from uprobes_sim.sched import Timer
    from uprobes_sim.task import Task

_CORE: Final = 0x80
"""Bit of a wait status: a core was dumped. None is written, but the kernel would."""


@dataclass(frozen=True, slots=True)
class ExitCode:
    """How a task has ended: by exit, or by a signal."""

    status: int = 0
    signal: Signal | None = None

    @property
    def wait_status(self) -> int:
        """As wait4 tells it: status in the second byte, signal in the first."""
        if self.signal is None:
            return self.status << 8
        return self.signal | (_CORE if self.signal in COREDUMP else 0)


@dataclass(eq=False, slots=True)
class ThreadGroup:
    """`struct signal_struct`: a process."""

    tgid: int = 0
    pgrp: int = 0
    session: int = 0
    parent: "ThreadGroup | None" = None
    """None: a process that is not simulated has started this one, and waits for it."""
    exit_signal: int = Signal.SIGCHLD
    """What the parent gets when the process ends; 0: nothing."""
    threads: list["Task"] = field(default_factory=list)
    """Those that have not ended, the leader first unless it has."""
    children: list["ThreadGroup"] = field(default_factory=list)
    """In the order of creation, those included that have ended and were not waited for."""
    pending: list[SigInfo] = field(default_factory=list)
    """Signals to the process, for whichever thread takes them (shared_pending)."""
    group_exit: ExitCode | None = None
    """Set when the whole process is to end (SIGNAL_GROUP_EXIT)."""
    exec_task: "Task | None" = None
    """The thread that starts another program: all others end (group_exec_task)."""
    ended: ExitCode | None = None
    """Set when its last thread has ended: a zombie until the parent has waited."""
    stopped: Signal | None = None
    """The signal that has stopped it."""
    change: SigInfo | None = None
    """A stop or a continuation that the parent has not been told by wait."""
    real_timer: "Timer | None" = None
    """ITIMER_REAL."""
    real_interval: int = 0
    """Of that timer, in nanoseconds; 0: it goes off once."""
    posix_timers: dict[int, object] = field(default_factory=dict)
    """Those of timer_create, by number."""

    def join(self, task: "Task") -> None:
        """Make *task* one of its threads; the first is the leader and names it."""
        if not self.tgid:
            self.tgid = task.pid
            self.pgrp, self.session = self.pgrp or task.pid, self.session or task.pid
        self.threads.append(task)
