"""Debuggers and probes in the same place (kernel-core.md 4; powerpc-live.md 4; x86.md 6)."""

from uprobes_sim.log import Act
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import Stage
from uprobes_sim.signals import Signal
from uprobes_sim.uprobes import HandlerResult


@scenario(
    "foreign-trap-over-probe-hits",
    title="A debugger's other trap over an armed probe",
    claim="another trap that fires: hit, goes on normally: the probe is found by address",
    source="live ppc64le 6.1 (powerpc-live 4)",
    expected="the debugger hears of its trap",
    outcomes="exit 0, 1 hits, no SIGTRAP",
    arches=("powerpc",),
)
def foreign_trap_over_probe_hits(stage: Stage) -> Outcome:
    """Register, poke tw 12,2,2 over the breakpoint, run."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program)
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("foreign"))
    ended = stage.run(task)
    sent = "a" if stage.count(Act.SIGNAL) else "no"
    return stage.outcome(f"{ended}, {len(stage.hits)} hits, {sent} SIGTRAP", stage.because(Act.HIT))


@scenario(
    "silent-trap-over-probe",
    title="A trap that never fires over an armed probe",
    claim="a trap that never fires, or another instruction: no hit, the word is executed and stays",
    source="live ppc64le 6.1 (powerpc-live 4)",
    expected="the probe is off, and nobody says so",
    outcomes="exit 0, 0 hits; afterwards never stays",
    arches=("powerpc",),
)
def silent_trap_over_probe(stage: Stage) -> Outcome:
    """Register, poke tw 0,2,2 over the breakpoint, run in one process, unregister in another."""
    program = stage.file("probed: nop; exit")
    task, other = stage.process(program), stage.process(program)
    probe = stage.register(program)
    for each in (task, other):
        stage.debugger(each).insert_breakpoint(stage.at("probed"), stage.word("never"))
    ended = stage.run(task)
    stage.unregister(probe)
    return stage.outcome(
        f"{ended}, {len(stage.hits)} hits; afterwards {stage.memory(other)} stays",
        stage.because(Act.POKE),
        stage.because(Act.PRESENT, "no breakpoint of ours")
        if stage.count(Act.PRESENT)
        else stage.because(Act.WARN, "EINVAL"),
    )


@scenario(
    "stale-breakpoint-comes-back",
    title="A debugger puts back what it found, too late",
    claim="the debugger puts the stale breakpoint back after unregistering: SIGTRAP",
    source="live x86 6.18 (x86 6), kernel-core 4",
    expected="the debugger restores the program",
    outcomes="memory swbp, SIGTRAP",
    arches=("x86", "powerpc"),
)
def stale_breakpoint_comes_back(stage: Stage) -> Outcome:
    """Plant over an armed probe, unregister, remove."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    probe = stage.register(program)
    debugger = stage.debugger(task)
    debugger.insert_breakpoint(stage.at("probed"), stage.word("stepped"))
    stage.unregister(probe)
    debugger.remove_breakpoint(stage.at("probed"))
    there = stage.memory(task)
    return stage.outcome(
        f"memory {there}, {stage.run(task)}", stage.because(Act.POKE), stage.because(Act.UNREGISTER)
    )


@scenario(
    "debugger-silences-a-probe",
    title="A debugger restores the original over an armed probe",
    claim="debugger 'restores' the original: the probe is silently off in that process",
    source="live x86 6.18 (x86 6)",
    expected="the probe is installed again, or somebody is told",
    outcomes={
        "3.5": "0 hits; a second consumer does not mend it: 0 hits",
        "3.9": "0 hits; a second consumer mends it: 2 hits",
    },
    arches=("x86", "powerpc"),
)
def debugger_silences_a_probe(stage: Stage) -> Outcome:
    """Poke the file's word over the breakpoint; then register another consumer."""
    program = stage.file("probed: nop; exit")
    task, other = stage.process(program), stage.process(program)
    stage.register(program)
    for each in (task, other):
        stage.debugger(each).poke(stage.at("probed"), stage.word("nop"))
    stage.run(task)
    silent = len(stage.hits)
    stage.register(program, consumer=stage.consumer("second"))
    stage.run(other)
    mends = "mends" if len(stage.hits) > silent else "does not mend"
    return stage.outcome(
        f"{silent} hits; a second consumer {mends} it: {len(stage.hits)} hits",
        stage.because(Act.POKE),
        stage.because(Act.REGISTER),
    )


@scenario(
    "filtered-out-int3",
    title="gdb's breakpoint where a probe is, but not for this process",
    claim="the lookup finds the uprobe anyway: handlers run, gdb's SIGTRAP is lost",
    source="kernel-core 4",
    expected="a filter keeps a probe out of a process",
    outcomes={
        "3.5": "0 hits; SIGTRAP 0 times; afterwards swbp",
        "3.9": "1 hits; SIGTRAP 0 times; afterwards nop: gdb's breakpoint is deleted",
    },
    arches=("x86", "powerpc"),
)
def filtered_out_int3(stage: Stage) -> Outcome:
    """Plant gdb's breakpoint in a process that a filter rules out; another one has the probe."""
    program = stage.file("other: nop; probed: nop; exit")
    task, _ = stage.process(program), stage.process(program)
    mine = stage.consumer(
        answer=HandlerResult.UPROBE_HANDLER_REMOVE, filter=lambda mm: mm is not task.mm
    )
    stage.register(program, consumer=mine)
    stage.register(program, "other", stage.consumer("elsewhere"))
    debugger = stage.debugger(task)
    if stage.memory(task) != "swbp":
        debugger.insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    stage.run(task)
    hits = stage.hits.count("probe")
    left = stage.memory(task)
    gone = ": gdb's breakpoint is deleted" if left == "nop" else ""
    return stage.outcome(
        f"{hits} hits; SIGTRAP {stage.count(Act.SIGNAL)} times; afterwards {left}{gone}",
        stage.because(Act.HIT),
    )


@scenario(
    "bare-trap",
    title="A debugger's breakpoint in a process without probes",
    claim="without a probe the same word gives an ordinary SIGTRAP",
    source="live ppc64le 6.1 (powerpc-live 1.2, 1.11)",
    expected="uprobes are not in the way",
    outcomes="SIGTRAP beside no probe is the processor's",
)
def bare_trap(stage: Stage) -> Outcome:
    """Plant a breakpoint, no probe, run."""
    program = stage.file("mine: nop; exit")
    task = stage.process(program)
    stage.debugger(task).insert_breakpoint(stage.at("mine"), stage.word("swbp"))
    assert stage.run(task) == Signal.SIGTRAP.name
    whose = "uprobes'" if stage.count(Act.SIGNAL) else "the processor's"
    return stage.outcome(f"SIGTRAP beside no probe is {whose}", stage.because(Act.POKE))


@scenario(
    "trap-code-beside-a-probe",
    title="The same in a process that has a probe",
    claim="every other breakpoint trap gives si_code SI_KERNEL and si_addr 0 instead of TRAP_BRKPT",
    source="live ppc64le 6.1 (powerpc-live 1.11); x86 5",
    expected="a probe elsewhere changes nothing",
    outcomes={
        "3.5": "SIGTRAP sent, si_code 0",
        "6.1": "SIGTRAP forced, si_code 128",
    },
)
def trap_code_beside_a_probe(stage: Stage) -> Outcome:
    """Plant a breakpoint beside a probe, run, and look at the signal before it is delivered."""
    program = stage.file("probed: nop; mine: nop; exit")
    task = stage.process(program)
    stage.register(program)
    stage.debugger(task).insert_breakpoint(stage.at("mine"), stage.word("swbp"))
    codes = stage.watch_signals(task)
    assert stage.run(task) == Signal.SIGTRAP.name
    cause = stage.because(Act.SIGNAL, "SIGTRAP")
    how = "forced" if "forced" in cause.why else "sent"
    return stage.outcome(f"SIGTRAP {how}, si_code {codes[-1].code:d}", cause)


@scenario(
    "peek-shows-the-breakpoint",
    title="What a debugger reads at a probe",
    claim="PTRACE_PEEKTEXT and /proc/PID/mem show the breakpoint; so does the program's own load",
    source="live ppc64le 6.1 (powerpc-live 4); x86 6",
    expected="the original, as kprobes hide theirs",
    outcomes="the debugger reads swbp",
)
def peek_shows_the_breakpoint(stage: Stage) -> Outcome:
    """Register and peek."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.register(program)
    size = len(stage.word("swbp"))
    found = stage.debugger(task).peek(stage.at("probed"), size)
    name = "swbp" if found == stage.word("swbp") else found.hex()
    return stage.outcome(f"the debugger reads {name}", stage.because(Act.WRITE))


@scenario(
    "zeros-over-int3",
    title="A probe that nobody wanted goes where gdb has a breakpoint",
    claim="unregistering restores the instruction that was copied when the probe was installed",
    source="found by the invariants of this project, then seen live on x86 6.18",
    expected="there is nothing to restore: the probe was installed nowhere",
    outcomes={
        "3.5": "the filter is not asked: the probe is installed",
        "3.9": "gdb's breakpoint becomes zeros",
    },
    arches=("x86", "powerpc"),
)
def zeros_over_int3(stage: Stage) -> Outcome:
    """Register where no process is wanted, over a debugger's breakpoint, and unregister."""
    program = stage.file("other: nop; probed: nop; exit")
    task = stage.process(program)
    stage.register(program, "other", stage.consumer("elsewhere"))
    probe = stage.register(program, consumer=stage.consumer(filter=lambda mm: False))
    if stage.memory(task) == "swbp":  # older kernels install it all the same
        return stage.outcome(
            "the filter is not asked: the probe is installed", stage.because(Act.INSTALL)
        )
    stage.debugger(task).insert_breakpoint(stage.at("probed"), stage.word("swbp"))
    stage.unregister(probe)
    size = len(stage.word("swbp"))
    left = task.mm.read(stage.at("probed"), size)
    name = "zeros" if left == bytes(size) else stage.memory(task)
    return stage.outcome(f"gdb's breakpoint becomes {name}", stage.because(Act.WRITE))


@scenario(
    "who-hears-of-it",
    title="gdb's breakpoint and a probe in one place, in any order",
    claim="while both exist a hit is reported to the uprobe, gdb gets no SIGTRAP",
    source="kernel-core 4; live x86 6.18 (x86 6)",
    expected="gdb hears of its breakpoint whatever else is there",
    outcomes={
        "3.5": "gdb hears: alone 2; then a probe 2; after a probe 0; a probe came and went 0",
        "3.7": "gdb hears: alone 2; then a probe 0; after a probe 0; a probe came and went 0",
    },
    arches=("x86", "powerpc"),
)
def who_hears_of_it(stage: Stage) -> Outcome:
    """Plant, register and unregister in four orders; call the function twice each time."""
    heard: list[str] = []
    for order, steps in (
        ("alone", "plant"),
        ("then a probe", "plant register"),
        ("after a probe", "register plant"),
        ("a probe came and went", "plant register unregister"),
    ):
        program = stage.file("call probed; call probed; exit; probed: nop; ret")
        task = stage.process(program)
        debugger = stage.debugger_that_hears(task)
        for step in steps.split():
            if step == "plant":
                debugger.insert_breakpoint(stage.at("probed"), stage.word("swbp"))
            elif step == "register":
                probe = stage.register(program)
            else:
                stage.unregister(probe)
        assert stage.run(task) == "exit 0"
        heard.append(f"{order} {len(debugger.heard)}")
    return stage.outcome(
        f"gdb hears: {'; '.join(heard)}", stage.because(Act.POKE), stage.because(Act.REGISTER)
    )
