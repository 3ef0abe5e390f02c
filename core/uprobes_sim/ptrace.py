"""A debugger: it reads and writes the memory of a task by force, and knows nothing of probes."""

from typing import TYPE_CHECKING

from uprobes_sim.cpu import Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.memory import PageFault
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr

if TYPE_CHECKING:
    from uprobes_sim.machine import Machine


class Debugger:
    """A ptracer such as gdb: it plants breakpoints where it likes and keeps what they replace.

    It hears of each signal first, takes a SIGTRAP at one of its breakpoints for its own, and steps
    over. Uprobes do not know of it, nor it of them: each takes the other's for the program's.
    """

    def __init__(self, machine: "Machine", task: Task) -> None:
        """Attach to *task*."""
        self.heard: list[Vaddr] = []
        """Its breakpoints that were hit, as far as it was told."""
        self._machine = machine
        self._task = task
        self._shadows: dict[Vaddr, bytes] = {}
        """What was in memory before each of its breakpoints."""
        task.tracer = self._on_signal

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
        self._machine.uprobes.record(Act.POKE, why, task=self._task, vaddr=vaddr)

    def insert_breakpoint(self, vaddr: Vaddr, insn: bytes) -> None:
        """Plant *insn*, and keep what is there now: a probe's breakpoint, perhaps."""
        self._shadows[vaddr] = self.peek(vaddr, len(insn))
        self.poke(vaddr, insn)

    def remove_breakpoint(self, vaddr: Vaddr) -> None:
        """Write back what was there when the breakpoint was planted, stale or not."""
        self.poke(vaddr, self._shadows.pop(vaddr))

    def single_step(self) -> None:
        """Let the task execute one instruction (PTRACE_SINGLESTEP).

        A breakpoint of a probe that it steps onto is the probe's: what is due then is done before
        the task is back in user mode.
        """
        task, hook = self._task, self._machine.hook
        entry = self._machine.cpu.step(task.regs, task.mm)
        if entry.stop is Stop.SINGLE_STEP:
            return
        claimed = entry.stop is Stop.BREAKPOINT and hook.arch_uprobe_exception_notify(
            task=task, stop=entry.stop
        )
        if not claimed and entry.info is not None:
            task.force_sig(entry.info)

    def _on_signal(self, info: SigInfo) -> SigInfo | None:
        """Hear of a signal; keep a SIGTRAP that is one of its breakpoints, and step over that."""
        task = self._task
        vaddr = self._machine.hook.uprobe_get_swbp_addr(regs=task.regs)
        if info.signal is not Signal.SIGTRAP or vaddr not in self._shadows:
            return info
        self.heard.append(vaddr)
        shadow = self._shadows[vaddr]
        planted = self.peek(vaddr, len(shadow))
        self.poke(vaddr, shadow)
        task.regs.ip = vaddr
        self.single_step()
        self.poke(vaddr, planted)
        return None
