"""The table of tasks: numbers, and who is found by them (kernel/pid.c)."""

from collections.abc import Callable, Iterator
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.futex import Futexes
from uprobes_sim.sched import Scheduler
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ThreadGroup

MAX_THREADS: Final = 4096
"""Tasks that there may be at a time (threads-max)."""


class Tasks:
    """All tasks of one machine, and the scheduler that they share."""

    def __init__(self, sched: Scheduler) -> None:
        """Start with none."""
        self.sched = sched
        self.futexes = Futexes()
        self.created: list[Task] = []
        """Every task there ever was, in the order of creation."""
        self.body: Callable[[Task], None] = lambda task: None
        """What the machine does with a task until it has ended. Without a machine none moves."""
        self.on_exit: Callable[[Task], None] = lambda task: None
        """Told of each task that has ended, while its memory is still there."""
        self.alive = 0
        """Tasks that have not ended."""
        self._last = 0

    def add(self, task: Task) -> None:
        """Enter *task*; it has a number already (attach_pid)."""
        self.created.append(task)
        self.alive += 1
        self._last = max(self._last, task.pid)

    def alloc_pid(self) -> int:
        """Give out the next number, to threads and processes alike.

        Raises:
            KernelError: EAGAIN, there are too many tasks.
        """
        if self.alive >= MAX_THREADS:
            raise KernelError(Errno.EAGAIN, f"there are {MAX_THREADS} tasks already")
        self._last += 1
        return self._last

    def wake_up_new_task(self, task: Task) -> None:
        """Let *task* run when it is its turn."""
        self.sched.spawn(task.comm, lambda: self.body(task))

    def find_task(self, pid: int) -> Task | None:
        """Find a thread that has not ended (find_task_by_vpid)."""
        return next((task for task in self.created if task.pid == pid and not task.dead), None)

    def find_group(self, tgid: int) -> ThreadGroup | None:
        """Find a process, a zombie included."""
        return next((group for group in self.groups() if group.tgid == tgid), None)

    def groups(self) -> Iterator[ThreadGroup]:
        """List the processes that somebody may still ask for, by creation."""
        seen = set[int]()
        for task in self.created:
            group = task.group
            if group.tgid not in seen and (group.threads or _is_zombie(group)):
                seen.add(group.tgid)
                yield group


def _is_zombie(group: ThreadGroup) -> bool:
    return group.parent is not None and group in group.parent.children
