"""All waiting, and all points at which another task could run.

Code that waits says so here and nowhere else, so that a scheduler that explores
orders of events can be put in without touching it.
"""

from collections.abc import Callable


class Deadlock(AssertionError):
    """Every task waits: the simulated kernel would hang."""


class Scheduler:
    """The one order of events there is while a machine has one task."""

    def cond_resched(self, where: str) -> None:
        """Let another task run, if there is one. *where* names the place."""

    def wait_event(self, where: str, condition: Callable[[], bool]) -> None:
        """Sleep until *condition* holds.

        Raises:
            Deadlock: nobody is left who could make it hold.
        """
        if not condition():
            raise Deadlock(f"waiting for ever: {where}")
