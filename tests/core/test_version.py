"""core/uprobes_sim/version.py"""

from pathlib import Path

import pytest

from uprobes_sim import version
from uprobes_sim.errors import UnknownKernelError
from uprobes_sim.version import BEHAVIOURS, RELEASES, Behaviour, Kernel, Release, parse_release


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


def test_the_releases_are_in_order_and_the_names_are_unique() -> None:
    assert list(RELEASES) == sorted(set(RELEASES))
    assert len({row.name for row in BEHAVIOURS}) == len(BEHAVIOURS)


def test_every_row_is_asked_for() -> None:
    """A behaviour that nobody asks for is one that no release has."""
    package = Path(version.__file__).parent
    sources = [path.read_text() for path in package.glob("*.py") if path.name != "version.py"]

    assert [row.name for row in BEHAVIOURS if not any(f'"{row.name}"' in s for s in sources)] == []
