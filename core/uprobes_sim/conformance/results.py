"""What came out of a run: one result a test, counts of cases, and what is wrong beyond tests."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["passed", "failed", "skipped", "xfailed"]


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of one test."""

    level: str
    test: str
    """Its name, with the ABI and row in brackets."""
    status: Status
    message: str = ""
    """Why, in one line; empty when passed."""
    seconds: float = 0.0

    @property
    def id(self) -> str:
        """Name it as a file of expected failures does."""
        return f"{self.level}::{self.test}"


@dataclass(slots=True)
class Results:
    """What came out of all."""

    found: list[Result] = field(default_factory=list)
    cases: Counter[str] = field(default_factory=Counter)
    """Step cases by what became of them: `emulate`, `xol`, `refused`; and `fault`, `excused`."""
    complaints: list[str] = field(default_factory=list)
    """What is wrong beyond any test, in a line each."""

    def count(self, status: Status, level: str | None = None) -> int:
        """Count results."""
        return sum(each.status == status and level in (None, each.level) for each in self.found)

    @property
    def failures(self) -> list[Result]:
        """Give those that failed."""
        return [each for each in self.found if each.status == "failed"]

    @property
    def passed(self) -> bool:
        """Tell whether there is nothing wrong."""
        return not self.failures and not self.complaints and bool(self.found)

    @property
    def step_cases(self) -> int:
        """Count the instructions that were executed under a probe, or refused one."""
        return sum(self.cases[kind] for kind in ("emulate", "xol", "refused"))
