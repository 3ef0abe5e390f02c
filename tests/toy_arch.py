"""A toy architecture: the smallest that a program can run on, for tests of the core.

Words of four bytes, little-endian: opcode, a, b, immediate (signed).

    00 nop            01 li a,imm        02 addi a,b,imm   03 jmp imm (words)
    04 call imm       05 ret             06 ld a,b,imm     07 st a,b,imm
    08 sys            09 trap            0a trapif a       0b illegal
    0c jr a           0d push lr         0e pop lr
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from uprobes_sim import hookimpl
from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
from uprobes_sim.cpu import Cpu, Exit, Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import Refused
from uprobes_sim.linker import Linked, link_plugin
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Access, Mm, PageFault, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.task import Task, uprobe_post_sstep_notifier, uprobe_pre_sstep_notifier
from uprobes_sim.units import Vaddr
from uprobes_sim.uretprobes import ReturnInstance, RpCheck
from uprobes_sim.version import Config, Kernel

ABI: Final = Abi(64, "little")
INTERFACE: Final = 1
TRAP: Final = bytes([9, 0, 0, 0])

RW: Final = VmFlags.READ | VmFlags.WRITE | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
RX: Final = VmFlags.READ | VmFlags.EXEC | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC


def asm(*words: tuple[int, ...]) -> bytes:
    """Assemble words such as `(LI, 1, 0, 5)`; operands left out are 0."""
    return b"".join(bytes([op, *[v & 0xFF for v in (*args, 0, 0, 0)[:3]]]) for op, *args in words)


NOP, LI, ADDI, JMP, CALL, RET, LD, ST, SYS, TRAP_OP, TRAPIF, ILLEGAL, JR, PUSH, POP = range(15)
LR: Final = 15
SP: Final = 14
STEP: Final = 1


@dataclass
class PtRegs:
    """Sixteen registers (14 the stack, 15 the link), an instruction pointer, a step bit."""

    ip: Vaddr
    r: list[int] = field(default_factory=lambda: [0] * 16)
    flags: int = 0

    @property
    def sp(self) -> Vaddr:
        return Vaddr(self.r[SP])

    @sp.setter
    def sp(self, value: Vaddr) -> None:
        self.r[SP] = value

    def names(self) -> Iterable[str]:
        return [*(f"r{n}" for n in range(16)), "ip"]

    def get(self, name: str) -> int:
        return self.ip if name == "ip" else self.r[int(name[1:])]

    def set(self, name: str, value: int) -> None:
        if name == "ip":
            self.ip = Vaddr(value)
        else:
            self.r[int(name[1:])] = value


class ToyCpu:
    """Executes the toy's instructions, one by one."""

    def __init__(self) -> None:
        self.insns = 0

    def run(self, regs: Regs, mm: Mm, budget: int) -> Exit:
        assert isinstance(regs, PtRegs)
        if regs.flags & STEP:
            return self.step(regs, mm)
        for _ in range(budget):
            entered = self._one(regs, mm)
            if entered is not None:
                return entered
        return Exit(Stop.BUDGET)

    def step(self, regs: Regs, mm: Mm) -> Exit:
        assert isinstance(regs, PtRegs)
        return self._one(regs, mm) or Exit(Stop.SINGLE_STEP, SigInfo(Signal.SIGTRAP))

    def _one(self, regs: PtRegs, mm: Mm) -> Exit | None:
        try:
            frame = mm.fault(regs.ip, Access.EXEC)
            at = regs.ip & 0xFFF
            entered = self._execute(regs, mm, frame.data[at : at + 4].tobytes())
        except PageFault as fault:
            return Exit(Stop.FAULT, fault.info, trap_nr=14)
        if entered is None or entered.stop is Stop.SYSCALL:
            self.insns += 1
        return entered

    def _execute(self, regs: PtRegs, mm: Mm, word: bytes) -> Exit | None:
        op, a, b, imm = word
        imm -= (imm & 0x80) << 1
        r, following = regs.r, Vaddr(regs.ip + 4)
        match op:
            case 0:
                pass
            case 1:
                r[a] = imm & 0xFFFFFFFFFFFFFFFF
            case 2:
                r[a] = (r[b] + imm) & 0xFFFFFFFFFFFFFFFF
            case 3:
                following = Vaddr(regs.ip + 4 * imm)
            case 4:
                r[LR], following = following, Vaddr(regs.ip + 4 * imm)
            case 5:
                following = Vaddr(r[LR])
            case 6:
                r[a] = int.from_bytes(mm.read(r[b] + imm, 8), "little")
            case 7:
                mm.write(r[b] + imm, r[a].to_bytes(8, "little"))
            case 8:
                regs.ip = following
                return Exit(Stop.SYSCALL)
            case 9:
                return Exit(Stop.BREAKPOINT, SigInfo(Signal.SIGTRAP, SiCode.TRAP_BRKPT, regs.ip), 5)
            case 10:
                if r[a]:
                    info = SigInfo(Signal.SIGTRAP, SiCode.TRAP_BRKPT, regs.ip)
                    return Exit(Stop.BREAKPOINT, info, 5)
            case 12:
                following = Vaddr(r[a])
            case 13:
                mm.write(r[SP] - 8, r[LR].to_bytes(8, "little"))
                r[SP] -= 8
            case 14:
                r[LR] = int.from_bytes(mm.read(r[SP], 8), "little")
                r[SP] += 8
            case _:
                return Exit(Stop.FAULT, SigInfo(Signal.SIGILL, SiCode.ILL_ILLOPC, regs.ip), 4)
        regs.ip = following
        return None


@dataclass(slots=True)
class ToyUprobe:
    insn: bytes
    ixol: bytes


def _regs(regs: Regs) -> PtRegs:
    assert isinstance(regs, PtRegs)
    return regs


@hookimpl
def arch_info(abi: Abi) -> ArchInfo:
    return ArchInfo(
        name="toy",
        abi=abi,
        elf_machines=frozenset({0x7070}),
        swbp_insn=TRAP,
        max_insn_bytes=4,
        xol_slot_bytes=1024,
        task_size=0x7FFF_F000,
        stack_top=Vaddr(0x7000_0000),
        mmap_base=Vaddr(0x6000_0000),
        load_bias=Vaddr(0x1000_0000),
        syscall_table="x86_64",
        machine="toy",
    )


@hookimpl
def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    if insn[0] == SYS:
        raise Refused(Errno.ENOTSUPP, "toy.sys", "a system call cannot be stepped")
    return ToyUprobe(insn, insn)


@hookimpl
def is_trap_insn(insn: bytes, abi: Abi) -> bool:
    return insn[0] in (TRAP_OP, TRAPIF)


@hookimpl
def uprobe_get_swbp_addr(regs: Regs) -> Vaddr:
    return regs.ip


@hookimpl
def arch_uprobe_pre_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    assert task.utask is not None
    task.utask.autask.saved_trap_nr, task.thread.trap_nr = task.thread.trap_nr, 0xFFFF_FFFF
    regs.ip = task.utask.xol_vaddr
    _regs(regs).flags |= STEP


def _leave(regs: Regs, task: Task) -> None:
    assert task.utask is not None
    task.thread.trap_nr = task.utask.autask.saved_trap_nr
    _regs(regs).flags &= ~STEP


@hookimpl
def arch_uprobe_post_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    assert task.utask is not None
    _leave(regs, task)
    if auprobe.insn[0] not in (RET, JR):
        regs.ip = Vaddr(regs.ip - task.utask.xol_vaddr + task.utask.vaddr)
    if auprobe.insn[0] == CALL:
        _regs(regs).r[LR] = task.utask.vaddr + 4


@hookimpl
def arch_uprobe_abort_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    assert task.utask is not None
    _leave(regs, task)
    regs.ip = task.utask.vaddr


@hookimpl
def arch_uprobe_xol_was_trapped(task: Task) -> bool:
    return task.thread.trap_nr != 0xFFFF_FFFF


@hookimpl
def arch_uprobe_skip_sstep(auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
    if auprobe.insn[0] != NOP:
        return False
    regs.ip = Vaddr(regs.ip + 4)
    return True


@hookimpl
def arch_uretprobe_hijack_return_addr(
    trampoline_vaddr: Vaddr, regs: Regs, task: Task
) -> Vaddr | None:
    old = Vaddr(_regs(regs).r[LR])
    _regs(regs).r[LR] = trampoline_vaddr
    return old


@hookimpl
def arch_uretprobe_is_alive(ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
    if ctx is RpCheck.RP_CHECK_CHAIN_CALL:
        return regs.sp <= ri.stack
    return regs.sp < ri.stack


@hookimpl
def arch_uprobe_exception_notify(task: Task, stop: Stop) -> bool:
    if stop is Stop.BREAKPOINT:
        return uprobe_pre_sstep_notifier(task)
    return uprobe_post_sstep_notifier(task)


@hookimpl
def arch_cpu(abi: Abi, config: Config) -> Cpu:
    return ToyCpu()


@hookimpl
def arch_regs(abi: Abi, config: Config) -> Regs:
    return PtRegs(Vaddr(0))


@hookimpl
def start_thread(entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, config: Config) -> Regs:
    regs = PtRegs(entry)
    regs.sp = sp
    return regs


@hookimpl
def copy_thread(task: Task, sp: int | None, tls: int | None) -> Regs:
    parent = _regs(task.regs)
    regs = PtRegs(parent.ip, [0, *parent.r[1:]], parent.flags)
    if sp is not None:
        regs.sp = Vaddr(sp)
    return regs


@hookimpl
def regs_return_value(regs: Regs) -> int:
    return _regs(regs).r[1]


@hookimpl
def syscall_get_nr(regs: Regs) -> int:
    return _regs(regs).r[0]


@hookimpl
def syscall_get_arguments(regs: Regs) -> tuple[int, ...]:
    return tuple(_regs(regs).r[1:7])


@hookimpl
def syscall_set_return_value(regs: Regs, error: int, value: int) -> None:
    _regs(regs).r[0] = -error if error else value


# --- a machine that runs it ---------------------------------------------------

TEXT: Final = Vaddr(0x10000)
DATA: Final = Vaddr(0x20000)
STACK: Final = Vaddr(0x30000)


def linked() -> Linked:
    """Link the toy as it is."""
    import sys

    return link_plugin(sys.modules[__name__], "toy", ABI)


class ExitOnly:
    """System calls: every one is exit(r1)."""

    def dispatch(self, task: Task) -> None:
        task.exit_status = _regs(task.regs).r[1]


class Box:
    """A machine with one task and one file of code, mapped at TEXT."""

    def __init__(self, *words: tuple[int, ...], release: tuple[int, ...] = (6, 18)) -> None:
        self.machine = Machine(linked(), Config(Kernel(release), "generic"))
        self.code = asm(*words)
        self.inode = Inode(1, "code", self.code)
        mm = self.machine.new_mm()
        mm.mmap(TEXT, len(self.code), RX, inode=self.inode, name="code")
        mm.mmap(DATA, 0x1000, RW, name="data")
        mm.mmap(STACK - 0x1000, 0x1000, RW, name="[stack]")
        self.regs = PtRegs(TEXT)
        self.regs.sp = STACK
        self.task = Task(1000, "toy", mm, self.regs, self.machine.config)

    def run(self) -> None:
        self.machine.run(self.task, ExitOnly())

    def word(self, index: int) -> bytes:
        """The four bytes of word *index* as the task's memory holds them."""
        return self.task.mm.read(TEXT + 4 * index, 4)
