"""Reports as JSON: one object for each file, or one for each instruction."""

import sys

from uprobes_sim.scan.columns import COLUMNS
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.listing import Listed, Wanted
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim.scan.report import Change, FileReport, FunctionRow
from uprobes_sim.scan.scanner import Judge
from uprobes_sim.verdict import Verdict
from uprobes_sim_cli.output import Json, json_line
from uprobes_sim_cli.streams import STDOUT, Sink, writing
from uprobes_sim_cli.verdicts import verdict_object


def report_object(report: FileReport, *, functions: bool = False) -> Json:
    """Give the object of a file; its keys are part of the interface."""
    found: Json = {
        "path": report.path,
        "arch": report.arch,
        "kernel": report.kernel,
        "build_id": report.build_id,
        "insns": report.insns,
        "verdicts": report.verdicts,
        "rules": report.rules,
        "errnos": report.errnos,
        "warnings": report.warnings,
    }
    if functions:
        found["functions"] = [_function(each) for each in report.functions]
    if report.other_kernel is not None:
        found |= {
            "other_kernel": report.other_kernel,
            "changes": [_change(each) for each in report.changes],
        }
    return found


def _function(row: FunctionRow) -> Json:
    counts = {column: row.counts[column] for column in COLUMNS}
    return {"symbol": row.name, "vaddr": hex(row.vaddr), "insns": row.insns, **counts}


def _change(change: Change) -> Json:
    return {
        "before": _outcome(change.before),
        "after": _outcome(change.after),
        "insns": change.count,
        "mnemonics": change.mnemonics,
    }


def _outcome(verdict: Verdict) -> Json:
    errno = None if verdict.errno is None else verdict.errno.name
    return {"verdict": verdict.verdict, "errno": errno, "rule": verdict.rule}


def listed_object(path: str, judge: Judge, listed: Listed) -> Json:
    """Give the object of an instruction; its keys are those of `explain`."""
    return {
        "arch": judge.info.name,
        "kernel": str(judge.configs[0].kernel),
        "path": path,
        "symbol": listed.symbol,
        "vaddr": hex(listed.vaddr),
        "offset": listed.offset,
        "size": listed.size,
        "insn": listed.insn,
        "text": listed.text,
        **verdict_object(listed.verdict),
    }


class JsonWriter:
    """One array of an object for each file."""

    def __init__(self, functions: bool) -> None:
        """Write objects, with their *functions* if that is wanted."""
        self.detail = functions
        self._before = "[\n"

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write one object."""
        _print(self._before + json_line(report_object(report, functions=self.detail)))
        self._before = ",\n"

    def fail(self, failure: Failure) -> None:
        """Leave it to standard error."""

    def close(self) -> None:
        """End the array."""
        _print("[]\n" if self._before == "[\n" else "\n]\n")


class JsonlWriter:
    """One line for each instruction."""

    detail = False

    def __init__(self, wanted: Wanted) -> None:
        """Write the instructions whose answers are *wanted*."""
        self._wanted = wanted
        self._out = Sink(STDOUT, sys.stdout.buffer)

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write the instructions of a file."""
        for judge, listed in judges.listing(entry, self._wanted):
            line = json_line(listed_object(report.path, judge, listed))
            self._out.write(f"{line}\n".encode())

    def fail(self, failure: Failure) -> None:
        """Leave it to standard error."""

    def close(self) -> None:
        """Do nothing: every line is complete."""


def _print(text: str) -> None:
    with writing(STDOUT):
        sys.stdout.buffer.write(text.encode())
