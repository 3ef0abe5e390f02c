"""The seed discussion, from the saved instruction on (kernel-core.md, section 7, 13 to 25)."""

from uprobes_sim.cpu import Stop
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.scenarios.plays.a_thread import ANANTH, OLEG
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import COUNTERS, DATA, TEXT, Stage
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE


@scenario(
    "saved-instruction-is-stepped",
    title="Memory was changed before the probe came",
    claim="we single-step the saved instruction even if somebody has replaced the original",
    source=f"{OLEG} (7.13)",
    expected="the file's instruction is executed, not the program's",
    outcomes="exit 1: stepped was executed, memory had nop",
)
def saved_instruction_is_stepped(stage: Stage) -> Outcome:
    """Poke a no-op over an addition, register, run."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    stage.debugger(task).poke(stage.at("probed"), stage.word("nop"))
    had = stage.memory(task)
    stage.register(program)
    ended = stage.run(task)
    return stage.outcome(
        f"{ended}: stepped was executed, memory had {had}", stage.because(Act.DONE)
    )


@scenario(
    "no-hang-of-the-kernel",
    title="Confused as it is, the kernel does not hang",
    claim="debugger and uprobes can confuse each other; only ensure that the kernel survives",
    source=f"{OLEG}; Ananth agrees (7.14)",
    expected="the task may hang, the kernel may not",
    outcomes={
        "3.5": "the mapping failed with ENOTSUPP",
        "3.7": "the task hits a breakpoint for ever; SIGKILL ends it",
    },
)
def no_hang_of_the_kernel(stage: Stage) -> Outcome:
    """Let a task run into a breakpoint whose probe was never accepted; then kill it."""
    program = stage.file("probed: swbp; other: nop; exit")
    stage.register(program)
    try:
        task = stage.process(program)
    except KernelError as exc:
        return stage.outcome(f"the mapping failed with {exc.errno.name}", stage.log[-1])
    stage.register(program, "other")
    ended = stage.run(task)
    cause = stage.because(Act.RESTART, "never accepted")
    assert ended == "runs for ever"
    task.pending.append(SigInfo(Signal.SIGKILL))
    return stage.outcome(f"the task hits a breakpoint for ever; {stage.run(task)} ends it", cause)


@scenario(
    "ptrace-does-not-refuse",
    title="A debugger plants its breakpoint on a probe's",
    claim="teach gdb or ptrace to refuse a breakpoint on an existing one",
    source=f"{ANANTH} (7.15)",
    expected="not possible, says Oleg",
    outcomes="the poke is taken; the hit is the probe's; 1 hits",
)
def ptrace_does_not_refuse(stage: Stage) -> Outcome:
    """Poke the same breakpoint over an armed one, and run."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    stage.run(task)
    return stage.outcome(
        f"the poke is taken; the hit is the probe's; {len(stage.hits)} hits",
        stage.because(Act.POKE),
        stage.because(Act.HIT),
    )


@scenario(
    "register-and-mmap-race",
    title="Registration finds a breakpoint that mmap has just written",
    claim="set_swbp()->is_swbp_insn true means that register and mmap raced: no need to write",
    source=f"{OLEG} (7.16)",
    expected="the page is not written again",
    outcomes="1 write for 2 visits; a debugger's own would pass for it too",
)
def register_and_mmap_race(stage: Stage) -> Outcome:
    """Visit a mapping a second time; then one with a debugger's breakpoint."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program)
    vma = task.mm.find_vma(TEXT)
    assert vma is not None
    stage.up.uprobe_mmap(vma)
    first = stage.because(Act.PRESENT)
    writes = stage.count(Act.WRITE)
    other = stage.process(program)
    stage.debugger(other).poke(stage.at("probed"), stage.word("swbp"))
    second_vma = other.mm.find_vma(TEXT)
    assert second_vma is not None
    stage.up.uprobe_mmap(second_vma)
    return stage.outcome(
        f"{writes} write for 2 visits; a debugger's own would pass for it too",
        first,
        stage.because(Act.PRESENT),
    )


@scenario(
    "int3-is-adopted",
    title="gdb's int3 is there before the probe",
    claim="that holds only of processors with a single breakpoint",
    source=f"{ANANTH} (7.17)",
    expected="on x86 gdb's breakpoint passes for the probe's",
    outcomes={
        "3.5": "not written, not counted: the debugger's SIGTRAP, 0 hits",
        "3.7": "not written: 1 hits; afterwards nop, gdb's int3 is gone",
    },
    arches=("x86",),
)
def int3_is_adopted(stage: Stage) -> Outcome:
    """Plant int3, register, run, unregister."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    probe = stage.register(program)
    cause = stage.because(Act.PRESENT)
    assert not stage.count(Act.WRITE)
    ended, hits = stage.run(task), len(stage.hits)
    if ended == "SIGTRAP":
        return stage.outcome(
            f"not written, not counted: the debugger's {ended}, {hits} hits", cause
        )
    stage.unregister(probe)
    return stage.outcome(
        f"not written: {hits} hits; afterwards {stage.memory(task)}, gdb's int3 is gone",
        cause,
        stage.because(Act.WRITE),
    )


@scenario(
    "trap-gone-meanwhile",
    title="A trap goes between the exception and the lookup",
    claim="the lookup's is_swbp_insn tells who raised the trap: not strictly correct",
    source=f"{OLEG} (7.18)",
    expected="memory can change in between",
    outcomes={"3.5": "SIGTRAP, though there is no trap", "3.6": "the task starts over: exit 0"},
)
def trap_gone_meanwhile(stage: Stage) -> Outcome:
    """Trap; the debugger removes its breakpoint; only then the kernel looks."""
    program = stage.file("other: nop; mine: nop; exit")
    task = stage.process(program)
    stage.register(program, "other")
    debugger = stage.debugger(task)
    debugger.insert_breakpoint(stage.at("mine"), stage.word("swbp"))
    while task.regs.ip != stage.at("mine"):
        stage.run(task, budget=1)
    entry = stage.machine.cpu.step(task.regs, task.mm)
    assert entry.stop is Stop.BREAKPOINT
    stage.machine.hook.arch_uprobe_exception_notify(task=task, stop=entry.stop)
    debugger.remove_breakpoint(stage.at("mine"))
    stage.resume(task)
    ended = stage.run(task)
    if ended == "SIGTRAP":
        return stage.outcome(
            "SIGTRAP, though there is no trap", stage.because(Act.SIGNAL, "SIGTRAP")
        )
    return stage.outcome(f"the task starts over: {ended}", stage.because(Act.RESTART, "no trap"))


@scenario(
    "callers-of-is-swbp-insn",
    title="Who asks is_swbp_insn",
    claim="is_swbp_insn should have a single caller, is_swbp_at_addr, on current->mm",
    source=f"{OLEG} (7.19)",
    expected="a wish",
    outcomes={"3.5": "asked twice at registration", "3.10": "asked once at registration"},
    arches=("powerpc",),
)
def callers_of_is_swbp_insn(stage: Stage) -> Outcome:
    """Count the questions of one registration."""
    program = stage.file("probed: nop; exit")
    stage.process(program)
    stage.watch_hook("is_swbp_insn")
    stage.register(program)
    asked = {1: "once", 2: "twice"}.get(stage.count(Act.HOOK), "often")
    return stage.outcome(f"asked {asked} at registration", stage.because(Act.HOOK))


def _trap_over_the_probe(stage: Stage) -> Outcome:
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    probe = stage.register(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("foreign"))
    stage.unregister(probe)
    left = stage.memory(task)
    if left == "foreign":
        return stage.outcome("gdb's trap stays", stage.because(Act.POKE))
    return stage.outcome(f"gdb's trap is gone, {left} is there", stage.because(Act.WRITE))


@scenario(
    "trap-over-probe-upstream",
    title="gdb plants another variant over an armed probe",
    claim="is_swbp_insn stays exact in the tests of register and unregister",
    source=f"{OLEG} (7.20)",
    expected="unregister leaves what is not its own",
    outcomes="gdb's trap stays",
    arches=("powerpc",),
)
def trap_over_probe_upstream(stage: Stage) -> Outcome:
    """Unregister under tw 12,2,2."""
    return _trap_over_the_probe(stage)


@scenario(
    "trap-over-probe-ananth",
    title="The same, where is_swbp_insn knows all traps",
    claim="having is_swbp_insn handle trap variants suffices for powerpc",
    source=f"{ANANTH} (7.20)",
    expected="unregister takes gdb's trap for its own",
    outcomes="gdb's trap is gone, nop is there",
    arches=("powerpc",),
    variant="ananth-2012",
)
def trap_over_probe_ananth(stage: Stage) -> Outcome:
    """Unregister under tw 12,2,2, as proposed."""
    return _trap_over_the_probe(stage)


@scenario(
    "unregister-removes-int3",
    title="A probe goes, and takes gdb's breakpoint along",
    claim="uprobe_register() can wrongly remove gdb's int3",
    source=f"{OLEG} (7.21)",
    expected="still true",
    outcomes="gdb's breakpoint is gone, nop is there",
    arches=("x86", "powerpc"),
)
def unregister_removes_int3(stage: Stage) -> Outcome:
    """Plant gdb's breakpoint, register, unregister."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    probe = stage.register(program)
    stage.unregister(probe)
    return stage.outcome(
        f"gdb's breakpoint is gone, {stage.memory(task)} is there",
        stage.because(Act.POKE),
        stage.because(Act.WRITE),
    )


@scenario(
    "failed-register-removes-int3",
    title="A registration that fails takes gdb's breakpoint along",
    claim="uprobe_register() can wrongly remove gdb's int3",
    source=f"{OLEG} (7.21)",
    expected="via the clean-up of a registration that failed elsewhere",
    outcomes="EINVAL; gdb's breakpoint is gone, nop is there",
    needs="ref_ctr_offset",
    arches=("x86", "powerpc"),
)
def failed_register_removes_int3(stage: Stage) -> Outcome:
    """Let the semaphore of a second process refuse: the first one is cleaned up."""
    program = stage.file("probed: nop; exit")
    second = stage.process(program)
    stage.map_counters(second.mm, program)
    second.mm.write(DATA + PAGE_SIZE, b"\xf0\xff")
    first = stage.process(program)
    stage.debugger(first).insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    errno = stage.refused(program, counter=COUNTERS)
    return stage.outcome(
        f"{errno}; gdb's breakpoint is gone, {stage.memory(first)} is there",
        stage.because(Act.POKE),
        stage.because(Act.WRITE),
        stage.because(Act.REFUSE),
    )


@scenario(
    "private-copy-is-patched",
    title="Where the breakpoint is written",
    claim="long term: only unmap the page, and let the task install it in its own fault",
    source=f"{OLEG}: 'vague, can be wrong' (7.22)",
    expected="an idea",
    outcomes="a private copy of the page holds it; the file does not",
)
def private_copy_is_patched(stage: Stage) -> Outcome:
    """Register, and look at the page and the file."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program)
    page, cached = task.mm.pgtable[TEXT >> PAGE_SHIFT], program.page(0)
    assert cached is not None
    nop = stage.word("nop")
    private = page.anon and stage.memory(task) == "swbp"
    clean = bytes(cached.data[: len(nop)]) == nop
    return stage.outcome(
        f"{'a private copy' if private else 'the file'}"
        f" of the page holds it; the file {'does not' if clean else 'does'}",
        stage.because(Act.WRITE),
    )


@scenario(
    "checks-before-the-write",
    title="Unregister finds that somebody has written over the breakpoint",
    claim="is_swbp_at_addr() in set_swbp is a pessimisation, in set_orig_insn it helps little",
    source=f"{OLEG} (7.23)",
    expected="both should die",
    outcomes={
        "3.5": "set_orig_insn answers EINVAL, which nobody sees; stepped stays",
        "3.8": "there is nothing to do, which is success; stepped stays",
    },
)
def checks_before_the_write(stage: Stage) -> Outcome:
    """Poke another word over an armed probe, then unregister."""
    program = stage.file("probed: nop; nop; nop; nop; exit")
    task = stage.process(program)
    probe = stage.register(program)
    stage.debugger(task).poke(stage.at("probed"), stage.word("stepped"))
    stage.unregister(probe)
    left = stage.memory(task)
    if stage.count(Act.WARN):
        cause = stage.because(Act.WARN)
        assert cause.errno is not None
        said = f"set_orig_insn answers {cause.errno.name}, which nobody sees"
    else:
        cause = stage.because(Act.PRESENT)
        said = "there is nothing to do, which is success"
    return stage.outcome(f"{said}; {left} stays", cause)


@scenario(
    "step-hooks",
    title="Hooks for the single step",
    claim="the core needs weak arch_uprobe_step hooks first, powerpc can reimplement them later",
    source=f"{OLEG} (7.24)",
    expected="under discussion",
    outcomes={
        "3.5": "no step hook is asked: exit 1",
        "3.7": "the step hooks are asked twice: exit 1",
        "3.8": "no step hook is asked: exit 1",
    },
)
def step_hooks(stage: Stage) -> Outcome:
    """Step a copy."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    stage.register(program)
    ended = stage.run(task)
    asked = {0: "no step hook is asked", 2: "the step hooks are asked twice"}
    cause = stage.because(Act.HOOK if stage.count(Act.HOOK) else Act.DONE)
    return stage.outcome(f"{asked.get(stage.count(Act.HOOK), 'often')}: {ended}", cause)


@scenario(
    "is-trap-insn",
    title="A hook of its own for traps",
    claim="with is_swbp_insn out of the way, powerpc probably does need to change it",
    source=f"{OLEG} (7.25)",
    expected="a prediction",
    outcomes={"3.5": "is_trap_insn is asked 0 times", "3.10": "is_trap_insn is asked 1 times"},
)
def is_trap_insn(stage: Stage) -> Outcome:
    """Count the questions of one registration."""
    program = stage.file("probed: nop; exit")
    stage.process(program)
    stage.watch_hook("is_trap_insn")
    stage.register(program)
    cause = stage.because(Act.HOOK if stage.count(Act.HOOK) else Act.INSTALL)
    return stage.outcome(f"is_trap_insn is asked {stage.count(Act.HOOK)} times", cause)
