"""A program run under probes, and the same program run without."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from uprobes_sim.binfmt_elf import exec_program
from uprobes_sim.choice import Options as Options
from uprobes_sim.choice import configure as configure
from uprobes_sim.choice import link_for as link_for
from uprobes_sim.clock import Clock
from uprobes_sim.compare import FinalState, compare
from uprobes_sim.errors import (
    KernelError,
    Refused,
    UprobesSimError,
)
from uprobes_sim.events import (
    Compared,
    Event,
    Hit,
    How,
    Output,
    ProbeRefused,
    ProbeWarning,
    Return,
    Summary,
    UnknownSyscall,
)
from uprobes_sim.linker import Linked, find, find_entry_point
from uprobes_sim.loader import Program, load, parse
from uprobes_sim.machine import Machine
from uprobes_sim.page_cache import Inode
from uprobes_sim.probes import Place, ProbeSpec, parse_probe, resolve
from uprobes_sim.syscalls import Syscalls
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer
from uprobes_sim.verdict import Caution
from uprobes_sim.version import Config
from uprobes_sim.vfs import Stdin, Vfs

PID = 1000
"""Every run is this process, so that two runs print the same."""

_SLICE: Final = 1_000_000
"""Work that the probed run may do before the unprobed one has its turn."""

_PATIENCE: Final = 16
"""How many times as much one of two runs may do as the other before it is stopped."""

ENVIRONMENT = ("PATH=/usr/bin:/bin", "HOME=/", "LANG=C.UTF-8")

Emit = Callable[[Event], None]


def run(
    program: Path,
    argv: Sequence[str],
    probes: Sequence[str],
    options: Options,
    *,
    stdin: BinaryIO,
    emit: Emit,
) -> int:
    """Run *program* with *argv* (argv[0] excluded) under *probes*; show events to *emit*.

    Answers 0, or 1 when the kernel refuses a probe or the runs differ: the exit status.

    Raises:
        UprobesSimError: bad input, in one line.
    """
    return _run_elf(load(program), argv, probes, options, stdin, emit)


def _run_elf(
    elf: Program,
    argv: Sequence[str],
    probes: Sequence[str],
    options: Options,
    stdin: BinaryIO,
    emit: Emit,
) -> int:
    linked = link_for(elf, options)
    config = configure(linked, options)
    probed = [_resolve(text, elf, linked) for text in probes]
    source = Stdin(stdin)
    args = (str(elf.path), *argv)

    ours = _Run(elf, args, linked, config, source, emit, keep_regs=options.regs)
    if not ours.register(probed, _warnings(probed, elf, linked, options)):
        return 1
    compared = None
    if options.compare:
        theirs = _Run(elf, args, linked, config, source, _nobody, keep_regs=False)
        ours.keep_ends()
        theirs.keep_ends()
        _run_side_by_side(ours, theirs)
        state = ours.finish()
        compared = compare(state, theirs.finish())
    else:
        ours.go_on(None)
        state = ours.finish()
    ours.summarise(state, compared)
    if options.write:
        ours.vfs.commit()
    return 0 if compared is None or compared.equal else 1


def _run_side_by_side(ours: "_Run", theirs: "_Run") -> None:
    """Run both in turn, so that each is seen at once and neither can outlive the other for long.

    A probe may send a program round for ever; it is stopped when it has done many times what
    the other has done in all.
    """
    until = _SLICE
    while not (ours.ended and theirs.ended):
        done = [run.machine.work for run in (ours, theirs) if run.ended]
        if done and until > _PATIENCE * done[0] + _SLICE:
            return
        ours.go_on(until)
        theirs.go_on(until)
        until *= 2


def demonstration(arch: str, options: Options, *, emit: Emit) -> int:
    """Run the small program that the plugin ships, under its probes. Answers as `run`.

    `demo/demo.toml` in the plugin's package names `program`, `argv` and `probes`; its table
    `bits32` has the same for 32-bit tasks.

    Raises:
        UprobesSimError: as `run`; the plugin ships no demonstration.
    """
    find(arch)  # an import that fails has its own message
    package = find_entry_point(arch).module.partition(".")[0]
    try:
        folder = resources.files(package) / "demo"
        demo = tomllib.loads((folder / "demo.toml").read_text())
    except (OSError, TypeError):  # TypeError: the plugin is a lone module, not a package
        raise UprobesSimError(
            f"plugin {arch} ships no demonstration; give a program: uprobes-sim run PROGRAM"
        ) from None
    if options.bits == 32:
        demo = demo.get("bits32", demo)
    chosen = replace(options, arch=arch)
    data = (folder / demo["program"]).read_bytes()
    # As if it lay in the root folder: its start-up code measures its name, wherever that is.
    elf = parse(Path("/", demo["program"]), data)
    return _run_elf(elf, demo["argv"], demo["probes"], chosen, BytesIO(), emit)


@dataclass(frozen=True, slots=True)
class _Probe:
    spec: ProbeSpec
    place: Place


def _resolve(text: str, elf: Program, linked: Linked) -> _Probe:
    spec = parse_probe(text)
    return _Probe(spec, resolve(spec, elf, linked.hook))


def _warnings(
    probes: Sequence[_Probe], elf: Program, linked: Linked, options: Options
) -> list[tuple[Caution, ...]]:
    """Gather what `check` would warn of, probe by probe; but not of what only DWARF tells."""
    if not probes:
        return []
    from uprobes_sim.check.checker import Checker
    from uprobes_sim.check.concerns import QUICK

    checker = Checker(elf, linked, options, concerns=QUICK)
    return [checker.verdict(probe.spec.text).warnings for probe in probes]


def _nobody(event: Event) -> None:
    """Watch nothing: the unprobed run."""


@dataclass(slots=True)
class _Run:
    """One run of the program."""

    elf: Program
    argv: tuple[str, ...]
    linked: Linked
    config: Config
    stdin: Stdin
    emit: Emit
    keep_regs: bool
    machine: Machine = field(init=False)
    vfs: Vfs = field(init=False)
    task: Task = field(init=False)
    _syscalls: Syscalls = field(init=False)
    _inode: Inode = field(init=False)
    _hits: dict[str, int] = field(init=False, default_factory=dict)
    _warnings: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)
    _pending: list[tuple[str, Vaddr, dict[str, int] | None]] = field(
        init=False, default_factory=list
    )
    """Handler calls whose event waits until it is known how the instruction is executed."""
    _texts: dict[Vaddr, str] = field(init=False, default_factory=dict)
    """Probed instructions as text, written once."""
    _registered: list[tuple[Uprobe, UprobeConsumer]] = field(init=False, default_factory=list)
    _output: dict[int, bytearray] = field(init=False, default_factory=dict)
    _step: int = field(init=False, default=0)
    _others: dict[Task, FinalState] = field(init=False, default_factory=dict)
    """What the tasks that the program has made have left behind."""

    def __post_init__(self) -> None:
        """Load the program, ready to start."""
        clock = Clock.after(*map(Path, self.argv[1:]))
        self.machine = Machine(self.linked, self.config, clock)
        self.machine.uprobes.on_step = self._on_step
        self.vfs = Vfs(stdin=self.stdin, on_output=self._on_output, exe=self.elf.path, clock=clock)
        self._inode = self.vfs.program_inode(self.elf.path, self.elf.data)
        mm = self.machine.new_mm()
        started = exec_program(
            self.elf,
            self.argv,
            ENVIRONMENT,
            linked=self.linked,
            mm=mm,
            config=self.config,
            inode=self._inode,
        )
        self.task = Task(PID, self.elf.comm, mm, started.regs, self.config)
        self.task.files = self.vfs.new_files()
        self._syscalls = Syscalls(
            self.linked,
            self.config,
            self.vfs,
            tasks=self.machine.tasks,
            on_unknown=self._on_unknown,
        )

    # --- probes -----------------------------------------------------------

    def register(self, probes: Sequence[_Probe], warnings: list[tuple[Caution, ...]]) -> bool:
        """Register all *probes*, each with its *warnings*; or show which the kernel refuses."""
        for probe, cautions in zip(probes, warnings, strict=True):
            self._hits.setdefault(probe.spec.text, 0)
            consumer = self._consumer(probe)
            try:
                uprobe = self.machine.uprobes.uprobe_register(
                    self._inode, probe.place.offset, consumer
                )
            except KernelError as exc:
                rule = exc.rule if isinstance(exc, Refused) else None
                self._show(ProbeRefused, probe.spec.text, exc.errno, rule, exc.reason)
                return False
            self._registered.append((uprobe, consumer))
            self._warn(probe.spec.text, cautions)
        return True

    def _warn(self, text: str, cautions: Sequence[Caution]) -> None:
        """Show what harm the probe will do, but for defects that do not act."""
        config = self.config
        harms = [
            each
            for each in cautions
            if each.severity != "note"
            and (config.errata == "linux" or each.rule not in config.in_force)
        ]
        for each in harms:
            self._show(ProbeWarning, text, each.rule, each.severity, each.reason)
        if harms:
            self._warnings[text] = tuple(each.rule for each in harms)

    def _consumer(self, probe: _Probe) -> UprobeConsumer:
        text = probe.spec.text

        def handler(task: Task) -> HandlerResult:
            self._hits[text] += 1
            regs = None
            if self.keep_regs:
                regs = {name: task.regs.get(name) for name in task.regs.names()}
            self._pending.append((text, task.regs.ip, regs))
            return HandlerResult.KEEP

        def ret_handler(task: Task, func: Vaddr) -> None:
            self._hits[text] += 1
            retval = self.linked.hook.regs_return_value(regs=task.regs)
            self._show(Return, text, task.tgid, task.pid, task.comm, task.regs.ip, func, retval)

        if probe.spec.is_return:
            return UprobeConsumer(ret_handler=ret_handler)
        return UprobeConsumer(handler=handler)

    def _on_step(self, task: Task, uprobe: Uprobe, how: How) -> None:
        """Show the hits of a probe, now that it is known how its instruction is executed."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        text = self._insn_text(uprobe, pending[0][1])
        for probe, vaddr, regs in pending:
            self._show(Hit, probe, task.tgid, task.pid, task.comm, vaddr, how, text, regs)

    def _insn_text(self, uprobe: Uprobe, vaddr: Vaddr) -> str:
        text = self._texts.get(vaddr)
        if text is None:
            # Not `uprobe.arch.insn`: a backend may have rewritten that for its slot.
            end = uprobe.offset + self.linked.info.max_insn_bytes
            text = self._texts[vaddr] = self.linked.hook.arch_insn_text(
                insn=self.elf.data[uprobe.offset : end], vaddr=vaddr, abi=self.task.mm.abi
            )
        return text

    # --- what the program does --------------------------------------------

    def _on_output(self, fd: int, data: bytes) -> None:
        self._output.setdefault(fd, bytearray()).extend(data)
        self._show(Output, fd, data)

    def keep_ends(self) -> None:
        """Keep what each task that the program makes leaves behind, to compare it."""

        def keep(task: Task) -> None:
            if task is not self.task:
                self._others[task] = FinalState.of_other(task)

        self.machine.tasks.on_exit = keep

    def _on_unknown(self, name: str, number: int) -> None:
        self._show(UnknownSyscall, name, number)

    def _show(self, kind: Callable[..., Event], *values: object) -> None:
        self._step += 1
        self.emit(kind(self._step, *values))

    # --- the end ----------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Tell whether the program, and whatever it has started, has ended."""
        return self.task.dead and self.machine.is_idle

    def go_on(self, until: int | None) -> None:
        """Run until the program has ended, or the machine's `work` has reached *until*."""
        self.machine.run(self.task, self._syscalls, until)

    def finish(self) -> FinalState:
        """Take the final state, and remove the probes."""
        output = {fd: bytes(data) for fd, data in self._output.items()}
        others = tuple(
            self._others.get(task) or FinalState.of(task, {})
            for task in self.machine.tasks.created
            if task is not self.task
        )
        state = FinalState.of(self.task, output, self.vfs.changes(), others)
        for uprobe, consumer in self._registered:
            self.machine.uprobes.uprobe_unregister(uprobe, consumer)
        return state

    def summarise(self, state: FinalState, compared: Compared | None) -> None:
        """Show how it ended."""
        insns = self.machine.insns
        self._show(
            Summary, self._hits, state.exit_status, state.signal, insns, compared, self._warnings
        )
