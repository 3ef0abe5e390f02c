"""One simulated computer: its architecture, its uprobes, and the loop that runs a task."""

from typing import Final, Protocol

from uprobes_sim.cpu import Cpu, Exit, Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.linker import Linked
from uprobes_sim.memory import Mm
from uprobes_sim.sched import Scheduler
from uprobes_sim.signals import IGNORED_BY_DEFAULT, SIG_DFL, SIG_IGN, SigInfo
from uprobes_sim.swbp import uprobe_deny_signal, uprobe_notify_resume
from uprobes_sim.task import Task, UprobeTaskState
from uprobes_sim.uprobes import Uprobes
from uprobes_sim.version import Config

TIME_SLICE: Final = 1_000_000
"""Instructions until another task may run."""


class Dispatcher(Protocol):
    """Who does the system calls."""

    def dispatch(self, task: Task) -> None:
        """Do the call that *task* has just made and answer it in its registers."""
        ...


class Machine:
    """A computer of one architecture and ABI."""

    def __init__(self, linked: Linked, config: Config) -> None:
        """Power on."""
        self.hook = linked.hook
        self.info = linked.info
        self.config = config
        self.sched = Scheduler()
        self.uprobes = Uprobes(linked, config, self.sched)
        self._entries = 0
        self.cpu: Cpu = self.hook.arch_cpu(abi=self.info.abi, config=config)

    def new_mm(self) -> Mm:
        """Make an empty address space that uprobes know of."""
        info = self.info
        mm = Mm(
            info.abi,
            task_size=info.task_size,
            mmap_base=info.mmap_base,
            exec_readable=info.exec_readable,
        )
        self.uprobes.attach(mm)
        return mm

    @property
    def work(self) -> int:
        """What was done so far: instructions executed, and entries into the kernel."""
        return self.cpu.insns + self._entries

    def run(self, task: Task, syscalls: Dispatcher, until: int | None = None) -> None:
        """Run *task* until it has ended, or until `work` has reached *until*.

        Raises:
            EngineError: the engine cannot go on.
        """
        while not task.dead and (until is None or self.work < until):
            self._entries += 1
            self._enter_kernel(task, self._execute(task), syscalls)
            self._exit_to_user_mode(task)

    def _execute(self, task: Task) -> Exit:
        """Let the processor run in user mode until it enters the kernel."""
        if task.utask is not None and task.utask.state is UprobeTaskState.UTASK_SSTEP:
            return self.hook.arch_uprobe_step(cpu=self.cpu, task=task)
        return self.cpu.run(task.regs, task.mm, TIME_SLICE)

    def _enter_kernel(self, task: Task, entry: Exit, syscalls: Dispatcher) -> None:
        match entry.stop:
            case Stop.SYSCALL:
                syscalls.dispatch(task)
            case Stop.BUDGET:
                self.sched.cond_resched("time slice")
            case Stop.BREAKPOINT | Stop.SINGLE_STEP if self.hook.arch_uprobe_exception_notify(
                task=task, stop=entry.stop
            ):
                pass
            case _:
                assert entry.info is not None, f"{entry.stop} without a signal"
                task.thread.trap_nr = entry.trap_nr
                task.force_sig(entry.info)

    def _exit_to_user_mode(self, task: Task) -> None:
        """Do what is left to do before the task goes on: uprobes first, then signals.

        Kernel: kernel/entry/common.c, exit_to_user_mode_loop.
        """
        while not task.dead:
            if task.tif_uprobe:
                uprobe_notify_resume(self.uprobes, task)
            elif not task.signal_pending() or uprobe_deny_signal(self.uprobes, task):
                if not task.tif_uprobe:
                    return
            else:
                _deliver(task, task.dequeue_signal())


def _deliver(task: Task, info: SigInfo) -> None:
    """Act on a signal as the program has chosen, or by default (get_signal)."""
    handler = task.sigaction(info.signal).handler
    if handler == SIG_IGN or (handler == SIG_DFL and info.signal in IGNORED_BY_DEFAULT):
        return
    if handler != SIG_DFL:
        raise EngineError(
            f"{info.signal.name} at {task.regs.ip:#x}: the program has a handler for it, "
            "and handlers are not simulated yet"
        )
    task.killed_by = info.signal
