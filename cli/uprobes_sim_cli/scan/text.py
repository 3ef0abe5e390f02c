"""Reports for people: what is most harmful comes first."""

import re
import sys
from collections.abc import Iterator
from typing import Final

from uprobes_sim.scan.columns import COLUMNS, HARMFUL, is_told
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.listing import Listed, Wanted
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim.scan.report import Change, FileReport, Finding
from uprobes_sim.verdict import Verdict
from uprobes_sim_cli import output
from uprobes_sim_cli.streams import STDOUT, writing

_MNEMONICS: Final = 6
"""How many are named of each finding."""

_OBEYED: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")

_HOW: Final = {"reject": "refused", **output.HOW}


class TextWriter:
    """A paragraph for each file, and the sum of all at the end."""

    def __init__(self, only: Wanted | None, *, functions: bool) -> None:
        """List the instructions that are wanted *only*, and the *functions*, where they are."""
        self.detail = functions
        self._only = only
        self._files = self._insns = self._harmful = 0

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write the paragraph of a file."""
        self._files += 1
        self._insns += report.insns
        self._harmful += report.harmful
        _print(*report_lines(report))
        if self._only is not None:
            for _, listed in judges.listing(entry, self._only):
                _print(f"  {listed_line(listed)}")

    def fail(self, failure: Failure) -> None:
        """Leave it to standard error."""

    def close(self) -> None:
        """Write the sum."""
        if self._files > 1:
            harmful = f", {_harm(self._harmful)}" if self._harmful else ""
            _print(f"{self._files} files, {self._insns:,} instructions{harmful}")


def report_lines(report: FileReport) -> Iterator[str]:
    """Write what was found in one file."""
    yield f"{report.path}: {report.arch}, Linux {report.kernel}, {report.insns:,} instructions"
    for finding in report.findings:
        if finding.severity in HARMFUL:
            yield from _finding_lines(finding)
    shares = [
        f"{_HOW[verdict]} {count:,} ({count / max(report.insns, 1):.1%})"
        for verdict, count in report.verdicts.items()
    ]
    yield f"  verdicts  {', '.join(shares)}"
    for finding in report.findings:
        if finding.severity not in HARMFUL:
            yield from _finding_lines(finding)
    if report.left_out:
        yield f"  left out  {report.left_out:,} bytes between instructions: data, it seems"
    for row in report.functions:
        counts = ", ".join(f"{key} {row.counts[key]:,}" for key in COLUMNS if row.counts[key])
        yield f"  {row.vaddr:#x} {row.name or '-'}: {row.insns:,} instructions: {counts}"
    for change in report.changes:
        yield from _change_lines(report, change)
    if report.other_kernel is not None and not report.changes:
        yield f"  Linux {report.other_kernel} answers the same to all of them"


def _finding_lines(finding: Finding) -> Iterator[str]:
    what = finding.severity or "refused"
    errno = f"{finding.errno}, " if finding.errno else ""
    reason = finding.reason if finding.severity else f"such as: {finding.reason}"
    yield f"  {what:<9} {finding.count:,} {errno}{finding.rule}: {reason}"
    said = [_mnemonics(finding.mnemonics), _where(finding)]
    if any(said):
        yield f"            {'; '.join(filter(None, said))}"


def _mnemonics(found: dict[str, int]) -> str:
    names = [f"{name} {count:,}" for name, count in found.items()]
    return ", ".join([*names[:_MNEMONICS], *["…"][: len(names) > _MNEMONICS]])


def _where(finding: Finding) -> str:
    if not finding.functions:
        return ""
    more = ["…"][: finding.functions > len(finding.examples)]
    count = f"{finding.functions:,} function{'s' * (finding.functions > 1)}"
    return f"in {count}: {', '.join([*finding.examples, *more])}"


def _change_lines(report: FileReport, change: Change) -> Iterator[str]:
    yield (
        f"  changes   {change.count:,} {_outcome(change.before)} by {report.kernel}, "
        f"{_outcome(change.after)} by {report.other_kernel}"
    )
    yield f"            {_mnemonics(change.mnemonics)}"


def _outcome(verdict: Verdict) -> str:
    errno = "" if verdict.errno is None else f" with {verdict.errno.name}"
    return f"{_HOW[verdict.verdict]}{errno} [{verdict.rule}]"


def listed_line(listed: Listed) -> str:
    """Write one instruction and the loudest that there is to say of it."""
    place = f"{listed.symbol}+{listed.distance:#x}" if listed.symbol else "-"
    answer = listed.verdict
    rules = [each.rule for each in answer.warnings] if is_told(answer) else []
    said = answer.rule if answer.verdict == "reject" or not rules else ", ".join(rules)
    return f"{listed.vaddr:#x} {place}: {listed.text}  {_HOW[answer.verdict]} [{said}]"


def _harm(count: int) -> str:
    return f"{count:,} times an instruction is accepted and the program damaged or killed"


def _print(*lines: str) -> None:
    """Print *lines*; a name may have characters that a terminal obeys."""
    text = "".join(_OBEYED.sub(_escaped, line) + "\n" for line in lines)
    with writing(STDOUT):
        sys.stdout.buffer.write(text.encode(errors="backslashreplace"))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
