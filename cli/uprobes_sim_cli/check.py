"""`uprobes-sim check`."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from uprobes_sim.check.archive import SEPARATOR
from uprobes_sim.check.checker import Checked, Checker, link_to_check
from uprobes_sim.check.link import Link, link_of
from uprobes_sim.check.site import Reading, flags_text
from uprobes_sim.errors import ProbeError, UprobesSimError
from uprobes_sim.languages import read_question
from uprobes_sim.loader import Program, load
from uprobes_sim_cli import output
from uprobes_sim_cli.answers import STANDARD_INPUT, Answer, Printer, lines_of_stdin
from uprobes_sim_cli.app import Format, Settings
from uprobes_sim_cli.options import session_options
from uprobes_sim_cli.streams import complain
from uprobes_sim_cli.verdicts import outcome, verdict_object, warning_lines

_EXITS: Final = {
    "return": "return",
    "tail_call": "tail call",
    "jump": "jump by register: a tail call, or a switch",
    "no_return": "call that does not return",
    "trap": "trap",
}


def check(settings: Settings, operands: Sequence[str], *, exits: bool, multi: bool) -> int:
    """Check probes; answers 1 when one is refused or hurts the program, 2 when one is none."""
    path, probes = _split(operands)
    options = session_options(settings)
    program, base = _load(path)
    checker = Checker(program, link_to_check(program, options), options, base=base)
    return _Run(settings.format, checker, exits=exits, multi=multi).answer(probes)


def _split(operands: Sequence[str]) -> tuple[str, list[str]]:
    """Find the file: the first operand, or what a tracer's specification names."""
    first, *rest = operands
    named = None if os.path.exists(first) else _named_path(first)
    if named is not None:
        return named, list(operands)
    if not rest:
        if not os.path.exists(first):
            read_question(first)  # says what is wrong with it
            raise UprobesSimError(f"{first} does not exist; name an ELF file, and probes in it")
        raise UprobesSimError(f"{first}: name a probe in it, such as main or 0x10000")
    return first, rest


def _load(path: str) -> tuple[Program, int]:
    """Load the file, which may be in an archive; answer where it starts there."""
    from uprobes_sim.check.archive import is_archive, load_held

    if not is_archive(path):
        return load(Path(path)), 0
    held = load_held(path)
    return held.program, held.base


def _named_path(text: str) -> str | None:
    try:
        return read_question(text).path
    except ProbeError:
        return None


class _Run:
    """One call of the command."""

    def __init__(self, format_: Format, checker: Checker, *, exits: bool, multi: bool) -> None:
        self._checker = checker
        self._printer = Printer(format_)
        self._format = format_
        self._exits = exits
        self._multi = multi
        self._status = 0

    def answer(self, probes: Sequence[str]) -> int:
        """Answer for each probe in its order; the exit status."""
        lines = list(probes) == [STANDARD_INPUT]
        texts: Iterable[str] = lines_of_stdin(self._printer.flush) if lines else probes
        try:
            if self._multi:
                self._one_link("all probes", self._all(texts))
            else:
                for text in texts:
                    self._one(text)
        finally:
            self._printer.close()
        return self._status

    def _one(self, text: str) -> None:
        try:
            self._refuse_other_file(text)
            matching = [] if self._exits else self._checker.matching(text)
            if matching:
                self._one_link(text, matching)
                return
            found = self._checker.exits(text) if self._exits else self._checker.check(text)
        except ProbeError as exc:
            self._failed(text, exc)
            return
        for each in found:
            self._show(each, as_text(self._checker, each))

    def _all(self, probes: Iterable[str]) -> list[Checked]:
        """Check each of *probes*; what is none is told at once."""
        found = list[Checked]()
        for text in probes:
            try:
                self._refuse_other_file(text)
                found += self._checker.matching(text) or self._checker.check(text)
            except ProbeError as exc:
                self._failed(text, exc)
        return found

    def _refuse_other_file(self, text: str) -> None:
        """Tell of a probe that names another file than that which is checked."""
        named, path = read_question(text).path, str(self._checker.program.path)
        places = {os.path.realpath(each) for each in (path, path.partition(SEPARATOR)[0])}
        if named is not None and os.path.realpath(named) not in places:
            raise ProbeError(f"{text}: it names {named}, not {path}; check that file")

    def _one_link(self, text: str, members: list[Checked]) -> None:
        """Show probes as one uprobe_multi link, which attaches all of them or none."""
        for each in members:
            self._show(each, as_line(each))
        link = link_of(text, members)
        self._printer.show(Answer(link_object(link), lambda: link_text(link)))

    def _failed(self, text: str, exc: ProbeError) -> None:
        self._status = 2
        if self._format is Format.TEXT:
            self._printer.flush()
            complain(str(exc))
        else:
            value: output.Json = {"probe": text, "error": str(exc), "rule": exc.rule}
            self._printer.show(Answer(value, lambda: ()))

    def _show(self, found: Checked, lines: Iterable[str]) -> None:
        self._status = self._status or int(found.verdict.alarming)
        self._printer.show(Answer(as_json(self._checker, found), lambda: lines))


# --- programs read ------------------------------------------------------------


def as_json(checker: Checker, found: Checked) -> output.Json:
    """Give the object of an answer; its keys are part of the interface."""
    reading, nearby, exit_ = found.reading, found.nearby, found.exit
    return {
        "probe": found.question.text,
        "arch": checker.arch,
        "kernel": str(checker.explainer.config.kernel),
        "path": str(checker.program.path),
        "symbol": None if reading is None else reading.symbol,
        "vaddr": None if reading is None else _hex(reading.vaddr),
        "offset": None if reading is None else reading.offset,
        "size": found.size if found.size else None,
        "insn": found.insn or None,
        "text": found.text or None,
        **verdict_object(found.verdict),
        "readings": {
            "this": None if reading is None else _reading(reading),
            "other": None if found.other is None else _reading(found.other),
        },
        "nearby": None
        if nearby is None
        else {
            "vaddr": hex(nearby.vaddr),
            "offset": nearby.offset,
            "distance": nearby.distance,
            "text": nearby.text,
            "same_path": nearby.same_path,
        },
        "exit": None
        if exit_ is None
        else {
            "kind": exit_.kind,
            "conditional": exit_.conditional,
            "target": _hex(exit_.target),
            "target_symbol": exit_.target_name,
        },
    }


def _reading(reading: Reading) -> output.Json:
    segment = reading.segment
    return {
        "vaddr": _hex(reading.vaddr),
        "offset": reading.offset,
        "symbol": reading.label if reading.symbol else None,
        "section": reading.section,
        "segment": None
        if segment is None
        else {
            "vaddr": hex(segment.vaddr),
            "offset": segment.offset,
            "size": segment.filesz,
            "flags": flags_text(segment),
        },
    }


def _hex(value: int | None) -> str | None:
    return None if value is None else hex(value)


def link_object(link: Link) -> output.Json:
    """Give the object of a uprobe_multi link."""
    first = link.failing[0].verdict.errno if link.failing else None
    return {
        "probe": link.text,
        "link": "uprobe_multi",
        "probes": link.count,
        "accepted": not link.failing,
        "errno": None if first is None else first.name,
        "errno_value": None if first is None else first.value,
        "failing": [
            {
                "probe": each.question.text,
                "offset": None if each.reading is None else each.reading.offset,
                "errno": each.verdict.errno.name if each.verdict.errno else None,
                "rule": each.verdict.rule,
            }
            for each in link.failing
        ],
        "without": [each.question.text for each in link.without],
    }


# --- people read --------------------------------------------------------------


def as_text(checker: Checker, found: Checked) -> Iterator[str]:
    """Write an answer for people."""
    verdict, reading = found.verdict, found.reading
    yield _head(found)
    yield from warning_lines(verdict, loud=True)
    if reading is not None:
        yield f"  place     {_place(reading)}"
        if found.other is not None and found.other.offset != reading.offset:
            yield f"  or        {_other(found, found.other)}"
    value = "" if verdict.errno is None else f" ({verdict.errno.value})"
    config = checker.explainer.config
    yield f"  verdict   {outcome(verdict)}{value} by Linux {config.kernel} on {config.cpu}"
    yield f"  reason    {verdict.reason} [{verdict.rule}]"
    yield from warning_lines(verdict, loud=False)
    if found.nearby is not None:
        yield f"  nearby    {_nearby(found)}"


def _head(found: Checked) -> str:
    if found.exit is None:
        return f"{found.question.text}  {found.text}".rstrip()
    exit_ = found.exit
    target = f" of {exit_.target_name}" if exit_.target_name and exit_.kind == "tail_call" else ""
    target = f" ({exit_.target_name})" if exit_.target_name and not target else target
    when = ", under a condition" if exit_.conditional else ""
    label = "" if found.reading is None else found.reading.label
    return f"{label}  {found.text}  {_EXITS[exit_.kind]}{target}{when}"


def _place(reading: Reading) -> str:
    where = "not loaded" if reading.vaddr is None else f"{reading.vaddr:#x}"
    name = f" in {reading.section}" if reading.section else ""
    flags = "" if reading.segment is None else f", segment {flags_text(reading.segment)}"
    return f"{where} ({reading.label}), offset {reading.offset:#x}{name}{flags}"


def _other(found: Checked, other: Reading) -> str:
    spec = found.question.spec
    sense = "as a file offset" if spec is not None and spec.offset is None else "as an address"
    return f"{sense} it would be {_place(other)}"


def _nearby(found: Checked) -> str:
    nearby = found.nearby
    assert nearby is not None
    distance = abs(nearby.distance)
    way = "on" if nearby.distance > 0 else "before"
    unit = "byte" if distance == 1 else "bytes"
    path = "" if nearby.same_path else ", though not always on the same path"
    return f"{distance} {unit} {way}: emulated ({nearby.text}){path}"


def as_line(found: Checked) -> Iterator[str]:
    """Write an answer as one of many; only loud warnings follow."""
    verdict = found.verdict
    place = "" if found.reading is None else f"{found.reading.vaddr or 0:#x}"
    rest = "" if verdict.verdict != "reject" else f"  {verdict.reason} [{verdict.rule}]"
    yield f"{found.question.text:<32} {place:<14} {outcome(verdict):<22} {found.text}{rest}"
    yield from warning_lines(verdict, loud=True)


def link_text(link: Link) -> Iterator[str]:
    """Say whether a link would be made, and how."""
    if not link.failing:
        yield f"{link.text}: one uprobe_multi link takes all {link.count}"
        return
    errno = link.failing[0].verdict.errno
    assert errno is not None
    names = ", ".join(each.question.text for each in link.failing)
    yield f"{link.text}: a uprobe_multi link of all {link.count} fails with {errno.name}"
    yield f"  because of  {names}"
    yield f"  without     {_without(link)}"


def _without(link: Link) -> str:
    left, them = len(link.without), "it" if len(link.failing) == 1 else "them"
    return f"{them}, a link takes the other {left}" if left else "them, nothing is left"
