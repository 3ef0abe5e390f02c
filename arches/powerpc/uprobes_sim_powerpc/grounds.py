"""Where the rules of powerpc come from, and which part of the Power ISA tells of an instruction."""

import re
import sys
from functools import cache
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.verdict import Grounds
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.decode import decoder

_UPROBES: Final = "arch/powerpc/kernel/uprobes.c"
_SSTEP: Final = "arch/powerpc/lib/sstep.c"
_KERNEL: Final = {
    "powerpc.no_uprobes": "arch/powerpc/Kconfig, ARCH_SUPPORTS_UPROBES",
    "powerpc.trap": f"kernel/events/uprobes.c, prepare_uprobe; {_UPROBES}, is_trap_insn",
    "powerpc.alignment": f"kernel/events/uprobes.c, uprobe_register; {_UPROBES}, "
    "arch_uprobe_analyze_insn",
    "powerpc.prefixed_line": f"{_UPROBES}, arch_uprobe_analyze_insn",
    "powerpc.single_step": "arch/powerpc/include/asm/probes.h, can_single_step",
    "powerpc.emulate.branch": f"{_SSTEP}, analyse_instr",
    "powerpc.xol.kuap": f"{_SSTEP}, emulate_step; arch/powerpc/include/asm/kup.h",
    "powerpc.xol.isa": f"{_SSTEP}, analyse_instr (cpu_has_feature)",
    "powerpc.xol.syscall": f"{_SSTEP}, emulate_step",
}
"""The kernel's file and function; other rules are of the emulation."""
_OBSTACLES: Final = ("unknown", "invalid", "not_emulated", "overflow", "spr")
"""Of `sstep.obstacle`, those that are not above."""
_CITED: Final = re.compile(r"\(([^()]*\bbook [^()]*)\)")


def grounds(rule: str, insn: int, abi: Abi) -> Grounds | None:
    """Say where *rule* comes from, and where the manual defines *insn*."""
    if rule not in _KERNEL and rule not in _emulation():
        return None
    emulation = f"{_SSTEP}, analyse_instr and emulate_step"
    return Grounds(_KERNEL.get(rule, emulation), _manual(insn, abi))


@cache
def _emulation() -> frozenset[str]:
    """List the rules of the emulation: what it does not do, and kinds of what it does."""
    kinds = {row.kernel for row in isa.load() if row.kernel is not None}
    return frozenset(
        {f"powerpc.xol.{each}" for each in _OBSTACLES}
        | {f"powerpc.emulate.{each.lower()}" for each in kinds}
    )


def _manual(insn: int, abi: Abi) -> str | None:
    """Cite the Power ISA as the file that defines the instruction does."""
    row = decoder(abi.bits, "3.1").find(insn)
    if row is None:
        return None
    text = sys.modules[row.meaning.__module__].__doc__ or ""
    cited = _CITED.search(text)
    if cited is None:
        return None
    where = cited[1] if cited[1].startswith("Power ISA") else f"Power ISA, {cited[1]}"
    return f"{where}; {row.name} since {row.isa}" if row.isa != "2.03" else where
