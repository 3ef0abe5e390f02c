"""Known defects of Linux, as data: what goes wrong, on which kernels, and how it is known."""

from dataclasses import dataclass
from typing import Literal

from uprobes_sim.version import Release

Severity = Literal["damages", "kills", "slow", "misses", "note"]
"""The program's data or flow is damaged; it dies; it slows down; hits are missed; good to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erratum:
    """One known defect of a kernel's uprobes."""

    id: str
    """Stable identifier, `powerpc.lost_nonvolatile`."""
    since: Release
    until: Release | None
    """First release without it; None: still there."""
    config: str | None = None
    """Kernel configuration that it needs, in words."""
    cpus: tuple[str, ...] = ()
    """Processors (`ArchInfo.cpus`) that show it; none named: all."""
    instructions: str
    """Which instructions, in words."""
    effect: str
    severity: Severity
    evidence: str
    """What was run or read to know it."""
    upstream: str
    """What upstream knows of it."""

    def in_force(self, release: Release, cpu: str) -> bool:
        """Tell whether a machine of *release* and *cpu*, configured by default, has it."""
        ended = self.until is not None and release >= self.until
        return self.since <= release and not ended and (not self.cpus or cpu in self.cpus)
