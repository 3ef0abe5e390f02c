"""Several processes and threads run the probed file; debuggers have traps of their own."""

import pytest

from uprobes_sim.conformance.stage import LEAF, MAIN, OTHER_SP, OUTER, SP, Stage, compare, unprobed
from uprobes_sim.conformance.suite import Suite
from uprobes_sim.fork import CloneFlags
from uprobes_sim.linker import Linked
from uprobes_sim.signals import Signal
from uprobes_sim.task import Task

pytestmark = pytest.mark.claim("processes")

THREAD = (
    CloneFlags.CLONE_VM
    | CloneFlags.CLONE_FS
    | CloneFlags.CLONE_FILES
    | CloneFlags.CLONE_SIGHAND
    | CloneFlags.CLONE_THREAD
)


@pytest.fixture
def stage(suite: Suite, linked: Linked) -> Stage:
    idioms = suite.bench(linked).samples.idioms
    if idioms is None:
        pytest.fail("arch_insn_samples gives no idioms to make functions of", pytrace=False)
    return Stage(linked, idioms)


def test_two_processes_hit_the_probe_of_one_file(stage: Stage) -> None:
    stage.write_all()
    expected = unprobed(stage)
    stage.probe(OUTER, returns=True)
    first, second = stage.new_mm(), stage.new_mm()

    for mm in (first, second):
        stage.played.ends.clear()
        played = stage.play(mm)
        compare(played, expected)

    assert [address for _, address in played.hits] == [OUTER, OUTER]


@pytest.mark.parametrize("kind", ["process", "thread"])
@pytest.mark.claim("fork")
def test_a_child_hits_the_probes_of_its_parent(stage: Stage, kind: str) -> None:
    """With the breakpoints that it inherits, or shares, and registers of its own."""
    stage.write_all()
    idioms = stage.idioms
    stage.write(MAIN, idioms.syscall, OUTER, LEAF, idioms.syscall)
    stage.forks(CloneFlags(0) if kind == "process" else THREAD)
    expected = unprobed(stage)
    for function in (OUTER, LEAF):
        stage.probe(function, returns=True)

    played = stage.play(stage.new_mm())

    compare(played, expected)
    pids = {pid for pid, _ in played.hits}
    assert len(pids) == 2, "only one task has hit the probe"
    for pid in pids:
        assert [at for who, at in played.hits if who == pid] == [OUTER, LEAF, LEAF]
    assert len(played.returns) == 6
    assert {end.sp for end in played.ends} == ({SP} if kind == "process" else {SP, OTHER_SP})


def test_the_trap_of_a_debugger_is_the_programs_own(
    suite: Suite, linked: Linked, stage: Stage
) -> None:
    """SIGTRAP, not silence, where a probe is somewhere else."""
    traps = (linked.info.swbp_insn, *suite.bench(linked).samples.traps)
    for trap in traps:
        other = Stage(linked, stage.idioms)
        other.write_all()
        other.probe(OUTER)
        mm = other.new_mm()
        mm.write(LEAF, trap, force=True)

        played = other.play(mm)

        signals = [info.signal for info in played.signals]
        fired = signals == [Signal.SIGTRAP] and not played.ends
        quiet = not signals and len(played.ends) == 1  # a condition that does not hold
        assert fired or quiet, f"{trap.hex()}: {signals}"
        assert fired or trap != linked.info.swbp_insn, "the breakpoint of a debugger is swallowed"


def test_a_trap_that_is_written_during_a_hit_is_not_lost(linked: Linked, stage: Stage) -> None:
    """Somebody writes a breakpoint during a hit: it is his, not ours."""
    stage.write_all()

    def write(task: Task) -> None:
        task.mm.write(LEAF, linked.info.swbp_insn, force=True)

    stage.probe(OUTER, write)

    played = stage.play(stage.new_mm())

    assert [info.signal for info in played.signals] == [Signal.SIGTRAP]


def test_memory_is_the_programs_own_again_when_the_probe_is_gone(stage: Stage) -> None:
    stage.write_all()
    expected = unprobed(stage)
    consumer = stage.probe(LEAF)
    mm = stage.new_mm()
    stage.remove(LEAF, consumer)

    played = stage.play(mm)

    assert played.hits == []
    compare(played, expected)
    assert mm.read(LEAF, 16, force=True) == stage.text(LEAF, 16)
