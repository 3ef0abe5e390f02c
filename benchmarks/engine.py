"""Speed of the built-in PowerPC engine: `python benchmarks/engine.py`.

Guest instructions a second of work.c, against calls a second of an empty Python
closure in the same process, so that the machine's speed cancels out. The two are
measured in turn, and the best of each counts.
"""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

from table import Ratio, report
from uprobes_sim import session
from uprobes_sim.events import Event, Summary

PROGRAM: Final = Path(__file__).parent / "powerpc64le" / "work"
ROUNDS: Final = 5
CALLS: Final = 1_000_000


def guest_insns() -> int:
    """Run the program; answer how many instructions it executed."""
    events = list[Event]()
    options = session.Options(compare=False)
    session.run(PROGRAM, (), (), options, stdin=BytesIO(), emit=events.append)
    summary = events[-1]
    assert isinstance(summary, Summary)
    return summary.insns


def closure_calls() -> int:
    """Call an empty closure."""
    cell = None

    def empty() -> None:
        return cell

    for _ in range(CALLS):
        empty()
    return CALLS


def rate(work: Callable[[], int]) -> float:
    """Measure how much *work* does in a second."""
    start = time.perf_counter()
    return work() / (time.perf_counter() - start)


def main() -> None:
    """Measure, and print the table."""
    rounds = [(rate(guest_insns), rate(closure_calls)) for _ in range(ROUNDS)]
    insns, calls = zip(*rounds, strict=True)
    report(
        "a second",
        "guest insns",
        "closure calls",
        [Ratio("powerpc64le, work.c", max(insns), max(calls), at_least=0.25)],
    )


if __name__ == "__main__":
    main()
