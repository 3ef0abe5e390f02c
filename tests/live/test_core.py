"""The core and the running kernel do the same: hits, errnos, memory, signals."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from live.scripts import SCRIPTS
from live.stage import PMU, Live, Simulated
from uprobes_sim.conformance.live_kernel import LiveKernel


@pytest.fixture
def running(kernel: LiveKernel, tmp_path: Path) -> Iterator[Live]:
    """The running kernel, and nothing left of what was done to it."""
    if not PMU.exists():
        pytest.skip("the kernel has no perf events for uprobes")
    live = Live(tmp_path)
    yield live
    live.close()


def test_there_are_many_scripts() -> None:
    assert len(SCRIPTS) >= 25


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_shows_the_same_on_both(name: str, running: Live) -> None:
    script = SCRIPTS[name]

    assert list(script(Simulated())) == list(script(running))
