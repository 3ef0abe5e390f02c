"""Reports as JUnit's XML: a suite for each file, a case for each function."""

import re
import sys
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from uprobes_sim.scan.columns import HARMFUL
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim.scan.report import FileReport, Place
from uprobes_sim_cli.scan.conditions import names
from uprobes_sim_cli.streams import STDOUT, writing

_BEGIN: Final = b"""\
<?xml version='1.0' encoding='utf-8'?>
<testsuites name="uprobes-sim scan">"""
_END: Final = b"</testsuites>\n"

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot have, in any form."""


class JunitWriter:
    """One document. A case fails where a probe would damage the program, or as was asked for."""

    detail = True

    def __init__(self, fail_on: Sequence[str]) -> None:
        """Let cases fail that have what *fail_on* names."""
        self._fail_on = fail_on
        self._before = _BEGIN

    def show(self, entry: Entry, report: FileReport, judges: Judges) -> None:
        """Take what was found in a file."""
        places = dict[str, list[Place]]()
        for place in report.places:
            if self._fails(place):
                places.setdefault(_name(place.symbol, place.vaddr), []).append(place)
        suite = Element("testsuite", name=_text(report.path))
        cases = [_name(row.name, row.vaddr) for row in report.functions]
        known = set(cases)
        rows = [*cases, *(name for name in places if name not in known)]
        failed = 0
        for name in rows:
            case = SubElement(suite, "testcase", name=_text(name), classname=_text(report.path))
            for place in places.pop(name, ()):
                message = f"{place.count} times {place.rule}: {place.reason}"
                SubElement(case, "failure", type=place.rule, message=_text(message))
                failed += case[-1] is case[0]
        suite.attrib |= {"tests": str(len(rows)), "failures": str(failed), "errors": "0"}
        self._write(suite)

    def fail(self, failure: Failure) -> None:
        """Take a file that could not be read."""
        suite = Element("testsuite", name=_text(failure.path))
        case = SubElement(suite, "testcase", name="scan", classname=_text(failure.path))
        SubElement(case, "error", message=_text(failure.reason))
        suite.attrib |= {"tests": "1", "failures": "0", "errors": "1"}
        self._write(suite)

    def _fails(self, place: Place) -> bool:
        if not self._fail_on:
            return place.severity in HARMFUL
        return any(names(each, place.rule, place.severity) for each in self._fail_on)

    def close(self) -> None:
        """End the document."""
        _print(self._before + _END)

    def _write(self, suite: Element) -> None:
        _print(self._before + tostring(suite, "utf-8"))
        self._before = b""


def _print(data: bytes) -> None:
    with writing(STDOUT):
        sys.stdout.buffer.write(data)


def _name(symbol: str | None, vaddr: int) -> str:
    return symbol or hex(vaddr)


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
