"""The running kernel as the judge.

Where it is not the kernel that the tables were measured on, nobody can install a
judge: the tests are left out and the summary says so. Everything else that they
lack is a skip, which fails where oracles are required.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from live.kernel import unfit
from uprobes_sim.conformance.live_kernel import BpfKernel, LiveKernel

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if unfit() is None:
        return
    live = [item for item in items if HERE in item.path.parents]
    items[:] = [item for item in items if item not in live]
    config.hook.pytest_deselected(items=live)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reason = unfit()
    if reason is not None:
        terminalreporter.write_line(f"tests/live left out: {reason}")


@pytest.fixture(scope="session")
def kernel() -> Iterator[LiveKernel]:
    """The live kernel, ready for probes."""
    try:
        live = BpfKernel()
    except OSError as exc:
        pytest.skip(f"no uprobes by BPF links: {exc}; run the tests as root")
    yield live
    live.close()
