"""Known defects of Linux, as data: what goes wrong, on which kernels, and how it is known."""

from dataclasses import dataclass
from typing import Literal

from uprobes_sim.version import Kconfig, Release

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
    requires: str | None = None
    """The same where it is one option: `CONFIG_PPC_KUAP=y`, or `=n` for one that is not set."""
    besides: Literal["return", "trap"] | None = None
    """What of a probe, and not its instruction, it concerns: that it is a return probe; or that
    it is refused, being on a trap, but was registered while nobody mapped the file."""
    bits: Literal[64, 32] | None = None
    """Width of the tasks whose probes it concerns so; None: any."""
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

    def in_force(self, release: Release, cpu: str, kconfig: Kconfig | None = None) -> bool:
        """Tell whether a machine of *release* and *cpu* has it; no *kconfig*: the default."""
        ended = self.until is not None and release >= self.until
        possible = kconfig is None or self.requires is None or kconfig.meets(self.requires)
        fits = not self.cpus or cpu in self.cpus
        return self.since <= release and not ended and fits and possible
