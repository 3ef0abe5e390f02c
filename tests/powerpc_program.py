"""Small programs of words for the powerpc engine."""

import struct
from dataclasses import dataclass

from uprobes_sim.arch import Abi
from uprobes_sim.cpu import Exit
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim_powerpc.cpu import PowerpcCpu
from uprobes_sim_powerpc.regs import PtRegs

CODE = 0x10000
DATA = 0x20000
LE64 = Abi(64, "little")
MAY = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC


@dataclass
class Program:
    """Words at `CODE`, two pages of data at `DATA` and nothing else."""

    abi: Abi
    mm: Mm
    regs: PtRegs
    cpu: PowerpcCpu

    def run(self, budget: int = 1_000_000) -> Exit:
        return self.cpu.run(self.regs, self.mm, budget)

    def step(self) -> Exit:
        return self.cpu.step(self.regs, self.mm)


def load(*words: int, abi: Abi = LE64, cpu: str = "power10", **registers: int) -> Program:
    """Put *words* at `CODE`, ready to run with *registers*."""
    mm = Mm(abi, task_size=0xC0000000, mmap_base=0xB0000000)
    mm.mmap(CODE, 0x2000, VmFlags.READ | VmFlags.WRITE | VmFlags.EXEC | MAY)
    mm.mmap(DATA, 0x2000, VmFlags.READ | VmFlags.WRITE | MAY)
    order = "<" if abi.byteorder == "little" else ">"
    mm.write(CODE, struct.pack(f"{order}{len(words)}I", *words))
    regs = PtRegs(abi.bits, isa_300=abi.bits == 64 and cpu != "power8")
    regs.nip = CODE
    for name, value in registers.items():
        regs.set(name, value)
    return Program(abi, mm, regs, PowerpcCpu(abi, cpu))
