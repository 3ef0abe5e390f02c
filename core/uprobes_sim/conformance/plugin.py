"""The pytest plugin that ships with uprobes-sim: `pytest --pyargs uprobes_sim.conformance`.

Without `--uprobes-arch` it does nothing. Everything else is imported when it is given.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from uprobes_sim.conformance.suite import Suite

NAME: Final = "uprobes-sim conformance suite"
_PACKAGE: Final = "uprobes_sim.conformance."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options of `uprobes-sim conformance`, with a prefix."""
    group = parser.getgroup("uprobes-sim", "conformance of uprobes-sim backends")
    group.addoption("--uprobes-arch", metavar="NAME|MODULE:OBJECT", help="the plugin to test")
    group.addoption(
        "--uprobes-level", action="append", default=[], help="only this level; may repeat"
    )
    group.addoption("--uprobes-examples", type=int, help="step cases of each ABI")
    group.addoption("--uprobes-seed", type=int, default=1, help="what cases are drawn with")
    group.addoption("--uprobes-xfails", type=Path, help="a file of tests that must fail")
    group.addoption("--uprobes-oracle", choices=["qemu", "kernel"], help="compare with this")
    group.addoption("--uprobes-report", type=Path, metavar="DIR", help="write HTML and JSON there")
    group.addoption("--uprobes-seconds", type=float, help="that a hook may take")


def pytest_configure(config: pytest.Config) -> None:
    """Set the suite up if a plugin is to be tested."""
    config.addinivalue_line("markers", "claim(name): run if the plugin claims it")
    arch: str | None = config.getoption("--uprobes-arch")
    if arch is None or config.pluginmanager.has_plugin(NAME):
        return
    config.pluginmanager.register(_suite(config, arch), NAME)


def _suite(config: pytest.Config, arch: str) -> "Suite":
    from uprobes_sim.conformance.choice import EXAMPLES, Choice
    from uprobes_sim.conformance.suite import Suite
    from uprobes_sim.conformance.target import SECONDS, link, load, missing
    from uprobes_sim.errors import UprobesSimError

    choice = Choice(
        levels=tuple(config.getoption("--uprobes-level")),
        examples=config.getoption("--uprobes-examples") or EXAMPLES,
        seed=config.getoption("--uprobes-seed"),
        xfails=config.getoption("--uprobes-xfails"),
        oracle=config.getoption("--uprobes-oracle"),
        report=config.getoption("--uprobes-report"),
        seconds=config.getoption("--uprobes-seconds") or SECONDS,
    )
    try:
        plugin = load(arch)
        if lacking := missing(plugin):
            names = ", ".join(each.hook for each in lacking)
            raise pytest.UsageError(f"plugin {arch}: still to be written: {names}")
        return Suite(link(arch, plugin, choice.seconds), choice)
    except UprobesSimError as exc:
        raise pytest.UsageError(str(exc)) from exc


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for a plugin where there is none to test."""
    ours = metafunc.module.__name__.startswith(_PACKAGE)
    if ours and not metafunc.config.pluginmanager.has_plugin(NAME):
        raise pytest.UsageError("which plugin is to be tested? --uprobes-arch NAME")


@pytest.fixture(scope="session")
def suite(pytestconfig: pytest.Config) -> "Suite":
    """The suite, and through it the plugin under test."""
    found: Suite | None = pytestconfig.pluginmanager.get_plugin(NAME)
    assert found is not None
    return found
