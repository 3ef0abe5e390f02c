"""A few instructions of riscv64 in an address space of their own."""

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options, configure
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer
from uprobes_sim_riscv64.encoding import insn_size
from uprobes_sim_riscv64.regs import PtRegs

ABI = Abi(64, "little")
TEXT = Vaddr(0x40_0000)
DATA = Vaddr(0x50_0000)
MAY = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
RX = VmFlags.READ | VmFlags.EXEC | MAY
RW = VmFlags.READ | VmFlags.WRITE | MAY


class ExitOnly:
    """System calls: every one is exit(a0)."""

    def dispatch(self, task: Task) -> None:
        task.exit_status = task.regs.get("a0")


class Box:
    """A machine, and a task about to execute some words; one page of data at `DATA`."""

    def __init__(
        self, *words: int, kernel: str = "6.18", errata: str = "linux", at: int = 0
    ) -> None:
        linked = link("riscv64", ABI)
        options = Options(kernel=kernel, errata="none" if errata == "none" else "linux")
        self.machine = Machine(linked, configure(linked, options))
        self.hook, self.config = self.machine.hook, self.machine.config
        code = bytes(at) + b"".join(word.to_bytes(insn_size(word), "little") for word in words)
        self.file = Inode(1, "text", code.ljust(PAGE_SIZE, b"\0"))
        self.mm: Mm = self.machine.new_mm()
        self.mm.mmap(TEXT, PAGE_SIZE, RX, inode=self.file)
        self.mm.mmap(DATA, PAGE_SIZE, RW)
        self.regs = PtRegs()
        self.regs.ip, self.regs.sp = Vaddr(TEXT + at), Vaddr(DATA + PAGE_SIZE)
        self.task = Task(1, "box", self.mm, self.regs, self.config)
        self.hits: list[int] = []
        self.returns: list[int] = []

    def probe(self, offset: int, *, returns: bool = False) -> None:
        """Put a probe on the instruction at *offset*."""
        consumer = UprobeConsumer(handler=self._hit, ret_handler=self._return if returns else None)
        self.machine.uprobes.uprobe_register(self.file, Offset(offset), consumer)

    def run(self) -> None:
        """Run to the end, or for a thousand instructions."""
        self.machine.run(self.task, ExitOnly(), until=1000)

    def _hit(self, task: Task) -> HandlerResult:
        self.hits.append(task.regs.ip)
        return HandlerResult.KEEP

    def _return(self, task: Task, func: Vaddr) -> None:
        self.returns.append(task.regs.get("a0"))
