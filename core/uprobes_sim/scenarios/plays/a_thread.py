"""The seed discussion: linuxppc-dev, August 2012 (kernel-core.md, section 7, 1 to 12)."""

from uprobes_sim.log import Act
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import TEXT, Stage

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
