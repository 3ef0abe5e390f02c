"""A place to execute one instruction: bare on the engine, and under a probe through the core."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from uprobes_sim.arch import ArchUprobe, ComparableRegs, Regs
from uprobes_sim.cpu import Stop
from uprobes_sim.errors import EngineError, KernelError
from uprobes_sim.events import How
from uprobes_sim.linker import Linked
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.samples import InsnSamples, Sample, Spot
from uprobes_sim.session import Options, configure
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.task import Task, UprobeTaskState
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer
from uprobes_sim.version import Config

if TYPE_CHECKING:
    from uprobes_sim.kconfig import Host

RW: Final = VmFlags.READ | VmFlags.WRITE | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
RX: Final = VmFlags.READ | VmFlags.EXEC | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC

CODE: Final = 0x100000
CODE_PAGES: Final = 2
DATA: Final = CODE + 4 * PAGE_SIZE
"""Two pages; what is behind them is not mapped. Near the code, for short displacements."""
DATA_BYTES: Final = 2 * PAGE_SIZE
READ_ONLY: Final = DATA - PAGE_SIZE
STACK: Final = DATA + 4 * PAGE_SIZE
NOWHERE: Final = DATA + 3 * PAGE_SIZE - 64
SLOT: Final = 256
"""Bytes between two samples in the code."""
LEAD: Final = 128
"""Bytes before the instruction: room for `Sample.before`."""
SLOTS: Final = CODE_PAGES * PAGE_SIZE // SLOT
_STEPS: Final = 64
"""Instructions that `Sample.before` may have."""
_ENTRIES: Final = 64
"""Entries into the kernel in which a step must come to its end."""

EDGES: Final = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000)
"""Ends of ranges; the others follow by negation."""


@dataclass(slots=True)
class Case:
    """A sample in its place, with everything chosen that it finds."""

    row: str
    number: int
    vaddr: Vaddr
    sample: Sample
    memory: bytes
    """What `DATA` holds before."""
    start: dict[str, int] = field(default_factory=dict)
    """All registers before, once it was executed."""


@dataclass(slots=True)
class Outcome:
    """What executing an instruction left."""

    regs: Regs
    memory: bytes
    stack: bytes
    signal: SigInfo | None = None
    syscall: bool = False
    trapped: bool = False
    """It was a breakpoint, or a trap that fired."""
    how: How | None = None
    """Under a probe: how it was executed. None: the probe was not hit."""


@dataclass(slots=True)
class Silence:
    """A dispatcher that answers no system call, and remembers that there was one."""

    called: bool = False

    def dispatch(self, task: Task) -> None:
        """Note the call."""
        self.called = True


class Bench:
    """Executes cases of one ABI."""

    def __init__(
        self,
        linked: Linked,
        errata: Literal["linux", "none"] = "none",
        host: "Host | None" = None,
    ) -> None:
        """Power two computers on: one with probes, one without. They run *host*'s kernel."""
        self.info = linked.info
        self.hook = linked.hook
        self.config: Config = configure(
            linked, Options(kernel=None if host is None else host.release, errata=errata, host=host)
        )
        self.samples: InsnSamples = linked.hook.arch_insn_samples(
            abi=linked.info.abi, config=self.config
        )
        self.machine = Machine(linked, self.config)
        self._cpu = linked.hook.arch_cpu(abi=linked.info.abi, config=self.config)
        info = linked.info
        self._bare = Mm(
            info.abi,
            task_size=info.task_size,
            mmap_base=info.mmap_base,
            exec_readable=info.exec_readable,
        )
        self._probed = self.machine.new_mm()
        for mm in (self._bare, self._probed):
            mm.mmap(READ_ONLY, PAGE_SIZE, VmFlags.READ | VmFlags.MAYREAD, name="data")
            mm.mmap(DATA, DATA_BYTES, RW, name="data")
            mm.mmap(STACK, PAGE_SIZE, RW, name="[stack]")
        self._text = Inode(1, "samples", b"")
        self._how: How | None = None
        self.machine.uprobes.on_step = self._on_step

    def _on_step(self, task: Task, uprobe: Uprobe, how: How) -> None:
        self._how = how

    @property
    def code_mm(self) -> Mm:
        """The address space without probes."""
        return self._bare

    # --- cases --------------------------------------------------------------

    def draw(self, row: str, count: int, random: Random) -> list[Case]:
        """Draw *count* cases of a row, `SLOTS` at most."""
        return [self._case(row, number, random) for number in range(count)]

    def batches(self, rows: Iterable[str], count: int, random: Random) -> Iterator[list[Case]]:
        """Draw *count* cases of each of *rows*, as many at once as there is room for."""
        wanted = [row for row in rows for _ in range(count)]
        for first in range(0, len(wanted), SLOTS):
            some = enumerate(wanted[first : first + SLOTS])
            yield [self._case(row, number, random) for number, row in some]

    @property
    def text(self) -> bytes:
        """The code that was laid last."""
        return bytes(self._text.data)

    def _case(self, row: str, number: int, random: Random) -> Case:
        vaddr = self._vaddr(number, random)
        data = range(DATA, DATA + DATA_BYTES)
        spot = Spot(
            vaddr,
            range(CODE, CODE + CODE_PAGES * PAGE_SIZE),
            data,
            Vaddr(_operand(random)),
            Vaddr(STACK + PAGE_SIZE - 256),
        )
        sample = self.samples.draw(row, spot, random)
        memory = bytearray(random.randbytes(DATA_BYTES))
        for at, held in sample.mem.items():
            assert data.start <= at <= data.stop - len(held), f"{row}: memory at {at:#x}"
            memory[at - DATA : at - DATA + len(held)] = held
        chosen = {name: value(random) & mask for name, mask in self.samples.registers.items()}
        sample = replace(sample, regs=chosen | sample.regs)
        return Case(row, number, vaddr, sample, bytes(memory))

    def _vaddr(self, number: int, random: Random) -> Vaddr:
        """Choose where an instruction lies: the last slot of a page is the end of the page."""
        at = CODE + number * SLOT + LEAD
        size, most = self.info.swbp_size, self.info.max_insn_bytes
        if (at + SLOT) % PAGE_SIZE == LEAD:
            page = at - at % PAGE_SIZE + PAGE_SIZE
            last = page == CODE + CODE_PAGES * PAGE_SIZE
            return Vaddr(page - (most if last else size * random.randint(1, most // size)))
        return Vaddr(at)

    def lay(self, cases: Iterable[Case]) -> None:
        """Write the code of *cases* into a file, and map it on both computers."""
        info = self.info
        fill = info.swbp_insn
        text = bytearray(fill * (CODE_PAGES * PAGE_SIZE // len(fill)))
        for case in cases:
            at = case.vaddr - CODE - len(case.sample.before)
            code = case.sample.before + case.sample.insn
            text[at : at + len(code)] = code
        size = len(text)
        self._text = Inode(self._text.ino + 1, "samples", bytes(text))
        self._probed.mmap(CODE, size, RX, inode=self._text, name="samples")
        self._bare.mmap(CODE, size, RX, inode=Inode(1, "samples", bytes(text)), name="samples")

    # --- both ways ----------------------------------------------------------

    def bare(self, case: Case) -> Outcome:
        """Execute a case on the engine alone.

        Raises:
            EngineError: the engine lacks the instruction.
        """
        regs = self._start(case, self._bare)
        self._lead_in(case, regs, self._bare, self._cpu.step)
        found = self._cpu.step(regs, self._bare)
        outcome = self._outcome(regs, self._bare)
        outcome.syscall = found.stop is Stop.SYSCALL
        outcome.trapped = found.stop is Stop.BREAKPOINT
        if found.stop in (Stop.FAULT, Stop.BREAKPOINT):
            assert found.info is not None, f"{found.stop} without a signal"
            outcome.signal = found.info
        return outcome

    def probed(self, case: Case) -> Outcome:
        """Execute a case under a probe.

        Raises:
            KernelError: the probe is refused.
            EngineError: as for `bare`.
        """
        consumer = UprobeConsumer(handler=lambda task: HandlerResult.KEEP)
        offset = Offset(case.vaddr - CODE)
        regs = self._start(case, self._probed)
        self._lead_in(case, regs, self._probed, self.machine.cpu.step)
        uprobe = self.machine.uprobes.uprobe_register(self._text, offset, consumer)
        signals = list[SigInfo]()
        syscalls = Silence()
        self._how = None
        try:
            task = Task(1000, "sample", self._probed, regs, self.config)
            task.tracer = signals.append  # which lets nothing through
            self._hit(task, syscalls)
        finally:
            self.machine.sched.stop()
            self.machine.tasks.created.clear()
            self.machine.uprobes.uprobe_unregister(uprobe, consumer)
        outcome = self._outcome(task.regs, self._probed)
        outcome.signal = signals[0] if signals else None
        outcome.syscall, outcome.how = syscalls.called, self._how
        return outcome

    def _hit(self, task: Task, syscalls: Silence) -> None:
        """Run *task* from the breakpoint until the instruction is done with."""
        machine = self.machine
        for _ in range(_ENTRIES):
            machine.run(task, syscalls, until=machine.work + 1)
            if task.dead or not _is_stepping(task):
                return
        raise EngineError(f"a copy is still being stepped after {_ENTRIES} entries into the kernel")

    def _start(self, case: Case, mm: Mm) -> Regs:
        """Make registers and memory what the case finds."""
        mm.write(DATA, case.memory)
        mm.write(STACK, bytes(PAGE_SIZE))
        regs = self.hook.arch_regs(abi=self.info.abi, config=self.config)
        regs.sp = Vaddr(STACK + PAGE_SIZE - 256)
        for name, number in case.sample.regs.items():
            regs.set(name, number)
        regs.ip = Vaddr(case.vaddr - len(case.sample.before))
        if self.samples.qemu:
            case.start = {name: regs.get(name) for name in self.samples.qemu_registers}
        return regs

    def _lead_in(self, case: Case, regs: Regs, mm: Mm, step: object) -> None:
        """Execute what comes before the instruction."""
        assert callable(step)
        for _ in range(_STEPS):
            if regs.ip == case.vaddr:
                return
            found = step(regs, mm)
            if found.stop is not Stop.SINGLE_STEP:
                raise EngineError(f"{case.row}: what comes before it ends by {found}")
        raise EngineError(f"{case.row}: what comes before it does not lead to it")

    def _outcome(self, regs: Regs, mm: Mm) -> Outcome:
        return Outcome(regs, mm.read(DATA, DATA_BYTES), mm.read(STACK, PAGE_SIZE))

    # --- for people ---------------------------------------------------------

    def describe(self, case: Case) -> str:
        """Write a case's instruction, and where it lay."""
        insn = case.sample.insn
        padded = insn.ljust(self.info.max_insn_bytes, b"\0")
        text = self.hook.arch_insn_text(insn=insn, vaddr=case.vaddr, abi=self.info.abi)
        written = self.hook.arch_format_insn(insn=padded, abi=self.info.abi)
        return f"{text} ({written}) at {case.vaddr:#x}"

    def _padded(self, case: Case) -> bytes:
        return case.sample.insn.ljust(self.info.max_insn_bytes, b"\0")

    def analyze(self, case: Case) -> ArchUprobe:
        """Have the kernel accept a case.

        Raises:
            KernelError: it does not.
        """
        return self.machine.uprobes.analyze_insn(self._padded(case), self._probed, case.vaddr)

    def refusal(self, case: Case) -> KernelError | None:
        """Say why a probe on a case is refused; None: it is not."""
        return self.refusal_of(self._padded(case), case.vaddr)

    def refusal_of(self, insn: bytes, vaddr: Vaddr) -> KernelError | None:
        """Say why a probe on *insn* at *vaddr* is refused; None: it is not."""
        try:
            self.machine.uprobes.analyze_insn(insn, self._probed, vaddr)
        except KernelError as exc:
            return exc
        return None

    def cautions(self, case: Case) -> tuple[str, ...]:
        """Name the errata in force of which a user of the probe is warned."""
        found = self.hook.arch_uprobe_warnings(
            auprobe=self.analyze(case), abi=self.info.abi, config=self.config
        )
        return tuple(each.rule for each in found if each.rule in self.config.in_force)

    def mechanism(self, case: Case) -> How:
        """Ask the backend how it will execute a case."""
        return self.hook.arch_uprobe_mechanism(
            auprobe=self.analyze(case), abi=self.info.abi, config=self.config
        ).how


def _is_stepping(task: Task) -> bool:
    return task.utask is not None and task.utask.state is UprobeTaskState.UTASK_SSTEP


def value(random: Random) -> int:
    """Draw a number that instructions have trouble with, or any of any length."""
    kind = random.randrange(4)
    if kind == 0:
        return random.choice(EDGES)
    if kind == 1:
        return -random.choice(EDGES)
    return random.getrandbits(128) >> random.randrange(0, 128, 8)


def _operand(random: Random) -> int:
    """Choose an address for a memory operand."""
    kind = random.randrange(16)
    if kind < 8:
        return DATA + random.randrange(0, DATA_BYTES - 256, 16)
    if kind < 11:
        return DATA + random.randrange(0, DATA_BYTES - 256)
    if kind < 13:
        return DATA + PAGE_SIZE - random.randrange(1, 16)  # across two pages
    if kind == 13:
        return DATA + DATA_BYTES - random.randrange(1, 17)  # across the end of memory
    return READ_ONLY + 256 if kind == 14 else NOWHERE


def differences(probed: Outcome, bare: Outcome) -> list[str]:
    """List what a probe has changed."""
    ours, theirs = probed.regs, bare.regs
    if isinstance(ours, ComparableRegs):
        names = list(ours.differing(theirs))
    else:
        names = [name for name in ours.names() if ours.get(name) != theirs.get(name)]
    found = [f"{name} is {ours.get(name):#x}, not {theirs.get(name):#x}" for name in names]
    for what, start, now, right in (
        ("memory", DATA, probed.memory, bare.memory),
        ("the stack", STACK, _live(probed), _live(bare)),
    ):
        if now != right:
            at = next(n for n in range(len(now)) if now[n] != right[n])
            shown = f"{now[at : at + 8].hex()}, not {right[at : at + 8].hex()}"
            found.append(f"{what} at {start + at:#x} is {shown}")
    if _seen(probed.signal) != _seen(bare.signal):
        found.append(f"it gets {_name(probed.signal)}, not {_name(bare.signal)}")
    if probed.syscall is not bare.syscall:
        found.append("it makes a system call" if probed.syscall else "it makes no system call")
    return found


def _live(outcome: Outcome) -> bytes:
    """Give the stack; after a signal with nothing below the stack pointer.

    A processor that cannot execute a push, or a call, has pushed nothing. An engine may have: it
    finds the fault later, and what it has written then is the address of what is behind the
    instruction, or behind its copy.
    """
    if outcome.signal is None:
        return outcome.stack
    dead = min(max(outcome.regs.sp - STACK, 0), len(outcome.stack))
    return bytes(dead) + outcome.stack[dead:]


def _seen(info: SigInfo | None) -> object:
    """What must be equal of a signal.

    The address of an instruction that cannot be executed is that of its copy on most
    architectures (only x86 has uprobe_get_trap_addr); the address of a bad access is not.
    """
    if info is None or info.signal in (Signal.SIGSEGV, Signal.SIGBUS):
        return info
    return info.signal, info.code


def _name(info: SigInfo | None) -> str:
    if info is None:
        return "no signal"
    return f"{info.signal.name} (code {int(info.code)}, address {info.addr:#x})"
