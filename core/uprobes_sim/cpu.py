"""The processor, as the kernel sees it: it runs a task until something happens."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from uprobes_sim.arch import Regs
from uprobes_sim.memory import Mm
from uprobes_sim.signals import SigInfo


class Stop(Enum):
    """Why the processor entered the kernel."""

    BREAKPOINT = auto()
    """A trap instruction fired (DIE_BPT, DIE_INT3). `regs.ip` as the hardware leaves it."""
    SINGLE_STEP = auto()
    """One instruction was executed with the step bit set (DIE_SSTEP, DIE_DEBUG)."""
    SYSCALL = auto()
    """`regs.ip` is behind the system call instruction."""
    FAULT = auto()
    """An instruction could not be executed. `regs.ip` is on it."""
    BUDGET = auto()
    """As many instructions were executed as were asked for."""


@dataclass(frozen=True, slots=True)
class Exit:
    """One entry into the kernel."""

    stop: Stop

    info: SigInfo | None = None
    """The signal that the task gets if nobody claims the exception; None for SYSCALL, BUDGET."""

    trap_nr: int = 0
    """What the kernel notes in `thread.trap_nr` when it sends that signal."""

    error_code: int = 0
    """What the processor says of the exception (x86: error code; powerpc: DSISR)."""


class Cpu(Protocol):
    """An engine: it executes instructions of user mode and knows nothing of probes."""

    insns: int
    """Instructions executed so far; one that faults, or a trap that fires, is none."""

    def run(self, regs: Regs, mm: Mm, budget: int) -> Exit:
        """Execute from `regs.ip` until something happens, or *budget* instructions.

        The step bit of the registers (MSR.SE, TF) is obeyed: with it set, one
        instruction is executed and the exit is `SINGLE_STEP`. *regs* are exact
        at every exit. The engine reads memory through `mm.fault` and forgets
        what it has cached when `mm.notifiers` are told.

        Raises:
            EngineError: the engine lacks an instruction: its bytes, address and
                text in one line.
        """
        ...

    def step(self, regs: Regs, mm: Mm) -> Exit:
        """Execute one instruction, whatever the step bit says.

        The exit is `SINGLE_STEP` when it was executed, else as for `run`.
        """
        ...
