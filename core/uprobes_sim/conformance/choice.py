"""What the user of the suite chooses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uprobes_sim.conformance.target import SECONDS

EXAMPLES: Final = 10_000
"""Step cases of each ABI, at least, unless a number is chosen."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How to test, and what."""

    levels: tuple[str, ...] = ()
    """None: all that follow from the claims."""
    examples: int = EXAMPLES
    """Step cases of each ABI, divided among the rows of its table; cases of every other test."""
    seed: int = 1
    xfails: Path | None = None
    """Names of tests that must fail, one a line."""
    oracle: str | None = None
    report: Path | None = None
    """Folder for `report.html` and `report.json`."""
    seconds: float = SECONDS
    """That a hook may take."""

    def per_row(self, rows: int) -> int:
        """Give the cases of each of *rows* rows."""
        return max(1, -(-self.examples // max(rows, 1)))

    def some(self, most: int) -> int:
        """Give a number of cases, *most* at most, for a test that needs no more."""
        return max(1, min(self.examples, most))
