"""A debugger: it reads and writes the memory of a task by force, and knows nothing of probes."""

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.memory import PageFault
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.uprobes import Uprobes


class Debugger:
    """A ptracer such as gdb: it plants breakpoints where it likes and keeps what they replace.

    Uprobes do not know of it, nor it of them: each takes the other's breakpoint for the program's.
    """

    def __init__(self, up: Uprobes, task: Task) -> None:
        """Attach to *task*; *up* only serves the log."""
        self._up = up
        self._task = task
        self._shadows: dict[Vaddr, bytes] = {}
        """What was in memory before each of its breakpoints."""

    def peek(self, vaddr: Vaddr, size: int) -> bytes:
        """Read memory (PTRACE_PEEKTEXT).

        Raises:
            KernelError: EIO, there is none.
        """
        try:
            return self._task.mm.read(vaddr, size, force=True)
        except PageFault as fault:
            raise KernelError(Errno.EIO, f"cannot peek: {fault}") from fault

    def poke(self, vaddr: Vaddr, data: bytes) -> None:
        """Write memory, whatever its rights (PTRACE_POKETEXT, FOLL_FORCE).

        Raises:
            KernelError: EIO, there is none, or it is no private memory.
        """
        before = self.peek(vaddr, len(data))
        try:
            self._task.mm.write(vaddr, data, force=True)
        except PageFault as fault:
            raise KernelError(Errno.EIO, f"cannot poke: {fault}") from fault
        why = f"the debugger writes {data.hex()} over {before.hex()}"
        self._up.record(Act.POKE, why, task=self._task, vaddr=vaddr)

    def insert_breakpoint(self, vaddr: Vaddr, insn: bytes) -> None:
        """Plant *insn*, and keep what is there now: a probe's breakpoint, perhaps."""
        self._shadows[vaddr] = self.peek(vaddr, len(insn))
        self.poke(vaddr, insn)

    def remove_breakpoint(self, vaddr: Vaddr) -> None:
        """Write back what was there when the breakpoint was planted, stale or not."""
        self.poke(vaddr, self._shadows.pop(vaddr))
