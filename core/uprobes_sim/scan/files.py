"""Any number of files, of any architecture."""

from collections.abc import Iterator, Sequence

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options, link_machine
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.scan.code import Code, read_code
from uprobes_sim.scan.listing import Listed, Wanted, everything, listing
from uprobes_sim.scan.paths import Entry, Failure, opened
from uprobes_sim.scan.report import FileReport
from uprobes_sim.scan.scanner import Judge
from uprobes_sim.scan.source import Source
from uprobes_sim.scan.tally import report


class Judges:
    """The judges of all architectures that were met; each learns its forms once."""

    def __init__(self, options: Sequence[Options]) -> None:
        """Answer for the machines that *options* choose: one, or two to compare."""
        self.options = options
        self._known: dict[tuple[int, Abi], Judge] = {}

    def of(self, code: Code) -> Judge:
        """Find the judge of a file.

        Raises:
            UprobesSimError: no backend runs it; else as `Judge`.
        """
        key = code.e_machine, code.abi
        if key not in self._known:
            linked = link_machine(code.path, *key, self.options[0])
            self._known[key] = Judge(linked, self.options)
        return self._known[key]

    def report(self, entry: Entry, *, detail: bool = False) -> FileReport:
        """Scan one file and count.

        Raises:
            UprobesSimError: it cannot be read, or no backend runs it.
        """
        with opened(entry) as source:
            code = read_code(source, entry.label, entry.base)
            return report(self.of(code), code, detail=detail)

    def try_report(self, entry: Entry, *, detail: bool = False) -> FileReport | Failure:
        """Scan one file and count, or say why not."""
        try:
            return self.report(entry, detail=detail)
        except UprobesSimError as exc:
            return Failure(entry.label, str(exc))

    def code(self, entry: Entry, source: Source) -> tuple[Judge, Code]:
        """Find the code in a file that is open, and who judges it.

        Raises:
            UprobesSimError: as `report`.
        """
        code = read_code(source, entry.label, entry.base)
        return self.of(code), code

    def listing(self, entry: Entry, wanted: Wanted = everything) -> Iterator[tuple[Judge, Listed]]:
        """Scan one file and list the instructions whose answers are *wanted*.

        Raises:
            UprobesSimError: as `report`.
        """
        with opened(entry) as source:
            code = read_code(source, entry.label, entry.base)
            judge = self.of(code)
            for each in listing(judge, code, wanted):
                yield judge, each

    def save(self) -> None:
        """Keep for the next run what was learnt."""
        for judge in self._known.values():
            judge.save()
