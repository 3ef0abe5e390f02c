"""Reports as one page that needs nothing else: functions to search, each instruction annotated."""

import base64
import sys
import zlib
from dataclasses import asdict
from importlib import resources
from typing import Final

from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.listing import Wanted
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim.scan.report import FileReport, Finding
from uprobes_sim.verdict import Verdict
from uprobes_sim_cli.output import Json, json_line
from uprobes_sim_cli.streams import STDOUT, writing
from uprobes_sim_cli.verdicts import verdict_object

_DATA: Final = "@DATA@"
_NO_FUNCTION: Final = "(in no function)"


class HtmlWriter:
    """One page for all files."""

    detail = True

    def __init__(self, wanted: Wanted) -> None:
        """List the instructions whose answers are *wanted*."""
        self._wanted = wanted
        before, after = _template().split(_DATA)
        self._before, self._after = before + "[", "]" + after

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write what was found in a file."""
        answers = dict[Verdict, int]()
        listings = _listings(entry, judges, self._wanted, answers)
        functions = _functions(report, listings)
        found: Json = {
            "path": report.path,
            "arch": report.arch,
            "kernel": report.kernel,
            "build_id": report.build_id,
            "insns": report.insns,
            "verdicts": report.verdicts,
            "findings": [_finding(each) for each in report.findings],
            "functions": functions,
            "answers": [verdict_object(each) for each in answers],
        }
        _print(self._before + json_line(found).replace("</", "<\\/"))
        self._before = ","

    def fail(self, failure: Failure) -> None:
        """Leave it to standard error."""

    def close(self) -> None:
        """End the page."""
        _print(("" if self._before == "," else self._before) + self._after)


def _template() -> str:
    return resources.files(__package__ or "").joinpath("report.html").read_text()


def _print(text: str) -> None:
    with writing(STDOUT):
        sys.stdout.buffer.write(text.encode())


def _finding(finding: Finding) -> Json:
    return {key: value for key, value in asdict(finding).items() if key != "examples"}


def _listings(
    entry: Entry, judges: Judges, wanted: Wanted, answers: dict[Verdict, int]
) -> dict[int, str]:
    """Pack the instructions of each function (-1: of none), and number the answers."""
    lines = dict[int, list[str]]()
    for _, listed in judges.listing(entry, wanted):
        number = answers.setdefault(listed.verdict, len(answers))
        text = listed.text.replace("\t", " ")
        lines.setdefault(listed.function, []).append(f"{listed.vaddr:#x}\t{text}\t{number}")
    return {function: _pack("\n".join(some)) for function, some in lines.items()}


def _pack(text: str) -> str:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(text.encode()) + packer.flush()).decode()


def _functions(report: FileReport, listings: dict[int, str]) -> list[Json]:
    rows: list[Json] = [
        {
            "at": at,
            "name": row.name,
            "vaddr": hex(row.vaddr),
            "insns": row.insns,
            "counts": {key: count for key, count in row.counts.items() if count},
            "listing": listings.get(at),
        }
        for at, row in enumerate(report.functions)
    ]
    outside = report.insns - sum(row.insns for row in report.functions)
    if outside:
        rows.append(
            {
                "at": len(rows),
                "name": _NO_FUNCTION,
                "vaddr": "",
                "insns": outside,
                "counts": {},
                "listing": listings.get(-1),
            }
        )
    return rows
