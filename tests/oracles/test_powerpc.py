"""Every row of the powerpc table against QEMU: registers and memory on edges and random operands.

`tox -e campaign-powerpc` does the same for as long as one likes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from powerpc_judge import qemu
from powerpc_judge.campaign import Campaign, OtherCampaign, load
from powerpc_judge.judge import Judge
from powerpc_judge.known import LIMITS, MASKS, TOO_EARLY, UNJUDGED, Known, judged
from powerpc_judge.mutants import (
    EMULATED,
    JUDGED,
    VARIABLE,
    Mutant,
    idle,
    install,
    narrower,
    restore,
)
from powerpc_judge.qemu import ABIS
from powerpc_judge.report import report
from uprobes_sim.arch import Abi
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.decode import decoder
from uprobes_sim_powerpc.samples.draw import field_bits

TESTS = Path(__file__).parents[1]
BE64 = ABIS[1]
PER_ROW = 25
DO_NOTHING = {
    *("sync, lwsync, ptesync", "isync", "eieio"),
    *("dcbt", "dcbtst", "dcbst", "dcbf", "icbi"),
}
"""Barriers, and hints to caches, as far as one thread can see."""
MASKED = {"darn", "mftb", "vexptefp", "vrldmi"}
"""Rows of which a mask takes all that they do."""


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    if qemu.missing():
        pytest.skip(f"{', '.join(qemu.missing())} not installed (Debian: qemu-user)")
    return Judge(tmp_path_factory.mktemp("judge"))


@pytest.mark.parametrize("abi", ABIS, ids=str)
def test_the_engine_does_what_qemu_does(judge: Judge, abi: Abi) -> None:
    rows = judged(abi)

    verdict = judge.batch(abi, "CI", PER_ROW * len(rows))

    assert verdict.examples == []
    assert set(verdict.cases.values()) == {PER_ROW}
    assert {row for _, row in verdict.cases} == {row.name for row in rows}


@pytest.mark.parametrize(("cpu", "abi"), [("power8", ABIS[0]), ("power9", ABIS[1])], ids=str)
def test_older_processors_do_what_they_have_and_refuse_the_rest(
    judge: Judge, cpu: str, abi: Abi
) -> None:
    """POWER8 lacks CA32 and OV32, too."""
    verdict = judge.batch(abi, "CI", 5 * len(judged(abi, cpu)), cpu=cpu)

    assert verdict.examples == []


def test_the_judge_tries_every_row_or_says_why_not() -> None:
    tried = {row.name for abi in ABIS for row in judged(abi)}
    excused = {
        row.name
        for row in isa.load()
        if all(any(entry.matches(row, abi) for entry in UNJUDGED) for abi in ABIS)
    }

    assert {row.name for row in isa.load()} - tried == excused


@pytest.mark.parametrize(
    "entry", [*UNJUDGED, TOO_EARLY, *LIMITS, *MASKS], ids=lambda entry: entry.names
)
def test_the_list_of_what_is_known_has_no_dead_entries(entry: Known) -> None:
    assert any(entry.matches(row, abi) for abi in entry.abis for row in isa.load())


def test_a_word_of_every_row_that_the_kernel_emulates_is_in_the_list_of_the_kernel() -> None:
    """So the tests of emulate_step and of verdicts try them all, and find any other."""
    lines = (TESTS / "arches" / "powerpc" / "emulated.txt").read_text().splitlines()
    words = [int(line.split()[1], 16) for line in lines if not line.startswith("#")]
    listed = {row.name for word in words if (row := decoder(64, "3.1").find(word))}

    emulated = {row.name for row in isa.load() if row.kernel not in (None, "SYSCALL")}
    assert listed == emulated


def test_a_campaign_goes_on_where_it_stopped(judge: Judge, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    at_once, in_parts = Campaign(7), Campaign(7)

    for _ in at_once.run(judge, 12_000):
        pass
    for _ in in_parts.run(judge, 5_000):
        in_parts.save(state)
    resumed = load(state, 7)
    for _ in resumed.run(judge, 12_000):
        pass

    assert resumed == at_once
    assert "- 12,000 cases" in report(resumed, "7.2")
    with pytest.raises(OtherCampaign, match="seed 7"):
        load(state, 8)


@pytest.fixture
def mutant(request: pytest.FixtureRequest) -> Iterator[Mutant]:
    before = install({request.param.row: request.param.change})
    yield request.param
    restore(before)


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Iterator[None]:
    """Change all rows at once."""
    before = install({row.name: request.param for row in isa.load()})
    yield
    restore(before)


def unnoticed(judge: Judge) -> set[str]:
    """Name the rows that the judge finds nothing wrong with."""
    rows = judged(BE64)
    verdict = judge.batch(BE64, "all rows", PER_ROW * len(rows))
    return {row.name for row in rows} - {name for _, name in verdict.wrong}


@pytest.mark.parametrize("table", [idle], ids=["idle"], indirect=True)
@pytest.mark.usefixtures("table")
def test_the_judge_notices_any_instruction_that_does_nothing(judge: Judge) -> None:
    assert unnoticed(judge) == DO_NOTHING | MASKED


@pytest.mark.parametrize("table", [narrower], ids=["narrower"], indirect=True)
@pytest.mark.usefixtures("table")
def test_the_judge_notices_any_mask_that_takes_a_bit_of_a_field(judge: Judge) -> None:
    without_fields = {row.name for row in judged(BE64) if not field_bits(row)}

    # mftb is judged at two numbers only; of stq it is the bit that is 0 in every valid form.
    assert unnoticed(judge) - without_fields == {"mftb", "stq"}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", JUDGED, ids=lambda one: one.name, indirect=True)
def test_the_judge_kills_mutants(judge: Judge, mutant: Mutant) -> None:
    abi = ABIS[0]
    rows = [row for row in judged(abi) if row.name == mutant.row]

    verdict = judge.batch(abi, "mutant", 200, rows=rows)

    assert verdict.wrong[str(abi), mutant.row] > 0


@pytest.mark.slow
@pytest.mark.parametrize("mutant", EMULATED, ids=lambda one: one.name)
def test_the_tests_of_emulation_kill_mutants(mutant: Mutant) -> None:
    files = [TESTS / "arches" / "powerpc" / "test_sstep.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "powerpc_judge.mutants"]
    environment = {**os.environ, VARIABLE: mutant.name, "PYTHONPATH": str(TESTS)}

    done = subprocess.run(
        [*command, *files], env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "is_emulated" in done.stdout
