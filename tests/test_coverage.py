"""docs/kernel-core-coverage.md names what is there, for every section."""

import re
from pathlib import Path

from live.scripts import SCRIPTS
from uprobes_sim.scenarios.play import scenarios

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "kernel-core-coverage.md"
PARTS = {1: 9, 2: 20, 3: 3, 5: 7, 6: 29, 7: 25, 8: 12}
"""Numbered sections of kernel-core.md, and how many parts each has; 4 has none."""

Row = tuple[str, list[str], str]


def rows() -> list[Row]:
    found = [line for line in PAGE.read_text().splitlines() if re.match(r"\| \d", line)]
    cells = [line.split("|")[1:-1] for line in found]
    return [(n.strip(), re.findall(r"`([^`]+)`", by), left.strip()) for n, _, by, left in cells]


def is_there(name: str) -> bool:
    """Tell whether a test, a scenario or a script of that name exists."""
    kind, colon, rest = name.partition(": ")
    if colon:
        return rest in (scenarios() if kind == "scenario" else SCRIPTS)
    path, _, test = name.partition("::")
    file = ROOT / path
    return file.exists() and (not test or f"def {test}(" in file.read_text())


def test_every_section_has_a_row() -> None:
    wanted = [f"{part}.{n}" for part, last in PARTS.items() for n in range(1, last + 1)]

    assert sorted(n for n, _, _ in rows()) == sorted([*wanted, "4"])


def test_everything_that_is_named_exists() -> None:
    assert [name for _, names, _ in rows() for name in names if not is_there(name)] == []


def test_what_nothing_covers_says_why() -> None:
    assert [n for n, names, left in rows() if not names and not left] == []
