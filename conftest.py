"""What every test may ask for."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

REQUIRE = "UPROBES_SIM_REQUIRE_ORACLES"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-oracles",
        action="store_true",
        default=os.environ.get(REQUIRE) == "1",
        help=f"a test that would be skipped fails (also: {REQUIRE}=1)",
    )


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and config.getoption("require_oracles"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"skipped, and --require-oracles was given: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report, collector.config)
    return report


# --- what nobody can install ----------------------------------------------------

CPUINFO = Path("/proc/cpuinfo")
LEFT_OUT = pytest.StashKey[dict[str, int]]()


def _lacking(item: pytest.Item, has: set[str]) -> set[str]:
    """Name the extensions of the processor that a test is marked with and that are not there."""
    return {str(name) for mark in item.iter_markers("processor") for name in mark.args} - has


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    has = set(CPUINFO.read_text().split()) if CPUINFO.exists() else set[str]()
    kept, left_out, why = list[pytest.Item](), list[pytest.Item](), dict[str, int]()
    for item in items:
        lacking = _lacking(item, has)
        (left_out if lacking else kept).append(item)
        for name in lacking:
            why[name] = why.get(name, 0) + 1
    items[:] = kept
    config.stash[LEFT_OUT] = why
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for name, count in sorted(config.stash.get(LEFT_OUT, {}).items()):
        terminalreporter.write_line(f"{count} tests left out: this processor has no {name}")
