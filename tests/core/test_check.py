"""core/uprobes_sim/check"""

import zipfile
from pathlib import Path

import pytest

from check_cases import CASES, Case, archived
from uprobes_sim.check.archive import Held, load_held
from uprobes_sim.check.checker import Checked, Checker
from uprobes_sim.check.rules import RULES, SEVERITIES
from uprobes_sim.choice import Options, link_for
from uprobes_sim.errors import ProbeError
from uprobes_sim.loader import load


def checker(path: Path, kernel: str = "6.18") -> Checker:
    options = Options(kernel=kernel)
    program = load(path)
    return Checker(program, link_for(program, options), options)


def checker_of(held: Held) -> Checker:
    options = Options()
    return Checker(held.program, link_for(held.program, options), options, base=held.base)


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


@pytest.mark.parametrize(("start", "warned"), [(0x1000, False), (0x1001, True)])
def test_an_elf_file_in_an_archive_must_start_at_a_page(
    start: int, warned: bool, tmp_path: Path
) -> None:
    held = load_held(str(archived(start)(tmp_path)))

    (found,) = checker_of(held).check("f")

    assert held.base == start
    assert found.reading is not None
    assert ("check.archive" in rules_of([found])) == warned


def test_a_compressed_file_in_an_archive_cannot_be_probed(tmp_path: Path) -> None:
    path = tmp_path / "app.apk"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(CASES[0].build(tmp_path), "lib/f.so")

    with pytest.raises(ProbeError, match="is compressed") as caught:
        load_held(str(path))

    assert caught.value.rule == "check.archive"
    assert caught.value.rule in RULES
