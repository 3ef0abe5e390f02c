"""Probes in the languages of the tracers: bpftrace, and the kernel's own `uprobe_events`."""

import os
import re
import shutil
from dataclasses import dataclass, replace
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import ProbeError
from uprobes_sim.fetch_args import fault
from uprobes_sim.probes import ProbeSpec, parse_probe
from uprobes_sim.units import Offset
from uprobes_sim.verdict import Verdict

NAME_LONGEST: Final = 63
"""Characters of an event's name, and of its group's (MAX_EVENT_NAME_LEN)."""

_BPFTRACE: Final = re.compile(
    r"(?P<kind>uprobe|uretprobe|u|ur|usdt|U):(?P<path>[^:]+):(?P<place>\S+)"
)
_QUOTED: Final = re.compile(r'"([^"]+)"(.*)')
_RETURNS: Final = ("uretprobe", "ur")
_TRACEPOINTS: Final = ("usdt", "U")

_EVENT: Final = re.compile(r"(?P<kind>[pr])(?:(?P<name>:\S*)|[^\s:/]\S*)?\s+(?P<rest>\S.*)")
"""The kernel looks at one letter and, if a colon follows, at the name."""
_FILE: Final = re.compile(
    r"(?P<path>\S*/\S*):(?P<offset>\d\S*?)(?P<suffix>%[^\s(]*)?(?P<ref>\(.*)?"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_GROUP: Final = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """A probe somebody wants to know about."""

    text: str
    spec: ProbeSpec | None = None
    """None of a tracepoint, and where *refusal* says that there is nothing to resolve."""
    path: str | None = None
    """The file that the text itself names."""
    tracepoint: tuple[str | None, str] | None = None
    """Provider, if one is named, and name of a USDT probe."""
    ref_ctr: Offset | None = None
    """Place of the reference counter in the file."""
    refusal: Verdict | None = None
    """The front end's answer, if it does not come as far as registering."""


def read_question(text: str) -> Question:
    """Read a probe in any of the languages.

    `SYMBOL`, `0xVADDR` and so on; `uprobe:PATH:SYMBOL+4`, `usdt:PATH:PROVIDER:NAME` (bpftrace);
    `p:GROUP/EVENT PATH:0xOFFSET` (uprobe_events).

    Raises:
        ProbeError: it is none of these.
    """
    match = _BPFTRACE.fullmatch(text)
    if match is not None:
        return _bpftrace(text, match["kind"], match["path"], match["place"])
    event = _EVENT.fullmatch(text.strip())
    if event is not None:
        return _uprobe_event(text, event)
    return Question(text, parse_probe(text))


def _bpftrace(text: str, kind: str, path: str, place: str) -> Question:
    path = _found(path)
    if kind in _TRACEPOINTS:
        provider, colon, name = place.rpartition(":")
        return Question(text, path=path, tracepoint=(provider if colon else None, name))
    quoted = _QUOTED.fullmatch(place)
    spec = parse_probe(place if quoted is None else quoted[1] + quoted[2])
    if spec.offset is not None or spec.is_return:
        raise ProbeError(f"{text!r}: behind the path bpftrace takes SYMBOL, SYMBOL+OFF or 0xVADDR")
    return Question(text, replace(spec, text=text, is_return=kind in _RETURNS), path)


def _found(path: str) -> str:
    """Look where bpftrace does for a bare name: in the folders of programs."""
    if os.sep in path or os.path.exists(path):
        return path
    return shutil.which(path) or path


def _uprobe_event(text: str, event: re.Match[str]) -> Question:
    """Read a line of `uprobe_events`, in the order in which the kernel finds fault with it.

    Kernel: kernel/trace/trace_uprobe.c, __trace_uprobe_create.
    """
    first, *fetched = event["rest"].split()
    place = _FILE.fullmatch(first)
    if place is None:
        return Question(
            text, refusal=_refuse("syntax", "no PATH/FILE:OFFSET follows; numbers only")
        )
    question = Question(text, path=place["path"])
    suffix, ref = place["suffix"] or "", place["ref"] or ""
    ref_ctr = _number(ref[1:-1]) if ref else None
    offset = _number(place["offset"])
    checks: tuple[tuple[bool, str, str], ...] = (
        (bool(ref) and ")" not in ref, "syntax", "Reference counter brace is not closed"),
        (bool(ref) and not ref.endswith(")"), "syntax", "Reference counter has wrong suffix"),
        (bool(ref) and ref_ctr is None, "syntax", "Invalid reference counter offset"),
        (suffix not in ("", "%return"), "syntax", "Invalid probed address suffix"),
        (offset is None, "syntax", "Invalid uprobe offset"),
    )
    for failed, rule, message in checks:
        if failed:
            return replace(question, refusal=_refuse(rule, message))
    assert offset is not None
    is_return = event["kind"] == "r" or bool(suffix)
    wrong = fault(fetched, is_return=is_return)
    return replace(
        question,
        spec=ProbeSpec(text, offset=Offset(offset), is_return=is_return),
        ref_ctr=None if ref_ctr is None else Offset(ref_ctr),
        refusal=_refuse_name(event["name"]) or (wrong and _refuse("argument", wrong)) or None,
    )


def _refuse_name(name: str | None) -> Verdict | None:
    """Say what the kernel has against `:GROUP/EVENT`, if anything."""
    if name is None:
        return None
    group, slash, event = name[1:].partition("/" if "/" in name else ".")
    if not slash:
        group, event = "", group
    faults: tuple[tuple[bool, str], ...] = (
        (bool(slash) and not group, "Group name is not specified"),
        (len(group) > NAME_LONGEST, "Group name is too long"),
        (
            bool(group) and not _is(_GROUP, group),
            "Group name must follow the same rules as C identifiers",
        ),
        (not event and not slash, "Event name is not specified"),
        (len(event) > NAME_LONGEST, "Event name is too long"),
        (
            bool(event) and not _is(_IDENTIFIER, event),
            "Event name must follow the same rules as C identifiers",
        ),
    )
    message = next((message for failed, message in faults if failed), None)
    return None if message is None else _refuse("name", message)


def _is(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None


def _refuse(rule: str, message: str) -> Verdict:
    return Verdict("reject", Errno.EINVAL, f"trace_uprobe.{rule}", f"error_log: {message}")


def _number(digits: str) -> int | None:
    """Read a number as the kernel does: 0x hexadecimal, 0 octal, else decimal."""
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[:1] == "0" else 10
    try:
        return int(digits, base)
    except ValueError:
        return None
