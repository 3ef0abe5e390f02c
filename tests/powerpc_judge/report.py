"""The summary of a campaign, as a page."""

from collections import Counter
from collections.abc import Sequence

from powerpc_judge.campaign import Campaign
from powerpc_judge.known import LIMITS, MASKS, TOO_EARLY, UNJUDGED, Known, module
from powerpc_judge.qemu import ABIS
from uprobes_sim_powerpc import isa

_COLUMNS = [str(abi) for abi in ABIS]


def report(campaign: Campaign, qemu: str) -> str:
    """Write the page."""
    verdict = campaign.verdict
    lines = [
        "# PowerPC against QEMU",
        "",
        "Instructions with random fields on random and boundary operands, executed by the engine",
        "and by qemu-user; all registers that either side has, and memory, compared. Written by",
        "`tox -e campaign-powerpc`; `tests/powerpc_judge/known.py` is the list of what is not held",
        "against either side.",
        "",
        f"- QEMU {qemu}, seed {campaign.seed}",
        f"- {campaign.cases:,} cases, {len({row for _, row in verdict.cases})} of"
        f" {len(isa.load())} rows",
        f"- {verdict.wrong.total():,} mismatches beyond the list",
        "",
        "## Cases by group",
        "",
        "| group | rows | " + " | ".join(_COLUMNS) + " | fewest of a row | mismatches |",
        "| --- |" + " ---: |" * (len(_COLUMNS) + 3),
        *_groups(campaign),
        "",
        *_section("Not tried", (*UNJUDGED, TOO_EARLY)),
        *_section("Operands not tried", LIMITS),
        "## Not compared",
        "",
        "With the number of outcomes that are equal only thanks to it.",
        "",
    ]
    for mask in MASKS:
        count = verdict.masked[f"{mask.names} {mask.part}"]
        lines.append(f"- {_rows(mask)}: {mask.part} ({mask.why.value}: {mask.reason}): {count:,}")
    if verdict.examples:
        lines += ["", "## Mismatches", "", *(f"- {example}" for example in verdict.examples)]
    return "\n".join(lines) + "\n"


def _section(title: str, entries: Sequence[Known]) -> list[str]:
    items = [f"- {_rows(entry)} ({entry.why.value}): {entry.reason}" for entry in entries]
    return [f"## {title}", "", *items, ""]


def _rows(entry: Known) -> str:
    where = "" if len(entry.abis) == len(ABIS) else " on " + ", ".join(map(str, entry.abis))
    return f"`{entry.names}`{where}"


def _groups(campaign: Campaign) -> list[str]:
    groups = {row.name: module(row) for row in isa.load()}
    cases, wrong = Counter[tuple[str, str]](), Counter[str]()
    for (abi, row), count in campaign.verdict.cases.items():
        cases[groups[row], abi] += count
    for (_, row), count in campaign.verdict.wrong.items():
        wrong[groups[row]] += count
    lines = []
    for group in sorted(set(groups.values())):
        rows = Counter[str]()
        for (_, row), count in campaign.verdict.cases.items():
            if groups[row] == group:
                rows[row] += count
        counts = " | ".join(f"{cases[group, abi]:,}" for abi in _COLUMNS)
        fewest = min(rows.values(), default=0)
        lines.append(f"| {group} | {len(rows)} | {counts} | {fewest:,} | {wrong[group]:,} |")
    return lines
