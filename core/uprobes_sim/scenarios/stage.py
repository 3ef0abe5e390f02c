"""Where scenarios play: a machine, a file of code, processes that map it, and a debugger."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

from uprobes_sim.consumers import HandlerResult, UprobeConsumer
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import Linked
from uprobes_sim.log import Act, Record
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.ptrace import Debugger
from uprobes_sim.scenarios.dialect import DIALECTS, assemble
from uprobes_sim.scenarios.scenario import Outcome, ScenarioError
from uprobes_sim.signals import SigInfo
from uprobes_sim.syscalls import Syscalls
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import Uprobe
from uprobes_sim.version import Config
from uprobes_sim.vfs import Stdin, Vfs
from uprobes_sim.xol import XolArea, uprobes_state

TEXT: Final = Vaddr(0x1000_0000)
DATA: Final = Vaddr(0x2000_0000)
STACK: Final = Vaddr(0x3000_0000)
COUNTERS: Final = Offset(PAGE_SIZE)
"""Place of the reference counters in the file: the page behind the code."""
BUDGET: Final = 1500
"""Work after which a program that still runs will run for ever."""

_MAY: Final = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
RX: Final = VmFlags.READ | VmFlags.EXEC | _MAY
RW: Final = VmFlags.READ | VmFlags.WRITE | _MAY


class Stage:
    """A machine that was just switched on, and a file with the program *source*."""

    def __init__(self, linked: Linked, config: Config) -> None:
        """Switch the machine on. The log begins."""
        self.machine = Machine(linked, config)
        self.up = self.machine.uprobes
        self.up.log = []
        self.kernel = config.kernel
        self.dialect = DIALECTS[linked.info.name]
        self.hits: list[str] = []
        """Names of the consumers that were called, `NAME` at entry and `NAME returned`."""
        self._linked = linked
        files = Vfs(stdin=Stdin(BytesIO()), on_output=lambda fd, data: None, exe=Path("program"))
        self._syscalls = Syscalls(
            linked,
            config,
            files,
            tasks=self.machine.tasks,
            on_unknown=lambda name, number: None,
        )
        self._labels: dict[str, int] = {}
        self._inodes = 0
        self._pids = 1000

    # --- the cast ---------------------------------------------------------

    def word(self, word: str) -> bytes:
        """Write one word of the dialect."""
        return self.dialect.words[word]

    def file(self, source: str) -> Inode:
        """Make a file: a page of code, *source*, and a page of zeros."""
        code = assemble(self.dialect, source)
        self._labels = code.labels
        self._inodes += 1
        data = code.data.ljust(PAGE_SIZE, b"\0") + bytes(PAGE_SIZE)
        return Inode(self._inodes, f"program{self._inodes}", data)

    def offset(self, label: str) -> Offset:
        """Find where *label* is in the file."""
        return Offset(self._labels[label])

    def at(self, label: str) -> Vaddr:
        """Find where *label* is in memory."""
        return Vaddr(TEXT + self._labels[label])

    def place(self, label: str, offset: int) -> None:
        """Give a place in the file a label of its own."""
        self._labels[label] = offset

    def process(self, inode: Inode | None = None, bits: Literal[32, 64] | None = None) -> Task:
        """Start a process, which maps the file *inode* if it is given; another mode by *bits*."""
        self._pids += 1
        mm = self.machine.new_mm()
        if bits is not None:
            mm.abi = replace(mm.abi, bits=bits)
        info, config = self._linked.info, self.machine.config
        mm.mmap(DATA, PAGE_SIZE, RW, name="[heap]")
        mm.mmap(STACK - 4 * PAGE_SIZE, 4 * PAGE_SIZE, RW, name="[stack]")
        regs = self.machine.hook.arch_regs(abi=info.abi, config=config)
        regs.ip, regs.sp = TEXT, Vaddr(STACK - 256)
        regs.set(self.dialect.pointer, DATA)
        if self.dialect.one is not None:
            regs.set(self.dialect.one, 1)
        task = Task(self._pids, f"task{self._pids}", mm, regs, config)
        if inode is not None:
            self.map(task.mm, inode)
        return task

    def map(self, mm: Mm, inode: Inode, at: int = TEXT, flags: VmFlags = RX) -> None:
        """Map the code of *inode* in a process."""
        mm.mmap(at, PAGE_SIZE, flags, inode=inode, name=inode.name)

    def map_counters(self, mm: Mm, inode: Inode) -> None:
        """Map the page of counters of *inode*, private and writable."""
        mm.mmap(DATA + PAGE_SIZE, PAGE_SIZE, RW, inode=inode, pgoff=1, name=inode.name)

    def fill(self, mm: Mm) -> None:
        """Leave no room for another page."""
        free = mm.task_size
        for vma in reversed(list(mm.vmas.values())):
            mm.mmap(vma.end, free - vma.end, RW)
            free = vma.start
        mm.mmap(0, free, RW)

    def counter(self, mm: Mm) -> int:
        """Read the first counter."""
        data = mm.read(DATA + PAGE_SIZE, 2)
        return int.from_bytes(data, mm.abi.byteorder, signed=True)

    def debugger(self, task: Task) -> Debugger:
        """Attach a debugger to *task*, which only pokes: signals go to the task."""
        debugger = self.debugger_that_hears(task)
        task.tracer = None
        return debugger

    def debugger_that_hears(self, task: Task) -> Debugger:
        """Attach a debugger to *task* that keeps the SIGTRAP of its own breakpoints."""
        return Debugger(self.machine, task)

    # --- what they do -----------------------------------------------------

    def consumer(
        self,
        name: str = "probe",
        answer: HandlerResult = HandlerResult.KEEP,
        *,
        entry: bool = True,
        returns: bool = False,
        filter: Callable[[Mm], bool] | None = None,
    ) -> UprobeConsumer:
        """Make a consumer that notes its calls in `hits`."""

        def handler(task: Task) -> HandlerResult:
            self.hits.append(name)
            return answer

        def ret_handler(task: Task, func: Vaddr) -> None:
            self.hits.append(f"{name} returned")

        return UprobeConsumer(
            handler if entry else None, ret_handler if returns else None, filter=filter
        )

    def register(
        self,
        inode: Inode,
        label: str = "probed",
        consumer: UprobeConsumer | None = None,
        counter: Offset = Offset(0),
    ) -> tuple[Uprobe, UprobeConsumer]:
        """Register a probe at *label*; what comes back can be given to `unregister`."""
        mine = consumer or self.consumer()
        return self.up.uprobe_register(inode, self.offset(label), mine, counter), mine

    def refused(self, inode: Inode, label: str = "probed", counter: Offset = Offset(0)) -> str:
        """Try to register a probe; name the errno, or say that it was accepted."""
        try:
            self.register(inode, label, counter=counter)
        except KernelError as exc:
            return exc.errno.name
        return "accepted"

    def unregister(self, probe: tuple[Uprobe, UprobeConsumer]) -> None:
        """Take a consumer away again."""
        self.up.uprobe_unregister(*probe)

    def run(self, task: Task, budget: int = BUDGET) -> str:
        """Run *task*, unless it has ended; say how it ends."""
        if not task.dead:
            self.machine.run(task, self._syscalls, self.machine.work + budget)
        return self.ended(task)

    def ended(self, task: Task) -> str:
        """Say how *task* has ended: `exit 7`, `SIGTRAP`, or `runs for ever`."""
        if task.killed_by is not None:
            return task.killed_by.name
        return "runs for ever" if task.exit_status is None else f"exit {task.exit_status}"

    def watch_signals(self, task: Task) -> list[SigInfo]:
        """Attach a debugger that notes each signal and lets it through."""
        seen: list[SigInfo] = []

        def trace(info: SigInfo) -> SigInfo:
            seen.append(info)
            return info

        task.tracer = trace
        return seen

    def resume(self, task: Task) -> None:
        """Do what is left to do before *task* is back in user mode."""
        self.machine._exit_to_user_mode(task)

    def watch_hook(self, name: str) -> None:
        """Log each question that the core puts to a hook."""
        ask = getattr(self.machine.hook, name)

        def asked(**question: object) -> object:
            self.up.record(Act.HOOK, name)
            return ask(**question)

        setattr(self.machine.hook, name, asked)

    def to_trampoline(self, task: Task) -> None:
        """Send *task* to the return trampoline, with nothing pending."""
        task.regs.ip = self.area(task).vaddr

    def peeked(self, task: Task) -> int:
        """Read what the word `peek` of a program that has ended has left in the result."""
        return task.regs.get(self.dialect.passed or self.dialect.result)

    # --- what is seen -----------------------------------------------------

    def area(self, task: Task) -> XolArea:
        """Give the out-of-line page of *task*, made now if it has none."""
        return uprobes_state(task.mm).get_xol_area()

    def slots_taken(self, task: Task) -> int:
        """Count the slots that are not free, the trampoline's apart."""
        area = self.area(task)
        slots = PAGE_SIZE // self._linked.info.xol_slot_bytes
        return slots - area.free_slots - area.has_trampoline

    def memory(self, task: Task, label: str = "probed") -> str:
        """Name the word at *label* in the memory of *task*."""
        found = task.mm.read(self.at(label), 16, force=True)
        sizes = sorted(self.dialect.words.items(), key=lambda item: -len(item[1]))
        return next((name for name, data in sizes if found.startswith(data)), found[:4].hex())

    @property
    def log(self) -> list[Record]:
        """What was done so far."""
        assert self.up.log is not None
        return self.up.log

    def count(self, act: Act) -> int:
        """Count what was done of one kind."""
        return sum(each.act is act for each in self.log)

    def because(self, act: Act, why: str = "") -> Record:
        """Find the newest record of *act* whose reason has *why* in it.

        Raises:
            ScenarioError: nothing of the kind was done, so the outcome has no cause.
        """
        for each in reversed(self.log):
            if each.act is act and why in str(each):
                return each
        done = "; ".join(map(str, self.log[-12:]))
        raise ScenarioError(f"no cause: nothing like {act} ({why}) was done; done was: {done}")

    def outcome(self, words: str, *causes: Record) -> Outcome:
        """End the scenario: *words* says what happened, *causes* why."""
        return Outcome(words, causes)
