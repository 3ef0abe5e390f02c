"""A scenario: the claim, who made it, and what happens where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uprobes_sim.log import Record
from uprobes_sim.version import Kernel, Release

if TYPE_CHECKING:
    from uprobes_sim.scenarios.stage import Stage


class ScenarioError(AssertionError):
    """A scenario does not end as it is known to, or nothing caused its end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, and what of the log is to blame."""

    words: str
    causes: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One play."""

    name: str
    title: str
    claim: str
    source: str
    """Who made the claim, and where it is written."""
    expected: str
    """What was expected of it at the time, or is by whoever meets it first."""
    outcomes: tuple[tuple[Release, str], ...]
    """What happens, from which release on; the oldest first."""
    arches: tuple[str, ...]
    """Where it can play; the first is its own."""
    variant: str | None
    needs: str | None
    """Row of the version table without which there is nothing to play."""
    play: Callable[["Stage"], Outcome]

    def known(self, kernel: Kernel) -> str:
        """Find what is known to happen on *kernel*."""
        return [words for release, words in self.outcomes if release <= kernel.release][-1]


ALL: dict[str, Scenario] = {}
"""Every scenario that was told, by name."""


def scenario(
    name: str,
    *,
    title: str,
    claim: str,
    source: str,
    expected: str,
    outcomes: dict[str, str] | str,
    arches: tuple[str, ...] = ("powerpc", "x86"),
    variant: str | None = None,
    needs: str | None = None,
) -> Callable[[Callable[["Stage"], Outcome]], Callable[["Stage"], Outcome]]:
    """Tell a scenario. *outcomes*: by the release they begin with, or one for all."""
    found = {"3.5": outcomes} if isinstance(outcomes, str) else outcomes
    by_release = tuple(sorted((_release(text), words) for text, words in found.items()))

    def tell(play: Callable[["Stage"], Outcome]) -> Callable[["Stage"], Outcome]:
        assert name not in ALL, f"two scenarios are called {name}"
        ALL[name] = Scenario(
            name, title, claim, source, expected, by_release, arches, variant, needs, play
        )
        return play

    return tell


def _release(text: str) -> Release:
    major, minor = text.split(".")
    return int(major), int(minor)
