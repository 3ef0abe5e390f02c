"""The built-in processor: it runs a task until something happens.

Code is executed block by block, each instruction a call of its meaning. What runs often is
translated into one Python function (`trace.py`).
"""

from typing import Final

from uprobes_sim.arch import Abi, Regs
from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.memory import Access, Fault, Mm, PageFault
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.units import Vaddr
from uprobes_sim_powerpc.code import Block, Code, Recorder, code_of
from uprobes_sim_powerpc.isa.interrupts import (
    ALIGNMENT,
    DATA_STORAGE,
    DECREMENTER,
    INSTRUCTION_STORAGE,
    PROGRAM,
    SYSCALL,
    TRACE,
    Illegal,
    Interrupt,
    Lacking,
    Misaligned,
    Privileged,
    SystemCall,
    Trapped,
)
from uprobes_sim_powerpc.regs import MSR_SE, NO_RESERVATION, PtRegs

HOT: Final = 100
"""Runs after which a block is worth the time that translation takes."""

_DSISR_NO_PTE, _DSISR_PROTECTED, _DSISR_STORE = 0x40000000, 0x08000000, 0x02000000
_SRR1_NO_EXECUTE: Final = 0x10000000

_BUDGET: Final = Exit(Stop.BUDGET)
_SYSCALL: Final = Exit(Stop.SYSCALL)


class PowerpcCpu:
    """An engine for one ABI (`uprobes_sim.cpu.Cpu`)."""

    def __init__(self, abi: Abi, cpu: str) -> None:
        """Be the processor *cpu*, one of `abi.CPUS`."""
        self.insns = 0
        self._cpu = cpu

    def run(self, regs: Regs, mm: Mm, budget: int) -> Exit:
        """Execute as `uprobes_sim.cpu.Cpu.run` says."""
        assert isinstance(regs, PtRegs)
        if regs.msr & MSR_SE:
            return self.step(regs, mm) if budget > 0 else _BUDGET
        # Whatever led into the kernel, its way out drops the reservation.
        regs.reserve_ea = NO_RESERVATION
        code = code_of(mm, self._cpu)
        try:
            self._run(code, regs, self.insns + budget)
        except (PageFault, Interrupt) as event:
            return self._enter_kernel(event, regs, code)
        regs.trap = DECREMENTER
        return _BUDGET

    def step(self, regs: Regs, mm: Mm) -> Exit:
        """Execute one instruction, as `uprobes_sim.cpu.Cpu.step` says."""
        assert isinstance(regs, PtRegs)
        regs.reserve_ea = NO_RESERVATION
        code = code_of(mm, self._cpu)
        try:
            self._run_block(Block([code.fetch(regs.nip)]), regs, 1)
        except (PageFault, Interrupt) as event:
            return self._enter_kernel(event, regs, code)
        regs.trap = TRACE
        return Exit(Stop.SINGLE_STEP, *_signal(Signal.SIGTRAP, SiCode.TRAP_TRACE, regs.nip))

    def _run(self, code: Code, regs: PtRegs, end: int) -> None:
        """Execute until *end* instructions have been executed, or something happens."""
        traces, recorder = code.traces, None
        while self.insns < end:
            trace = traces.get(regs.nip)
            if trace is not None and self.insns + trace.length <= end:
                if recorder is not None:
                    recorder.close(regs.nip)
                    recorder = None
                done = trace.run(regs, self.insns, end)
                if done >= 0:
                    self.insns = done
                    continue
                self.insns = ~done
                self._run_block(Block([code.fetch(regs.nip)]), regs, 1)
                continue
            block = code.block(regs.nip)
            block.runs += 1
            if recorder is None and trace is None and block.runs >= HOT:
                recorder = Recorder(code)
            if recorder is not None and not recorder.add(block):
                recorder = None
            try:
                self._run_block(block, regs, end - self.insns)
            except (PageFault, Interrupt):
                if recorder is not None:
                    recorder.cut(regs.nip)
                raise

    def _run_block(self, block: Block, regs: PtRegs, budget: int) -> None:
        """Execute a block, or as much of it as *budget* allows."""
        calls = block.calls
        regs.nip = block.end
        if len(calls) > budget:
            regs.nip = block.ops[budget].cia
            calls = calls[:budget]
        call = calls[0]
        try:
            for call in calls:
                meaning, args = call
                meaning(regs, *args)
        except (PageFault, Interrupt):
            done = next(n for n, other in enumerate(calls) if other is call)
            regs.nip = block.ops[done].cia
            self.insns += done
            raise
        self.insns += len(calls)

    def _enter_kernel(self, event: PageFault | Interrupt, regs: PtRegs, code: Code) -> Exit:
        match event:
            case SystemCall():
                regs.trap = SYSCALL
                regs.nip = regs.nip + 4
                self.insns += 1
                return _SYSCALL
            case Lacking():
                raise code.lacks(regs.nip)
            case Trapped():
                regs.trap = PROGRAM
                return Exit(Stop.BREAKPOINT, *_signal(Signal.SIGTRAP, SiCode.TRAP_BRKPT, regs.nip))
            case PageFault():
                fetch = event.access is Access.EXEC
                regs.trap = INSTRUCTION_STORAGE if fetch else DATA_STORAGE
                return Exit(Stop.FAULT, event.info, int(event.info.code), _dsisr(event))
            case Misaligned():
                regs.trap = ALIGNMENT
                return Exit(Stop.FAULT, *_signal(Signal.SIGBUS, SiCode.BUS_ADRALN, event.ea))
            case Privileged():
                regs.trap = PROGRAM
                return Exit(Stop.FAULT, *_signal(Signal.SIGILL, SiCode.ILL_PRVOPC, regs.nip))
            case Illegal():
                regs.trap = PROGRAM
                return Exit(Stop.FAULT, *_signal(Signal.SIGILL, SiCode.ILL_ILLOPC, regs.nip))
        raise AssertionError(event)


def _dsisr(fault: PageFault) -> int:
    """Say what was wrong with an access (DSISR, or the same bits of SRR1)."""
    if fault.access is Access.EXEC:
        return _SRR1_NO_EXECUTE if fault.fault is Fault.FORBIDDEN else _DSISR_NO_PTE
    found = _DSISR_PROTECTED if fault.present else _DSISR_NO_PTE
    return found | _DSISR_STORE * (fault.access is Access.WRITE)


def _signal(signal: Signal, code: SiCode, addr: int) -> tuple[SigInfo, int]:
    """Make a signal, and what the kernel notes as the trap's number: the signal's code."""
    return SigInfo(signal, code, Vaddr(addr)), int(code)
