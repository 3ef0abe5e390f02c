"""What `uprobes-sim scan` does, whatever the format."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from uprobes_sim import cache
from uprobes_sim.choice import Options
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure, find
from uprobes_sim.scan.report import FileReport
from uprobes_sim.verdict import Verdict
from uprobes_sim_cli.app import Format, Settings
from uprobes_sim_cli.options import session_options
from uprobes_sim_cli.scan.conditions import check, met, wanted
from uprobes_sim_cli.scan.progress import Progress
from uprobes_sim_cli.streams import complain

LISTING: Final = (Format.TEXT, Format.JSONL, Format.HTML, Format.SARIF)
"""The formats that list instructions, or where they are."""
COMPARING: Final = (Format.TEXT, Format.JSON)
"""The formats that compare two kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of this command."""

    functions: bool = False
    """A row for each function."""
    only: str | None = None
    """List the instructions with this verdict, severity or rule, and no others."""
    fail_on: tuple[str, ...] = ()
    diff: Path | None = None
    cluster: str | None = None


class Writer(Protocol):
    """Writes reports in one format."""

    detail: bool
    """It wants functions and places."""

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write what was found in one file."""
        ...

    def fail(self, failure: Failure) -> None:
        """Write that a file could not be read; standard error has it, too."""
        ...

    def close(self) -> None:
        """Write what belongs at the end."""
        ...


def scan(settings: Settings, paths: Sequence[Path], wishes: Wishes) -> int:
    """Scan all files that *paths* name; answers the exit status.

    Raises:
        UprobesSimError: a condition that nothing can meet; else as `Judges` and `diff`.
    """
    for condition in (*wishes.fail_on, *filter(None, [wishes.only])):
        check(condition)
    cache.listeners[:], cache.warners[:] = [_announce], [complain]
    judges = Judges(_options(settings))
    if wishes.diff is not None:
        _check_diff(settings, wishes)
        from uprobes_sim_cli.scan.diff import diff

        return diff(settings, paths, wishes.diff, judges)
    _check_format(settings, wishes)
    writer, status = _writer(settings.format, wishes), 0
    for entry, report in _reports(judges, paths, detail=writer.detail, cluster=wishes.cluster):
        failure = report if isinstance(report, Failure) else None
        if isinstance(report, FileReport):
            status = status or int(any(met(report, each) for each in wishes.fail_on))
            if entry.compressed:
                complain(f"{entry.label} is compressed: what runs is an unpacked copy")
            try:
                writer.show(entry, report, judges)
            except UprobesSimError as exc:
                failure = Failure(report.path, str(exc))
        if failure is not None:
            complain(failure.reason)
            writer.fail(failure)
            status = 2
    writer.close()
    judges.save()
    return status


def _reports(
    judges: Judges, paths: Sequence[Path], *, detail: bool, cluster: str | None
) -> Iterator[tuple[Entry, FileReport | Failure]]:
    if cluster is not None:
        from uprobes_sim_cli.scan.cluster import reports

        yield from reports(judges, find(paths), detail=detail, cluster=cluster)
        return
    with ExitStack() as stack:
        progress = Progress(stack)
        for found in find(paths):
            progress.found()
            if isinstance(found, Failure):
                yield Entry(Path(found.path)), found
            else:
                yield found, judges.try_report(found, detail=detail)
            progress.done()


def _check_format(settings: Settings, wishes: Wishes) -> None:
    """Refuse what a format would take no notice of.

    Raises:
        UprobesSimError: there is such an option.
    """
    if wishes.only is not None and settings.format not in LISTING:
        raise UprobesSimError(
            f"--only is for {', '.join(LISTING)}: {settings.format} has no single instructions"
        )
    if settings.other_kernel is not None and settings.format not in COMPARING:
        raise UprobesSimError(
            f"a second --kernel is for {', '.join(COMPARING)}: {settings.format} tells of one"
        )


def _check_diff(settings: Settings, wishes: Wishes) -> None:
    """Refuse what --diff would take no notice of.

    Raises:
        UprobesSimError: there is such an option.
    """
    others = {
        "--functions": wishes.functions,
        "--only": wishes.only,
        "--fail-on": wishes.fail_on,
        "--cluster": wishes.cluster,
        "a second --kernel": settings.other_kernel,
    }
    for name, given in others.items():
        if given:
            raise UprobesSimError(f"--diff goes without {name}")


def _announce(what: str) -> None:
    """Say what takes long, to a person; to others where it will take as long the next time."""
    if sys.stderr.isatty():
        complain(f"{what}, once")
    elif not cache.is_writable():
        complain(f"{what}, at every scan: {cache.folder()} cannot be written")


def _options(settings: Settings) -> list[Options]:
    chosen = [session_options(settings)]
    if settings.other_kernel is not None:
        chosen.append(session_options(replace(settings, kernel=settings.other_kernel)))
    return chosen


def _writer(format_: Format, wishes: Wishes) -> Writer:
    """Make the writer of a format; each is imported when it is wanted."""

    def chosen(verdict: Verdict) -> bool:
        return wanted(wishes.only, verdict)

    match format_:
        case Format.JSON:
            from uprobes_sim_cli.scan.json import JsonWriter

            return JsonWriter(wishes.functions)
        case Format.JSONL:
            from uprobes_sim_cli.scan.json import JsonlWriter

            return JsonlWriter(chosen)
        case Format.CSV:
            from uprobes_sim_cli.scan.csv import CsvWriter

            return CsvWriter()
        case Format.SARIF:
            from uprobes_sim_cli.scan.sarif import SarifWriter

            return SarifWriter(wishes.only)
        case Format.JUNIT:
            from uprobes_sim_cli.scan.junit import JunitWriter

            return JunitWriter(wishes.fail_on)
        case Format.HTML:
            from uprobes_sim_cli.scan.html import HtmlWriter

            return HtmlWriter(chosen)
        case Format.TEXT:
            from uprobes_sim_cli.scan.text import TextWriter

            return TextWriter(chosen if wishes.only else None, functions=wishes.functions)
