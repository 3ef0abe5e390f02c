"""A program of a few bytes on the x86 engine, without a kernel."""

from typing import Literal

from uprobes_sim.arch import Abi
from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim_x86.engine import new_cpu
from uprobes_sim_x86.regs import PtRegs

TEXT = 0x401000
DATA = 0x7FFF_0000
MAY = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
RX = VmFlags.READ | VmFlags.EXEC | MAY
RW = VmFlags.READ | VmFlags.WRITE | MAY
Bits = Literal[32, 64]


class Box:
    """A program of a few bytes, its data behind `DATA`."""

    def __init__(
        self,
        code: str,
        bits: Bits = 64,
        text: VmFlags = RX,
        registers: dict[str, int] | None = None,
        **more: int,
    ) -> None:
        abi = Abi(bits, "little")
        self.file = Inode(1, "text", bytes.fromhex(code).ljust(2 * PAGE_SIZE, b"\xcc"))
        self.mm = Mm(abi, task_size=0xFFFF_E000, mmap_base=0xF000_0000)
        self.mm.mmap(TEXT, 2 * PAGE_SIZE, text, inode=self.file)
        self.mm.mmap(DATA, 16 * PAGE_SIZE, RW)
        self.regs = PtRegs(bits)
        self.regs.ip, self.regs.sp = Vaddr(TEXT), Vaddr(DATA + PAGE_SIZE)
        for name, value in {**(registers or {}), **more}.items():
            self.regs.set(name, value)
        self.cpu = new_cpu(abi)

    def run(self, budget: int = 1_000_000) -> Exit:
        return self.cpu.run(self.regs, self.mm, budget)

    def step(self) -> Exit:
        return self.cpu.step(self.regs, self.mm)


def fault(signal: Signal, code: int, addr: int, trap_nr: int, error: int = 0) -> Exit:
    return Exit(Stop.FAULT, SigInfo(signal, code, Vaddr(addr)), trap_nr, error)
