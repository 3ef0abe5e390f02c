"""Run the suite from Python: what the command does, and the tests of the suite itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from uprobes_sim.conformance import plugin as options
from uprobes_sim.conformance.choice import Choice
from uprobes_sim.conformance.results import Results
from uprobes_sim.conformance.suite import FOLDER, Suite, Watch, nobody
from uprobes_sim.conformance.target import Target

_ARGUMENTS: Final = ("-c", str(FOLDER / "pytest.ini"), "--rootdir", str(FOLDER), "-q")


class _Silent:
    """Takes pytest's own words away: ours are the suite's."""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.unregister(name="terminalreporter")


def run(target: Target, choice: Choice, watch: Watch = nobody) -> Results:
    """Test *target*; *watch* is told every result as it comes.

    Raises:
        BadXfails: the file of expected failures is not right.
        KeyboardInterrupt: the user has had enough.
    """
    suite = Suite(target, choice, watch)
    plugins = [options, _Silent(), _Named(suite)]
    with _alone():
        status = pytest.main([*_ARGUMENTS, str(FOLDER)], plugins=plugins)
    if suite.bad_xfails is not None:
        raise suite.bad_xfails
    if status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return suite.results


@contextmanager
def _alone() -> Iterator[None]:
    """Keep the user's plugins and options of pytest out of it."""
    before = dict(os.environ)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Named:
    """Registers the suite under its name."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self._suite, options.NAME)
