"""Where the rules of powerpc come from, and which part of the Power ISA tells of an instruction."""

import re
import sys
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.verdict import Grounds
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
"""The kernel's file and function; rules that are not here are of the emulation."""
_CITED: Final = re.compile(r"\(([^()]*\bbook [^()]*)\)")


def grounds(rule: str, insn: int, abi: Abi) -> Grounds | None:
    """Say where *rule* comes from, and where the manual defines *insn*."""
    if not rule.startswith("powerpc."):
        return None
    emulation = f"{_SSTEP}, analyse_instr and emulate_step"
    return Grounds(_KERNEL.get(rule, emulation), _manual(insn, abi))


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
