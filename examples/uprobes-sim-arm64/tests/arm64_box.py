"""A few instructions of arm64 in an address space of their own."""

import struct

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options, configure
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer
from uprobes_sim_arm64.regs import PtRegs

ABI = Abi(64, "little")
TEXT = Vaddr(0x40_0000)
DATA = Vaddr(0x50_0000)
MAY = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
RX = VmFlags.READ | VmFlags.EXEC | MAY
RW = VmFlags.READ | VmFlags.WRITE | MAY


class ExitOnly:
    """System calls: every one is exit(x0)."""

    def dispatch(self, task: Task) -> None:
        task.exit_status = task.regs.get("x0")


class Box:
    """A machine, and a task about to execute some words; one page of data at `DATA`."""

    def __init__(self, *words: int, kernel: str = "6.18", errata: str = "linux") -> None:
        linked = link("arm64", ABI)
        options = Options(kernel=kernel, errata="none" if errata == "none" else "linux")
        self.machine = Machine(linked, configure(linked, options))
        self.hook, self.config = self.machine.hook, self.machine.config
        code = struct.pack(f"<{len(words)}I", *words)
        self.file = Inode(1, "text", code.ljust(PAGE_SIZE, b"\0"))
        self.mm: Mm = self.machine.new_mm()
        self.mm.mmap(TEXT, PAGE_SIZE, RX, inode=self.file)
        self.mm.mmap(DATA, PAGE_SIZE, RW)
        self.regs = PtRegs()
        self.regs.ip, self.regs.sp = TEXT, Vaddr(DATA + PAGE_SIZE)
        self.task = Task(1, "box", self.mm, self.regs, self.config)
        self.hits: list[int] = []
        self.returns: list[int] = []

    def probe(self, index: int, *, returns: bool = False) -> None:
        """Put a probe on the word at *index*."""
        consumer = UprobeConsumer(handler=self._hit, ret_handler=self._return if returns else None)
        self.machine.uprobes.uprobe_register(self.file, Offset(4 * index), consumer)

    def run(self) -> None:
        """Run to the end, or for a thousand instructions."""
        self.machine.run(self.task, ExitOnly(), until=1000)

    def _hit(self, task: Task) -> HandlerResult:
        self.hits.append(task.regs.ip)
        return HandlerResult.KEEP

    def _return(self, task: Task, func: Vaddr) -> None:
        self.returns.append(task.regs.get("x0"))
