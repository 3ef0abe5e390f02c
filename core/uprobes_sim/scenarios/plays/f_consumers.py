"""Consumers, filters and semaphores (kernel-core.md 1.2, 2.13, 2.18, 2.20)."""

from uprobes_sim.log import Act
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import COUNTERS, RX, TEXT, Stage
from uprobes_sim.units import PAGE_SIZE, Offset
from uprobes_sim.uprobes import HandlerResult


@scenario(
    "newest-first",
    title="In which order consumers are called",
    claim="handlers run in reverse order of registration, newest first",
    source="kernel-core 1.1, 8.3; live ppc64le 6.1 (powerpc-live 5)",
    expected="the order of registration",
    outcomes="three, two, one",
)
def newest_first(stage: Stage) -> Outcome:
    """Register three."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    for name in ("one", "two", "three"):
        stage.register(program, consumer=stage.consumer(name))
    stage.run(task)
    return stage.outcome(", ".join(stage.hits), stage.because(Act.HIT))


@scenario(
    "removal-by-handlers",
    title="Handlers that want the probe out of the process",
    claim="HANDLER_REMOVE needs unanimity, and since 6.12 the filters' agreement",
    source="kernel-core 2.18, 8.3",
    expected="one answer of REMOVE removes it",
    outcomes={
        "3.5": "one of two: swbp; both: swbp",
        "3.9": "one of two: swbp; both: nop",
        "6.12": "one of two: swbp; both, but a filter wants it: swbp",
    },
)
def removal_by_handlers(stage: Stage) -> Outcome:
    """Answer REMOVE once alone and once together."""
    found, remove = [], HandlerResult.UPROBE_HANDLER_REMOVE
    for second, end in ((HandlerResult.KEEP, "exit"), (remove, "forever: jump forever")):
        program = stage.file(f"probed: nop; {end}")
        task = stage.process(program)
        for answer in (remove, second):
            stage.register(program, consumer=stage.consumer(answer=answer))
        stage.run(task, budget=200)
        found.append(stage.memory(task))
    removed = stage.count(Act.REMOVE)
    agreed = "both, but a filter wants it" if stage.kernel.has("removal_asks_filters") else "both"
    return stage.outcome(
        f"one of two: {found[0]}; {agreed}: {found[1]}",
        stage.because(Act.REMOVE if removed else Act.HANDLER),
    )


@scenario(
    "filters-at-the-hit",
    title="A process that a filter rules out",
    claim="filters act at install time only",
    source="63633cbf8284 (kernel-core 2.18, 8.4)",
    expected="not armed, not called",
    outcomes={"3.5": "armed, 0 calls", "3.9": "not armed, 0 calls"},
)
def filters_at_the_hit(stage: Stage) -> Outcome:
    """Register with a filter that says no."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program, consumer=stage.consumer(filter=lambda mm: False))
    armed = "armed" if stage.memory(task) == "swbp" else "not armed"
    stage.run(task)
    cause = stage.because(Act.FILTER if armed == "not armed" else Act.INSTALL)
    return stage.outcome(f"{armed}, {len(stage.hits)} calls", cause)


@scenario(
    "unwanted-hit",
    title="A consumer is called for a process that it did not want",
    claim="every consumer of the probe is called for every task that hits the byte, wanted or not",
    source="kernel-core 2.18",
    expected="only the one whose filter said yes",
    outcomes={"3.5": "wants", "3.9": "does not, wants"},
)
def unwanted_hit(stage: Stage) -> Outcome:
    """Register one that wants the process and one that does not."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program, consumer=stage.consumer("wants"))
    stage.register(program, consumer=stage.consumer("does not", filter=lambda mm: False))
    stage.run(task)
    return stage.outcome(", ".join(stage.hits), stage.because(Act.HIT))


@scenario(
    "filter-changes-its-mind",
    title="A filter's answer changes",
    claim="uprobe_apply: used when a filter's answer changed (perf attach and detach)",
    source="kernel-core 2.13",
    expected="nothing happens until it is applied",
    outcomes="nop, changed nop, applied swbp, withdrawn nop",
    needs="uprobe_apply",
)
def filter_changes_its_mind(stage: Stage) -> Outcome:
    """Change the answer, apply, change it back, apply."""
    program, wanted = stage.file("probed: nop; exit"), False
    task = stage.process(program)
    mine = stage.consumer(filter=lambda mm: wanted)
    uprobe, _ = stage.register(program, consumer=mine)
    seen = [stage.memory(task)]
    wanted = True
    seen.append(stage.memory(task))
    stage.up.uprobe_apply(uprobe, mine, add=True)
    seen.append(stage.memory(task))
    wanted = False
    stage.up.uprobe_apply(uprobe, mine, add=False)
    seen.append(stage.memory(task))
    return stage.outcome(
        f"{seen[0]}, changed {seen[1]}, applied {seen[2]}, withdrawn {seen[3]}",
        stage.because(Act.INSTALL),
        stage.because(Act.REMOVE),
    )


@scenario(
    "semaphore-counts-places",
    title="What a semaphore counts",
    claim="+1 per process and offset, not per consumer; two offsets can share one",
    source="live ppc64le 6.1 (powerpc-live 5), live x86 6.18 (x86 9)",
    expected="one per consumer",
    outcomes="two consumers 1, two places 2, all closed 0",
    needs="ref_ctr_offset",
)
def semaphore_counts_places(stage: Stage) -> Outcome:
    """Register two consumers on one place and one on another, all with one counter."""
    program = stage.file("probed: nop; other: nop; exit")
    task = stage.process(program)
    stage.map_counters(task.mm, program)
    probes = [stage.register(program, counter=COUNTERS) for _ in range(2)]
    one = stage.counter(task.mm)
    probes.append(stage.register(program, "other", counter=COUNTERS))
    two = stage.counter(task.mm)
    for probe in probes:
        stage.unregister(probe)
    return stage.outcome(
        f"two consumers {one}, two places {two}, all closed {stage.counter(task.mm)}",
        stage.because(Act.SEMAPHORE, "+1"),
        stage.because(Act.SEMAPHORE, "-1"),
    )


@scenario(
    "semaphore-is-paid-later",
    title="A semaphore whose page is not mapped yet",
    claim="the breakpoint is in, the increment still owed",
    source="kernel-core 1.9, 2.14; live x86 6.18 (x86 9)",
    expected="the probe waits, or the counter is never raised",
    outcomes="armed swbp, owed 1; mapped: counter 1, owed 0",
    needs="ref_ctr_offset",
)
def semaphore_is_paid_later(stage: Stage) -> Outcome:
    """Register before the page of counters is mapped."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program, counter=COUNTERS)
    armed, owed = stage.memory(task), len(stage.up.delayed)
    cause = stage.because(Act.DELAY)
    stage.map_counters(task.mm, program)
    paid = f"counter {stage.counter(task.mm)}, owed {len(stage.up.delayed)}"
    return stage.outcome(
        f"armed {armed}, owed {owed}; mapped: {paid}", cause, stage.because(Act.SEMAPHORE, "+1")
    )


@scenario(
    "semaphore-survives-unmapping",
    title="Code is unmapped and mapped again",
    claim="munmap of code does not decrement",
    source="kernel-core 2.20",
    expected="the counter follows the breakpoint",
    outcomes="1, unmapped 1, mapped again 2",
    needs="ref_ctr_offset",
)
def semaphore_survives_unmapping(stage: Stage) -> Outcome:
    """Unmap and map the code under a semaphore."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.map_counters(task.mm, program)
    stage.register(program, counter=COUNTERS)
    seen = [stage.counter(task.mm)]
    task.mm.munmap(TEXT, PAGE_SIZE)
    seen.append(stage.counter(task.mm))
    stage.map(task.mm, program, flags=RX)
    seen.append(stage.counter(task.mm))
    return stage.outcome(
        f"{seen[0]}, unmapped {seen[1]}, mapped again {seen[2]}", stage.because(Act.SEMAPHORE)
    )


@scenario(
    "semaphore-mismatch",
    title="Two counters for one place",
    claim="same inode and offset with another ref_ctr offset, also 0 against non-0: EINVAL",
    source="live x86 6.18 (x86 1.2), live ppc64le 6.1 (powerpc-live 5)",
    expected="each consumer has its own",
    outcomes="EINVAL, and without a counter EINVAL",
    needs="ref_ctr_offset",
)
def semaphore_mismatch(stage: Stage) -> Outcome:
    """Register with one counter, then with another, then with none."""
    program = stage.file("probed: nop; exit")
    stage.process(program)
    stage.register(program, counter=COUNTERS)
    other = stage.refused(program, counter=Offset(COUNTERS + 2))
    none = stage.refused(program)
    return stage.outcome(
        f"{other}, and without a counter {none}", stage.because(Act.REFUSE, "mismatch")
    )


@scenario(
    "semaphore-is-odd",
    title="A counter at an odd offset",
    claim="ref_ctr_offset must be a multiple of 2",
    source="013b2deba9a6 (kernel-core 2.1.5)",
    expected="EINVAL",
    outcomes={"3.5": "accepted", "5.8": "EINVAL"},
    needs="ref_ctr_offset",
)
def semaphore_is_odd(stage: Stage) -> Outcome:
    """Register with a counter between two."""
    program = stage.file("probed: nop; exit")
    stage.process(program)
    answer = stage.refused(program, counter=Offset(COUNTERS + 1))
    return stage.outcome(
        answer, stage.because(Act.REGISTER if answer == "accepted" else Act.REFUSE)
    )
