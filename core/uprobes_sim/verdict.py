"""What the kernel would answer to a probe, and how it would step it, with the reason."""

from typing import Literal, NamedTuple

from uprobes_sim.errata import Severity
from uprobes_sim.errno import Errno

How = Literal["emulate", "xol"]
"""Emulated, or a copy stepped out of line."""


class Caution(NamedTuple):
    """A warning: what a user of a probe should know beforehand."""

    rule: str
    """Stable identifier, such as `powerpc.suffix`; of a known defect, the erratum's id."""
    severity: Severity
    reason: str


class Mechanism(NamedTuple):
    """How an accepted instruction is executed on an ordinary hit."""

    how: How
    rule: str
    """Stable identifier, such as `powerpc.emulate.branch`."""
    reason: str


class Grounds(NamedTuple):
    """Where a rule comes from."""

    kernel: str
    """File and function."""
    manual: str | None = None
    """What the architecture's manual says of it, or of the instruction."""


class Verdict(NamedTuple):
    """The kernel's answer to a probe on one instruction."""

    verdict: Literal["reject", "emulate", "xol"]
    errno: Errno | None
    """None unless rejected."""
    rule: str
    reason: str
    warnings: tuple[Caution, ...] = ()

    @property
    def alarming(self) -> bool:
        """Tell whether something was found: a refusal, or that the program is hurt."""
        hurt = any(each.severity in ("damages", "kills") for each in self.warnings)
        return self.verdict == "reject" or hurt
