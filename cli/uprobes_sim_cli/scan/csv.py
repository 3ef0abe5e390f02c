"""Reports as comma-separated values: a row for each function, for a spreadsheet."""

import csv
import sys
from io import StringIO

from uprobes_sim.scan.columns import COLUMNS
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim.scan.report import FileReport
from uprobes_sim_cli.streams import STDOUT, writing

_HEADER = ("path", "arch", "kernel", "symbol", "vaddr", "insns", *COLUMNS)


class CsvWriter:
    """A header, then rows."""

    detail = True

    def __init__(self) -> None:
        """Write the header."""
        self._write([_HEADER])

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write the functions of a file."""
        head = (report.path, report.arch, report.kernel)
        self._write(
            [
                (*head, row.name or "", hex(row.vaddr), row.insns, *row.counts.values())
                for row in report.functions
            ]
        )

    def fail(self, failure: Failure) -> None:
        """Leave it to standard error."""

    def close(self) -> None:
        """Do nothing: every row is complete."""

    def _write(self, rows: "list[tuple[object, ...]]") -> None:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with writing(STDOUT):
            sys.stdout.buffer.write(text.getvalue().encode(errors="replace"))
