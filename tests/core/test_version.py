"""core/uprobes_sim/version.py"""

import re
from pathlib import Path

import pytest

from uprobes_sim import version
from uprobes_sim.errors import UnknownKernelError
from uprobes_sim.uprobe import Does
from uprobes_sim.version import (
    BEHAVIOURS,
    RELEASES,
    Behaviour,
    Kernel,
    Release,
    parse_kernel,
    parse_release,
    releases,
)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        pytest.param("6.1", (6, 1), id="a row"),
        pytest.param("6.1.192", (6, 1), id="a stable release of it"),
        pytest.param("6.2", (6, 1), id="between two rows: the older"),
        pytest.param("6.18.44", (6, 18), id="a stable release of the newest"),
        pytest.param("3.5", (3, 5), id="the oldest"),
    ],
)
def test_the_newest_row_that_is_not_newer_counts(text: str, row: Release) -> None:
    assert parse_release(text) == row


@pytest.mark.parametrize("text", ["3.4", "2.6.39", "6.19", "7.0", "99.1"])
def test_a_release_out_of_the_table_is_refused(text: str) -> None:
    with pytest.raises(UnknownKernelError, match=r"not modelled; 3\.5 to 6\.18 are"):
        parse_release(text)


@pytest.mark.parametrize("text", ["", "six", "6", "6.1-rc1", "6.1.2.3", "-6.1"])
def test_what_is_no_release_is_refused(text: str) -> None:
    with pytest.raises(UnknownKernelError, match="is no kernel release"):
        parse_release(text)


def test_a_behaviour_comes_and_goes() -> None:
    row = Behaviour("step_hooks", (3, 7), (3, 8), "…", "…")

    answers = [Kernel(release, [row]).has("step_hooks") for release in [(3, 6), (3, 7), (3, 8)]]

    assert answers == [False, True, False]


def test_every_row_changes_at_a_release_of_the_table() -> None:
    """Else `--kernel` could not tell the two sides apart."""
    borders = {row.since for row in BEHAVIOURS} | {row.until for row in BEHAVIOURS if row.until}

    assert borders <= set(RELEASES)


def test_a_backends_own_borders_are_rows_as_well() -> None:
    own = [Behaviour("nops", (4, 10), (6, 13), "…", "…"), Behaviour("old", (3, 2), None, "…", "…")]

    rows = releases(own)

    assert set(rows) - set(RELEASES) == {(4, 10)}
    assert list(rows) == sorted(rows)
    assert parse_release("4.12", rows) == (4, 10)
    assert parse_release("4.9", rows) == parse_release("4.9") == (4, 3)


def test_the_releases_are_in_order_and_the_names_are_unique() -> None:
    assert list(RELEASES) == sorted(set(RELEASES))
    assert len({row.name for row in BEHAVIOURS}) == len(BEHAVIOURS)


def test_every_row_is_asked_for() -> None:
    """A behaviour that nobody asks for is one that no release has."""
    package = Path(version.__file__).parent
    sources = [path.read_text() for path in package.glob("*.py") if path.name != "version.py"]
    asked = {name for source in sources for name in re.findall(r'"(\w+)"', source)}

    assert {row.name for row in BEHAVIOURS} - asked - set(Does.__slots__) == set()


def test_a_patch_series_has_what_it_brought() -> None:
    row = Behaviour("uprobes", (3, 7), None, "…", "…", series="3.6+toy-v3")

    plain, patched = (parse_kernel(text, (row,)) for text in ("3.6", "3.6+toy-v3"))

    assert (plain.has("uprobes"), patched.has("uprobes")) == (False, True)
    assert (str(plain), str(patched)) == ("3.6", "3.6+toy-v3")
    assert patched.has("present_swbp_is_eexist")  # the core is that of 3.6


@pytest.mark.parametrize("rows", [(), (Behaviour("a", (3, 7), None, "…", "…", "3.6+toy-v3"),)])
def test_a_series_that_is_not_there_is_refused(rows: tuple[Behaviour, ...]) -> None:
    with pytest.raises(UnknownKernelError, match=r"no patch series is called 3\.6\+other; "):
        parse_kernel("3.6+other", rows)
