"""`uprobes-sim scan --diff`: two builds of a file, or of all files in a folder or an archive."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from uprobes_sim.errors import UprobesSimError
from uprobes_sim.scan.columns import HARMFUL
from uprobes_sim.scan.diff import Answer, Difference, Lone
from uprobes_sim.scan.diff import diff as compare
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.pairs import pairs, same_bytes, tree
from uprobes_sim.scan.paths import Entry, opened
from uprobes_sim_cli.app import COMMON, Format, Settings
from uprobes_sim_cli.output import Json, json_line
from uprobes_sim_cli.scan.progress import Progress
from uprobes_sim_cli.streams import STDOUT, complain, writing
from uprobes_sim_cli.verdicts import outcome, verdict_object


def diff(settings: Settings, paths: Sequence[Path], other: Path, judges: Judges) -> int:
    """Compare what *paths* name with *other*; answers 1 where they differ.

    Raises:
        UprobesSimError: one of them cannot be read, or there is more than one.
    """
    if settings.format not in COMMON:
        raise UprobesSimError(f"--diff is written as {', '.join(COMMON)}, not {settings.format}")
    if len(paths) > 1:
        raise UprobesSimError(f"--diff compares one PATH with {other}, and {len(paths)} are given")
    builds = _Builds(settings.format, judges)
    differ = _print(settings.format, builds.lines(paths[0], other))
    judges.save()
    if builds.nameless:
        complain(
            f"{builds.nameless:,} of {builds.insns:,} instructions in files that differ are in no "
            "named function: they are not compared"
        )
    return 2 if builds.failed else int(differ)


class _Builds:
    """Compares, and counts what could not be compared."""

    def __init__(self, format_: Format, judges: Judges) -> None:
        """Write what differs in one format."""
        self._format = format_
        self._judges = judges
        self.failed = False
        self.insns = self.nameless = 0

    def lines(self, old: Path, new: Path) -> Iterator[str]:
        """Write what differs, in the order of the members' paths.

        Raises:
            UprobesSimError: as `diff`.
        """
        trees = tree(old), tree(new)
        for failure in (*trees[0].failures.values(), *trees[1].failures.values()):
            self._fail(failure.reason)
        with ExitStack() as stack:
            progress, found = Progress(stack), list(pairs(*trees))
            for _ in found:
                progress.found()
            for path, before, after in found:
                if before is None or after is None:
                    yield self._lone_file(path, new if before is None else old)
                else:
                    yield from self._pair(path, before, after)
                progress.done()

    def _fail(self, reason: str) -> None:
        complain(reason)
        self.failed = True

    def _pair(self, path: str, old: Entry, new: Entry) -> Iterator[str]:
        try:
            with opened(old) as before, opened(new) as after:
                if same_bytes(before, after):
                    return
                compared = compare(self._judges.code(old, before), self._judges.code(new, after))
                self.insns += compared.insns
                self.nameless += compared.nameless
                for each in compared.found:
                    yield self._line(path, old, new, each)
        except UprobesSimError as exc:
            self._fail(str(exc))

    def _lone_file(self, path: str, only: Path) -> str:
        if self._format is Format.TEXT:
            return f"{path}: only in {only}"
        return json_line({"path": path, "symbol": None, "offset": None, "only_in": str(only)})

    def _line(self, path: str, old: Entry, new: Entry, each: Lone | Difference) -> str:
        if self._format is not Format.TEXT:
            return json_line({"path": path or None, **_as_json(old, new, each)})
        file = f"{path}: " if path else ""
        if isinstance(each, Lone):
            return f"{file}{each.symbol}: only in {(new if each.new else old).label}"
        return (
            f"{file}{each.symbol}+{each.offset:#x}: {_said(each.before)}; now {_said(each.after)}"
        )


def _said(answer: Answer | None) -> str:
    if answer is None:
        return "no instruction"
    verdict = answer.verdict
    harm = [each.rule for each in verdict.warnings if each.severity in HARMFUL]
    return f"{answer.text}: {outcome(verdict)} [{', '.join([verdict.rule, *harm])}]"


def _as_json(old: Entry, new: Entry, each: Lone | Difference) -> Json:
    if isinstance(each, Lone):
        only = (new if each.new else old).label
        return {"symbol": each.symbol, "offset": None, "only_in": only}
    return {
        "symbol": each.symbol,
        "offset": each.offset,
        "before": _answer_object(each.before),
        "after": _answer_object(each.after),
    }


def _answer_object(answer: Answer | None) -> Json | None:
    return None if answer is None else {"text": answer.text, **verdict_object(answer.verdict)}


def _print(format_: Format, lines: Iterator[str]) -> bool:
    """Print *lines*, as one array where that is the format; tell whether there were any."""
    any_ = False
    array = format_ is Format.JSON
    with writing(STDOUT):
        for line in lines:
            before = ("" if not array else ",\n" if any_ else "[\n") + line
            sys.stdout.buffer.write((before + ("" if array else "\n")).encode(errors="replace"))
            any_ = True
        if array:
            sys.stdout.buffer.write(b"\n]\n" if any_ else b"[]\n")
    return any_
