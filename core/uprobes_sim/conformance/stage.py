"""Small programs of calls and returns, made of the backend's idioms, with and without probes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from uprobes_sim.arch import Regs
from uprobes_sim.conformance.bench import RW, RX
from uprobes_sim.errno import Errno
from uprobes_sim.fork import CloneArgs, CloneFlags, kernel_clone
from uprobes_sim.linker import Linked
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm
from uprobes_sim.page_cache import Inode
from uprobes_sim.samples import Idioms
from uprobes_sim.session import Options, configure
from uprobes_sim.signals import SigInfo
from uprobes_sim.syscalls.dispatch import syscall_names
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer
from uprobes_sim.xol import uprobes_state

CODE: Final = 0x100000
MAIN, LEAF, OUTER, TAIL = (Vaddr(CODE + 64 * n) for n in range(4))
"""Where the functions of every program lie: near each other, for short displacements."""
STACK: Final = 0x200000
STACK_BYTES: Final = 4 * PAGE_SIZE
SP: Final = Vaddr(STACK + 2 * PAGE_SIZE)
OTHER_SP: Final = Vaddr(STACK + 4 * PAGE_SIZE - 256)
VALUE: Final = 0x1234
"""What functions return: nothing in them touches it."""

Handler = Callable[[Task], None]


@dataclass(slots=True)
class End:
    """How a task was when it made its last system call."""

    pid: int
    sp: int
    regs: dict[str, int]
    stack: bytes
    """From its stack pointer on."""
    pending: int
    """Return probes that it has not returned through."""


@dataclass(slots=True)
class Played:
    """What happened."""

    ends: list[End] = field(default_factory=list)
    hits: list[tuple[int, int]] = field(default_factory=list)
    """Process and address of each hit."""
    returns: list[tuple[int, int, int]] = field(default_factory=list)
    """Function, address returned to, value of each return."""
    signals: list[SigInfo] = field(default_factory=list)
    trampolines: set[int] = field(default_factory=set)
    """Addresses that return addresses were replaced by."""


class Stage:
    """One program on one machine."""

    def __init__(self, linked: Linked, idioms: Idioms) -> None:
        """Set up a machine without a program."""
        self._linked = linked
        self.idioms = idioms
        """What programs are made of."""
        self._config = configure(linked, Options(errata="none"))
        self.machine = Machine(linked, self._config)
        size = linked.info.swbp_size
        fill = linked.info.swbp_insn * (PAGE_SIZE // size)
        self._text = bytearray(fill[:PAGE_SIZE])
        self._inode = Inode(1, "program", b"")
        self._children: list[CloneFlags] = []
        self.played = Played()

    def copy(self) -> "Stage":
        """Set up another machine with the same program, and no probes."""
        new = Stage(self._linked, self.idioms)
        new._text = bytearray(self._text)
        new._children = list(self._children)
        return new

    # --- the program ----------------------------------------------------------

    def write(self, at: Vaddr, *pieces: bytes | Vaddr) -> list[Vaddr]:
        """Write a function at *at*: code, or the address of a function to call.

        Answers the address of each piece, and of what is behind the last.
        """
        places = [at]
        for piece in pieces:
            code = piece if isinstance(piece, bytes) else self.idioms.call(at, piece)
            self._text[at - CODE : at - CODE + len(code)] = code
            at = Vaddr(at + len(code))
            places.append(at)
        return places

    def write_all(self) -> list[Vaddr]:
        """Write the usual program: main calls outer, which calls leaf, and then leaf by itself.

        Answers the places in main.
        """
        idioms = self.idioms
        self.write(LEAF, idioms.nop, idioms.ret)
        self.write(OUTER, idioms.enter, LEAF, idioms.leave, idioms.ret)
        self.write(TAIL, idioms.nop, idioms.jump(Vaddr(TAIL + len(idioms.nop)), LEAF))
        return self.write(MAIN, OUTER, LEAF, idioms.syscall)

    def forks(self, *flags: CloneFlags) -> None:
        """Let the first system calls of the program make children."""
        self._children = list(flags)

    # --- probes ---------------------------------------------------------------

    def probe(
        self, vaddr: Vaddr, handler: Handler | None = None, *, returns: bool = False
    ) -> UprobeConsumer:
        """Put a probe on *vaddr*; *handler* is called at each hit, or *returns* are noted."""

        def hit(task: Task) -> HandlerResult:
            self.played.hits.append((task.pid, task.regs.ip))
            if handler is not None:
                handler(task)
            return HandlerResult.KEEP

        def returned(task: Task, func: Vaddr) -> None:
            value = self._linked.hook.regs_return_value(regs=task.regs)
            self.played.returns.append((func, task.regs.ip, value))

        consumer = UprobeConsumer(handler=hit, ret_handler=returned if returns else None)
        if not self._inode.size:
            self._inode = Inode(1, "program", bytes(self._text))
        self.machine.uprobes.uprobe_register(self._inode, Offset(vaddr - CODE), consumer)
        return consumer

    def remove(self, vaddr: Vaddr, consumer: UprobeConsumer) -> None:
        """Take a probe away."""
        found = self.machine.uprobes.find_uprobe(self._inode, vaddr - CODE)
        assert found is not None
        self.machine.uprobes.uprobe_unregister(found, consumer)

    def text(self, vaddr: Vaddr, size: int) -> bytes:
        """Give bytes of the file, by their address."""
        return bytes(self._text[vaddr - CODE : vaddr - CODE + size])

    # --- the play ---------------------------------------------------------------

    def new_mm(self) -> Mm:
        """Map the program into a new address space."""
        if not self._inode.size:
            self._inode = Inode(1, "program", bytes(self._text))
        mm = self.machine.new_mm()
        mm.mmap(CODE, PAGE_SIZE, RX, inode=self._inode, name="program")
        mm.mmap(STACK, STACK_BYTES, RW, name="[stack]")
        return mm

    def play(self, mm: Mm, pid: int = 1000) -> Played:
        """Run main in *mm* until every task has made its last system call, or is killed."""
        hook = self._linked.hook
        regs = hook.arch_regs(abi=self._linked.info.abi, config=self._config)
        hook.syscall_set_return_value(regs=regs, error=0, value=VALUE)
        regs.ip, regs.sp = MAIN, SP
        task = Task(pid, "program", mm, regs, self._config)
        task.tracer = self._on_signal(task)
        self.machine.run(task, self)
        return self.played

    def _on_signal(self, task: Task) -> Callable[[SigInfo], SigInfo]:
        def see(info: SigInfo) -> SigInfo:
            self.played.signals.append(info)
            return info

        return see

    def dispatch(self, task: Task) -> None:
        """Do a system call: a trampoline's, or the program's, which makes a child or ends."""
        if self._is_arch_syscall(task):
            return
        if self._children:
            self._clone(task, self._children.pop(0))
        else:
            self._end(task)

    def _is_arch_syscall(self, task: Task) -> bool:
        """Let the backend do a call, if it is its own: return probes come by one on x86."""
        hook, info = self._linked.hook, self._linked.info
        name = syscall_names(info.syscall_table).get(hook.syscall_get_nr(regs=task.regs), "")
        args = hook.syscall_get_arguments(regs=task.regs)
        found = hook.arch_syscall(task=task, name=name, args=args)
        if found == -Errno.ENOSYS:
            return False
        hook.syscall_set_return_value(regs=task.regs, error=max(-found, 0), value=max(found, 0))
        return True

    def _clone(self, task: Task, flags: CloneFlags) -> None:
        stack = OTHER_SP if flags & CloneFlags.CLONE_VM else 0
        args = CloneArgs(flags=flags, stack=stack)
        hook = self._linked.hook
        child = kernel_clone(self.machine.tasks, self._linked, task, args)
        for each in (task, child):
            hook.syscall_set_return_value(regs=each.regs, error=0, value=VALUE)

    def _end(self, task: Task) -> None:
        state = uprobes_state(task.mm)
        if state.trampoline_vaddr is not None:
            self.played.trampolines.add(state.trampoline_vaddr)
        left = len(task.utask.return_instances) if task.utask else 0
        self.played.ends.append(End(task.pid, task.regs.sp, _values(task.regs), _stack(task), left))
        task.exit_status = 0


def _values(regs: Regs) -> dict[str, int]:
    return {name: regs.get(name) for name in regs.names()}


def _stack(task: Task) -> bytes:
    sp = task.regs.sp
    return task.mm.read(sp, STACK + STACK_BYTES - sp) if STACK <= sp < STACK + STACK_BYTES else b""


def compare(probed: Played, bare: Played) -> None:
    """Fail if the probes have changed anything."""
    found = _damage(probed, bare)
    assert not found, "; ".join(found)


def _damage(probed: Played, bare: Played) -> list[str]:
    """List what the probes have changed. A register may still name the trampoline."""
    found = [f"it gets {info.signal.name}" for info in probed.signals]
    ends = [sorted(each.ends, key=lambda end: end.pid) for each in (probed, bare)]
    if len(ends[0]) != len(ends[1]):
        return [*found, f"{len(ends[0])} tasks come to their end, not {len(ends[1])}"]
    for ours, theirs in zip(*ends, strict=True):
        found += [
            f"{name} is {value:#x}, not {theirs.regs[name]:#x}"
            for name, value in ours.regs.items()
            if value != theirs.regs[name] and value not in probed.trampolines
        ]
        if not _alike(ours.stack, theirs.stack, probed.trampolines):
            found.append("the stack is different")
        if ours.pending:
            found.append(f"{ours.pending} return probes are left behind")
    return found


def _alike(ours: bytes, theirs: bytes, trampolines: set[int]) -> bool:
    """Compare stacks, in which a return address that has been used may name the trampoline."""
    if len(ours) != len(theirs):
        return False
    names = [
        value.to_bytes(size, order)
        for value in trampolines
        for size in (4, 8)
        for order in ("little", "big")
        if value < 1 << 8 * size
    ]
    places = (at for at in range(0, len(ours), 4) if ours[at : at + 4] != theirs[at : at + 4])
    around = (ours[max(at - 4, 0) : at + 8] for at in places)
    return all(any(name in words for name in names) for words in around)


def unprobed(stage: Stage) -> Played:
    """Play the same program without probes."""
    other = stage.copy()
    return other.play(other.new_mm())
