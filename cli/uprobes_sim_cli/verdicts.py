"""Verdicts, as people and as programs read them."""

from collections.abc import Iterator
from typing import Final

from uprobes_sim.errata import Erratum
from uprobes_sim.verdict import Caution, Verdict
from uprobes_sim.version import Kernel
from uprobes_sim_cli import output

_LOUD: Final = ("damages", "kills")
_SAID: Final = {
    "damages": "accepted, and then the program is damaged: ",
    "kills": "accepted, and then the program may die: ",
}
_HOW: Final = {"reject": "refused", **output.HOW}


def verdict_object(verdict: Verdict) -> output.Json:
    """Give the keys of a verdict."""
    return {
        "verdict": verdict.verdict,
        "errno": errno_name(verdict),
        "errno_value": None if verdict.errno is None else verdict.errno.value,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "warnings": [
            {"rule": each.rule, "severity": each.severity, "reason": each.reason}
            for each in verdict.warnings
        ],
    }


def errno_name(verdict: Verdict) -> str | None:
    """Name the errno of a refusal."""
    return None if verdict.errno is None else verdict.errno.name


def span(erratum: Erratum) -> str:
    """Say which kernels have a defect."""
    if erratum.until is None:
        return f"since {Kernel(erratum.since)}"
    return f"{Kernel(erratum.since)} until {Kernel(erratum.until)}"


def outcome(verdict: Verdict) -> str:
    """Say in words what the kernel does."""
    errno = "" if verdict.errno is None else f" with {verdict.errno.name}"
    return _HOW[verdict.verdict] + errno


def warning_lines(verdict: Verdict, *, loud: bool) -> Iterator[str]:
    """Write the warnings that are *loud*: of harm to the program; or the others."""
    for each in verdict.warnings:
        if (each.severity in _LOUD) == loud:
            yield _warning(each, verdict)


def _warning(each: Caution, verdict: Verdict) -> str:
    if each.severity not in _LOUD:
        return f"  {each.severity:<9} {each.reason} [{each.rule}]"
    said = _SAID[each.severity] if verdict.verdict != "reject" else ""
    return output.alarm(f"  {each.severity.upper():<9} {said}{each.reason} [{each.rule}]")
