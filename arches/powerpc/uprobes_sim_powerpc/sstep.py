"""Execution of an instruction by the kernel, after arch/powerpc/lib/sstep.c.

What the kernel emulates is a part of the instruction set, drawn by the `kernel=` marks of the
definitions; what it does is what the definitions say, but for the defects in `defects.py`.
"""

from typing import Final, NamedTuple

from uprobes_sim.memory import PageFault
from uprobes_sim.version import Config
from uprobes_sim_powerpc.abi import CPUS, is_radix
from uprobes_sim_powerpc.code import Code
from uprobes_sim_powerpc.defects import DEFECTS, overlooked
from uprobes_sim_powerpc.errata import LOST_BCTAR
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS
from uprobes_sim_powerpc.isa.interrupts import Interrupt
from uprobes_sim_powerpc.isa.system import SPR_CTR, SPR_LR, SPR_XER
from uprobes_sim_powerpc.op import Call
from uprobes_sim_powerpc.regs import MSR_PR, NO_RESERVATION, PtRegs

EMULATED: Final = 1
"""Done; the instruction pointer has moved on."""
NOT_EMULATED: Final = 0
"""Not done, nothing has changed: it must be stepped."""
NOT_STEPPABLE: Final = -1
"""Must not be stepped either."""

_EMULATED_SPRS: Final = frozenset({SPR_XER, SPR_LR, SPR_CTR})

_RAW_ACCESS: Final = frozenset({"lq", "stq", "plq", "pstq", "dcbst", "dcbf", "icbi"})
"""With the load-reserves: the kernel executes them on user memory without unlocking it first."""


class Obstacle(NamedTuple):
    """Why `emulate_step` does not do an instruction."""

    rule: str
    """Stable identifier, behind `powerpc.xol.`."""
    reason: str


def obstacle(
    row: Insn | None, insn: int, config: Config, *, bits: int, user: bool = True
) -> Obstacle | None:
    """Say why `emulate_step` does not do *insn*, defined by *row*; None: it does.

    *bits*: width of the kernel. *user*: the instruction is a user program's.
    """
    if row is None:
        return Obstacle("unknown", "the kernel's emulation does not know this word")
    level = CPUS[config.cpu][0]
    if row.isa > level:
        return Obstacle("isa", f"{row.name} needs Power ISA {row.isa}, {config.cpu} has {level}")
    if not row.is_valid(insn) and not _is_overlooked(row, config):
        return Obstacle("invalid", f"this form of {row.name} is invalid")
    if row.name == "bctar[l]" and not config.acts(LOST_BCTAR):
        return None
    if row.kernel is None:
        return Obstacle("not_emulated", f"the kernel's emulation does not know {row.name}")
    if row.kernel == "SYSCALL":
        return Obstacle("syscall", f"the kernel's emulation keeps its hands off {row.name}")
    if "OE" in row.fields and FIELDS["OE"](insn):
        return Obstacle("overflow", f"{row.name} is emulated without OE only")
    if row.kernel in ("MFSPR", "MTSPR") and FIELDS["SPR"](insn) not in _EMULATED_SPRS:
        return Obstacle("spr", f"{row.name} is emulated for XER, LR and CTR only")
    if user and bits == 64 and _is_blocked(row, config):
        reason = f"KUAP, which goes with the radix MMU, blocks the kernel's own {row.name}"
        return Obstacle("kuap", reason)
    return None


def _is_overlooked(row: Insn, config: Config) -> bool:
    """Tell whether the kernel does not notice that forms of *row* are invalid."""
    defect = overlooked(row)
    return defect is not None and config.acts(defect.erratum)


def _is_blocked(row: Insn, config: Config) -> bool:
    """Tell whether the kernel would touch user memory that it has locked."""
    raw = row.kernel == "LARX" or row.name in _RAW_ACCESS
    return raw and is_radix(config.cpu) and config.kernel.has("powerpc_kuap")


def emulate_step(
    code: Code, regs: PtRegs, insn: int, size: int, config: Config, *, kuap: bool = True
) -> int:
    """Execute *insn*, which is *size* bytes long, at `regs.nip`.

    *kuap*: the memory is a user's, which a kernel with KUAP has locked against itself.

    Answers one of the constants above. Kernel: arch/powerpc/lib/sstep.c, emulate_step.
    """
    row = code.decoder.find(insn)
    if row is not None and row.kernel == "SYSCALL":
        return NOT_STEPPABLE
    user = kuap and bool(regs.msr & MSR_PR)
    if obstacle(row, insn, config, bits=regs.bits, user=user) is not None:
        return NOT_EMULATED
    assert row is not None
    # The exception that has led here has taken the reservation.
    regs.reserve_ea = NO_RESERVATION
    cia = regs.nip
    meaning, args = _call(code, row, cia, insn, size, config)
    regs.nip = cia + size & code.mode.mask
    try:
        meaning(regs, *args)
    except (PageFault, Interrupt):
        regs.nip = cia
        return NOT_EMULATED
    return EMULATED


def _call(code: Code, row: Insn, cia: int, insn: int, size: int, config: Config) -> Call:
    """Give what the kernel does for *insn*: what it means, or what a defect makes of it."""
    if row.is_valid(insn):
        meaning, args = code.op(cia, insn, size).call
        defect = DEFECTS.get(row.name)
    else:
        meaning, args = code.bind(row, cia, insn, size).call
        defect = overlooked(row)
    if defect is not None and config.acts(defect.erratum):
        meaning = defect.meaning
    return meaning, args
