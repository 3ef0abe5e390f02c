"""The suite: which tests there are for a target, and what comes of them."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Final

import pytest

from uprobes_sim.conformance import claims
from uprobes_sim.conformance.bench import Bench, Case
from uprobes_sim.conformance.choice import Choice
from uprobes_sim.conformance.results import Result, Results, Status
from uprobes_sim.conformance.target import Target, label
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.linker import Linked

FOLDER: Final = Path(__file__).parent
_TICK: Final = 0.25
"""Seconds between two looks at a call that may hang."""
_PATIENCE: Final = 6
"""Time that a test may take, in that of a hook."""
_GRACE: Final = 5.0
"""Seconds for an exception to get out of a call that hangs."""

Watch = Callable[[Result, int], None]
"""Told each result, and how many there will be."""


def nobody(result: Result, total: int) -> None:
    """Watch nothing."""


class BadXfails(UprobesSimError):
    """The file of expected failures cannot be read, or names no test."""


class Suite:
    """Runs the tests of this package against one target."""

    def __init__(self, target: Target, choice: Choice, watch: Watch = nobody) -> None:
        """Test *target* as chosen; *watch* is told every result."""
        self.target = target
        self.choice = choice
        self.results = Results()
        self._watch = watch
        self._exercised = set[str]()
        self._levels = claims.chosen(choice, target.claims)
        self._benches: dict[tuple[str, str], Bench] = {}
        self._drawn: dict[str, list[list[Case]]] = {}
        self._broken: str | None = None
        """The basic level that has failed, after which nothing makes sense."""
        self._total = Counter[str]()
        self.bad_xfails: BadXfails | None = None
        self._xfails = _read_xfails(choice.xfails)

    def bench(self, linked: Linked, errata: str = "none") -> Bench:
        """Give the bench of a machine; it is set up once."""
        key = label(linked.info.abi), errata
        if key not in self._benches:
            assert errata in ("none", "linux")
            self._benches[key] = Bench(linked, "none" if errata == "none" else "linux")
        return self._benches[key]

    def drawn(self, linked: Linked, most: int) -> list[list[Case]]:
        """Give cases of each row, *most* at most; they are drawn once."""
        key = label(linked.info.abi)
        if key not in self._drawn:
            bench = self.bench(linked)
            random = Random(f"{self.choice.seed} {key}")
            rows = bench.samples.rows
            count = min(most, self.choice.per_row(len(rows)))
            self._drawn[key] = [bench.draw(row, count, random) for row in rows]
        return self._drawn[key]

    # --- which tests ----------------------------------------------------------

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test for each machine, and where it asks for it for each row of its table."""
        if "row" in metafunc.fixturenames:
            pairs = [
                (linked, row)
                for linked in self.target.machines
                for row in self.bench(linked).samples.rows
            ]
            ids = [f"{label(linked.info.abi)}-{row}" for linked, row in pairs]
            metafunc.parametrize(("linked", "row"), pairs, ids=ids)
        elif "linked" in metafunc.fixturenames:
            machines = self.target.machines
            ids = [label(linked.info.abi) for linked in machines]
            metafunc.parametrize("linked", machines, ids=ids)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the tests of the chosen levels that follow from what is claimed, in order."""
        ours = [item for item in items if _level(item) is not None]
        kept = [item for item in ours if self._follows(item)]
        kept.sort(key=lambda item: claims.LEVELS.index(_level(item) or ""))
        config.hook.pytest_deselected(items=[item for item in ours if item not in set(kept)])
        self._expect_failures(kept)
        self._total = Counter(_level(item) or "" for item in kept)
        items[:] = [item for item in items if _level(item) is None] + kept

    def _follows(self, item: pytest.Item) -> bool:
        """Tell whether a test is of a chosen level and follows from what is claimed."""
        level, claim = _level(item), _claim(item)
        if level == "oracle" and claim != self.choice.oracle:
            return False
        return level in self._levels and (claim is None or claim in self.target.claims)

    def _expect_failures(self, items: list[pytest.Item]) -> None:
        unknown = self._xfails - {_id(item) for item in items}
        if unknown:
            what = f"{self.choice.xfails} names {sorted(unknown)[0]}, and no such test is run"
            self.bad_xfails = BadXfails(what)
            pytest.exit(what, returncode=pytest.ExitCode.USAGE_ERROR)
        for item in items:
            if _id(item) in self._xfails:
                reason = f"{self.choice.xfails} says so"
                item.add_marker(pytest.mark.xfail(strict=True, reason=reason))

    # --- what comes of them ---------------------------------------------------

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Leave out what stands on a level that has failed."""
        if self._broken is not None and _level(item) not in (None, self._broken):
            pytest.skip(f"the level {self._broken} has failed")
        claim = _claim(item)
        if claim is not None:
            self._exercised.add(claim)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Stop a hook that does not answer."""
        with self._impatience():
            return (yield)

    @contextlib.contextmanager
    def _impatience(self) -> Iterator[None]:
        guard, started = self.target.guard, time.monotonic()

        def look(number: int, frame: FrameType | None) -> None:
            late = guard.overdue()
            if late is not None:
                raise guard.late(late[0])
            if time.monotonic() - started > _PATIENCE * self.choice.seconds:
                raise guard.endless()

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
        done = threading.Event()
        watcher = threading.Thread(target=self._give_up, args=(done,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            watcher.join()

    def _give_up(self, done: threading.Event) -> None:
        """End the process where no exception gets through: the call hangs outside Python."""
        while not done.wait(1.0):
            late = self.target.guard.overdue()
            if late is not None and late[1] > self.choice.seconds + _GRACE:
                os.write(2, f"{self.target.guard.late(late[0])}; it cannot be stopped\n".encode())
                os._exit(1)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[None]:
        """Say in one line what a plugin has done."""
        report: pytest.TestReport = yield  # type: ignore[assignment]
        if call.excinfo is not None and call.excinfo.errisinstance(UprobesSimError):
            report.longrepr = " ".join(str(call.excinfo.value).split())
        return report  # type: ignore[return-value]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the result of a test."""
        if report.when != "call" and report.outcome == "passed":
            return
        level = _level_of(report.nodeid)
        if level is None:
            return
        status: Status = report.outcome
        if hasattr(report, "wasxfail"):
            status = "xfailed" if report.skipped else "failed"
        test = report.nodeid.rpartition("::")[2]
        result = Result(level, test, status, _message(report), round(report.duration, 3))
        if status == "failed" and level in claims.BASIC[:1]:
            self._broken = level
        self.results.found.append(result)
        self._watch(result, self._total.total())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run for a claim that nothing has tested."""
        for claim in self.target.claims:
            known = claims.CLAIMS.get(claim)
            if known is None or claim in self._exercised or known.level not in self._levels:
                continue
            if known.level == "oracle" and claim != self.choice.oracle:
                continue
            self.results.complaints.append(f"{claim} is claimed, and no test has exercised it")
        if self.results.complaints and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _read_xfails(path: Path | None) -> set[str]:
    if path is None:
        return set()
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise BadXfails(f"cannot read {path}: {reason}") from None
    return {line.partition("#")[0].strip() for line in lines} - {""}


def _level_of(nodeid: str) -> str | None:
    name = Path(nodeid.partition("::")[0]).stem.removeprefix("test_")
    return name if name in claims.LEVELS else None


def _level(item: pytest.Item) -> str | None:
    return _level_of(item.nodeid) if item.path.parent == FOLDER else None


def _claim(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("claim")
    return None if mark is None else str(mark.args[0])


def _id(item: pytest.Item) -> str:
    return f"{_level(item)}::{item.name}"


def _message(report: pytest.TestReport) -> str:
    """Say in one line why a test did not pass."""
    found = report.longrepr
    if found is None:
        return ""
    if isinstance(found, tuple):
        return str(found[2]).removeprefix("Skipped: ")
    crash = getattr(found, "reprcrash", None)
    text = str(found) if crash is None else str(crash.message)
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first.removeprefix("AssertionError: ").removeprefix("Failed: ")
