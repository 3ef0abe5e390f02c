"""Execution of an instruction by the kernel, after arch/powerpc/lib/sstep.c.

What the kernel emulates is a part of the instruction set, drawn by the `kernel=` marks of the
definitions; what it does is what the definitions say.
"""

from typing import Final

from uprobes_sim.memory import PageFault
from uprobes_sim_powerpc.code import Code
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS
from uprobes_sim_powerpc.isa.interrupts import Interrupt
from uprobes_sim_powerpc.isa.system import SPR_CTR, SPR_LR, SPR_XER
from uprobes_sim_powerpc.regs import NO_RESERVATION, PtRegs

EMULATED: Final = 1
"""Done; the instruction pointer has moved on."""
NOT_EMULATED: Final = 0
"""Not done, nothing has changed: it must be stepped."""
NOT_STEPPABLE: Final = -1
"""Must not be stepped either."""

_EMULATED_SPRS: Final = frozenset({SPR_XER, SPR_LR, SPR_CTR})


def emulates(row: Insn | None, insn: int, level: str) -> bool:
    """Tell whether `emulate_step` knows *insn*, defined by *row*, on a processor of *level*."""
    if row is None or row.kernel in (None, "SYSCALL"):
        return False
    if row.isa > level or not row.is_valid(insn):
        return False
    if "OE" in row.fields and FIELDS["OE"](insn):
        return False
    return row.kernel not in ("MFSPR", "MTSPR") or FIELDS["SPR"](insn) in _EMULATED_SPRS


def emulate_step(code: Code, regs: PtRegs, insn: int, size: int) -> int:
    """Execute *insn*, which is *size* bytes long, at `regs.nip`.

    Answers one of the constants above. Kernel: arch/powerpc/lib/sstep.c, emulate_step.
    """
    row = code.decoder.find(insn)
    if row is not None and row.kernel == "SYSCALL":
        return NOT_STEPPABLE
    if not emulates(row, insn, code.decoder.level):
        return NOT_EMULATED
    # The exception that has led here has taken the reservation.
    regs.reserve_ea = NO_RESERVATION
    op = code.op(regs.nip, insn, size)
    meaning, args = op.call
    regs.nip = op.nia
    try:
        meaning(regs, *args)
    except (PageFault, Interrupt):
        regs.nip = op.cia
        return NOT_EMULATED
    return EMULATED
