"""Events as people and as programs read them: the only place that formats."""

import base64
from collections.abc import Iterator
from typing import Final

from uprobes_sim.events import (
    Compared,
    Event,
    Hit,
    Output,
    ProbeRefused,
    ProbeWarning,
    Return,
    Summary,
    UnknownSyscall,
)
from uprobes_sim_cli.output import HOW as HOW
from uprobes_sim_cli.output import Json as Json
from uprobes_sim_cli.output import json_line as json_line
from uprobes_sim_cli.output import print_objects as print_objects
from uprobes_sim_cli.output import print_table as print_table

_DIGITS: Final = {"fpr": 16, "vr": 32, "vsr": 32}
"""Registers that are shown in full width."""

_SHOWN: Final = 64
"""Differences that are listed for people one by one; JSON has them all."""


def as_json(event: Event) -> Json:
    """Give the object of *event*; its keys are part of the interface (README)."""
    match event:
        case Hit():
            how: Json = {"how": event.how, "text": event.text}
            regs = {} if event.regs is None else {"regs": registers(event.regs)}
            return _task("hit", event) | how | regs
        case Return():
            return _task("return", event) | {"func": hex(event.func), "retval": hex(event.retval)}
        case Output():
            return {"event": "output", "step": event.step, "fd": event.fd, **_text(event.data)}
        case ProbeRefused():
            return {
                "event": "refused",
                "step": event.step,
                "probe": event.probe,
                "errno": event.errno.name,
                "errno_value": event.errno.value,
                "rule": event.rule,
                "reason": event.reason,
            }
        case ProbeWarning():
            return {
                "event": "warning",
                "step": event.step,
                "probe": event.probe,
                "rule": event.rule,
                "severity": event.severity,
                "reason": event.reason,
            }
        case UnknownSyscall():
            return {
                "event": "unknown_syscall",
                "step": event.step,
                "name": event.name,
                "number": event.number,
            }
        case Summary():
            return {
                "event": "summary",
                "step": event.step,
                "hits": event.hits,
                "exit_status": event.exit_status,
                "signal": None if event.signal is None else event.signal.name,
                "insns": event.insns,
                "compared": None if event.compared is None else _compared(event.compared),
                "trampoline_values": event.compared.trampoline_values if event.compared else 0,
                "warnings": event.warnings,
            }


def _task(kind: str, event: Hit | Return) -> Json:
    return {
        "event": kind,
        "step": event.step,
        "probe": event.probe,
        "pid": event.pid,
        "tid": event.tid,
        "comm": event.comm,
        "vaddr": hex(event.vaddr),
    }


def registers(regs: dict[str, int]) -> Json:
    """Write values as JSON has them."""
    return {name: _register(name, value) for name, value in regs.items()}


def _register(name: str, value: int) -> str:
    digits = _DIGITS.get(name.rstrip("0123456789"))
    return hex(value) if digits is None else f"0x{value:0{digits}x}"


def _text(data: bytes) -> Json:
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(data).decode()}


def _compared(compared: Compared) -> Json:
    return {
        "equal": compared.equal,
        "differences": [
            {"what": d.what, "where": d.where, "probed": d.probed, "unprobed": d.unprobed}
            for d in compared.differences
        ],
    }


def trace_line(event: Hit | Return) -> str:
    """Write a hit as the kernel's `trace_pipe` does, with the step where it has the time."""
    head = f"{event.comm:>16}-{event.tid:<7} [000] ..... {event.step:>5}: {event.probe}: "
    if isinstance(event, Return):
        return f"{head}(0x{event.vaddr:x} <- 0x{event.func:x}) retval=0x{event.retval:x}"
    line = f'{head}(0x{event.vaddr:x}) how={event.how} insn="{event.text}"'
    if event.regs is None:
        return line
    shown = (f" {name}={_register(name, value)}" for name, value in event.regs.items() if value)
    return line + "".join(shown)


def refusal(event: ProbeRefused) -> str:
    """Say why the kernel refuses a probe."""
    rule = f" [{event.rule}]" if event.rule else ""
    return f"probe {event.probe}: {event.errno.name} ({event.errno.value}): {event.reason}{rule}"


def warning(event: ProbeWarning) -> str:
    """Say what harm a probe will do."""
    return f"probe {event.probe} {event.severity}: {event.reason} [{event.rule}]"


def unknown_syscall(event: UnknownSyscall) -> str:
    """Say that a system call is missing."""
    return f"system call {event.name} ({event.number}) is not simulated; the program got ENOSYS"


def summary_lines(event: Summary) -> Iterator[str]:
    """Tell in words how a run ended."""
    if event.hits:
        yield "hits: " + ", ".join(f"{probe} {count}" for probe, count in event.hits.items())
    if event.signal is not None:
        ended = event.signal.name
    elif event.exit_status is None:
        ended = "stopped, still running"
    else:
        ended = f"exit status {event.exit_status}"
    yield f"{ended} after {event.insns} instructions"
    if event.compared is not None:
        yield from _comparison_lines(event.compared)
    for probe, rules in event.warnings.items():
        yield f"probe {probe} was warned of: {', '.join(rules)}"


def _comparison_lines(compared: Compared) -> Iterator[str]:
    if compared.equal:
        yield "probed run equals unprobed run (output, exit status, registers, memory)"
    else:
        yield "probed run differs from unprobed run:"
    for each in compared.differences[:_SHOWN]:
        where = f" {each.where}" if each.where else ""
        yield f"  {each.what}{where}: {each.probed} probed, {each.unprobed} unprobed"
    more = len(compared.differences) - _SHOWN
    if more > 0:
        yield f"  and {more} more"
    if compared.trampoline_values:
        count = compared.trampoline_values
        yield f"  dead words that trampolines have left on the stack: {count}"


def lesson_line(event: Hit | Return) -> str:
    """Write a hit for someone who wants to learn what a probe does."""
    head = f"{event.step:>5}  {event.probe:<16}"
    if isinstance(event, Hit):
        return f"{head} {event.text:<36} {HOW[event.how]}"
    return f"{head} {f'returned {event.retval:#x}':<36} caught by the trampoline"
