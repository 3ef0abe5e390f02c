"""A probed instruction does what it does without a probe."""

from random import Random

import pytest

from uprobes_sim.conformance.bench import SLOTS, Bench, Case, Outcome, differences
from uprobes_sim.conformance.suite import Suite
from uprobes_sim.errors import EngineError, KernelError
from uprobes_sim.linker import Linked

pytestmark = pytest.mark.claim("step")

TRIES = 4
"""Draws of a row, each of so many cases, until one is accepted."""


def execute(
    suite: Suite, bench: Bench, row: str, count: int, random: Random
) -> list[tuple[Case, Outcome, Outcome]]:
    """Execute cases of *row* both ways; leave out those on which no probe can be set."""
    found = []
    for first in range(0, count, SLOTS):
        cases = bench.draw(row, min(SLOTS, count - first), random)
        bench.lay(cases)
        for case in cases:
            if bench.refusal(case) is not None:
                suite.results.cases["refused"] += 1
                continue
            bare = bench.bare(case)
            probed = bench.probed(case)
            suite.results.cases[probed.how or "not hit"] += 1
            suite.results.cases["fault"] += bare.signal is not None
            found.append((case, probed, bare))
    return found


def test_a_probe_changes_nothing(suite: Suite, linked: Linked, row: str) -> None:
    """Registers, memory and signals are as without it, where no known defect acts."""
    bench = suite.bench(linked)
    random = Random(f"{suite.choice.seed} {linked.info.abi} {row}")

    outcomes = execute(suite, bench, row, suite.choice.per_row(len(bench.samples.rows)), random)

    for case, probed, bare in outcomes:
        assert probed.how is not None, f"{bench.describe(case)}: the probe is not hit"
        found = differences(probed, bare)
        assert not found, f"{bench.describe(case)}, {probed.how}: {'; '.join(found)}"


def test_it_is_executed_as_was_said(suite: Suite, linked: Linked, row: str) -> None:
    """`arch_uprobe_mechanism` tells the truth of hits that do not fault."""
    bench = suite.bench(linked)
    random = Random(f"{suite.choice.seed} mechanism {linked.info.abi} {row}")

    for case, probed, bare in execute(suite, bench, row, 1, random):
        if bare.signal is None:
            said = bench.mechanism(case)
            assert probed.how == said, f"{bench.describe(case)}: {probed.how}, {said} was said"


def test_linux_differs_by_known_defects_only(suite: Suite, linked: Linked, row: str) -> None:
    """What an erratum in force warns of is excused, by its name."""
    bench = suite.bench(linked, "linux")
    random = Random(f"{suite.choice.seed} linux {linked.info.abi} {row}")
    count = -(-suite.choice.per_row(len(bench.samples.rows)) // 8)

    for case, probed, bare in execute(suite, bench, row, count, random):
        found = differences(probed, bare)
        excuses = bench.cautions(case) if found else ()
        suite.results.cases["excused"] += bool(excuses)
        assert not found or excuses, f"{bench.describe(case)}, {probed.how}: {'; '.join(found)}"


@pytest.mark.claim("emulate")
def test_some_instructions_are_emulated(suite: Suite, linked: Linked) -> None:
    bench = suite.bench(linked)
    random = Random(f"{suite.choice.seed} emulated")
    hows = set[str | None]()
    for row in bench.samples.rows:
        try:
            hows |= {probed.how for _, probed, _ in execute(suite, bench, row, 1, random)}
        except (KernelError, EngineError):
            continue
        if "emulate" in hows:
            return

    pytest.fail("emulate is claimed, and no instruction is emulated", pytrace=False)
