"""The seed discussion: linuxppc-dev, August 2012, claim by claim (kernel-core.md, section 7)."""

from uprobes_sim.cpu import Stop
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import COUNTERS, DATA, TEXT, Stage
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE

OLEG = "Oleg Nesterov, linuxppc-dev, August 2012"
ANANTH = "Ananth N Mavinakayanahalli, linuxppc-dev, August 2012"
BEN = "Benjamin Herrenschmidt, linuxppc-dev, August 2012"


@scenario(
    "probe-on-breakpoint",
    title="A probe on the breakpoint instruction itself",
    claim="arch_uprobe_pre_xol should refuse to probe UPROBE_SWBP_INSN",
    source=f"{OLEG} (7.1)",
    expected="a question; he withdrew it",
    outcomes="refused with ENOTSUPP before any step is prepared",
)
def probe_on_breakpoint(stage: Stage) -> Outcome:
    """Map a file whose probed word is the breakpoint, and register."""
    program = stage.file("probed: swbp; exit")
    stage.process(program)
    errno = stage.refused(program)
    when = "before any" if not stage.count(Act.STEP) else "after a"
    return stage.outcome(
        f"refused with {errno} {when} step is prepared", stage.because(Act.REFUSE, "is a trap")
    )


@scenario(
    "emulating-a-trap",
    title="Emulation meets a trap",
    claim="emulate_step() cannot handle stepping over the trap",
    source=f"{OLEG} (7.2)",
    expected="an assumption, and a reason to refuse the probe",
    outcomes="emulation does not do it, and registration answers ENOTSUPP: nobody gets there",
    arches=("powerpc",),
)
def emulating_a_trap(stage: Stage) -> Outcome:
    """Ask the emulation for a trap, and registration for a probe on one."""
    program = stage.file("probed: swbp; exit")
    task = stage.process(program)
    insn = stage.word("swbp").ljust(8, b"\0")
    answer = stage.machine.hook.arch_emulate(insn=insn, task=task)
    errno = stage.refused(program)
    does = "executes it" if answer == 1 else "does not do it"
    return stage.outcome(
        f"emulation {does}, and registration answers {errno}: nobody gets there",
        stage.because(Act.REFUSE, "is a trap"),
    )


@scenario(
    "hit-during-a-step",
    title="A breakpoint is hit while a copy is being stepped",
    claim="uprobe_pre_sstep_notifier sets UTASK_BP_HIT without a check, wrong if it was SSTEP",
    source=f"{OLEG} (7.3)",
    expected="the step under way is lost",
    outcomes={
        "3.5": "the step is forgotten: 1 slot stays taken",
        "3.8": "the step is cleaned up with a warning: 0 slots stay taken",
    },
)
def hit_during_a_step(stage: Stage) -> Outcome:
    """Bring a task from its slot to another probe: how it came there is nobody's concern here."""
    program = stage.file("probed: stepped; other: stepped; exit")
    task = stage.process(program)
    stage.register(program)
    stage.register(program, "other")
    while not stage.count(Act.STEP):
        stage.run(task, budget=1)
    task.regs.ip = stage.at("other")
    stage.run(task)
    taken = stage.slots_taken(task)
    if stage.count(Act.FORGET):
        return stage.outcome(
            f"the step is forgotten: {taken} slot stays taken", stage.because(Act.FORGET)
        )
    return stage.outcome(
        f"the step is cleaned up with a warning: {taken} slots stay taken",
        stage.because(Act.WARN, "a step ends in UTASK_SSTEP"),
    )


@scenario(
    "breakpoint-is-there",
    title="Memory holds the breakpoint before registration",
    claim="set_swbp returns -EEXIST where the breakpoint is there already, so the core handles it",
    source=f"{ANANTH} (7.4)",
    expected="a probe on a breakpoint is refused by it",
    outcomes={
        "3.5": "set_swbp answers EEXIST, registration: accepted",
        "3.7": "set_swbp writes nothing, registration: accepted",
    },
)
def breakpoint_is_there(stage: Stage) -> Outcome:
    """Let a debugger plant the very same breakpoint, then register."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    answer = stage.refused(program)
    cause = stage.because(Act.PRESENT)
    said = "writes nothing" if cause.errno is None else f"answers {cause.errno.name}"
    return stage.outcome(f"set_swbp {said}, registration: {answer}", cause)


@scenario(
    "eexist-is-installed",
    title="A mapping is shown to uprobes twice",
    claim="that -EEXIST means 'the breakpoint is installed already', and was just removed",
    source=f"{OLEG} (7.5)",
    expected="removed for 3.7",
    outcomes={
        "3.5": "written once, the second time EEXIST",
        "3.7": "written once, the second time nothing to do",
    },
)
def eexist_is_installed(stage: Stage) -> Outcome:
    """Race registration and mmap: both find the same mapping."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    stage.register(program)
    vma = task.mm.find_vma(TEXT)
    assert vma is not None
    stage.up.uprobe_mmap(vma)
    cause = stage.because(Act.PRESENT)
    second = "nothing to do" if cause.errno is None else cause.errno.name
    times = {1: "once"}.get(stage.count(Act.WRITE), "more than once")
    return stage.outcome(f"written {times}, the second time {second}", cause)


@scenario(
    "enotsupp-is-524",
    title="The errno of a probe on int3",
    claim="install_breakpoint()->is_swbp_insn() returns -ENOTSUPP",
    source=f"{OLEG} (7.6)",
    expected="ENOTSUPP, which user space sees as unknown error 524",
    outcomes="ENOTSUPP is 524",
    arches=("x86", "powerpc"),
)
def enotsupp_is_524(stage: Stage) -> Outcome:
    """Register on the breakpoint and read the number."""
    program = stage.file("probed: swbp; exit")
    stage.process(program)
    stage.refused(program)
    cause = stage.because(Act.REFUSE)
    assert cause.errno is not None
    return stage.outcome(f"{cause.errno.name} is {cause.errno.value}", cause)


def _own_trap_beside_a_probe(stage: Stage) -> Outcome:
    program = stage.file("probed: nop; mine: nop; exit")
    task = stage.process(program)
    stage.debugger(task).insert_breakpoint(stage.at("mine"), stage.word("foreign"))
    stage.register(program)
    ended = stage.run(task)
    if ended == "runs for ever":
        return stage.outcome(
            "the task traps and starts over for ever", stage.because(Act.RESTART, "no trap")
        )
    return stage.outcome(ended, stage.because(Act.SIGNAL, ended))


@scenario(
    "own-trap-upstream",
    title="A debugger's conditional trap beside a probe",
    claim="powerpc needs its own is_swbp_insn that covers all trap variants",
    source=f"{ANANTH} (7.7)",
    expected="the program's own trap must give SIGTRAP",
    outcomes={
        "3.5": "SIGTRAP",
        "3.6": "the task traps and starts over for ever",
        "3.10": "SIGTRAP",
    },
    arches=("powerpc",),
)
def own_trap_upstream(stage: Stage) -> Outcome:
    """Fire gdb's tw 12,2,2 in a process with a live probe elsewhere."""
    return _own_trap_beside_a_probe(stage)


@scenario(
    "own-trap-ananth",
    title="The same, as proposed",
    claim="having is_swbp_insn handle the trap variants suffices for this",
    source=f"{ANANTH} (7.7, 7.20)",
    expected="SIGTRAP at once",
    outcomes="SIGTRAP",
    arches=("powerpc",),
    variant="ananth-2012",
)
def own_trap_ananth(stage: Stage) -> Outcome:
    """Fire gdb's tw 12,2,2 where is_swbp_insn knows all traps."""
    return _own_trap_beside_a_probe(stage)


def _foreign_trap_first(stage: Stage, trap: str) -> Outcome:
    """Plant *trap*, register, run, unregister; say what became of it at each step."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word(trap))
    probe = stage.register(program)
    armed = stage.memory(task)
    first = stage.because(Act.WRITE) if stage.count(Act.WRITE) else stage.because(Act.PRESENT)
    taken = f"memory {armed}" if stage.count(Act.WRITE) else f"{armed} is taken for ours"
    ended = stage.run(task)
    if ended == "SIGTRAP":
        return stage.outcome(f"{taken}; the debugger's SIGTRAP, {len(stage.hits)} hits", first)
    stage.unregister(probe)
    left = stage.memory(task)
    last = stage.because(Act.WRITE) if stage.count(Act.REMOVE) else stage.log[-1]
    return stage.outcome(f"{taken}; {len(stage.hits)} hits; afterwards {left}", first, last)


@scenario(
    "tw-fires-upstream",
    title="gdb's trap that fires is there before the probe",
    claim="is_swbp_insn in the core should be true only for UPROBE_SWBP_INSN",
    source=f"{OLEG} (7.8)",
    expected="uprobes overwrite a foreign variant, and restore the file",
    outcomes="memory swbp; 1 hits; afterwards nop",
    arches=("powerpc",),
)
def tw_fires_upstream(stage: Stage) -> Outcome:
    """Overwrite tw 12,2,2."""
    return _foreign_trap_first(stage, "foreign")


@scenario(
    "tw-never-upstream",
    title="A trap that never fires is there before the probe",
    claim="a foreign variant is overwritten by the breakpoint on installation",
    source=f"{OLEG} (7.8, 7.17)",
    expected="the probe is hit all the same",
    outcomes="memory swbp; 1 hits; afterwards nop",
    arches=("powerpc",),
)
def tw_never_upstream(stage: Stage) -> Outcome:
    """Overwrite tw 0,2,2."""
    return _foreign_trap_first(stage, "never")


@scenario(
    "tw-fires-ananth",
    title="gdb's trap that fires, and is_swbp_insn that knows all traps",
    claim="is_swbp_insn must accept all trap variants on powerpc",
    source=f"{ANANTH} (7.17)",
    expected="the foreign trap serves as the breakpoint",
    outcomes={
        "3.5": "foreign is taken for ours; the debugger's SIGTRAP, 0 hits",
        "3.7": "foreign is taken for ours; 1 hits; afterwards nop",
    },
    arches=("powerpc",),
    variant="ananth-2012",
)
def tw_fires_ananth(stage: Stage) -> Outcome:
    """Adopt tw 12,2,2: up to 3.6 it is not even counted, so that the notifier lets it pass."""
    return _foreign_trap_first(stage, "foreign")


@scenario(
    "tw-never-ananth",
    title="A trap that never fires, and is_swbp_insn that knows all traps",
    claim="'true' silently means that there is nothing to do",
    source=f"{OLEG} (7.12)",
    expected="the probe depends on a foreign trap that may never fire",
    outcomes={
        "3.5": "never is taken for ours; 0 hits; afterwards nop",
    },
    arches=("powerpc",),
    variant="ananth-2012",
)
def tw_never_ananth(stage: Stage) -> Outcome:
    """Adopt tw 0,2,2: the probe is registered and never hit."""
    return _foreign_trap_first(stage, "never")


@scenario(
    "who-refuses-traps",
    title="A probe on another trap instruction",
    claim="other instructions that trap should be rejected by arch_uprobe_analyze_insn",
    source=f"{OLEG} (7.9)",
    expected="the architecture refuses them",
    outcomes={"3.5": "ENOTSUPP by the architecture", "3.10": "ENOTSUPP by the core"},
    arches=("powerpc",),
)
def who_refuses_traps(stage: Stage) -> Outcome:
    """Register on tw 12,2,2 in the file."""
    program = stage.file("probed: foreign; exit")
    stage.process(program)
    errno = stage.refused(program)
    cause = stage.because(Act.REFUSE)
    who = "core" if "is a trap already" in cause.why else "architecture"
    return stage.outcome(f"{errno} by the {who}", cause)


@scenario(
    "merged-in-3.7",
    title="When powerpc got its uprobes",
    claim="the series came late and had no reviewer, but is on track",
    source=f"{BEN} (7.10)",
    expected="the next merge window",
    outcomes={"3.5": "with the patches only: accepted", "3.7": "in the kernel: accepted"},
    arches=("powerpc",),
)
def merged_in_3_7(stage: Stage) -> Outcome:
    """Register on powerpc."""
    program = stage.file("probed: nop; exit")
    stage.process(program)
    answer = stage.refused(program)
    where = "in the kernel" if stage.kernel.series is None else "with the patches only"
    return stage.outcome(f"{where}: {answer}", stage.because(Act.INSTALL))


@scenario(
    "file-copy-is-analysed",
    title="Which copy of the instruction is judged",
    claim="arch_uprobe_analyze_insn gets the copy of the instruction from the file",
    source=f"{ANANTH} (7.11)",
    expected="what is in memory does not matter",
    outcomes="a trap in the file: ENOTSUPP, though memory holds nop",
)
def file_copy_is_analysed(stage: Stage) -> Outcome:
    """Poke a harmless word over a trap of the file, then register."""
    program = stage.file("probed: swbp; exit")
    task = stage.process(program)
    stage.debugger(task).poke(stage.at("probed"), stage.word("nop"))
    errno = stage.refused(program)
    return stage.outcome(
        f"a trap in the file: {errno}, though memory holds {stage.memory(task)}",
        stage.because(Act.REFUSE, "is a trap"),
        stage.because(Act.POKE),
    )


@scenario(
    "memory-is-not-checked",
    title="A debugger's trap in memory does not keep a probe away",
    claim="is_swbp_insn takes care of the copy in memory too, as it runs before analyze",
    source=f"{ANANTH} (7.12)",
    expected="a probe over a trap in memory is refused",
    outcomes="accepted: only the file was looked at",
    arches=("powerpc", "x86"),
)
def memory_is_not_checked(stage: Stage) -> Outcome:
    """Plant a trap in memory over a harmless word of the file, then register."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    answer = stage.refused(program)
    return stage.outcome(f"{answer}: only the file was looked at", stage.because(Act.PRESENT))


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
