"""The judge: draws cases, has them executed here and there, and compares."""

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from powerpc_judge.draw import draw, new_drawer
from powerpc_judge.engine import Engine
from powerpc_judge.known import LIMITS, MASKS, NEWEST, Limit, Mask, judged
from powerpc_judge.qemu import ABIS, Qemu
from powerpc_judge.record import NAMES, Record
from uprobes_sim.arch import Abi
from uprobes_sim.errors import EngineError
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.interrupts import Interrupt

TRANSLATED: Final = 8
"""One case of so many is executed as a translated trace."""


@dataclass
class Verdict:
    """What came out, of any number of batches."""

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many, by ABI and row."""
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many differ beyond the list of what is known."""
    masked: Counter[str] = field(default_factory=Counter)
    """How many outcomes are equal only without what a mask blanks."""
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        """Take in what another batch gave."""
        self.cases += other.cases
        self.wrong += other.wrong
        self.masked += other.masked
        self.examples = (self.examples + other.examples)[:50]


class Judge:
    """Both sides, ready."""

    def __init__(self, folder: Path) -> None:
        """Compile the harnesses into *folder*."""
        self._qemu = {abi: Qemu(abi, folder) for abi in ABIS}

    def batch(
        self,
        abi: Abi,
        seed: str,
        size: int,
        *,
        start: int = 0,
        rows: list[Insn] | None = None,
        cpu: str = NEWEST,
    ) -> Verdict:
        """Judge *size* cases of *rows*, or all in turn from *start* on, drawn with *seed*."""
        rng = random.Random(seed)
        rows = judged(abi, cpu) if rows is None else rows
        drawer = new_drawer(rng, abi, limits(abi))
        turn = [rows[(start + n) % len(rows)] for n in range(size)]
        records = [draw(drawer, row, n) for n, row in enumerate(turn)]
        theirs = self._qemu[abi].execute(records, cpu)
        engine = Engine(abi, cpu, records)
        verdict = Verdict()
        for n, row in enumerate(turn):
            verdict.cases[str(abi), row.name] += 1
            translated = rng.randrange(TRANSLATED) == 0
            try:
                ours = engine.execute(n, translated=translated)
            except (EngineError, Interrupt) as exc:
                verdict.wrong[str(abi), row.name] += 1
                verdict.examples.append(f"{abi} {row.name}: {exc!r}")
                continue
            if ours != theirs[n]:
                _compare(verdict, abi, row, records[n], ours, theirs[n])
        return verdict


def limits(abi: Abi) -> dict[str, list[Limit]]:
    """Give the limits of each row that has some."""
    found = {row.name: [one for one in LIMITS if one.matches(row, abi)] for row in judged(abi)}
    return {name: some for name, some in found.items() if some}


@cache
def masks(row: Insn, abi: Abi) -> list[Mask]:
    """Give the masks for *row*."""
    return [mask for mask in MASKS if mask.matches(row, abi)]


def _compare(
    verdict: Verdict, abi: Abi, row: Insn, given: Record, ours: Record, theirs: Record
) -> None:
    word = given[0] << 32 | given[1] if row.prefixed else given[1] or given[0]
    sides: tuple[list[Any], list[Any]] = list(ours), list(theirs)
    for mask in masks(row, abi):
        before = sides[0] == sides[1]
        for side in sides:
            mask.blank(side, row, word)
        if not before and sides[0] == sides[1]:
            verdict.masked[f"{mask.names} {mask.part}"] += 1
    if sides[0] != sides[1]:
        verdict.wrong[str(abi), row.name] += 1
        verdict.examples.append(f"{abi} {row.name} {word:#x}: {_difference(given, *sides)}")


def _difference(given: Record, ours: list[Any], theirs: list[Any]) -> str:
    at = next(n for n in range(len(ours)) if ours[n] != theirs[n])
    if isinstance(ours[at], bytes):
        return f"memory: given {given[at].hex()}, ours {ours[at].hex()}, QEMU {theirs[at].hex()}"
    return f"{NAMES[at]}: given {given[at]:#x}, ours {ours[at]:#x}, QEMU {theirs[at]:#x}"
