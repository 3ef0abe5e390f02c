"""Hits, steps and signals (kernel-core.md 2.17, 2.18)."""

from uprobes_sim.log import Act
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import DATA, RW, Stage
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SIZE
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer


def _until_step(stage: Stage, task: Task) -> None:
    while not stage.count(Act.STEP):
        stage.run(task, budget=1)


@scenario(
    "fault-in-the-slot",
    title="The copy of the probed instruction faults",
    claim="a fault in the copy restarts the original: the signal shows the probe, not the slot",
    source="kernel-core 2.18; live x86 6.18 (x86 5)",
    expected="the program sees the fault as without a probe",
    outcomes="SIGSEGV at the probe, 1 hits, 0 slots taken",
)
def fault_in_the_slot(stage: Stage) -> Outcome:
    """Probe a load from nowhere."""
    program = stage.file("probed: load; exit")
    task = stage.process(program)
    task.regs.set(stage.dialect.pointer, 0x5000_0000)
    area = stage.area(task)
    free = area.free_slots
    stage.register(program)
    ended = stage.run(task)
    taken = free - area.free_slots
    where = "at the probe" if task.regs.ip == stage.at("probed") else "in the slot"
    return stage.outcome(
        f"{ended} {where}, {len(stage.hits)} hits, {taken} slots taken", stage.because(Act.ABORT)
    )


@scenario(
    "hit-twice-after-repair",
    title="A fault is repaired, and the instruction executed again",
    claim="if the handler repairs it, the word is executed again and hits twice",
    source="live ppc64le 6.1 (powerpc-live 7), live x86 6.18 (x86 5)",
    expected="one execution, one hit",
    outcomes="exit 0, 2 hits",
)
def hit_twice_after_repair(stage: Stage) -> Outcome:
    """Probe a load from nowhere; a debugger maps the page and swallows the signal."""
    program = stage.file("probed: load; exit")
    task = stage.process(program)
    task.regs.set(stage.dialect.pointer, 0x5000_0000)
    stage.register(program)

    def repair(info: SigInfo) -> SigInfo | None:
        task.mm.mmap(0x5000_0000, PAGE_SIZE, RW)
        return None

    task.tracer = repair
    ended = stage.run(task)
    return stage.outcome(
        f"{ended}, {len(stage.hits)} hits", stage.because(Act.ABORT), stage.because(Act.HIT)
    )


@scenario(
    "signal-waits-for-the-step",
    title="A signal comes during a step",
    claim="non-fatal signals wait until the step completed",
    source="kernel-core 2.18; live ppc64le 6.1 (powerpc-live 7)",
    expected="the handler sees the next instruction, never the slot",
    outcomes="SIGQUIT behind the probe, after the step",
)
def signal_waits_for_the_step(stage: Stage) -> Outcome:
    """Send SIGQUIT while the copy is being stepped."""
    program = stage.file("probed: stepped; next: exit")
    task = stage.process(program)
    stage.register(program)
    _until_step(stage, task)
    task.pending.append(SigInfo(Signal.SIGQUIT))
    stage.resume(task)
    denied = stage.because(Act.DENY, "wait")
    ended = stage.run(task)
    where = "behind the probe" if task.regs.ip == stage.at("next") else "elsewhere"
    when = "after the step" if stage.count(Act.DONE) else "before it"
    return stage.outcome(f"{ended} {where}, {when}", denied, stage.because(Act.DONE))


@scenario(
    "fatal-signal-ends-the-step",
    title="A signal that kills comes during a step",
    claim="a fatal signal: the step is given up, ip is the probe's",
    source="kernel-core 1.6, 2.18",
    expected="the task dies at once",
    outcomes="SIGKILL at the probe, 0 slots taken",
)
def fatal_signal_ends_the_step(stage: Stage) -> Outcome:
    """Send SIGKILL while the copy is being stepped."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    stage.register(program)
    _until_step(stage, task)
    area = stage.area(task)
    free = area.free_slots
    task.pending.append(SigInfo(Signal.SIGKILL))
    stage.resume(task)
    ended = stage.run(task)
    where = "at the probe" if task.regs.ip == stage.at("probed") else "in the slot"
    taken = free + 1 - area.free_slots
    return stage.outcome(f"{ended} {where}, {taken} slots taken", stage.because(Act.ABORT))


@scenario(
    "handler-moves-ip",
    title="A handler changes the instruction pointer",
    claim="a handler changed ip: the original instruction is not executed",
    source="4363264111e1 (kernel-core 2.17.10)",
    expected="the handler decides where the program goes on",
    outcomes={
        "3.5": "exit 1: stepped was executed all the same",
        "6.18": "exit 0: the instruction was skipped",
    },
    arches=("x86", "powerpc"),
)
def handler_moves_ip(stage: Stage) -> Outcome:
    """Let a handler jump to the end."""
    program = stage.file("probed: stepped; next: exit")
    task = stage.process(program)

    def handler(task: Task) -> HandlerResult:
        task.regs.ip = stage.at("next")
        return HandlerResult.KEEP

    stage.register(program, consumer=UprobeConsumer(handler=handler))
    ended = stage.run(task)
    if stage.count(Act.SKIP):
        return stage.outcome(f"{ended}: the instruction was skipped", stage.because(Act.SKIP))
    return stage.outcome(f"{ended}: stepped was executed all the same", stage.because(Act.DONE))


@scenario(
    "handler-sees-ip",
    title="Where a handler finds the instruction pointer",
    claim="set ip = bp before handlers, so handlers see the probe address",
    source="kernel-core 2.17.4",
    expected="the probe's address",
    outcomes={"3.5": "1 behind the probe", "3.9": "0 behind the probe"},
    arches=("x86",),
)
def handler_sees_ip(stage: Stage) -> Outcome:
    """Note ip in a handler."""
    program = stage.file("probed: nop; exit")
    task, seen = stage.process(program), list[int]()

    def handler(task: Task) -> HandlerResult:
        seen.append(task.regs.ip)
        return HandlerResult.KEEP

    stage.register(program, consumer=UprobeConsumer(handler=handler))
    stage.run(task)
    return stage.outcome(f"{seen[0] - stage.at('probed')} behind the probe", stage.because(Act.HIT))


@scenario(
    "once-stepped-always-stepped",
    title="An instruction that could not be emulated once",
    claim="UPROBE_SKIP_SSTEP: skip is remembered per uprobe",
    source="8a6b173287bb (kernel-core 4)",
    expected="each hit is emulated if it can be",
    outcomes={
        "3.5": "the second hit is stepped: nobody asks again",
        "3.16": "the second hit is emulated",
    },
    arches=("powerpc",),
)
def once_stepped_always_stepped(stage: Stage) -> Outcome:
    """Probe a load whose page is missing at first."""
    program = stage.file("probed: load; exit")
    task, other = stage.process(program), stage.process(program)
    task.regs.set(stage.dialect.pointer, 0x5000_0000)
    stage.register(program)
    stage.run(task)
    other.regs.set(stage.dialect.pointer, DATA)
    stage.run(other)
    if stage.count(Act.EMULATE):
        return stage.outcome("the second hit is emulated", stage.because(Act.EMULATE))
    assert stage.count(Act.STEP) == 2
    return stage.outcome("the second hit is stepped: nobody asks again", stage.because(Act.STEP))


@scenario(
    "no-room-for-the-slot",
    title="There is no room for the out-of-line page",
    claim="pre_ssout failed: the task hits the breakpoint again: an implicit infinite retry",
    source="kernel-core 2.17.12",
    expected="the task is killed, or the probe is skipped",
    outcomes="runs for ever, handlers run at every turn",
)
def no_room_for_the_slot(stage: Stage) -> Outcome:
    """Fill the address space, then hit a probe that must be stepped."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    stage.fill(task.mm)
    stage.register(program)
    ended = stage.run(task)
    turns = stage.count(Act.RESTART)
    often = "at every turn" if len(stage.hits) == turns > 1 else "once"
    return stage.outcome(f"{ended}, handlers run {often}", stage.because(Act.RESTART, "ENOMEM"))


@scenario(
    "program-unmaps-the-slots",
    title="A program unmaps the out-of-line page",
    claim="if the program unmaps it, the next XOL hit is a SIGSEGV",
    source="live ppc64le 6.1 (powerpc-live 5)",
    expected="the kernel makes another one",
    outcomes="SIGSEGV",
)
def program_unmaps_the_slots(stage: Stage) -> Outcome:
    """Unmap [uprobes], then hit a probe that must be stepped."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    task.mm.munmap(stage.area(task).vaddr, PAGE_SIZE)
    stage.register(program)
    return stage.outcome(stage.run(task), stage.because(Act.STEP), stage.because(Act.ABORT))


@scenario(
    "probe-inside-an-instruction",
    title="A probe in the middle of an instruction",
    claim="mov $0x11223344 with a probe at +2 loads 0x1122cc44, hits 0",
    source="live x86 6.18 (x86 2)",
    expected="refused: it is no start of an instruction",
    outcomes="accepted; 0x1122cc44, 0 hits",
    arches=("x86",),
)
def probe_inside_an_instruction(stage: Stage) -> Outcome:
    """Probe the third byte of mov $0x11223344,%eax."""
    program = stage.file("probed: nop; nop; nop; nop; nop; exit")
    program.data = b"\xb8\x44\x33\x22\x11" + program.data[5:]
    stage.place("probed", 2)
    task = stage.process(program)
    answer = stage.refused(program)
    stage.run(task)
    return stage.outcome(
        f"{answer}; {task.regs.get('di'):#x}, {len(stage.hits)} hits", stage.because(Act.INSTALL)
    )


@scenario(
    "probe-removed-on-the-way",
    title="A probe goes between the trap and its handling",
    claim="when the trap is gone, restart",
    source="kernel-core 2.17.3",
    expected="the instruction is executed as if there had been no probe",
    outcomes="exit 1, 0 hits",
    needs="trap_read_again",
)
def probe_removed_on_the_way(stage: Stage) -> Outcome:
    """Trap, unregister, and only then go on."""
    program = stage.file("probed: stepped; exit")
    task = stage.process(program)
    probe = stage.register(program)
    entry = stage.machine.cpu.step(task.regs, task.mm)
    stage.machine.hook.arch_uprobe_exception_notify(task=task, stop=entry.stop)
    stage.unregister(probe)
    stage.resume(task)
    cause = stage.because(Act.RESTART, "no trap")
    return stage.outcome(f"{stage.run(task)}, {len(stage.hits)} hits", cause)


@scenario(
    "first-process-decides-the-mode",
    title="A file that 64-bit and 32-bit processes map",
    claim="when both kinds map the file, the most recently mapped one decides for all",
    source="live x86 6.18 (x86 1.6)",
    expected="each process is judged by its own mode",
    outcomes="64-bit alone ENOTSUPP, a 32-bit one mapped last: accepted",
    arches=("x86",),
)
def first_process_decides_the_mode(stage: Stage) -> Outcome:
    """Register on 06, push %es, which only 32-bit mode has."""
    program = stage.file("probed: nop; exit")
    program.data = b"\x06" + program.data[1:]
    stage.process(program)
    alone = stage.refused(program)
    first = stage.because(Act.REFUSE)
    stage.process(program, bits=32)
    return stage.outcome(
        f"64-bit alone {alone}, a 32-bit one mapped last: {stage.refused(program)}",
        first,
        stage.because(Act.INSTALL),
    )
