"""Processes and threads (kernel-core.md 2.16)."""

from uprobes_sim.log import Act
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import COUNTERS, Stage
from uprobes_sim.task import Task
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer


@scenario(
    "fork-asks-no-filter",
    title="A child of a process that is traced alone",
    claim="a child of fork inherits the breakpoint; its first hit removes it there",
    source="live x86 6.18 (x86 7), live ppc64le 6.1 (powerpc-live 5), kernel-core 8.7",
    expected="the child is not traced, so it has no breakpoint",
    outcomes={
        "3.5": "parent called 2 times, child 0 times",
        "3.9": "parent called 2 times, child 1 times, which removes it there",
    },
)
def fork_asks_no_filter(stage: Stage) -> Outcome:
    """Trace one process as perf does, let it fork, and let both pass the probe twice."""
    program = stage.file("fork; call probed; call probed; exit; probed: nop; ret")
    task, calls = stage.process(program), {True: 0, False: 0}

    def handler(hit: Task) -> HandlerResult:
        calls[hit is task] += 1
        return HandlerResult.KEEP if hit is task else HandlerResult.UPROBE_HANDLER_REMOVE

    stage.register(program, consumer=UprobeConsumer(handler, filter=lambda mm: mm is task.mm))
    stage.run(task)
    removed = ", which removes it there" if stage.count(Act.REMOVE) else ""
    return stage.outcome(
        f"parent called {calls[True]} times, child {calls[False]} times{removed}",
        stage.because(Act.REMOVE if removed else Act.HIT),
    )


@scenario(
    "fork-inside-a-function",
    title="A process forks inside a function with a return probe",
    claim="return instances follow fork and vfork, not threads",
    source="3247343118da (kernel-core 2.16, 8.7); live ppc64le 6.1 (powerpc-live 6)",
    expected="both return, both count",
    outcomes={"3.5": "1 returns; the child dies", "3.13": "2 returns"},
    needs="uretprobes",
)
def fork_inside_a_function(stage: Stage) -> Outcome:
    """Fork between entry and return."""
    program = stage.file("call probed; exit; probed: nop; enter; fork; leave; ret")
    task = stage.process(program)
    stage.register(program, consumer=stage.consumer(entry=False, returns=True))
    stage.run(task)
    child = stage.machine.tasks.created[-1]
    dies = "" if child.killed_by is None else "; the child dies"
    return stage.outcome(f"{len(stage.hits)} returns{dies}", stage.because(Act.RETURN))


@scenario(
    "semaphore-owed-once",
    title="A file mapped twice, its semaphore mapped later",
    claim="delayed uprobes: at most one entry for a probe and a process",
    source="kernel-core 1.9; found by this project, then seen live on x86 6.18",
    expected="the counter is what it was when all is over",
    outcomes="armed twice, counter 1; unregistered: counter 0, one breakpoint stays, probe leaked",
    needs="ref_ctr_offset",
)
def semaphore_owed_once(stage: Stage) -> Outcome:
    """Map the code twice, register, map the counter: one is paid, two are taken."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    again = stage.at("probed") + 0x10_0000
    stage.map(task.mm, program, at=again)
    probe = stage.register(program, counter=COUNTERS)
    stage.map_counters(task.mm, program)
    paid = stage.counter(task.mm)
    stage.unregister(probe)
    swbp = stage.word("swbp")
    left = sum(task.mm.read(at, len(swbp)) == swbp for at in (stage.at("probed"), again))
    many = {0: "no breakpoint stays", 1: "one breakpoint stays"}[left]
    leaked = ", probe leaked" if stage.count(Act.LEAK) else ""
    return stage.outcome(
        f"armed twice, counter {paid}; "
        f"unregistered: counter {stage.counter(task.mm)}, {many}{leaked}",
        stage.because(Act.SEMAPHORE, "+1"),
        stage.because(Act.LEAK),
    )
