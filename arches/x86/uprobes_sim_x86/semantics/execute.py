"""Execute an instruction by our own tables, if it is in one of them."""

from collections.abc import Callable
from typing import Final

from uprobes_sim.memory import Mm
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.insn import Insn
from uprobes_sim_x86.regs import PtRegs
from uprobes_sim_x86.semantics.operands import NotOurs, Operands
from uprobes_sim_x86.semantics.scalar import BMI, LEGACY
from uprobes_sim_x86.semantics.vectors import VECTORS

_VEX: Final = frozenset({0xC4, 0xC5})
_UNDEFINED_BEFORE_VEX: Final = frozenset({0x66, 0xF2, 0xF3, 0xF0})
_LONG: Final = 0x04


def own(insn: Insn) -> Callable[[Operands], None] | None:
    """Find what *insn* does, if we know."""
    if not insn.vex:
        return LEGACY.get(insn.opcode)
    if insn.vex[0] not in _VEX or not _UNDEFINED_BEFORE_VEX.isdisjoint(insn.prefixes):
        return None
    prefix = insn.vex
    number = prefix[1] & 0x1F if prefix[0] == 0xC4 else 1
    key = (number, prefix[2] & 3, insn.opcode[0])
    if not prefix[2] & _LONG and key in BMI:
        return BMI[key]
    return VECTORS.get(key)


def execute_own(insn: Insn, regs: PtRegs, mm: Mm) -> bool:
    """Execute *insn*, which lies at `regs.ip`; False, and nothing has changed: we cannot.

    Raises:
        PageFault: at an access that the program may not do.
        Misaligned: #GP.
    """
    semantics = own(insn)
    if semantics is None:
        return False
    try:
        semantics(Operands(insn, regs, mm))
    except NotOurs:
        return False
    regs.ip = Vaddr(regs.ip + insn.length)
    return True
