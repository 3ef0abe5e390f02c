"""What is counted of instructions, as numbers beside their forms."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from uprobes_sim.errata import Severity
from uprobes_sim.scan.arrays import Uint8s
from uprobes_sim.verdict import Verdict

SEVERITIES: Final[tuple[Severity, ...]] = ("damages", "kills", "misses", "slow", "note")
"""The loudest first, which is the order of every format."""

HARMFUL: Final = frozenset[Severity](("damages", "kills"))
"""Accepted, and then the program is damaged."""

COLUMNS: Final = ("emulate", "xol", "reject", *SEVERITIES)
"""What is counted of each function."""

TOLD: Final = [
    COLUMNS.index(name) for name in ("reject", *SEVERITIES) if name in {"reject", *HARMFUL}
]
"""Columns of instructions that people want to hear where they are."""


def loudness(severity: Severity | None) -> int:
    """Rank: damage first, refusals (None) before what is only good to know."""
    return (*SEVERITIES[:2], None, *SEVERITIES[2:]).index(severity)


def is_told(answer: Verdict) -> bool:
    """Tell whether people are shown where instructions with this answer are."""
    return answer.verdict == "reject" or any(each.severity in HARMFUL for each in answer.warnings)


def columns(answers: Sequence[Verdict]) -> Uint8s:
    """Count each of *answers* as one instruction: a row of `COLUMNS`."""
    known = {id(answer): _row(answer) for answer in {id(each): each for each in answers}.values()}
    rows = [known[id(answer)] for answer in answers]
    return np.array(rows, np.uint8).reshape(-1, len(COLUMNS))


def _row(answer: Verdict) -> list[bool]:
    severities = {each.severity for each in answer.warnings}
    return [name == answer.verdict or name in severities for name in COLUMNS]
