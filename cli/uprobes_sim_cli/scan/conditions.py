"""What `--fail-on` and `--only` mean."""

from difflib import get_close_matches
from typing import Final

from uprobes_sim.errata import Severity
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.linker import find, installed
from uprobes_sim.scan.columns import HARMFUL, SEVERITIES
from uprobes_sim.scan.report import FileReport
from uprobes_sim.verdict import Verdict

REJECT: Final = "reject"
DAMAGES: Final = "damages"


_WORDS: Final = (REJECT, "emulate", "xol", *SEVERITIES)
_CORE_RULES: Final = ("uprobes.not_there", "uprobes.not_configured")
"""Of the kernel's generic side, those that a scan can meet."""


def check(condition: str) -> None:
    """Refuse a condition that nothing can meet.

    Raises:
        UprobesSimError: it is no word that is known, and no rule of a backend.
    """
    arch, dot, _ = condition.partition(".")
    if condition in _WORDS or condition in _CORE_RULES:
        return
    if not dot or arch not in installed():
        raise UprobesSimError(
            f"{condition!r} names nothing: {', '.join(_WORDS)}, or a rule such as x86.prefix"
        )
    _check_rule(arch, condition)


def _check_rule(arch: str, rule: str) -> None:
    """Refuse a rule that *arch* does not have, as its errata and its grounds tell."""
    from uprobes_sim_cli.errata import link_any

    linked = link_any(arch)
    hook, info = linked.hook, linked.info
    errata = [each.id for each in hook.arch_errata()]
    if rule in errata or not hasattr(find(arch), "arch_grounds"):
        return
    if hook.arch_grounds(rule=rule, insn=bytes(info.max_insn_bytes), abi=info.abi):
        return
    close = get_close_matches(rule, errata, 3, cutoff=0.7)
    hint = f"did you mean {' or '.join(close)}?" if close else f"`errata --arch {arch}` lists some"
    raise UprobesSimError(f"{arch} has no such rule as {rule}; {hint}")


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
