"""What a line of `uprobe_events` fetches, as far as the kernel finds fault with its form.

Registers are not looked at: their names are the architecture's.
Kernel: kernel/trace/trace_probe.c, traceprobe_parse_probe_arg.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LONGEST: Final = 32
"""Characters of a name (MAX_ARG_NAME_LEN)."""
_RESERVED: Final = frozenset(
    {
        "common_type",
        "common_flags",
        "common_preempt_count",
        "common_pid",
        "common_tgid",
        "__probe_ip",
        "__probe_ret_ip",
        "__probe_func",
    }
)
_TYPE: Final = re.compile(r"(?:[usx](?:8|16|32|64)|char|u?string|b\d+@\d+/\d+)(?:\[\d+\])?")
_STRING: Final = re.compile(r"u?string(?:\[\d+\])?")
_DEREFERENCE: Final = re.compile(r"[+-]u?([^(]*)\((.*)\)[^)]*")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*")
_VARIABLE: Final = re.compile(r"\$(?:retval|stack\d*|comm|COMM)")
_COMM: Final = ("$comm", "$COMM")


def fault(words: Sequence[str], *, is_return: bool) -> str | None:
    """Say what the kernel has against the arguments *words* of a probe, in its words, if anything.

    *is_return*: the probe is a return probe.
    """
    names = set[str](_RESERVED)
    for number, word in enumerate(words, 1):
        name, equals, body = word.partition("=")
        if not equals:
            name, body = f"arg{number}", word
        found = next(_faults(name, body, names, is_return=is_return), None)
        if found is not None:
            return found
        names.add(name)
    return None


def _faults(name: str, body: str, names: set[str], *, is_return: bool) -> Iterator[str]:
    if not name:
        yield "Argument name is not specified"
    if len(name) > _LONGEST:
        yield "Argument name is too long"
    if not _NAME.fullmatch(name):
        yield "Argument name must follow the same rules as C identifiers"
    if name in names:
        yield "This argument name is already used"
    yield from _faults_of_body(body, is_return=is_return)


def _faults_of_body(body: str, *, is_return: bool) -> Iterator[str]:
    value, colon, kind = body.partition(":")
    if not value:
        yield "No argument expression"
    if colon and not _TYPE.fullmatch(kind):
        yield "Unknown type is specified"
    yield from _faults_of_value(value, is_return=is_return)
    if _STRING.fullmatch(kind) and value[:1] not in ("+", "-", "@", "\\") and value not in _COMM:
        yield "String accepts only memory argument"


def _faults_of_value(value: str, *, is_return: bool) -> Iterator[str]:
    if value[:1] in ("+", "-"):
        yield from _faults_of_dereference(value, is_return=is_return)
    elif value == "$retval" and not is_return:
        yield "$retval is not available on probe"
    elif value.startswith("$arg"):
        yield "$arg* can be used only on function entry or exit"
    elif value.startswith("$") and not _VARIABLE.fullmatch(value):
        yield "Invalid $-variable specified"
    elif value[:1] not in ("$", "%", "@", "\\"):
        yield "Invalid fetch argument"


def _faults_of_dereference(value: str, *, is_return: bool) -> Iterator[str]:
    match = _DEREFERENCE.fullmatch(value)
    if match is not None:
        if not _NUMBER.fullmatch(match[1]):
            yield "Invalid dereference offset"
        yield from _faults_of_value(match[2], is_return=is_return)
    elif "(" in value:
        yield "Dereference brace is not closed"
    else:
        yield "Dereference needs a brace"
