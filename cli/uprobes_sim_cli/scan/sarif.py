"""Reports as SARIF 2.1.0, for code scanning services: a result for each rule and function."""

import os
import sys
from importlib.metadata import version
from typing import Final
from urllib.parse import quote

from uprobes_sim.errata import Severity
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim.scan.report import FileReport, Place
from uprobes_sim_cli.output import Json, json_line
from uprobes_sim_cli.scan.conditions import names
from uprobes_sim_cli.streams import STDOUT, complain, writing

_LEVELS: Final[dict[Severity | None, str]] = {
    "damages": "error",
    "kills": "error",
    "misses": "warning",
    "slow": "note",
    "note": "note",
    None: "warning",
}


_MOST: Final = 25_000
"""Results of one run that GitHub's code scanning takes."""


class SarifWriter:
    """One log with one run."""

    detail = True

    def __init__(self, only: str | None) -> None:
        """Write the results that `--only` means."""
        self._only = only
        self._rules: dict[str, Json] = {}
        self._count = 0
        self._failures: list[Json] = []
        self._before = '{"version": "2.1.0", "runs": [{"results": ['

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Write what was found in a file."""
        for place in report.places:
            if self._only is None or names(self._only, place.rule, place.severity):
                self._rules.setdefault(place.rule, _rule(place))
                _print(self._before + json_line(_result(report, place)))
                self._before = ",\n"
                self._count += 1

    def fail(self, failure: Failure) -> None:
        """Take a file that could not be read."""
        self._failures.append({"level": "error", "message": {"text": failure.reason}})

    def close(self) -> None:
        """End the log."""
        driver = {
            "name": "uprobes-sim",
            "version": version("uprobes-sim"),
            "rules": list(self._rules.values()),
        }
        invocation = {
            "executionSuccessful": not self._failures,
            "toolExecutionNotifications": self._failures,
        }
        rest = json_line({"tool": {"driver": driver}, "invocations": [invocation]})
        before = "" if self._count else self._before
        _print(f"{before}], {rest.removeprefix('{')}]}}\n")
        if self._count > _MOST:
            complain(
                f"{self._count:,} results, and GitHub takes {_MOST:,} of a run, and 10 MB "
                "compressed: --only damages writes fewer, or scan in parts"
            )


def _print(text: str) -> None:
    with writing(STDOUT):
        sys.stdout.buffer.write(text.encode())


def _rule(place: Place) -> Json:
    what = "refused by the kernel" if place.severity is None else place.severity
    return {
        "id": place.rule,
        "shortDescription": {"text": f"{place.rule}: {what}"},
        "fullDescription": {"text": place.reason},
        "defaultConfiguration": {"level": _LEVELS[place.severity]},
    }


def _result(report: FileReport, place: Place) -> Json:
    symbol = place.symbol or hex(place.vaddr)
    count = f"{place.count} instruction{'s' * (place.count > 1)} in {symbol}"
    return {
        "ruleId": place.rule,
        "level": _LEVELS[place.severity],
        "message": {"text": f"{count} (Linux {report.kernel}): {place.reason}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(os.fsencode(report.path))},
                    "region": {"byteOffset": place.offset, "byteLength": 1},
                    "address": {"absoluteAddress": place.vaddr, "fullyQualifiedName": symbol},
                },
                "logicalLocations": [{"name": symbol, "kind": "function"}],
            }
        ],
        "partialFingerprints": {"ruleAndSymbol/v1": f"{place.rule}:{symbol}"},
        "properties": {"instructions": place.count, "errno": place.errno},
    }
