"""A world of processes, files and probes, and beside it what uprobes should have made of it.

The model is the policy of the kernel in a few lines: an installation writes the breakpoint over
whatever is there, a removal writes the file's word back if a breakpoint is there, and nothing
else of any mapping changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from toy_arch import (
    ADDI,
    CALL,
    JMP,
    NOP,
    POP,
    PUSH,
    RET,
    RW,
    RX,
    TEXT,
    TRAP,
    TRAPIF,
    PtRegs,
    asm,
    linked,
)
from uprobes_sim.fork import CloneArgs, CloneFlags, copy_process
from uprobes_sim.log import Act
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.task import Task, UprobeTaskState
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer
from uprobes_sim.uretprobes import HprobeState
from uprobes_sim.version import Config, Kernel
from uprobes_sim.xol import uprobes_state

WORDS = (
    (NOP,),
    (CALL, 0, 0, 7),  # f
    (ADDI, 1, 1, 1),
    (CALL, 0, 0, 8),  # g
    (NOP,),
    (ADDI, 1, 1, 2),
    (JMP, 0, 0, -6),
    (NOP,),  # nobody comes here
    (NOP,),  # f
    (ADDI, 2, 2, 1),
    (RET,),
    (PUSH,),  # g
    (CALL, 0, 0, -4),
    (POP,),
    (RET,),
    (NOP,),  # nor here
)
CODE = asm(*WORDS)
PROBED = (0, 2, 5, 8, 9, 11, 14, 15)
POKED = (0, 2, 4, 5, 7, 9, 15)
FUNCTIONS = (8, 11)
POKES = {"nop": asm((NOP,)), "addi": asm((ADDI, 3, 3, 1)), "never": asm((TRAPIF, 0))}
LOOP = range(TEXT, TEXT + 4 * 7)

SECOND = 0x50000
"""Where a process maps a file once more."""
COUNTERS = 0x60000
STACKS = 0x100000
SLICE = 20
"""Instructions until the kernel looks whether it is somebody else's turn."""
PATIENCE = 100
"""Turns in which a task must have died."""
TURN = 60
"""Work that a task does before it is another's turn."""
STACK_SIZE = 0x1000
FILE = CODE.ljust(PAGE_SIZE, b"\0") + bytes(PAGE_SIZE)


@dataclass(eq=False)
class Listener:
    """A consumer, and whom it wants."""

    uprobe: Uprobe
    consumer: UprobeConsumer
    word: int
    wants: frozenset[Mm] | None
    answer: HandlerResult
    is_session: bool = False


@dataclass(eq=False)
class Place:
    """A mapping of a file: what each word of it should be."""

    mm: Mm
    start: int
    inode: Inode
    words: list[bytes]
    is_writable: bool = False

    def memory(self) -> bytes:
        return b"".join(self.words)


@dataclass(eq=False)
class World:
    """Everything, and the model of it."""

    release: tuple[int, ...] = (6, 18)
    files: list[Inode] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    counters: dict[tuple[Mm, Inode], int] = field(default_factory=dict)
    """Semaphore of word 0 of a file, where the process maps it."""
    owed: set[tuple[Mm, Inode]] = field(default_factory=set)
    calls: list[tuple[Task, Inode, int, int]] = field(default_factory=list)
    """Handler calls: who hit what, and the consumer's id."""

    def __post_init__(self) -> None:
        self.machine = Machine(linked(), Config(Kernel(self.release), "generic"))
        self.up = self.machine.uprobes
        self.files = [Inode(1, "one", FILE), Inode(2, "two", FILE)]
        self.machine.sched.pick = lambda ready: self.turn % len(ready)  # type: ignore[method-assign]
        self.turn = self.stacks = 0
        run = self.machine.cpu.run
        self.machine.cpu.run = (  # type: ignore[method-assign]
            lambda regs, mm, budget: run(regs, mm, min(budget, SLICE))
        )
        self.unmapped_while_armed = set[tuple[Mm, Inode]]()
        self.new_process(self.files[0])

    # --- processes --------------------------------------------------------

    @property
    def tasks(self) -> list[Task]:
        return [task for task in self.machine.tasks.created if not task.dead]

    def new_process(self, inode: Inode) -> None:
        mm = self.machine.new_mm()
        task = Task(self.machine.tasks.alloc_pid(), "toy", mm, PtRegs(TEXT), self.machine.config)
        task.regs.sp = self._new_stack(mm)
        self.machine.tasks.add(task)
        self.machine.tasks.wake_up_new_task(task)
        self.map(mm, TEXT, inode)

    def _new_stack(self, mm: Mm) -> Vaddr:
        self.stacks += 1
        start = STACKS + 2 * STACK_SIZE * self.stacks
        mm.mmap(start, STACK_SIZE, RW, name="[stack]")
        return Vaddr(start + STACK_SIZE)

    def fork(self, parent: Task) -> None:
        child = self._clone(parent, CloneArgs(flags=CloneFlags(0)))
        for place in [each for each in self.places if each.mm is parent.mm]:
            copy = Place(child.mm, place.start, place.inode, list(place.words), place.is_writable)
            self.places.append(copy)
        for (mm, inode), value in list(self.counters.items()):
            if mm is parent.mm:
                self.counters[child.mm, inode] = value
        if any(mm is parent.mm for mm, _ in self.unmapped_while_armed):
            drift = {inode for mm, inode in self.unmapped_while_armed if mm is parent.mm}
            self.unmapped_while_armed |= {(child.mm, inode) for inode in drift}

    def thread(self, parent: Task) -> None:
        flags = CloneFlags.CLONE_VM | CloneFlags.CLONE_SIGHAND | CloneFlags.CLONE_THREAD
        self._clone(parent, CloneArgs(flags=flags, stack=self._new_stack(parent.mm)))

    def _clone(self, parent: Task, args: CloneArgs) -> Task:
        child = copy_process(self.machine.tasks, linked(), parent, args)
        self.machine.tasks.wake_up_new_task(child)
        return child

    def kill(self, task: Task) -> None:
        """End a whole process."""
        task.group.pending.append(SigInfo(Signal.SIGKILL))
        turn = 0
        while any(each.mm is task.mm for each in self.tasks):
            self.run(TURN, turn)
            turn += 1
            assert turn < PATIENCE, "a task cannot be killed"
        self.places = [place for place in self.places if place.mm is not task.mm]
        gone = [key for key in self.counters if key[0] is task.mm]
        for key in gone:
            del self.counters[key]
        self.owed = {key for key in self.owed if key[0] is not task.mm}

    def run(self, work: int, turn: int) -> None:
        """Let one task run; check the calls, and do to the model what handlers did."""
        self.calls.clear()
        self.turn = turn
        machine = self.machine
        machine.run(machine.tasks.created[0], None, machine.work + work)  # type: ignore[arg-type]
        for mm, listener in self._check_calls():
            self._remove(mm, listener)

    # --- mappings ---------------------------------------------------------

    def map(self, mm: Mm, start: int, inode: Inode) -> None:
        place = Place(mm, start, inode, [CODE[4 * n : 4 * n + 4] for n in range(len(WORDS))])
        self.places.append(place)
        mm.mmap(start, PAGE_SIZE, RX, inode=inode)
        for word in sorted({each.word for each in self.listeners if each.uprobe.inode is inode}):
            if any(self._wants(each, mm) for each in self._listeners(inode, word)):
                self._install(place, word)

    def unmap(self, place: Place) -> None:
        for word, data in enumerate(place.words):
            if data == TRAP and word == 0:
                self.unmapped_while_armed.add((place.mm, place.inode))
        self.places.remove(place)
        place.mm.munmap(place.start, PAGE_SIZE)

    def pays_in_full(self, mm: Mm, inode: Inode) -> bool:
        """Tell whether what is owed is what will be taken: the kernel owes one for any number."""
        armed = [p for p in self.places if p.mm is mm and p.inode is inode and p.words[0] == TRAP]
        return len(armed) <= 1

    def map_counters(self, mm: Mm, inode: Inode) -> None:
        key = mm, inode
        mm.mmap(self.counter_at(inode), PAGE_SIZE, RW, inode=inode, pgoff=1)
        self.counters[key] = 1 if key in self.owed and mm.has_uprobes else 0
        self.owed.discard(key)

    def counter_at(self, inode: Inode) -> int:
        return COUNTERS + PAGE_SIZE * self.files.index(inode)

    def protect(self, place: Place, *, writable: bool) -> None:
        rights = VmFlags.READ | VmFlags.EXEC | (VmFlags.WRITE if writable else VmFlags(0))
        place.mm.mprotect(place.start, PAGE_SIZE, rights)
        place.is_writable = writable

    def poke(self, place: Place, word: int, data: bytes) -> None:
        place.mm.write(place.start + 4 * word, data, force=True)
        place.words[word] = data

    # --- probes -----------------------------------------------------------

    def register(
        self,
        inode: Inode,
        word: int,
        wants: frozenset[Mm] | None,
        answer: HandlerResult,
        *,
        returns: bool,
    ) -> None:
        consumer = UprobeConsumer(
            ret_handler=self._on_return if returns else None,
            filter=None if wants is None else wants.__contains__,
        )

        def handler(task: Task) -> HandlerResult:
            self.calls.append((task, inode, word, consumer.id))
            return answer

        consumer.handler = handler
        counter = Offset(PAGE_SIZE if word == 0 else 0)
        uprobe = self.up.uprobe_register(inode, Offset(4 * word), consumer, counter)
        listener = Listener(uprobe, consumer, word, wants, answer, returns)
        self.listeners.insert(0, listener)
        for place in self.places:
            if place.inode is inode and not place.is_writable and self._wants(listener, place.mm):
                self._install(place, word)

    def unregister(self, listener: Listener) -> None:
        had = {place.mm for place in self.places if place.mm.has_uprobes}
        self.listeners.remove(listener)
        self.up.uprobe_unregister(listener.uprobe, listener.consumer)
        inode, word = listener.uprobe.inode, listener.word
        rest = self._listeners(inode, word)
        original = CODE[4 * word : 4 * word + 4] if listener.uprobe.arch else bytes(4)
        for place in self.places:
            unwanted = not any(self._wants(each, place.mm) for each in rest)
            if place.inode is inode and place.mm in had and unwanted:
                self._restore(place, word, original)
        if word == 0 and not rest:  # debts go with the probe
            self.owed = {key for key in self.owed if key[1] is not inode}

    def _on_return(self, task: Task, func: Vaddr) -> None:
        assert func in (TEXT + 4 * 8, TEXT + 4 * 11, *(TEXT + 4 * word for word in PROBED))

    def _listeners(self, inode: Inode, word: int) -> list[Listener]:
        return [e for e in self.listeners if e.uprobe.inode is inode and e.word == word]

    @staticmethod
    def _wants(listener: Listener, mm: Mm) -> bool:
        return listener.wants is None or mm in listener.wants

    # --- the model --------------------------------------------------------

    def _install(self, place: Place, word: int) -> None:
        if place.words[word] != TRAP:
            place.words[word] = TRAP
            if word == 0:
                self._count(place, +1)

    def _restore(self, place: Place, word: int, original: bytes) -> None:
        if place.words[word] == TRAP:
            place.words[word] = original
            if word == 0:
                self._count(place, -1)

    def _count(self, place: Place, d: int) -> None:
        key = place.mm, place.inode
        if key in self.counters:
            self.counters[key] += d
        elif d > 0:
            self.owed.add(key)
        else:
            self.owed.discard(key)

    def _check_calls(self) -> Iterator[tuple[Mm, Listener]]:
        """Check that all consumers of a hit were called, the newest first; give removals."""
        at = 0
        while at < len(self.calls):
            task, inode, word, _ = self.calls[at]
            there = self._listeners(inode, word)
            expected = [(task, inode, word, each.consumer.id) for each in there]
            assert self.calls[at : at + len(there)] == expected, "wrong handlers, or wrong order"
            at += len(there)
            unanimous = all(e.answer == HandlerResult.UPROBE_HANDLER_REMOVE for e in there)
            asks = self.up.has("removal_asks_filters")
            if unanimous and not (asks and any(self._wants(each, task.mm) for each in there)):
                yield task.mm, there[0]

    def _remove(self, mm: Mm, listener: Listener) -> None:
        for place in self.places:
            if place.mm is mm and place.inode is listener.uprobe.inode:
                word = listener.word
                self._restore(place, word, CODE[4 * word : 4 * word + 4])

    # --- what must hold ---------------------------------------------------

    def check(self) -> None:
        """Check everything that must hold between any two operations."""
        self._check_memory()
        self._check_counters()
        self._check_tasks()
        self._check_references()

    def _check_memory(self) -> None:
        for place in self.places:
            mm, start = place.mm, place.start
            code = mm.read(start, PAGE_SIZE)
            wrong = {
                word: code[4 * word : 4 * word + 4].hex()
                for word, data in enumerate(place.words)
                if code[4 * word : 4 * word + 4] != data
            }
            assert not wrong, f"memory at {start:#x}: words {wrong}"
            assert not any(code[4 * len(WORDS) :]), f"memory at {start:#x}: behind the code"
            if any(data == TRAP for data in place.words):
                assert mm.has_uprobes, "a breakpoint, and no MMF_HAS_UPROBES"
        for inode in self.files:
            frame = inode.page(0)
            assert frame is not None
            assert bytes(frame.data) == FILE[:PAGE_SIZE], "the file was written"

    def _check_counters(self) -> None:
        for (mm, inode), value in self.counters.items():
            found = int.from_bytes(mm.read(self.counter_at(inode), 2), "little", signed=True)
            assert found == value, "semaphore"
        assert len(self.up.delayed) == len(self.owed), "semaphores owed"

    def _check_tasks(self) -> None:
        stepping: dict[Mm, int] = {}
        for task in self.machine.tasks.created:
            assert task.killed_by in (None, Signal.SIGKILL), f"{task.pid}: {task.killed_by}"
            utask = task.utask
            if utask is None or task.dead:
                continue
            steps = utask.active_uprobe is not None
            state = UprobeTaskState.UTASK_SSTEP if steps else UprobeTaskState.UTASK_RUNNING
            assert utask.state is state, "state of a task"
            assert bool(utask.xol_vaddr) == steps, "slot of a task"
            assert utask.depth <= 64
            stepping[task.mm] = stepping.get(task.mm, 0) + steps
        for mm in {task.mm for task in self.tasks}:
            area = uprobes_state(mm).xol_area
            if area is not None:
                assert 3 - area.free_slots == stepping.get(mm, 0), "slots taken"

    def _check_references(self) -> None:
        held: dict[Uprobe, int] = {}
        for listener in self.listeners:
            held[listener.uprobe] = held.get(listener.uprobe, 0) + 1
        for task in self.tasks:
            utask = task.utask
            if utask is None:
                continue
            stable = [
                each.uprobe
                for each in utask.return_instances
                if each.state is HprobeState.HPROBE_STABLE
            ]
            for uprobe in (*stable, *([utask.active_uprobe] if utask.active_uprobe else [])):
                held[uprobe] = held.get(uprobe, 0) + 1
        for uprobe in {*self.up, *held}:
            assert uprobe.ref == held.get(uprobe, 0), "references"

    def finish(self) -> None:
        """Unregister everything, let all functions return, and look for what is left."""
        for listener in list(self.listeners):
            self.unregister(listener)
        self.check()
        for turn in range(6 * len(self.tasks)):
            self.run(TURN, turn)
        self.check()
        assert list(self.up) == []
        for task in self.tasks:
            assert task.utask is None or task.utask.depth == 0, "return instances are left"
        for key, value in self.counters.items():
            assert value == 0 or key in self.unmapped_while_armed, "semaphore is not back"
        assert Act.LEAK not in [each.act for each in self.up.log or []]
