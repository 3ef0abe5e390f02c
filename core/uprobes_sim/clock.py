"""Simulated time: it moves when it is looked at, when someone sleeps, and with instructions."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SECOND: Final = 10**9

START: Final = 1_767_225_600 * 10**9
"""Nanoseconds from 1970 to 2026-01-01, 00:00 UTC: no run starts earlier."""

TICK: Final = 100_000
"""Nanoseconds that one look at the clock takes."""

JIFFY: Final = 10**6
"""Nanoseconds between two timer interrupts."""
INSNS_PER_JIFFY: Final = 100_000
"""Instructions that a program executes in a jiffy. Those of a program only, which are as many
with probes as without, so that it cannot tell by the time that it is probed."""


@dataclass(slots=True)
class Clock:
    """The one clock of a machine."""

    start: int = START
    """Nanoseconds since 1970 at which the run starts."""
    uptime: int = 0
    """Nanoseconds since the start: CLOCK_MONOTONIC and its like."""
    jiffies: int = 0
    """Timer interrupts so far."""

    @property
    def now(self) -> int:
        """Nanoseconds since 1970, for timestamps. Time does not move."""
        return self.start + self.uptime

    @classmethod
    def after(cls, *paths: Path) -> "Clock":
        """Start when the youngest of some files was made, so that none lies in the future.

        A folder brings along what lies in it. The same files give the same time.
        """
        made = [START]
        for path in paths:
            try:
                made.append(path.stat().st_mtime_ns)
                with os.scandir(path) as folder:
                    made += (each.stat(follow_symlinks=False).st_mtime_ns for each in folder)
            except (OSError, ValueError):
                continue
        return cls(start=-(-max(made) // _SECOND) * _SECOND)

    def executed(self, insns: int) -> None:
        """Let the time pass that programs have used, *insns* instructions since the start."""
        jiffies = max(insns // INSNS_PER_JIFFY, self.jiffies)
        self.uptime += (jiffies - self.jiffies) * JIFFY
        self.jiffies = jiffies

    def look(self) -> None:
        """Let the time pass that it takes to ask for the time."""
        self.uptime += TICK

    def sleep(self, duration: int) -> None:
        """Let *duration* nanoseconds pass."""
        self.uptime += max(duration, 0)
