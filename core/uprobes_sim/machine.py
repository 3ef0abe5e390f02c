"""One simulated computer: its architecture, its uprobes, and the loop that runs its tasks."""

from collections import defaultdict
from typing import Final, Protocol

from uprobes_sim.clock import INSNS_PER_JIFFY, Clock
from uprobes_sim.cpu import Cpu, Exit, Stop
from uprobes_sim.exit import do_exit
from uprobes_sim.get_signal import arch_do_signal_or_restart, restart_syscall
from uprobes_sim.linker import Linked
from uprobes_sim.memory import Mm
from uprobes_sim.pids import Tasks
from uprobes_sim.sched import Deadlock, Scheduler
from uprobes_sim.signals import SiCode, Signal
from uprobes_sim.swbp import uprobe_deny_signal, uprobe_notify_resume
from uprobes_sim.task import Task, UprobeTaskState
from uprobes_sim.uprobes import Uprobes
from uprobes_sim.version import Config
from uprobes_sim.xol import UPROBES_MAPPINGS

LONE_SLICE: Final = 1_000_000
"""Instructions that a task executes in one go while nobody waits for the processor."""

_PAGE_FAULTS: Final = defaultdict(
    frozenset,
    {
        Signal.SIGSEGV: frozenset({SiCode.SEGV_MAPERR, SiCode.SEGV_ACCERR}),
        Signal.SIGBUS: frozenset({SiCode.BUS_ADRERR}),
    },
)


class Dispatcher(Protocol):
    """Who does the system calls."""

    def dispatch(self, task: Task) -> None:
        """Do the call that *task* has just made and answer it in its registers."""
        ...


class Machine:
    """A computer of one architecture and ABI."""

    def __init__(self, linked: Linked, config: Config, clock: Clock | None = None) -> None:
        """Power on."""
        self.hook = linked.hook
        self.info = linked.info
        self.config = config
        self.sched = Scheduler(clock)
        self.tasks = Tasks(self.sched)
        self.tasks.body = self._run_task
        self.uprobes = Uprobes(linked, config, self.sched)
        self.cpu: Cpu = self.hook.arch_cpu(abi=self.info.abi, config=config)
        self._entries = 0
        self._until: int | None = None
        self._tick_at = LONE_SLICE
        """Instructions of programs at which the next timer interrupt comes."""
        self._ticked_at = 0
        """Where the last one came."""
        self._syscalls: Dispatcher | None = None

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
    def insns(self) -> int:
        """Instructions that programs have executed, emulated ones included, trampolines not."""
        return self.cpu.insns + self.uprobes.insns - self.uprobes.trampoline_insns

    @property
    def work(self) -> int:
        """What was done so far: instructions executed, and entries into the kernel."""
        return self.cpu.insns + self._entries

    @property
    def is_idle(self) -> bool:
        """Tell whether all tasks have ended."""
        return self.sched.is_idle

    def run(self, task: Task, syscalls: Dispatcher, until: int | None = None) -> None:
        """Run *task*, and whatever tasks it makes, until all have ended or `work` is *until*.

        Who waits when *task* has ended, and for nothing that can happen, is forgotten.

        Raises:
            EngineError: the engine cannot go on; all tasks wait for ever.
        """
        self._syscalls, self._until = syscalls, until
        if task not in self.tasks.created:
            self.tasks.add(task)
            self.tasks.wake_up_new_task(task)
        try:
            self.sched.run()
        except Deadlock:
            if not task.dead:
                raise
            self.sched.stop()

    def _run_task(self, task: Task) -> None:
        """Run one task until it has ended; others have their turn meanwhile."""
        cpu, uprobes = self.cpu, self.uprobes
        self._set_tick()
        self._exit_to_user_mode(task)
        while not task.dead:
            if self._until is not None and cpu.insns + self._entries >= self._until:
                self.sched.pause()
            self._entries += 1
            left = self._tick_at - cpu.insns - uprobes.insns + uprobes.trampoline_insns
            steps = _steps(task)
            if left <= steps:
                if steps or not _in_trampoline(task):
                    self._timer_interrupt(task, steps=steps)
                    continue
                left = 1  # what a trampoline executes is not the program's time
            if steps:
                entry = self.hook.arch_uprobe_step(cpu=cpu, task=task)
            else:
                entry = cpu.run(task.regs, task.mm, left)
            self._enter_kernel(task, entry, self._syscalls)
            self._exit_to_user_mode(task)
        do_exit(self.tasks, task)

    def _execute(self, task: Task) -> Exit:
        """Let the processor run in user mode until it enters the kernel."""
        if _steps(task):
            return self.hook.arch_uprobe_step(cpu=self.cpu, task=task)
        return self.cpu.run(task.regs, task.mm, self._tick_at - self.insns)

    def _set_tick(self) -> None:
        """Choose when the timer interrupts next: later, if nobody waits for the processor."""
        every = INSNS_PER_JIFFY if self.sched.is_shared else LONE_SLICE
        insns = max(self.insns, self._ticked_at)  # in a trampoline the count may lag behind
        self._tick_at = insns - insns % every + every

    def _enter_kernel(self, task: Task, entry: Exit, syscalls: Dispatcher | None) -> None:
        match entry.stop:
            case Stop.SYSCALL:
                assert syscalls is not None
                if not _in_trampoline(task):
                    self.sched.clock.executed(self.insns)
                syscalls.dispatch(task)
                self._set_tick()
            case Stop.BUDGET:
                pass
            case Stop.BREAKPOINT | Stop.SINGLE_STEP if self.hook.arch_uprobe_exception_notify(
                task=task, stop=entry.stop
            ):
                pass
            case _:
                assert entry.info is not None, f"{entry.stop} without a signal"
                task.thread.trap_nr = entry.trap_nr
                task.thread.error_code = entry.error_code
                if entry.stop is Stop.FAULT and entry.info.code in _PAGE_FAULTS[entry.info.signal]:
                    task.thread.fault_address = entry.info.addr
                task.force_sig(entry.info)

    def _timer_interrupt(self, task: Task, *, steps: bool) -> None:
        """Let time pass, and others run if a time slice is over.

        What is due behind an instruction whose copy is stepped comes during the step: its signals
        are held back, and others run afterwards.
        """
        self.sched.clock.executed(self.insns + steps)
        self.sched.expire()
        if steps:
            self._exit_to_user_mode(task)
            if not task.dead:
                self._enter_kernel(task, self._execute(task), self._syscalls)
        else:
            self._ticked_at = self._tick_at
            self.sched.cond_resched("time slice")
            self._set_tick()
        self._exit_to_user_mode(task)

    def _exit_to_user_mode(self, task: Task) -> None:
        """Do what is left to do before the task goes on: uprobes first, then signals.

        Kernel: kernel/entry/common.c, exit_to_user_mode_loop.
        """
        while not task.dead:
            if task.tif_uprobe:
                uprobe_notify_resume(self.uprobes, task)
            elif not task.signal_pending() and task.restart is None:
                return
            elif uprobe_deny_signal(self.uprobes, task):
                restart_syscall(self.info, task)
                if not task.tif_uprobe:
                    return
            else:
                arch_do_signal_or_restart(self.hook, self.info, self.sched, task)


def _steps(task: Task) -> bool:
    """Tell whether a copy is being stepped."""
    return task.utask is not None and task.utask.state is UprobeTaskState.UTASK_SSTEP


def _in_trampoline(task: Task) -> bool:
    """Tell whether a task executes what uprobes have put into its memory."""
    vma = task.mm.find_vma(task.regs.ip)
    return vma is not None and vma.name in UPROBES_MAPPINGS
