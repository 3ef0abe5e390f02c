"""One instruction on the host's processor, with the memory of a simulated process."""

import os
import signal
import threading
from dataclasses import dataclass
from typing import Final

from uprobes_sim.errors import EngineError
from uprobes_sim.memory import Mm
from uprobes_sim.signals import SiCode
from uprobes_sim_x86.host.address_space import AddressSpace
from uprobes_sim_x86.host.tracee import Tracee
from uprobes_sim_x86.host.xstate import XState


@dataclass(frozen=True, slots=True)
class Trap:
    """How an instruction ended on the host."""

    signal: int
    """SIGTRAP: it was executed."""
    code: int = 0
    """`si_code`, where it was not."""
    addr: int = 0
    """`si_addr`."""


DONE: Final = Trap(signal.SIGTRAP)


class Processor:
    """The child, with the registers of one task in `tracee` at a time."""

    def __init__(self) -> None:
        """Start the child.

        Raises:
            EngineError: it cannot be had here.
        """
        self.tracee = Tracee()
        self.xstate = XState(self.tracee)
        self._space = AddressSpace(self.tracee)

    def execute(self, mm: Mm, length: int) -> Trap:
        """Execute the instruction of *length* bytes at `tracee.regs.ip`.

        The registers are exact afterwards, also of an instruction that stops half-way.

        Raises:
            PageFault: at an access that the program may not do.
        """
        tracee, space = self.tracee, self._space
        try:
            space.switch(mm)
            ip = tracee.regs.ip
            for vaddr in (ip, ip + length - 1):
                space.admit_code(vaddr)
            while (found := self._step()).signal == signal.SIGSEGV and found.code in _MISSES:
                space.admit(found.addr)
            space.leave()
        except KeyboardInterrupt:
            tracee.close()  # it may be in the middle of anything
            raise
        return found

    def _step(self) -> Trap:
        tracee = self.tracee
        while (stopped := tracee.step()) in _OTHERS:
            pass
        return DONE if stopped == signal.SIGTRAP else Trap(stopped, *tracee.siginfo())


_MISSES: Final = frozenset({SiCode.SEGV_MAPERR, SiCode.SEGV_ACCERR})
_OTHERS: Final = frozenset({signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM, signal.SIGINT})
"""Signals that somebody else sends to the child."""


_own = threading.local()


def processor() -> Processor:
    """Give the child of this thread, started when it is first asked for: ptrace goes by threads.

    Raises:
        EngineError: it cannot be had here.
    """
    found: tuple[int, Processor] | None = getattr(_own, "processor", None)
    if found is None or found[0] != os.getpid() or not found[1].tracee.close.alive:
        found = _own.processor = (os.getpid(), Processor())
    return found[1]


def available() -> bool:
    """Tell whether there is one."""
    try:
        processor()
    except EngineError:
        return False
    return True
