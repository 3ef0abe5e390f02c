"""What is worth showing of a run: one frozen dataclass each.

Every output format is a converter of these. `step` counts events, from 1; it is
never a time.
"""

from dataclasses import dataclass, field
from typing import Literal

from uprobes_sim.errata import Severity
from uprobes_sim.errno import Errno
from uprobes_sim.signals import Signal
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import How as How

What = Literal["output", "exit_status", "register", "memory", "mapping", "file"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A task ran into a probe."""

    step: int
    probe: str
    """The probe as the user wrote it."""
    pid: int
    tid: int
    comm: str
    vaddr: Vaddr
    """Address in the running program."""
    how: How
    """Whether the kernel emulates the instruction or steps a copy out of line."""
    text: str
    """The instruction, as an assembler would write it."""
    regs: dict[str, int] | None
    """Registers as the handler sees them, when asked for."""


@dataclass(frozen=True, slots=True)
class Return:
    """A function with a return probe returned."""

    step: int
    probe: str
    pid: int
    tid: int
    comm: str
    vaddr: Vaddr
    """Address returned to."""
    func: Vaddr
    """Address that was entered."""
    retval: int
    """The whole register that holds return values, unsigned."""


@dataclass(frozen=True, slots=True)
class Output:
    """The program wrote to standard output or standard error."""

    step: int
    fd: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ProbeRefused:
    """The kernel refused a probe; the program was not run."""

    step: int
    probe: str
    errno: Errno
    rule: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ProbeWarning:
    """The kernel takes a probe that will do harm. Shown before the program runs: it may not end."""

    step: int
    probe: str
    rule: str
    severity: Severity
    """Never `note`."""
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownSyscall:
    """The program made a system call that is not simulated; it got ENOSYS. Told once each."""

    step: int
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the program could tell the probed run by."""

    what: What
    where: str
    """Register, address range, file descriptor."""
    probed: str
    unprobed: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The probed run beside the unprobed one."""

    differences: tuple[Difference, ...]
    trampoline_values: int
    """Registers and words of memory that hold the return trampoline's address where the
    unprobed run has the return address it replaced, or what a trampoline has pushed: what
    every return probe leaves behind, and no difference."""

    @property
    def equal(self) -> bool:
        """Tell whether the program did not notice."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. The last event."""

    step: int
    hits: dict[str, int]
    """Handler calls by probe, every probe named."""
    exit_status: int | None
    signal: Signal | None
    insns: int
    """Instructions that the program executed, those stepped out of line included."""
    compared: Compared | None
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Rules of the warnings of each probe that has any: known defects have their ids here."""


Event = Hit | Return | Output | ProbeRefused | ProbeWarning | UnknownSyscall | Summary
