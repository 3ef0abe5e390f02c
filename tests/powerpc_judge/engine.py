"""What the powerpc engine makes of cases."""

import struct
from typing import Final

from powerpc_judge.record import (
    CR,
    CTR,
    FILL_WITH_TRAPS,
    FLAGS,
    FPSCR,
    GPR,
    LR,
    MEM,
    SCRATCH,
    SLOT_BYTES,
    SLOTS,
    TAR,
    VRSAVE,
    VSCR,
    VSR,
    XER,
    Record,
    address,
)
from uprobes_sim.arch import Abi
from uprobes_sim.cpu import Stop
from uprobes_sim.memory import Access, Mm, VmFlags
from uprobes_sim.signals import Signal
from uprobes_sim_powerpc.abi import CPUS, has_isa_300
from uprobes_sim_powerpc.code import code_of
from uprobes_sim_powerpc.cpu import PowerpcCpu
from uprobes_sim_powerpc.decode import operands
from uprobes_sim_powerpc.isa.interrupts import Illegal
from uprobes_sim_powerpc.op import Op
from uprobes_sim_powerpc.regs import MSR_LE, MSR_SF, MSR_USER, PtRegs
from uprobes_sim_powerpc.samples.draw import MEM_BYTES, VSRS
from uprobes_sim_powerpc.trace import make

_PAGE: Final = 0x10000


class Engine:
    """An address space with many cases in it, as harness.c lays them out."""

    def __init__(self, abi: Abi, cpu: str, records: list[Record]) -> None:
        """Put the instructions of *records* into their slots."""
        self._abi = abi
        self._name = cpu
        self._records = records
        self._msr = MSR_USER | (MSR_SF if abi.bits == 64 else 0)
        if abi.byteorder == "little":
            self._msr |= MSR_LE
        self._mm = Mm(abi, task_size=0xC0000000, mmap_base=0xB0000000)
        size = len(records) * SLOT_BYTES + _PAGE - 1 & -_PAGE
        self._mm.mmap(SLOTS, size, VmFlags(0x77))
        self._mm.mmap(SCRATCH & -_PAGE, _PAGE, VmFlags(0x77))
        words = struct.Struct("<2I" if abi.byteorder == "little" else ">2I")
        for number, record in enumerate(records):
            self._mm.write(address(number), words.pack(record[0], record[1]))
        self._cpu = PowerpcCpu(abi, cpu)

    def execute(self, number: int, *, translated: bool) -> Record:
        """Execute record *number*, by calls or as a trace."""
        record = self._records[number]
        regs = self._registers(record)
        regs.nip = address(number)
        memory = self._mm.fault(SCRATCH, Access.WRITE).data[-MEM_BYTES:]
        memory[:MEM_BYTES] = record[MEM]
        length = 1 + (record[1] != 0 and record[0] >> 26 != 1)
        signal = self._run(regs, length, translated=translated)
        landed = signal or record[FLAGS] & FILL_WITH_TRAPS
        return (
            *record[:3], signal, regs.nip if landed else 0, regs.xer, regs.ccr, regs.ctr,
            regs.link, regs.tar, regs.vrsave, 0, regs.fpscr, regs.vscr, 0, *regs.gpr,
            *(half for n in VSRS for half in (regs.hi[n], regs.lo[n])), bytes(memory[:MEM_BYTES]),
        )  # fmt: skip

    def _registers(self, record: Record) -> PtRegs:
        isa_300 = has_isa_300(self._abi, CPUS[self._name][0])
        regs = PtRegs(self._abi.bits, self._msr, isa_300=isa_300)
        regs.xer, regs.ccr = record[XER], record[CR]
        regs.ctr, regs.link = record[CTR], record[LR]
        regs.tar, regs.vrsave = record[TAR], record[VRSAVE]
        regs.fpscr, regs.vscr = record[FPSCR], record[VSCR]
        regs.gpr[:] = record[GPR : GPR + 32]
        for at, n in enumerate(VSRS):
            regs.hi[n], regs.lo[n] = record[VSR + 2 * at : VSR + 2 * at + 2]
        return regs

    def _run(self, regs: PtRegs, length: int, *, translated: bool) -> int:
        """Execute *length* instructions; answer the signal that came of it, or 0."""
        done = self._run_trace(regs, length) if translated else 0
        if done == length:
            return 0
        stop = self._cpu.run(regs, self._mm, length - done)
        if stop.stop is Stop.BUDGET:
            return 0
        return int(Signal.SIGTRAP if stop.info is None else stop.info.signal)

    def _run_trace(self, regs: PtRegs, length: int) -> int:
        """Execute as a trace; answer how many instructions it could do."""
        code = code_of(self._mm, self._name)
        path: list[Op] = []
        try:
            for _ in range(length):
                path.append(code.fetch(path[-1].nia if path else regs.nip))
        except Illegal:
            return 0
        follows = self._follows(path[-1], regs)
        done = make(path, follows, code.memory, code.mode).run(regs, 0, length)
        return done if done >= 0 else ~done

    def _follows(self, last: Op, regs: PtRegs) -> int:
        """Say where a trace is to expect that its *last* instruction goes."""
        fields = operands(last.row, last.insn)
        always = "LI" in fields or ("BO" in fields and fields["BO"] & 20 == 20)
        if not always:
            return last.nia
        regs = regs.copy()
        self._cpu.run(regs, self._mm, 1)
        return regs.nip
