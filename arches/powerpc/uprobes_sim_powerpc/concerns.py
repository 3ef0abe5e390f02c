"""Which instructions an erratum concerns, as far as a probed instruction can show it."""

from collections.abc import Callable
from typing import Final, NamedTuple

from uprobes_sim.arch import Abi
from uprobes_sim_powerpc.abi import CPUS
from uprobes_sim_powerpc.decode import UNASSIGNED
from uprobes_sim_powerpc.defects import FIRST_NONVOLATILE, is_update
from uprobes_sim_powerpc.errata import (
    BCCTR_DECREMENT,
    INVALID_PAIR,
    INVALID_UPDATE,
    LONE_ELEMENT,
    LOST_BCTAR,
    LOST_NONVOLATILE,
    PREFIXED_QUAD,
    VECTOR_LENGTH,
)
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS
from uprobes_sim_powerpc.isa.system import SPR_PVR
from uprobes_sim_powerpc.writes import written_gprs

_SPR_DSCR: Final = 3


class Probed(NamedTuple):
    """An instruction under a probe."""

    row: Insn | None
    insn: int
    abi: Abi
    cpu: str
    emulated: bool
    rule: str
    """Of its mechanism."""
    is_suffix: bool
    """It is the second word of a prefixed instruction, as far as can be seen."""

    def has_word(self, opcode: int, extended: int) -> bool:
        """Tell whether it has this primary and this extended opcode of ten bits."""
        return self.insn >> 26 == opcode and self.insn >> 1 & 0x3FF == extended

    def is_valid(self) -> bool:
        """Tell whether its definition takes this form."""
        return self.row is not None and self.row.is_valid(self.insn)


def named(*names: str) -> Callable[[Probed], bool]:
    """Concern what is defined under one of *names*."""
    return lambda probed: probed.row is not None and probed.row.name in names


def of_class(*kinds: str) -> Callable[[Probed], bool]:
    """Concern the kernel's classes *kinds*."""
    return lambda probed: probed.row is not None and probed.row.kernel in kinds


def invalid(*names: str) -> Callable[[Probed], bool]:
    """Concern invalid forms of what is defined under one of *names*."""

    def concerns(probed: Probed) -> bool:
        return named(*names)(probed) and not probed.is_valid()

    return concerns


def writes_nonvolatile(probed: Probed) -> bool:
    """Concern emulated writes to the GPRs that a function preserves."""
    if probed.row is None or not probed.emulated or probed.abi.bits == 32:
        return False
    return any(n >= FIRST_NONVOLATILE for n in written_gprs(probed.row, probed.insn))


def lost_branch(probed: Probed) -> bool:
    """Concern branches that are stepped: bctar and rfebb."""
    return named("bctar[l]")(probed) or probed.has_word(19, 146)


def emulated_pair(probed: Probed) -> bool:
    """Concern prefixed pairs that KUAP leaves to the emulation."""
    return probed.emulated and named("plq", "pstq")(probed)


def blocked(probed: Probed) -> bool:
    """Concern what KUAP keeps from being emulated."""
    return probed.rule == "powerpc.xol.kuap"


def illegal(probed: Probed) -> bool:
    """Concern what the processor does not have, or not in this form."""
    if probed.row is None:
        return probed.insn >> 26 in UNASSIGNED
    return probed.row.isa > CPUS[probed.cpu][0] or probed.rule == "powerpc.xol.invalid"


def completed_by_kernel(probed: Probed) -> bool:
    """Concern moves of PVR and of DSCR by its user number, whose traps the kernel answers."""
    moves = named("mfspr", "mtspr")(probed)
    return moves and FIELDS["SPR"](probed.insn) in (_SPR_DSCR, SPR_PVR)


def relative_access(probed: Probed) -> bool:
    """Concern accesses relative to the instruction's own address."""
    if probed.row is None or not {"R", "m"} <= {*probed.row.fields}:
        return False
    return bool(FIELDS["R"](probed.insn))


def invalid_update(probed: Probed) -> bool:
    """Concern forms with update whose RA is 0, or RT."""
    return probed.row is not None and is_update(probed.row) and not probed.is_valid()


def suffix(probed: Probed) -> bool:
    """Concern second words."""
    return probed.is_suffix


def hashchk(probed: Probed) -> bool:
    """Concern hashchk."""
    return probed.has_word(31, 754)


CONCERNS: Final[dict[str, Callable[[Probed], bool]]] = {
    LOST_NONVOLATILE: writes_nonvolatile,
    LOST_BCTAR: lost_branch,
    VECTOR_LENGTH: named("lxvl", "lxvll", "stxvl", "stxvll"),
    PREFIXED_QUAD: emulated_pair,
    "powerpc.reservation": of_class("LARX", "STCX"),
    "powerpc.kuap_warning": blocked,
    "powerpc.xol_signal": illegal,
    "powerpc.completed_spr": completed_by_kernel,
    "powerpc.hashchk_hang": hashchk,
    "powerpc.syscall_emulated": of_class("SYSCALL"),
    "powerpc.relative_slot": relative_access,
    "powerpc.suffix": suffix,
    INVALID_UPDATE: invalid_update,
    INVALID_PAIR: invalid("lfdpx", "stfdp", "stfdpx"),
    BCCTR_DECREMENT: invalid("bcctr[l]"),
    LONE_ELEMENT: named("lvebx", "lvehx", "lvewx"),
    "powerpc.mullw": named("mullw[o][.]"),
    "powerpc.stmw_update": named("stmw"),
}
"""The instructions for which a probe is warned of an erratum. Of the others, the defect lies in
what surrounds the instruction, or one word does not show it."""
