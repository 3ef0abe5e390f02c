"""Simulated time: it moves when it is looked at, and when someone sleeps."""

from dataclasses import dataclass
from typing import Final

START: Final = 1_767_225_600 * 10**9
"""Nanoseconds from 1970 to the start of every run: 2026-01-01, 00:00 UTC."""

TICK: Final = 100_000
"""Nanoseconds that one look at the clock takes. It does not depend on what was
executed in between, so that a program cannot tell by the time that it is probed."""


@dataclass(slots=True)
class Clock:
    """The one clock of a machine."""

    uptime: int = 0
    """Nanoseconds since the start: CLOCK_MONOTONIC and its like."""

    @property
    def now(self) -> int:
        """Nanoseconds since 1970, for timestamps. Time does not move."""
        return START + self.uptime

    def look(self) -> None:
        """Let the time pass that it takes to ask for the time."""
        self.uptime += TICK

    def sleep(self, duration: int) -> None:
        """Let *duration* nanoseconds pass."""
        self.uptime += max(duration, 0)
