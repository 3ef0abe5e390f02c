"""Return probes (kernel-core.md 2.19)."""

from uprobes_sim.log import Act
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import Stage
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer
from uprobes_sim.uretprobes import fixup_uretprobe_trampoline_entries

DEEP = 70
CALLED = "call probed; exit; probed: nop; inside: nop; ret"


@scenario(
    "depth-limit",
    title="More than 64 nested calls",
    claim="more than 64 nested = silently not traced",
    source="kernel-core 2.19; live ppc64le 6.1 (powerpc-live 6), live x86 6.18 (x86 8)",
    expected="every return is seen",
    outcomes="70 entries, 64 returns, exit 0",
    needs="uretprobes",
)
def depth_limit(stage: Stage) -> Outcome:
    """Call 70 deep: a handler on the way says when it is enough."""
    program = stage.file(
        "call probed; exit; "
        "probed: nop; enter; call next; leave; ret; "
        "next: nop; turn: jump probed; last: ret"
    )
    task, depth = stage.process(program), 0

    def turn(task: Task) -> HandlerResult:
        nonlocal depth
        depth += 1
        if depth == DEEP:
            probed, last = (stage.offset(label) for label in ("turn", "last"))
            stage.debugger(task).poke(
                stage.at("turn"), stage.dialect.relative("jump", last - probed)
            )
        return HandlerResult.KEEP

    stage.register(program, consumer=UprobeConsumer(handler=turn))
    stage.register(program, consumer=stage.consumer(entry=False, returns=True))
    ended = stage.run(task)
    return stage.outcome(
        f"{depth} entries, {len(stage.hits)} returns, {ended}",
        stage.because(Act.UNTRACED, "nestedness limit"),
    )


@scenario(
    "longjmp-over-a-return",
    title="A function that never returns",
    claim="frames skipped by longjmp are discarded",
    source="v4.3 (kernel-core 2.19); live x86 6.18 (x86 8)",
    expected="the outer function's return is seen, the inner one's is not",
    outcomes={
        "3.5": "inner returned: the stale frame answers for the outer one",
        "4.3": "outer returned, exit 0",
    },
    needs="uretprobes",
)
def longjmp_over_a_return(stage: Stage) -> Outcome:
    """Jump out of an inner probed function into the outer one, which returns."""
    program = stage.file(
        "call outer; exit; "
        "outer: nop; enter; mark; call inner; there: leave; ret; "
        "inner: nop; enter; back there"
    )
    task = stage.process(program)
    for label in ("outer", "inner"):
        stage.register(program, label, stage.consumer(label, entry=False, returns=True))
    ended = stage.run(task)
    if stage.hits[0] == "outer returned":
        return stage.outcome(
            f"{', '.join(stage.hits)}, {ended}", stage.because(Act.DROP, "left by a jump")
        )
    return stage.outcome(
        f"{stage.hits[0]}: the stale frame answers for the outer one", stage.because(Act.RETURN)
    )


@scenario(
    "tail-call-chain",
    title="Two probed functions, one return",
    claim="tail calls: both return probes count, newest first",
    source="kernel-core 2.19; live x86 6.18 (x86 8)",
    expected="both returns are seen",
    outcomes="second returned, first returned, exit 0",
    needs="uretprobes",
)
def tail_call_chain(stage: Stage) -> Outcome:
    """Jump from one probed function to another, which returns."""
    program = stage.file("call first; exit; first: nop; jump second; second: nop; ret")
    task = stage.process(program)
    for label in ("first", "second"):
        stage.register(program, label, stage.consumer(label, entry=False, returns=True))
    ended = stage.run(task)
    return stage.outcome(f"{', '.join(stage.hits)}, {ended}", stage.because(Act.HIJACK, "chained"))


@scenario(
    "lost-trampoline",
    title="The trampoline, and nobody who returns",
    claim="trampoline hit without records = SIGILL",
    source="v4.3 (kernel-core 2.19, 8.10)",
    expected="the program dies for what it did",
    outcomes={"3.5": "SIGTRAP", "4.3": "SIGILL"},
    needs="uretprobes",
)
def lost_trampoline(stage: Stage) -> Outcome:
    """Jump to the trampoline's address by hand."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program)
    stage.to_trampoline(task)
    ended = stage.run(task)
    return stage.outcome(ended, stage.because(Act.SIGNAL, ended))


@scenario(
    "return-address-is-visible",
    title="A function that reads its own return address",
    claim="return address on the stack becomes the [uprobes] page start",
    source="live x86 6.18 (x86 8), live ppc64le 6.1 (powerpc-live 6)",
    expected="the program cannot tell",
    outcomes="it reads the trampoline's address",
    needs="uretprobes",
)
def return_address_is_visible(stage: Stage) -> Outcome:
    """Read the return address in a function with a return probe."""
    program = stage.file("call probed; exit; probed: nop; peek; ret")
    task = stage.process(program)
    stage.register(program, consumer=stage.consumer(entry=False, returns=True))
    area = stage.area(task)
    stage.run(task)
    seen = stage.peeked(task)
    what = "the trampoline's" if seen == area.vaddr & 0xFFFF_FFFF_FFFF_FFFF else hex(seen)
    return stage.outcome(f"it reads {what} address", stage.because(Act.HIJACK))


@scenario(
    "closed-while-it-runs",
    title="A return probe goes while its function runs",
    claim="closing the event while a call is pending: the call returns normally, no hit",
    source="live x86 6.18 (x86 8), live ppc64le 6.1 (powerpc-live 6)",
    expected="the program returns to where it came from",
    outcomes="exit 0, 0 returns",
    needs="uretprobes",
)
def closed_while_it_runs(stage: Stage) -> Outcome:
    """Unregister inside the function."""
    program = stage.file(CALLED)
    task = stage.process(program)
    probe = stage.register(program, consumer=stage.consumer(entry=False, returns=True))

    def close(task: Task) -> HandlerResult:
        stage.unregister(probe)
        return HandlerResult.KEEP

    stage.register(program, "inside", UprobeConsumer(handler=close))
    ended = stage.run(task)
    return stage.outcome(
        f"{ended}, {len(stage.hits)} returns",
        stage.because(Act.UNREGISTER),
        stage.because(Act.RETURN),
    )


@scenario(
    "same-probe-again",
    title="A return probe goes and comes while its function runs",
    claim="a probe unregistered while a function runs can be freed; the address is restored",
    source="kernel-core 1.8, 2.2",
    expected="the new consumer hears of the return, or does not",
    outcomes={
        "3.5": "exit 0, 0 returns: it is another probe",
        "6.12": "exit 0, 1 returns: it is the same probe",
        "6.13": "exit 0, 0 returns: it is another probe",
    },
    needs="uretprobes",
)
def same_probe_again(stage: Stage) -> Outcome:
    """Unregister inside the function, and register again at once."""
    program = stage.file(CALLED)
    task = stage.process(program)
    old = stage.register(program, consumer=stage.consumer("old", entry=False, returns=True))

    def renew(task: Task) -> HandlerResult:
        stage.unregister(old)
        stage.register(program, consumer=stage.consumer("new", entry=False, returns=True))
        return HandlerResult.KEEP

    stage.register(program, "inside", UprobeConsumer(handler=renew))
    ended = stage.run(task)
    same = stage.up.find_uprobe(program, stage.offset("probed")) is old[0]
    return stage.outcome(
        f"{ended}, {len(stage.hits)} returns: it is {'the same' if same else 'another'} probe",
        stage.because(Act.RETURN),
        stage.because(Act.UNREGISTER),
    )


@scenario(
    "session-needs-its-entry",
    title="A consumer that joins while the function runs",
    claim="a session's return runs only if the same session saw the entry",
    source="4d756095d399 (kernel-core 2.19, 6.13)",
    expected="it hears of the return",
    outcomes={"3.5": "late returned", "6.13": "no return for it"},
    needs="uretprobes",
)
def session_needs_its_entry(stage: Stage) -> Outcome:
    """Register entry and return inside the function."""
    program = stage.file(CALLED)
    task = stage.process(program)
    stage.register(program, consumer=stage.consumer("early", entry=False, returns=True))

    def join(task: Task) -> HandlerResult:
        stage.register(program, consumer=stage.consumer("late", returns=True))
        return HandlerResult.KEEP

    stage.register(program, "inside", UprobeConsumer(handler=join))
    stage.run(task)
    heard = "late returned" in stage.hits
    return stage.outcome(
        "late returned" if heard else "no return for it",
        stage.because(Act.RETURN),
        stage.because(Act.REGISTER),
    )


@scenario(
    "ignored-return",
    title="A handler that does not want the return",
    claim="entry program returning 1 suppresses its return: UPROBE_HANDLER_IGNORE",
    source="kernel-core 2.18, 6.13",
    expected="only the entry is seen",
    outcomes={"3.5": "probe, probe returned, and a warning", "6.13": "probe"},
    needs="uretprobes",
)
def ignored_return(stage: Stage) -> Outcome:
    """Answer IGNORE at the entry."""
    program = stage.file(CALLED)
    task = stage.process(program)
    stage.register(
        program,
        consumer=stage.consumer(answer=HandlerResult.UPROBE_HANDLER_IGNORE, returns=True),
    )
    stage.run(task)
    warned = ", and a warning" if stage.count(Act.WARN) else ""
    cause = stage.because(Act.WARN if warned else Act.HANDLER, "IGNORE")
    return stage.outcome(f"{', '.join(stage.hits)}{warned}", cause)


@scenario(
    "call-chain",
    title="A stack trace through a return probe",
    claim="trampoline addresses found in the chain are replaced by the original ones",
    source="v6.11 (kernel-core 2.19, 6.22)",
    expected="the true callers",
    outcomes={"3.5": "the trampoline is in the chain", "6.11": "the true caller is in the chain"},
    needs="uretprobes",
)
def call_chain(stage: Stage) -> Outcome:
    """Show a chain with the function and its return address."""
    program = stage.file("call probed; caller: exit; probed: nop; inside: nop; ret")
    task, chain = stage.process(program), list[Vaddr]()
    stage.register(program, consumer=stage.consumer(entry=False, returns=True))

    def look(task: Task) -> HandlerResult:
        raw = [task.regs.ip, stage.area(task).vaddr]
        chain.extend(fixup_uretprobe_trampoline_entries(stage.up, task, raw))
        return HandlerResult.KEEP

    stage.register(program, "inside", UprobeConsumer(handler=look))
    stage.run(task)
    if chain[1] == stage.at("caller"):
        return stage.outcome(
            "the true caller is in the chain", stage.because(Act.RETURN, "in a call chain")
        )
    return stage.outcome("the trampoline is in the chain", stage.because(Act.HIJACK))
