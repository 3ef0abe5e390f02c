"""core/uprobes_sim/check"""

from pathlib import Path

import pytest

from check_cases import CASES, Case
from uprobes_sim.check.checker import Checked, Checker
from uprobes_sim.check.rules import RULES, SEVERITIES
from uprobes_sim.choice import Options, link_for
from uprobes_sim.loader import load


def checker(path: Path, kernel: str = "6.18") -> Checker:
    options = Options(kernel=kernel)
    program = load(path)
    return Checker(program, link_for(program, options), options)


def rules_of(found: list[Checked]) -> set[str]:
    return {warning.rule for each in found for warning in each.verdict.warnings}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_rule_warns(case: Case, tmp_path: Path) -> None:
    found = checker(case.build(tmp_path)).check(case.probe)

    warning = next(
        warning for each in found for warning in each.verdict.warnings if warning.rule == case.rule
    )
    assert warning.severity == RULES[case.rule].severity


@pytest.mark.parametrize("case", [case for case in CASES if case.harmless], ids=str)
def test_the_rule_keeps_silent_beside_it(case: Case, tmp_path: Path) -> None:
    assert case.harmless is not None

    found = checker(case.build(tmp_path)).check(case.harmless)

    assert found
    assert case.rule not in rules_of(found)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_loudest_warning_comes_first(case: Case, tmp_path: Path) -> None:
    for each in checker(case.build(tmp_path)).check(case.probe):
        ranks = [SEVERITIES.index(warning.severity) for warning in each.verdict.warnings]

        assert ranks == sorted(ranks)
