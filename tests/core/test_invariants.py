"""What must hold whatever is done in whatever order: hypothesis mixes all operations.

And five faults of the core, each of which it must find.
"""

import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from toy_arch import TRAP
from uprobes_sim import uprobes
from uprobes_sim.memory import Vma
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer, Uprobes
from uprobes_sim.xol import XolArea
from uprobes_world import (
    FUNCTIONS,
    LOOP,
    POKED,
    POKES,
    PROBED,
    SECOND,
    Place,
    World,
)

STEPS = 50
EXAMPLES = 420
"""Times STEPS, more than 20,000 operations."""

MANY = 5
"""Tasks at a time."""


class Operations(RuleBasedStateMachine):
    """All that processes, debuggers and tracers do."""

    release: tuple[int, ...] = (6, 18)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.release)

    # --- choices ----------------------------------------------------------

    def pick_task(self, data: st.DataObject) -> Task:
        return self.world.tasks[data.draw(st.integers(0, len(self.world.tasks) - 1))]

    def pick_place(self, data: st.DataObject) -> Place:
        return self.world.places[data.draw(st.integers(0, len(self.world.places) - 1))]

    # --- tracers ----------------------------------------------------------

    @rule(
        data=st.data(),
        file=st.integers(0, 1),
        word=st.sampled_from(PROBED),
        filtered=st.booleans(),
        answer=st.sampled_from(HandlerResult),
        returns=st.booleans(),
    )
    def register(
        self,
        data: st.DataObject,
        file: int,
        word: int,
        filtered: bool,
        answer: HandlerResult,
        returns: bool,
    ) -> None:
        wants = None
        if filtered:
            wants = frozenset([self.pick_task(data).mm])
        inode = self.world.files[file]
        self.world.register(inode, word, wants, answer, returns=returns and word in FUNCTIONS)

    @precondition(lambda self: self.world.listeners)
    @rule(data=st.data())
    def unregister(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.world.listeners) - 1))
        self.world.unregister(self.world.listeners[at])

    # --- programs ---------------------------------------------------------

    @rule(work=st.integers(1, 60), turn=st.integers(0, MANY - 1))
    def run(self, work: int, turn: int) -> None:
        self.world.run(work, turn)

    @precondition(lambda self: len(self.world.tasks) < MANY)
    @rule(file=st.integers(0, 1))
    def start(self, file: int) -> None:
        self.world.new_process(self.world.files[file])

    @precondition(lambda self: len(self.world.tasks) < MANY)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        parent = self.pick_task(data)
        if not _steps(parent) and not any(mm is parent.mm for mm, _ in self.world.owed):
            self.world.fork(parent)

    @precondition(lambda self: len(self.world.tasks) < MANY)
    @rule(data=st.data())
    def thread(self, data: st.DataObject) -> None:
        parent = self.pick_task(data)
        pending = parent.utask is not None and parent.utask.return_instances
        if not _steps(parent) and not pending and parent.regs.ip in LOOP:
            self.world.thread(parent)

    @precondition(lambda self: len({task.mm for task in self.world.tasks}) > 1)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        task = self.pick_task(data)
        if task.mm is not self.world.machine.tasks.created[0].mm:
            self.world.kill(task)

    # --- mappings ---------------------------------------------------------

    @rule(data=st.data(), file=st.integers(0, 1))
    def map_again(self, data: st.DataObject, file: int) -> None:
        mm = self.pick_task(data).mm
        if not any(place.mm is mm and place.start == SECOND for place in self.world.places):
            self.world.map(mm, SECOND, self.world.files[file])

    @rule(data=st.data())
    def unmap(self, data: st.DataObject) -> None:
        place = self.pick_place(data)
        if place.start == SECOND:
            self.world.unmap(place)

    @rule(data=st.data(), file=st.integers(0, 1))
    def map_counters(self, data: st.DataObject, file: int) -> None:
        mm, inode = self.pick_task(data).mm, self.world.files[file]
        if (mm, inode) not in self.world.counters and self.world.pays_in_full(mm, inode):
            self.world.map_counters(mm, inode)

    @rule(data=st.data(), writable=st.booleans())
    def protect(self, data: st.DataObject, writable: bool) -> None:
        self.world.protect(self.pick_place(data), writable=writable)

    # --- debuggers --------------------------------------------------------

    @rule(data=st.data(), word=st.sampled_from(POKED), what=st.sampled_from(sorted(POKES)))
    def poke(self, data: st.DataObject, word: int, what: str) -> None:
        place = self.pick_place(data)
        if not (word == 0 and place.words[0] == TRAP):  # it would be counted for ever
            self.world.poke(place, word, POKES[what])

    @rule(data=st.data(), word=st.sampled_from([7, 15]))
    def plant(self, data: st.DataObject, word: int) -> None:
        """Plant the very breakpoint, where nobody runs into it."""
        place = self.pick_place(data)
        if place.mm.has_uprobes:
            self.world.poke(place, word, TRAP)

    @invariant()
    def everything_holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # else that would be hidden
            self.world.finish()


def _steps(task: Task) -> bool:
    return task.utask is not None and task.utask.active_uprobe is not None


QUICK = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # to shrink a finding may take minutes; do so by hand
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_twenty_thousand_operations_leave_nothing_wrong() -> None:
    run_state_machine_as_test(Operations, settings=QUICK)


@pytest.mark.parametrize("release", [(4, 20), (6, 1), (6, 12)])
def test_older_kernels_hold_too(release: tuple[int, ...]) -> None:
    machine = type("Older", (Operations,), {"release": release})

    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=40))


# --- faults that it must find ---------------------------------------------------


def _drop_the_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(up: Uprobes, uprobe: Uprobe, vma: Vma, vaddr: Vaddr) -> None:
        vma.mm.recalc_uprobes = True

    monkeypatch.setattr(Uprobes, "_remove_breakpoint", nothing)


def _leak_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XolArea, "free_insn_slot", lambda area, slot: None)


def _call_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Uprobes._consumer_add

    def append(up: Uprobes, uprobe: Uprobe, consumer: UprobeConsumer) -> None:
        add(up, uprobe, consumer)
        uprobe.consumers.append(uprobe.consumers.pop(0))

    monkeypatch.setattr(Uprobes, "_consumer_add", append)


def _lose_a_semaphore(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is owed is forgotten instead of paid."""

    def forget(up: Uprobes, vma: Vma) -> None:
        for uprobe in up.delayed.of(vma):
            up.delayed.remove(uprobe, vma.mm)

    monkeypatch.setattr(uprobes, "pay_delayed", forget)


def _miss_the_dup(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child has breakpoints, and does not know."""
    monkeypatch.setattr(Uprobes, "uprobe_dup_mmap", lambda up, old, new: None)


FAULTS = (
    (_drop_the_restore, "memory at"),
    (_leak_a_slot, "slots taken"),
    (_call_the_oldest_first, "wrong order"),
    (_lose_a_semaphore, "semaphore"),
    (_miss_the_dup, "no MMF_HAS_UPROBES"),
)


@pytest.mark.parametrize(("plant", "finding"), FAULTS, ids=[each for _, each in FAULTS])
def test_a_fault_of_the_core_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(AssertionError, match=finding):
        run_state_machine_as_test(Operations, settings=QUICK)
