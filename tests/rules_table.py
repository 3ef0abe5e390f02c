"""Writes docs/rules.md: `python tests/rules_table.py`."""

from pathlib import Path
from typing import Final

from uprobes_sim.check.rules import RULES, SEVERITIES
from uprobes_sim.errata import Erratum
from uprobes_sim.linker import find, find_entry_point, installed
from uprobes_sim.version import Kernel

PAGE: Final = Path(__file__).parents[1] / "docs" / "rules.md"

HEAD: Final = """\
# The rules

What `uprobes-sim check` warns of, the loudest first. `damages`: the kernel accepts the probe, and
then the program computes something else; `kills`: it dies; `misses`: there are fewer hits than
one would think; `slow`; `note`: good to know. This page is written by `tests/rules_table.py`.

## Of the place

| rule | severity | what | instead |
| --- | --- | --- | --- |
"""
ERRATA: Final = """
## Known defects of Linux

Warned of where the kernel in question has them; `uprobes-sim errata ID` tells the evidence.

| rule | severity | kernels | instructions | what |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Write the page from the code."""
    rules = sorted(RULES.values(), key=lambda rule: (SEVERITIES.index(rule.severity), rule.id))
    places = "".join(
        f"| `{rule.id}` | {rule.severity} | {rule.what} | {rule.instead} |\n" for rule in rules
    )
    return HEAD + places + ERRATA + "".join(_erratum(each) for each in _errata())


def _is_ours(arch: str) -> bool:
    """Tell whether a backend comes with this project, and not with an example."""
    dist = find_entry_point(arch).dist
    return dist is not None and dist.name == "uprobes-sim"


def _errata() -> list[Erratum]:
    found = [
        erratum
        for arch in filter(_is_ours, installed())
        for erratum in find(arch).arch_errata()  # type: ignore[attr-defined]
    ]
    return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), each.id))


def _erratum(erratum: Erratum) -> str:
    until = "" if erratum.until is None else f" to {Kernel(erratum.until)} (without)"
    kernels = f"{Kernel(erratum.since)}{until}" if until else f"since {Kernel(erratum.since)}"
    cells = (
        f"`{erratum.id}`",
        erratum.severity,
        kernels,
        erratum.instructions,
        erratum.effect,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
