"""Functions under return probes return as ever, and the returns are seen."""

import pytest

from uprobes_sim.conformance.stage import (
    LEAF,
    MAIN,
    OUTER,
    SP,
    TAIL,
    VALUE,
    Stage,
    compare,
    unprobed,
)
from uprobes_sim.conformance.suite import Suite
from uprobes_sim.linker import Linked
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr

pytestmark = pytest.mark.claim("return")


@pytest.fixture
def stage(suite: Suite, linked: Linked) -> Stage:
    idioms = suite.bench(linked).samples.idioms
    if idioms is None:
        pytest.fail("arch_insn_samples gives no idioms to make functions of", pytrace=False)
    return Stage(linked, idioms)


def test_a_function_returns_to_its_caller(stage: Stage) -> None:
    """The right return address was replaced, and is put back."""
    _, behind_the_call, _, _ = stage.write_all()
    expected = unprobed(stage)
    stage.probe(OUTER, returns=True)

    played = stage.play(stage.new_mm())

    compare(played, expected)
    assert [(func, to) for func, to, _ in played.returns] == [(OUTER, behind_the_call)]


def test_a_leaf_function_returns_to_its_caller(stage: Stage) -> None:
    """One that never stores its return address, if there are such."""
    stage.write_all()
    expected = unprobed(stage)
    stage.probe(LEAF, returns=True)

    played = stage.play(stage.new_mm())

    compare(played, expected)
    assert [func for func, _, _ in played.returns] == [LEAF, LEAF]


def test_the_value_that_a_function_returns_is_seen(stage: Stage) -> None:
    stage.write_all()
    stage.probe(LEAF, returns=True)

    played = stage.play(stage.new_mm())

    assert {value for _, _, value in played.returns} == {VALUE}


def test_nested_functions_return_in_turn(stage: Stage) -> None:
    """Each frame is alive as long as it has not returned."""
    stage.write_all()
    expected = unprobed(stage)
    for function in (OUTER, LEAF):
        stage.probe(function, returns=True)

    played = stage.play(stage.new_mm())

    compare(played, expected)
    assert [func for func, _, _ in played.returns] == [LEAF, OUTER, LEAF]


def test_a_tail_call_returns_for_both(stage: Stage) -> None:
    """The second hijack finds the trampoline, on the same stack: a chain."""
    stage.write_all()
    _, behind_the_call, _ = stage.write(MAIN, TAIL, stage.idioms.syscall)
    expected = unprobed(stage)
    for function in (TAIL, LEAF):
        stage.probe(function, returns=True)

    played = stage.play(stage.new_mm())

    compare(played, expected)
    assert sorted(func for func, _, _ in played.returns) == [LEAF, TAIL]
    assert {to for _, to, _ in played.returns} == {behind_the_call}


@pytest.mark.claim("longjmp")
def test_frames_left_by_longjmp_are_forgotten(stage: Stage) -> None:
    """`arch_uretprobe_is_alive` says of the frames that were left that they are gone."""
    _, second, _, _ = stage.write_all()
    expected = unprobed(stage)
    depths = list[int]()

    def jump_out(task: Task) -> None:
        assert task.utask is not None
        depths.append(task.utask.depth)
        if len(depths) == 1:
            task.regs.ip, task.regs.sp = second, SP

    for function in (OUTER, LEAF):
        stage.probe(function, returns=True)
    stage.probe(Vaddr(LEAF + len(stage.idioms.nop)), jump_out)

    played = stage.play(stage.new_mm())

    assert played.signals == []
    assert depths == [2, 1], f"{depths[-1]} frames count as alive after longjmp, not 1"
    assert [func for func, _, _ in played.returns] == [LEAF]
    assert [end.pending for end in played.ends] == [0]
    assert [end.sp for end in played.ends] == [SP]
    assert len(played.ends) == len(expected.ends)
