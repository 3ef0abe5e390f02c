"""Simulated time: it moves when it is looked at, and when someone sleeps."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SECOND: Final = 10**9

START: Final = 1_767_225_600 * 10**9
"""Nanoseconds from 1970 to 2026-01-01, 00:00 UTC: no run starts earlier."""

TICK: Final = 100_000
"""Nanoseconds that one look at the clock takes. It does not depend on what was
executed in between, so that a program cannot tell by the time that it is probed."""


@dataclass(slots=True)
class Clock:
    """The one clock of a machine."""

    start: int = START
    """Nanoseconds since 1970 at which the run starts."""
    uptime: int = 0
    """Nanoseconds since the start: CLOCK_MONOTONIC and its like."""

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

    def look(self) -> None:
        """Let the time pass that it takes to ask for the time."""
        self.uptime += TICK

    def sleep(self, duration: int) -> None:
        """Let *duration* nanoseconds pass."""
        self.uptime += max(duration, 0)
