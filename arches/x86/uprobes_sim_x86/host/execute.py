"""An instruction of a simulated task on the host's processor."""

import signal
from typing import Final

from unicorn import Uc

from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.memory import Mm, PageFault
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.host.processor import Trap, processor
from uprobes_sim_x86.host.tracee import UserRegs
from uprobes_sim_x86.regs import EXTENDED, GENERAL, PtRegs

_ARITHMETIC: Final = 0xCD5
"""The flags that an instruction may change, DF among them."""
_CS: Final = {64: 0x33, 32: 0x23}
_FLAT: Final = 0x2B
"""Selector of all memory. With another base in fs or gs it still has no limit."""

_TRAPS: Final[dict[int, int]] = {signal.SIGILL: 6, signal.SIGBUS: 17, signal.SIGFPE: 19}
_GENERAL_PROTECTION: Final = 13


def execute(uc: Uc, regs: PtRegs, mm: Mm, length: int) -> Exit | None:
    """Execute the instruction of *length* bytes at `regs.ip`; None: it was, and ip is behind it.

    *uc* holds the task's vectors.

    Raises:
        EngineError: this machine cannot.
        PageFault: at an access that the program may not do.
    """
    host = processor()
    host.xstate.load(uc, regs)
    host.tracee.regs = _load(regs)
    try:
        trap = host.execute(mm, length)
    except PageFault:
        _store(host.tracee.regs, regs)  # a gather keeps what it has
        host.xstate.store(uc, regs)
        raise
    if trap.signal == signal.SIGTRAP:
        _store(host.tracee.regs, regs)
        host.xstate.store(uc, regs)
        return None
    if trap.signal == signal.SIGFPE:
        host.xstate.store(uc, regs)  # MXCSR tells why
    return _exit(trap, regs)


def _load(regs: PtRegs) -> UserRegs:
    loaded = UserRegs()
    names = (*GENERAL, *EXTENDED) if regs.bits == 64 else GENERAL
    for name in (*names, "ip", "flags", "fs_base", "gs_base"):
        setattr(loaded, name, regs.get(name))
    loaded.cs = _CS[regs.bits]
    loaded.ss = loaded.ds = loaded.es = _FLAT
    if regs.bits == 32:
        loaded.fs = loaded.gs = _FLAT
    return loaded


def _store(found: UserRegs, regs: PtRegs) -> None:
    names = (*GENERAL, *EXTENDED) if regs.bits == 64 else GENERAL
    for name in (*names, "ip"):
        regs.set(name, getattr(found, name))
    regs.flags = regs.flags & ~_ARITHMETIC | found.flags & _ARITHMETIC


def _exit(trap: Trap, regs: PtRegs) -> Exit:
    """Name the exception that the host has raised."""
    number = _TRAPS.get(trap.signal, _GENERAL_PROTECTION)
    at = trap.addr if trap.signal == signal.SIGBUS else regs.ip
    if number == _GENERAL_PROTECTION:
        at = 0
    return Exit(Stop.FAULT, SigInfo(Signal(trap.signal), trap.code, Vaddr(at)), number)
