"""Verdicts, as people and as programs read them."""

from typing import Final

from uprobes_sim.verdict import Verdict
from uprobes_sim_cli import render

_HOW: Final = {"reject": "refused", **render.HOW}


def verdict_object(verdict: Verdict) -> render.Json:
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


def outcome(verdict: Verdict) -> str:
    """Say in words what the kernel does."""
    errno = "" if verdict.errno is None else f" with {verdict.errno.name}"
    return _HOW[verdict.verdict] + errno
