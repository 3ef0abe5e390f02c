"""Known defects of Linux on riscv64, and the instructions that each concerns."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from uprobes_sim.errata import Erratum

X0: Final = "riscv64.x0"
RESERVED_BRANCH: Final = "riscv64.reserved_branch"
SLOT_ADDRESS: Final = "riscv64.slot_address"
RESERVATION: Final = "riscv64.reservation"


class Defect(NamedTuple):
    """An erratum, and the instructions that it concerns, by their row and fields."""

    erratum: Erratum
    concerns: Callable[[str, Mapping[str, int]], bool]


def writes_x0(row: str, fields: Mapping[str, int]) -> bool:
    """Tell whether a simulated instruction leaves its result nowhere."""
    return row in ("jal", "jalr", "auipc") and fields["rd"] == 0


def is_no_branch(row: str, fields: Mapping[str, int]) -> bool:
    """Tell whether a branch has a condition that there is not."""
    return row == "branch" and fields["funct3"] in (0b010, 0b011)


def is_atomic(row: str, fields: Mapping[str, int]) -> bool:
    """Tell whether an instruction is SIGBUS where its operand is misaligned."""
    return row in ("lr", "sc") or row.startswith("amo")


def reserves(row: str, fields: Mapping[str, int]) -> bool:
    """Tell whether an instruction has to do with a reservation."""
    return row in ("lr", "sc")


_READ: Final = "read: arch/riscv/kernel/probes/simulate-insn.c"

DEFECTS: Final = (
    Defect(
        Erratum(
            id=X0,
            since=(5, 12),
            until=(6, 7),
            instructions="jal, jalr and auipc with the destination x0, which are j, jr and ret",
            effect="the simulation gives up, but counts as done: ip stays, and the probe is hit "
            "for ever",
            severity="kills",
            evidence=f"{_READ}, rv_insn_reg_set_val of older trees",
            upstream="riscv: kprobes: allow writing to x0 (the release from memory)",
        ),
        writes_x0,
    ),
    Defect(
        Erratum(
            id=RESERVED_BRANCH,
            since=(5, 15),
            until=None,
            instructions="the opcode of branches with a reserved condition, which is SIGILL",
            effect="the simulation gives up, but counts as done: ip stays, and the probe is hit "
            "for ever",
            severity="kills",
            evidence=f"{_READ}, simulate_branch; all of the opcode is simulated",
            upstream="nothing known",
        ),
        is_no_branch,
    ),
    Defect(
        Erratum(
            id=SLOT_ADDRESS,
            since=(5, 12),
            until=None,
            instructions="atomics with a misaligned operand; whatever else is a signal about the "
            "instruction itself",
            effect="si_addr is that of the copy in the slot, since riscv does not ask "
            "uprobe_get_trap_addr",
            severity="note",
            evidence="read: arch/riscv/kernel/traps.c, do_trap_error",
            upstream="so on all architectures but x86",
        ),
        is_atomic,
    ),
    Defect(
        Erratum(
            id=RESERVATION,
            since=(5, 12),
            until=None,
            instructions="lr, sc and all between them",
            effect="the exceptions of a hit clear the reservation: sc fails, and the loop around "
            "it never ends",
            severity="kills",
            evidence="read: neither is refused; arch/riscv/kernel/entry.S clears the reservation "
            "on the way to user mode",
            upstream="nothing known",
        ),
        reserves,
    ),
)
