"""`uprobes-sim scan --diff`: two builds of one file."""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from uprobes_sim.errors import UprobesSimError
from uprobes_sim.scan.diff import Difference, Lone
from uprobes_sim.scan.diff import diff as compare
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure, find, opened
from uprobes_sim.verdict import Verdict
from uprobes_sim_cli.app import COMMON, Format, Settings
from uprobes_sim_cli.output import Json, json_line
from uprobes_sim_cli.streams import STDOUT, writing
from uprobes_sim_cli.verdicts import outcome, verdict_object


def diff(settings: Settings, paths: Sequence[Path], other: Path, judges: Judges) -> int:
    """Compare the file of *paths* with *other*; answers 1 where they differ.

    Raises:
        UprobesSimError: one of them cannot be read, or there is more than one.
    """
    if settings.format not in COMMON:
        raise UprobesSimError(f"--diff is written as {', '.join(COMMON)}, not {settings.format}")
    old, new = _single(paths), _single([other])
    with opened(old) as before, opened(new) as after:
        found = compare(judges.code(old, before), judges.code(new, after))
        return int(_print(settings.format, _written(settings.format, old, new, found)))


def _single(paths: Sequence[Path]) -> Entry:
    """Find the one file that *paths* name."""
    found = list(islice(find(paths), 2))
    for each in found:
        if isinstance(each, Failure):
            raise UprobesSimError(each.reason)
        if len(found) == 1:
            return each
    raise UprobesSimError(f"{paths[0]}: --diff compares one file with one other file")


def _written(
    format_: Format, old: Entry, new: Entry, found: Iterator[Lone | Difference]
) -> Iterator[str]:
    for each in found:
        if format_ is not Format.TEXT:
            yield json_line(_as_json(old, new, each))
        elif isinstance(each, Lone):
            yield f"{each.symbol}: only in {(new if each.new else old).label}"
        else:
            yield (
                f"{each.symbol}+{each.offset:#x}: {_said(each.before, each.before_text)}; "
                f"now {_said(each.after, each.after_text)}"
            )


def _said(verdict: Verdict, text: str) -> str:
    return f"{text}: {outcome(verdict)} [{verdict.rule}]"


def _as_json(old: Entry, new: Entry, each: Lone | Difference) -> Json:
    if isinstance(each, Lone):
        only = (new if each.new else old).label
        return {"symbol": each.symbol, "offset": None, "only_in": only}
    return {
        "symbol": each.symbol,
        "offset": each.offset,
        "before": {"text": each.before_text, **verdict_object(each.before)},
        "after": {"text": each.after_text, **verdict_object(each.after)},
    }


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
