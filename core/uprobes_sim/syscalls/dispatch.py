"""From a number in a register to the call, and back (do_syscall_64 and its like)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import Linked
from uprobes_sim.memory import PageFault
from uprobes_sim.pids import Tasks
from uprobes_sim.sched import Scheduler
from uprobes_sim.syscalls import (  # noqa: F401  # each enters its calls into the table
    attributes,
    clone,
    descriptors,
    execve,
    futex,
    memory,
    paths,
    posix_timers,
    process,
    resources,
    rw,
    signal,
    stat,
    threads,
    timekeeping,
    timers,
    wait,
)
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import SYSCALLS, Argument, Handler, decode, plan
from uprobes_sim.task import Task
from uprobes_sim.version import Config
from uprobes_sim.vfs import Vfs

SILENT: Final = frozenset({"rseq", "membarrier", "openat2"})
"""Calls that libraries only try, and do without where the kernel is older."""

_RESTARTS: Final = frozenset(
    {
        Errno.ERESTARTSYS,
        Errno.ERESTARTNOINTR,
        Errno.ERESTARTNOHAND,
        Errno.ERESTART_RESTARTBLOCK,
    }
)
"""Answers that no program sees: what becomes of the call is decided with the signal."""


@dataclass(frozen=True, slots=True)
class _Call:
    handler: Handler
    arguments: tuple[Argument, ...]


@cache
def syscall_names(table: str) -> Mapping[int, str]:
    """Read a table of system call numbers, once."""
    from system_calls import syscalls

    names: Mapping[int, str] = syscalls().load_reverse_arch_table(table)
    return names


class Syscalls:
    """The system calls of one run."""

    def __init__(
        self,
        linked: Linked,
        config: Config,
        vfs: Vfs,
        *,
        tasks: Tasks | None = None,
        on_unknown: Callable[[str, int], None],
    ) -> None:
        """Serve *tasks*, those of one machine.

        *on_unknown* hears of each call that is not simulated, once.
        """
        tasks = tasks or Tasks(Scheduler(vfs.clock))
        self._kernel = Kernel(linked, config, vfs, tasks)
        self._on_unknown = on_unknown
        self._hook = linked.hook
        self._calls: dict[int, _Call | None] = {}
        self._told: set[str] = set()

    def dispatch(self, task: Task) -> None:
        """Do the call that *task* has just made and answer it in its registers.

        Raises:
            EngineError: the task would wait for ever.
        """
        task.restart = None
        number = self._hook.syscall_get_nr(regs=task.regs)
        registers = self._hook.syscall_get_arguments(regs=task.regs)
        error, value = 0, 0
        try:
            answer = self._do(task, number, registers)
            if answer is None:
                return
            value = answer & (1 << self._kernel.abi.bits) - 1
        except KernelError as exc:
            if exc.errno in _RESTARTS:
                task.restart = exc.errno
                return
            error = int(exc.errno)
        except PageFault:
            error = int(Errno.EFAULT)
        self._hook.syscall_set_return_value(regs=task.regs, error=error, value=value)

    def _do(self, task: Task, number: int, registers: tuple[int, ...]) -> int | None:
        if number not in self._calls:
            self._calls[number] = self._find(number)
        call = self._calls[number]
        if call is None:
            return self._arch_syscall(task, number, registers)
        abi = self._kernel.abi
        return call.handler(self._kernel, task, *decode(call.arguments, registers, abi))

    def _find(self, number: int) -> _Call | None:
        handler = SYSCALLS.get(self._name(number))
        if handler is None:
            return None
        info = self._kernel.info
        return _Call(handler, plan(handler, info.abi, aligned_pairs=info.uapi.aligned_pairs))

    def _name(self, number: int) -> str:
        return syscall_names(self._kernel.info.syscall_table).get(number, f"syscall_{number}")

    def _arch_syscall(self, task: Task, number: int, registers: tuple[int, ...]) -> int:
        name = self._name(number)
        result = self._hook.arch_syscall(task=task, name=name, args=registers)
        if result >= 0:
            return result
        errno = Errno(-result)
        if errno is Errno.ENOSYS and name not in self._told | SILENT:
            self._told.add(name)
            self._on_unknown(name, number)
        raise KernelError(errno, f"{name} failed")
