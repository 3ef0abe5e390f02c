"""Cases of the powerpc samples, as records that the harness executes."""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from powerpc_judge.record import CONTEXT, FILL_WITH_TRAPS, SCRATCH, Record, address
from uprobes_sim.arch import Abi
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.samples.draw import Case, Drawer, Ground, Limit

_UNMAPPED: Final = range(0x01A00000, 0x01FFFFFC, 4)
"""Addresses behind the slots: a branch that gets there faults there."""

GROUND: Final = Ground(SCRATCH, CONTEXT, _UNMAPPED)


def new_drawer(rng: random.Random, abi: Abi, limits: Mapping[str, Sequence[Limit]]) -> Drawer:
    """Make a drawer for the harness."""
    return Drawer(rng, abi, GROUND, limits)


def draw(drawer: Drawer, row: Insn, number: int) -> Record:
    """Draw a valid case of *row*, to be record *number*."""
    return record(drawer.draw(row, address(number)))


def record(case: Case) -> Record:
    """Make the record of a case."""
    word = case.word
    first, second = (word >> 32, word & 0xFFFFFFFF) if word >> 32 else (word, 0)
    if case.before:
        first, second = case.before, word
    flags = FILL_WITH_TRAPS if case.row.branches else 0
    return (
        first, second, flags, 0, 0, *case.values, 0, case.fpscr, case.vscr, 0,
        *case.gpr, *case.vsr, case.mem,
    )  # fmt: skip
