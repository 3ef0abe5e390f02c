"""What `--fail-on` and `--only` mean."""

from typing import Final

from uprobes_sim.errata import Severity
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.linker import installed
from uprobes_sim.scan.columns import HARMFUL, SEVERITIES
from uprobes_sim.scan.report import FileReport
from uprobes_sim.verdict import Verdict

REJECT: Final = "reject"
DAMAGES: Final = "damages"


_WORDS: Final = (REJECT, "emulate", "xol", *SEVERITIES)


def check(condition: str) -> None:
    """Refuse a condition that nothing can meet.

    Raises:
        UprobesSimError: it is no word that is known, and names no rule of a backend.
    """
    arch, dot, _ = condition.partition(".")
    if condition in _WORDS or (dot and arch in installed()):
        return
    raise UprobesSimError(
        f"{condition!r} names nothing: {', '.join(_WORDS)}, or a rule such as x86.prefix"
    )


def names(condition: str, rule: str, severity: Severity | None) -> bool:
    """Tell whether *condition* names a rule that refuses (no severity), or a warning."""
    if condition in (REJECT, DAMAGES):
        return severity in HARMFUL if condition == DAMAGES else severity is None
    return condition in (rule, severity)


def met(report: FileReport, condition: str) -> bool:
    """Tell whether a file has what `--fail-on` names."""
    found = any(names(condition, each.rule, each.severity) for each in report.findings)
    return found or condition in report.rules


def wanted(only: str | None, verdict: Verdict) -> bool:
    """Tell whether `--only` means an instruction with this answer."""
    if only is None or only in (verdict.verdict, verdict.rule):
        return True
    return any(names(only, each.rule, each.severity) for each in verdict.warnings)
