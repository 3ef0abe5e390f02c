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
from uprobes_sim_cli.streams import STDOUT, writing

_LEVELS: Final[dict[Severity | None, str]] = {
    "damages": "error",
    "kills": "error",
    "misses": "warning",
    "slow": "note",
    "note": "note",
    None: "warning",
}


class SarifWriter:
    """One log with one run."""

    detail = True

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rules: dict[str, Json] = {}
        self._results: list[Json] = []
        self._failures: list[Json] = []

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Take what was found in a file."""
        for place in report.places:
            if place.rule not in self._rules:
                self._rules[place.rule] = _rule(place)
            self._results.append(_result(report, place))

    def fail(self, failure: Failure) -> None:
        """Take a file that could not be read."""
        self._failures.append({"level": "error", "message": {"text": failure.reason}})

    def close(self) -> None:
        """Write the log."""
        driver = {
            "name": "uprobes-sim",
            "version": version("uprobes-sim"),
            "rules": list(self._rules.values()),
        }
        invocation = {
            "executionSuccessful": not self._failures,
            "toolExecutionNotifications": self._failures,
        }
        run = {"tool": {"driver": driver}, "invocations": [invocation], "results": self._results}
        log: Json = {"version": "2.1.0", "runs": [run]}
        with writing(STDOUT):
            sys.stdout.buffer.write(json_line(log).encode() + b"\n")


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
