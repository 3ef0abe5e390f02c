"""What `uprobes-sim scan` does, whatever the format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from uprobes_sim.choice import Options
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.scan.columns import HARMFUL
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure, find
from uprobes_sim.scan.report import FileReport
from uprobes_sim.verdict import Verdict
from uprobes_sim_cli.app import Format, Settings
from uprobes_sim_cli.options import session_options
from uprobes_sim_cli.scan.csv import CsvWriter
from uprobes_sim_cli.scan.json import JsonlWriter, JsonWriter
from uprobes_sim_cli.scan.text import TextWriter
from uprobes_sim_cli.streams import complain

REJECT: Final = "reject"
DAMAGES: Final = "damages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of this command."""

    functions: bool = False
    """A row for each function."""
    only: str | None = None
    """List the instructions with this verdict, severity or rule, and no others."""
    fail_on: tuple[str, ...] = ()


class Writer(Protocol):
    """Writes reports in one format."""

    detail: bool
    """It wants functions and places."""

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write what was found in one file."""
        ...

    def close(self) -> None:
        """Write what belongs at the end."""
        ...


def scan(settings: Settings, paths: Sequence[Path], wishes: Wishes) -> int:
    """Scan all files that *paths* name; answers the exit status."""
    judges = Judges(_options(settings))
    writer, status = _writer(settings.format, wishes), 0
    for found in find(paths):
        if isinstance(found, Failure):
            complain(found.reason)
            status = 2
            continue
        try:
            report = judges.report(found, detail=writer.detail)
            writer.show(found, report, judges)
        except UprobesSimError as exc:
            complain(str(exc))
            status = 2
        else:
            status = status or int(any(_met(report, each) for each in wishes.fail_on))
    writer.close()
    judges.save()
    return status


def _options(settings: Settings) -> list[Options]:
    chosen = session_options(settings)
    return [chosen]


def _met(report: FileReport, condition: str) -> bool:
    """Tell whether a file has what `--fail-on` names."""
    if condition == REJECT:
        return bool(report.verdicts["reject"])
    if condition == DAMAGES:
        return bool(report.harmful)
    return condition in report.rules or condition in report.warnings


def wanted(only: str | None, verdict: Verdict) -> bool:
    """Tell whether `--only` means an instruction with this answer."""
    if only is None or only in (verdict.verdict, verdict.rule):
        return True
    severities = HARMFUL if only == DAMAGES else {only}
    return any(each.rule == only or each.severity in severities for each in verdict.warnings)


def _writer(format_: Format, wishes: Wishes) -> Writer:
    def chosen(verdict: Verdict) -> bool:
        return wanted(wishes.only, verdict)

    match format_:
        case Format.JSON:
            return JsonWriter(wishes.functions)
        case Format.JSONL:
            return JsonlWriter(chosen)
        case Format.CSV:
            return CsvWriter()
        case _:
            return TextWriter(chosen if wishes.only else None, functions=wishes.functions)
