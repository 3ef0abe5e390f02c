"""How the kernel would execute an instruction that is probed, and why."""

from uprobes_sim.arch import Abi
from uprobes_sim.verdict import Mechanism
from uprobes_sim_powerpc.abi import CPUS
from uprobes_sim_powerpc.decode import decoder
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.sstep import emulates


def mechanism(insn: int, abi: Abi, cpu: str) -> Mechanism:
    """Say whether `emulate_step` does *insn*, on an ordinary hit that does not fault."""
    level = CPUS[cpu][0]
    row = decoder(abi.bits, level).find(insn)
    if row is not None and emulates(row, insn, level):
        rule = f"powerpc.emulate.{row.kernel}".lower()
        return Mechanism("emulate", rule, f"the kernel emulates {row.name}")
    return Mechanism("xol", *_why_not(row, insn, level))


def _why_not(row: Insn | None, insn: int, level: str) -> tuple[str, str]:
    """Give the rule and the reason for which `emulate_step` does not do *insn*."""
    if row is None:
        return "powerpc.xol.unknown", "the kernel's emulation does not know this word"
    if row.isa > level:
        return "powerpc.xol.isa", f"{row.name} needs Power ISA {row.isa}, the processor has {level}"
    if not row.is_valid(insn):
        return "powerpc.xol.invalid", f"this form of {row.name} is invalid"
    if row.kernel in ("MFSPR", "MTSPR"):
        return "powerpc.xol.spr", f"{row.name} is emulated for XER, LR and CTR only"
    if row.kernel is not None:
        return "powerpc.xol.overflow", f"{row.name} is emulated without OE only"
    return "powerpc.xol.not_emulated", f"the kernel's emulation does not know {row.name}"
