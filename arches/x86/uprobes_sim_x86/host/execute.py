"""An instruction of a simulated task on the host's processor."""

import signal
from typing import Final

from unicorn import Uc

from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.memory import Access, Mm, PageFault
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.host.features import stores
from uprobes_sim_x86.host.processor import Trap, processor
from uprobes_sim_x86.host.tracee import UserRegs
from uprobes_sim_x86.insn import Insn
from uprobes_sim_x86.regs import EXTENDED, GENERAL, PtRegs

_ARITHMETIC: Final = 0xCD5
"""The flags that an instruction may change, DF among them."""
_CS: Final = {64: 0x33, 32: 0x23}
_FLAT: Final = 0x2B
"""Selector of all memory. With another base in fs or gs it still has no limit."""

_DIVIDE_ERROR, _STACK_FAULT, _GENERAL_PROTECTION, _X87, _ALIGNMENT, _SIMD = 0, 12, 13, 16, 17, 19
_INVALID_OPCODE: Final = 6
_ILL_ILLOPN: Final = 2


def execute(uc: Uc, regs: PtRegs, mm: Mm, insn: Insn | None) -> Exit | None:
    """Execute the instruction at `regs.ip`; None: it was, and ip is behind it.

    *insn* is None if nobody knows it. *uc* holds the task's vectors.

    Raises:
        EngineError: this machine cannot.
        PageFault: at an access that the program may not do.
    """
    host = processor()
    host.xstate.load(uc, regs, x87=insn is None or not insn.vex)
    host.tracee.regs = _load(regs)
    try:
        trap = host.execute(mm, insn.length if insn else 1)
    except PageFault as fault:
        _store(host.tracee.regs, regs)  # a gather keeps what it has
        host.xstate.store(uc, regs)
        if fault.access is Access.READ and insn is not None and stores(insn):
            fault.access = Access.WRITE  # the host tells the address only
        raise
    if trap.signal == signal.SIGTRAP:
        _store(host.tracee.regs, regs)
        host.xstate.store(uc, regs)
        return None
    if trap.signal == signal.SIGFPE:
        host.xstate.store(uc, regs)  # MXCSR tells why
    return _exit(trap, regs, vector=host.xstate.vector_exception)


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
    for name in (*names, "ip", *(("fs_base", "gs_base") if regs.bits == 64 else ())):
        regs.set(name, getattr(found, name))
    regs.flags = regs.flags & ~_ARITHMETIC | found.flags & _ARITHMETIC


def _exit(trap: Trap, regs: PtRegs, *, vector: bool) -> Exit:
    """Name the exception that the host has raised; *vector*: floating point of vectors did."""
    number, at = _exception(trap, vector=vector), int(regs.ip)
    if number == _ALIGNMENT:
        at = trap.addr
    elif number in (_GENERAL_PROTECTION, _STACK_FAULT):
        at = 0
    code = _ILL_ILLOPN if number == _INVALID_OPCODE else trap.code
    return Exit(Stop.FAULT, SigInfo(Signal(trap.signal), code, Vaddr(at)), number)


def _exception(trap: Trap, *, vector: bool) -> int:
    match trap.signal:
        case signal.SIGILL:
            return _INVALID_OPCODE
        case signal.SIGBUS:
            return _STACK_FAULT if trap.code == SiCode.SI_KERNEL else _ALIGNMENT
        case signal.SIGFPE if trap.code == SiCode.FPE_INTDIV:
            return _DIVIDE_ERROR
        case signal.SIGFPE:
            return _SIMD if vector else _X87
    return _GENERAL_PROTECTION
