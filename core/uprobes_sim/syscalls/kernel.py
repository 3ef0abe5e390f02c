"""What every system call may use: the machine behind it, and user memory."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from uprobes_sim.arch import Abi, ArchInfo
from uprobes_sim.clock import Clock
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import Linked
from uprobes_sim.pids import Tasks
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout, Uapi
from uprobes_sim.version import Config
from uprobes_sim.vfs import Vfs

_PATH_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel as a system call sees it."""

    linked: Linked
    config: Config
    vfs: Vfs
    tasks: Tasks

    def wait(
        self,
        task: Task,
        where: str,
        condition: Callable[[], bool],
        deadline: int | None = None,
        errno: Errno = Errno.ERESTARTSYS,
    ) -> bool:
        """Let *task* sleep until *condition* holds; False: *deadline* came before.

        *where* says what for, to people. Kernel: wait_event_interruptible.

        Raises:
            KernelError: *errno*, one of ERESTART* or EINTR: a signal came before.
            EngineError: nothing can make it hold.
        """
        sched = self.tasks.sched
        sched.wait_event(where, lambda: condition() or task.signal_pending(), deadline)
        if condition():
            return True
        if task.signal_pending():
            raise KernelError(errno, "a signal has come")
        return False

    @property
    def info(self) -> ArchInfo:
        """Constants of the architecture."""
        return self.linked.info

    @property
    def abi(self) -> Abi:
        """Of all its tasks."""
        return self.linked.info.abi

    @property
    def uapi(self) -> Uapi:
        """Numbers and structures that differ by architecture."""
        return self.linked.info.uapi

    @property
    def clock(self) -> Clock:
        """Simulated time."""
        return self.vfs.clock

    @property
    def word(self) -> int:
        """Bytes of a `long`."""
        return self.abi.bits // 8

    def put(self, task: Task, vaddr: int, layout: Layout, **values: int | bytes) -> None:
        """Write a structure into the task (copy_to_user)."""
        task.mm.write(vaddr, layout.pack(self.abi.bits, self.abi.byteorder, values))

    def get(self, task: Task, vaddr: int, layout: Layout) -> dict[str, int]:
        """Read a structure from the task (copy_from_user)."""
        data = task.mm.read(vaddr, layout.size(self.abi.bits))
        return layout.unpack(self.abi.bits, self.abi.byteorder, data)

    def put_int(self, task: Task, vaddr: int, value: int, size: int = 4) -> None:
        """Write the low *size* bytes of an integer."""
        low = value & (1 << 8 * size) - 1
        task.mm.write(vaddr, low.to_bytes(size, self.abi.byteorder))

    def get_int(self, task: Task, vaddr: int, size: int = 4) -> int:
        """Read an unsigned integer of *size* bytes."""
        return int.from_bytes(task.mm.read(vaddr, size), self.abi.byteorder)

    def path(self, task: Task, vaddr: int) -> str:
        """Read a path from the task (getname)."""
        return os.fsdecode(task.mm.read_cstring(vaddr, _PATH_MAX))
