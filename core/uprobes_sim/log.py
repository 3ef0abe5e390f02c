"""What uprobes did and why, as a log: the causes of whatever a program or a tracer sees.

Nobody keeps it unless asked to (`Uprobes.log`), and then a hit costs more.
"""

from dataclasses import dataclass
from enum import StrEnum

from uprobes_sim.errno import Errno
from uprobes_sim.units import Vaddr


class Act(StrEnum):
    """What was done."""

    REGISTER = "register"
    UNREGISTER = "unregister"
    REFUSE = "refuse"
    FILTER = "filter"
    """A filter was asked; `why` has its answer."""
    INSTALL = "install"
    SWALLOW = "swallow"
    """A breakpoint could not be installed, and nobody was told."""
    WRITE = "write"
    PRESENT = "present"
    """Nothing was written: a breakpoint was there, or none to take away."""
    REMOVE = "remove"
    LEAK = "leak"
    SEMAPHORE = "semaphore"
    DELAY = "delay"
    """A semaphore will be paid when its page is mapped, or no longer has to."""
    HAS = "has"
    """MMF_HAS_UPROBES was set or cleared."""
    INHERIT = "inherit"
    """A child got what its parent had."""
    HIT = "hit"
    HANDLER = "handler"
    """A handler ran; `why` has its answer."""
    EMULATE = "emulate"
    STEP = "step"
    DONE = "done"
    """The step is finished."""
    ABORT = "abort"
    """The step was given up; the original is executed again."""
    FORGET = "forget"
    """A step under way was forgotten, and its slot with it."""
    RESTART = "restart"
    """The task goes to the breakpoint's address again."""
    SKIP = "skip"
    """The probed instruction is not executed at all."""
    HIJACK = "hijack"
    UNTRACED = "untraced"
    """This one call has no return probe."""
    RETURN = "return"
    RETURNED = "returned"
    """A return handler ran."""
    DROP = "drop"
    """A return instance went without its handlers."""
    DENY = "deny"
    """Signals wait for the end of a step."""
    SIGNAL = "signal"
    HOOK = "hook"
    """A hook was asked that few kernels have."""
    WARN = "warn"
    POKE = "poke"
    """A debugger wrote into the process."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that was done."""

    act: Act
    why: str
    pid: int | None = None
    vaddr: Vaddr | None = None
    offset: int | None = None
    """Of the probe, in its file."""
    errno: Errno | None = None

    def __str__(self) -> str:
        """Write it in one line."""
        where = "" if self.vaddr is None else f" at {self.vaddr:#x}"
        whom = "" if self.pid is None else f" in {self.pid}"
        number = "" if self.errno is None else f" ({self.errno.name})"
        return f"{self.act}{where}{whom}: {self.why}{number}"
