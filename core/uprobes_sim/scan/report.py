"""What a scan found in one file, counted: by verdict, rule and warning, damage first."""

from dataclasses import dataclass
from typing import NamedTuple

from uprobes_sim.errata import Severity
from uprobes_sim.scan.columns import HARMFUL
from uprobes_sim.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """All instructions of a file that one rule refuses, or that one warning is about."""

    rule: str
    severity: Severity | None
    """None: refused."""
    reason: str
    """Of a warning, or for the first that is refused."""
    errno: str | None
    count: int
    mnemonics: dict[str, int]
    """The most frequent first; of what is only good to know, none."""
    functions: int
    """Number of functions that have one."""
    examples: tuple[str, ...]
    """Some of those functions."""


class FunctionRow(NamedTuple):
    """One function, counted."""

    name: str | None
    """None: only `.eh_frame` knows of it."""
    vaddr: int
    insns: int
    counts: dict[str, int]
    """By `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Instructions of one function that one rule refuses, or that one warning is about."""

    rule: str
    severity: Severity | None
    reason: str
    errno: str | None
    symbol: str | None
    vaddr: int
    """Of the first of them."""
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """Instructions to which two kernels give different answers."""

    before: Verdict
    after: Verdict
    count: int
    mnemonics: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """One file under one kernel, or under two."""

    path: str
    arch: str
    kernel: str
    build_id: str | None
    insns: int
    left_out: int
    """Bytes between instructions: data in the code, as far as can be seen."""
    verdicts: dict[str, int]
    rules: dict[str, int]
    errnos: dict[str, int]
    warnings: dict[str, int]
    findings: tuple[Finding, ...]
    """Warnings, then refusals; the loudest first."""
    functions: tuple[FunctionRow, ...] = ()
    places: tuple[Place, ...] = ()
    """What there is of each finding in each function."""
    other_kernel: str | None = None
    changes: tuple[Change, ...] = ()
    """From `kernel` to `other_kernel`."""

    @property
    def harmful(self) -> int:
        """Count the instructions that are accepted and then damage or kill the program."""
        return sum(each.count for each in self.findings if each.severity in HARMFUL)
