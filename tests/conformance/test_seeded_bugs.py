"""The suite finds what is wrong: every mistake that is sown, by the test whose name says why."""

import re
from pathlib import Path

import pytest

import reference_arch
from seeded_bugs import BUGS, Bug
from uprobes_sim.conformance.choice import Choice
from uprobes_sim.conformance.run import run
from uprobes_sim.conformance.target import link

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
EXAMPLES = 100


def failed(plugin: object, level: str) -> set[str]:
    """Name the tests of *level* that fail, without their parameters."""
    choice = Choice(levels=(level,), examples=EXAMPLES)
    results = run(link("reference", plugin), choice)
    return {re.sub(r"\[.*", "", failure.id) for failure in results.failures}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_a_mistake_is_found_by_the_test_that_names_it(bug: Bug) -> None:
    assert bug.killed_by in failed(bug.plugin(), bug.level)


@pytest.mark.parametrize("level", sorted({bug.level for bug in BUGS}))
def test_where_there_is_no_mistake_none_is_found(level: str) -> None:
    assert failed(reference_arch, level) == set()


def test_there_are_many_mistakes_and_the_page_lists_them() -> None:
    rows = re.findall(r"^\| (.*) \| `(.*)` \|$", PAGE.read_text(), re.MULTILINE)

    assert len(BUGS) >= 25
    assert rows == [(bug.what, bug.killed_by) for bug in BUGS]
