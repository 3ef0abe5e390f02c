"""A run, written down: JSON to compare plugins by, HTML for people."""

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final

from uprobes_sim.conformance import claims
from uprobes_sim.conformance.choice import Choice
from uprobes_sim.conformance.results import Result, Results, Status
from uprobes_sim.conformance.target import Target, label
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.hookspecs import INTERFACE

STATUSES: Final[tuple[Status, ...]] = ("passed", "failed", "skipped", "xfailed")

_STYLE: Final = (
    "body{font:16px/1.5 system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em .8em;border:1px solid #bbb;text-align:left}"
    "td.n{text-align:right}.failed{color:#b00020;font-weight:bold}.passed{color:#1b5e20}"
)


def as_json(target: Target, choice: Choice, results: Results) -> dict[str, Any]:
    """Give the object of a run. What depends on the machine it ran on is left out."""
    return {
        "arch": target.machines[0].info.name,
        "interface": INTERFACE,
        "abis": [label(linked.info.abi) for linked in target.machines],
        "claims": list(target.claims),
        "examples": choice.examples,
        "seed": choice.seed,
        "oracle": choice.oracle,
        "passed": results.passed,
        "step_cases": results.step_cases,
        "cases": dict(sorted(results.cases.items())),
        "levels": {level: _counts(results, level) for level in _levels(results)},
        "complaints": results.complaints,
        "hooks": dict(sorted(target.guard.asked.items())),
        "tests": [
            {"id": each.id, "status": each.status, "message": each.message}
            for each in results.found
        ],
    }


def _levels(results: Results) -> list[str]:
    tried = {each.level for each in results.found}
    return [level for level in claims.LEVELS if level in tried]


def _counts(results: Results, level: str) -> dict[str, int]:
    return {status: results.count(status, level) for status in STATUSES}


def write(folder: Path, target: Target, choice: Choice, results: Results) -> None:
    """Write `report.json` and `report.html` into *folder*, which is made.

    Raises:
        UprobesSimError: it cannot be written.
    """
    found = as_json(target, choice, results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(found, indent=1) + "\n")
        (folder / "report.html").write_text("\n".join(_page(found, results)) + "\n")
    except OSError as exc:
        raise UprobesSimError(f"cannot write the report to {folder}: {exc.strerror}") from None


def _page(found: dict[str, Any], results: Results) -> Iterator[str]:
    verdict = "passed" if found["passed"] else "failed"
    title = f"Conformance of {escape(found['arch'])}"
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
    yield f"<style>{_STYLE}</style><h1>{title}: <span class={verdict}>{verdict}</span></h1>"
    claimed = ", ".join(found["claims"]) or "nothing"
    yield (
        f"<p>Tasks: {', '.join(found['abis'])}. Claims: {escape(claimed)}. Interface"
        f" {found['interface']}, {found['examples']} examples, seed {found['seed']},"
        f" {found['step_cases']:,} step cases.</p>"
    )
    yield "<table><tr><th>level" + "".join(f"<th>{status}" for status in STATUSES)
    for level, counts in found["levels"].items():
        yield f"<tr><td>{level}" + "".join(f"<td class=n>{counts[each]}" for each in STATUSES)
    yield "</table><h2>Step cases</h2><table>"
    for kind, count in found["cases"].items():
        yield f"<tr><td>{kind}<td class=n>{count:,}"
    yield "</table>"
    wrong = [each for each in results.found if each.status != "passed"]
    yield from _list("Beyond tests", found["complaints"])
    yield from _list("Tests that did not pass", [_line(each) for each in wrong])


def _line(result: Result) -> str:
    return f"{result.status} {result.id}: {result.message}"


def _list(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"<h2>{title}</h2><ul>"
        yield from (f"<li>{escape(line)}" for line in lines)
        yield "</ul>"
