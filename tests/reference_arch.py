"""A small invented architecture that does everything right: what the conformance suite is tried on.

Words of four bytes in the byte order of the task: an opcode, two registers of
four bits each, and sixteen bits of signed immediate.

    00 nop              04 b imm            08 callr a         0c ldpc a,imm
    01 li a,imm         05 bz imm           09 ld a,imm(b)     0d lil a,imm32
    02 add a,b,imm      06 call imm         0a st a,imm(b)     0e sys
    03 cmp a,b          07 ret              0b adr a,imm       0f trap
    10 trapnz a         11 halt

Branches and addresses are relative to the instruction, in bytes. `lil` is two words long.
r14 is the stack pointer, r15 the link register; `cmp` sets flags, Z is bit 0, N bit 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from uprobes_sim import hookimpl
from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
from uprobes_sim.cpu import Cpu, Exit, Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import LinkError, Refused
from uprobes_sim.flow import Flow
from uprobes_sim.memory import Access, Mm, PageFault
from uprobes_sim.samples import Idioms, InsnSamples, Sample, Spot
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.task import Task, UprobeTask, uprobe_post_sstep_notifier, uprobe_pre_sstep_notifier
from uprobes_sim.units import Vaddr
from uprobes_sim.uretprobes import ReturnInstance, RpCheck
from uprobes_sim.verdict import Mechanism
from uprobes_sim.version import Config

INTERFACE: Final = 1
ABIS: Final = (Abi(64, "little"), Abi(32, "big"))

NAMES: Final = (
    *("nop", "li", "add", "cmp", "b", "bz", "call", "ret", "callr", "ld", "st", "adr", "ldpc"),
    *("lil", "sys", "trap", "trapnz", "halt"),
)
OPCODES: Final = {name: number for number, name in enumerate(NAMES)}
NOP, LI, ADD, CMP, B, BZ, CALL, RET, CALLR, LD, ST, ADR, LDPC, LIL, SYS, TRAP, TRAPNZ, HALT = range(
    18
)
SP, LR = 14, 15
Z, N, STEP = 1, 2, 0x100
EMULATED: Final = frozenset({NOP, B, BZ, CALL, ADR, LDPC})
UPROBE_TRAP_NR: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Insn:
    """An instruction, taken apart."""

    op: int
    a: int
    b: int
    imm: int
    size: int = 4


def decode(insn: bytes, abi: Abi) -> Insn:
    """Take the instruction apart that *insn* begins with."""
    word = int.from_bytes(insn[:4], abi.byteorder)
    op, imm = word >> 24, (word & 0xFFFF ^ 0x8000) - 0x8000
    if op == LIL:
        imm = int.from_bytes(insn[4:8], abi.byteorder)
    return Insn(op, word >> 20 & 15, word >> 16 & 15, imm, 8 if op == LIL else 4)


def assemble(abi: Abi, op: int, a: int = 0, b: int = 0, imm: int = 0) -> bytes:
    """Put an instruction together."""
    low = 0 if op == LIL else imm & 0xFFFF
    word = op << 24 | a << 20 | b << 16 | low
    tail = (imm & 0xFFFFFFFF).to_bytes(4, abi.byteorder) if op == LIL else b""
    return word.to_bytes(4, abi.byteorder) + tail


@dataclass
class PtRegs:
    """Sixteen registers, flags with a step bit, the instruction pointer."""

    bits: int
    ip: Vaddr = Vaddr(0)
    r: list[int] = field(default_factory=lambda: [0] * 16)
    flags: int = 0

    @property
    def sp(self) -> Vaddr:
        return Vaddr(self.r[SP])

    @sp.setter
    def sp(self, value: Vaddr) -> None:
        self.r[SP] = value

    def names(self) -> Iterable[str]:
        return [*(f"r{n}" for n in range(16)), "flags", "ip"]

    def get(self, name: str) -> int:
        if name in ("flags", "ip"):
            return int(getattr(self, name))
        if name not in self.names():
            raise KeyError(name)
        return self.r[int(name[1:])]

    def set(self, name: str, value: int) -> None:
        value &= (1 << self.bits) - 1
        if name in ("flags", "ip"):
            setattr(self, name, value)
        elif name in self.names():
            self.r[int(name[1:])] = value
        else:
            raise KeyError(name)


class ReferenceCpu:
    """Executes instructions one by one."""

    def __init__(self, abi: Abi) -> None:
        self.insns = 0
        self._abi = abi
        self._mask = (1 << abi.bits) - 1

    def run(self, regs: Regs, mm: Mm, budget: int) -> Exit:
        if _regs(regs).flags & STEP:
            return self.step(regs, mm)
        for _ in range(budget):
            entered = self._one(_regs(regs), mm)
            if entered is not None:
                return entered
        return Exit(Stop.BUDGET)

    def step(self, regs: Regs, mm: Mm) -> Exit:
        return self._one(_regs(regs), mm) or Exit(Stop.SINGLE_STEP, SigInfo(Signal.SIGTRAP))

    def _one(self, regs: PtRegs, mm: Mm) -> Exit | None:
        try:
            insn = decode(fetch(mm, regs.ip, self._abi), self._abi)
            entered = self._execute(insn, regs, mm)
        except PageFault as fault:
            return Exit(Stop.FAULT, fault.info, trap_nr=14)
        if entered is None or entered.stop is Stop.SYSCALL:
            self.insns += 1
        return entered

    def _execute(self, insn: Insn, regs: PtRegs, mm: Mm) -> Exit | None:
        a, b, r = insn.a, insn.b, regs.r
        following = regs.ip + insn.size
        match insn.op:
            case 0:
                pass
            case 1 | 13:
                r[a] = insn.imm & self._mask
            case 2:
                r[a] = r[a] + r[b] + insn.imm & self._mask
            case 3:
                regs.flags = (
                    regs.flags & ~3 | (Z if r[a] == r[b] else 0) | (N if r[a] < r[b] else 0)
                )
            case 4 | 5 | 6 | 11:
                following = branch(insn, regs)
            case 7:
                following = r[LR]
            case 8:
                following, r[LR] = r[a], following
            case 9 | 10 | 12:
                access(insn, regs, mm)
            case 14:
                regs.ip = Vaddr(following)
                return Exit(Stop.SYSCALL)
            case 16 if not r[a]:
                pass
            case 15 | 16:
                info = SigInfo(Signal.SIGTRAP, SiCode.TRAP_BRKPT, regs.ip)
                return Exit(Stop.BREAKPOINT, info, 5)
            case _:
                return Exit(Stop.FAULT, SigInfo(Signal.SIGILL, SiCode.ILL_ILLOPC, regs.ip), 4)
        regs.ip = Vaddr(following & self._mask)
        return None


def fetch(mm: Mm, ip: int, abi: Abi) -> bytes:
    """Read an instruction, a second word only where it needs one."""
    mm.fault(ip, Access.EXEC)
    first = mm.read(ip, 4, force=True)
    if decode(first, abi).size == 4:
        return first
    mm.fault(ip + 4, Access.EXEC)
    return first + mm.read(ip + 4, 4, force=True)


def branch(insn: Insn, regs: PtRegs) -> int:
    """Execute what is relative to the instruction: say where to go on."""
    target = regs.ip + insn.imm & (1 << regs.bits) - 1
    following = regs.ip + insn.size
    if insn.op == ADR:
        regs.r[insn.a] = target
        return following
    if insn.op == CALL:
        regs.r[LR] = following
    return following if insn.op == BZ and not regs.flags & Z else target


def access(insn: Insn, regs: PtRegs, mm: Mm) -> None:
    """Load or store."""
    size, mask = regs.bits // 8, (1 << regs.bits) - 1
    base = regs.ip if insn.op == LDPC else regs.r[insn.b]
    ea = base + insn.imm & mask
    if insn.op == ST:
        mm.fault(ea, Access.WRITE)
        mm.fault(ea + size - 1, Access.WRITE)
        mm.write(ea, regs.r[insn.a].to_bytes(size, mm.abi.byteorder))
    else:
        regs.r[insn.a] = int.from_bytes(mm.read(ea, size), mm.abi.byteorder)


@dataclass(slots=True)
class ReferenceUprobe:
    """`struct arch_uprobe`."""

    insn: bytes
    ixol: bytes
    decoded: Insn


def _regs(regs: Regs) -> PtRegs:
    assert isinstance(regs, PtRegs)
    return regs


def decoded(auprobe: ArchUprobe) -> Insn:
    assert isinstance(auprobe, ReferenceUprobe)
    return auprobe.decoded


def _utask(task: Task) -> UprobeTask:
    assert task.utask is not None
    return task.utask


@hookimpl
def arch_info(abi: Abi) -> ArchInfo:
    if abi not in ABIS:
        raise LinkError(f"the reference architecture has no {abi} tasks")
    return ArchInfo(
        name="reference",
        abi=abi,
        elf_machines=frozenset({0x7071}),
        swbp_insn=assemble(abi, TRAP),
        max_insn_bytes=8,
        xol_slot_bytes=16,
        task_size=0x7FFF_F000,
        stack_top=Vaddr(0x7000_0000),
        mmap_base=Vaddr(0x6000_0000),
        load_bias=Vaddr(0x1000_0000),
        syscall_table="arm64",
        machine="reference",
        claims=("step", "emulate", "return", "longjmp", "processes", "fork", "scan"),
    )


@hookimpl
def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    found = decode(insn, mm.abi)
    if vaddr % 4:
        raise Refused(Errno.EINVAL, "reference.alignment", f"{vaddr:#x} is no multiple of 4")
    if found.op in (SYS, HALT):
        raise Refused(Errno.ENOTSUPP, "reference.refused", "it cannot be stepped")
    return ReferenceUprobe(insn, insn, found)


@hookimpl
def is_trap_insn(insn: bytes, abi: Abi) -> bool:
    return decode(insn, abi).op in (TRAP, TRAPNZ)


@hookimpl
def uprobe_get_swbp_addr(regs: Regs) -> Vaddr:
    return regs.ip


@hookimpl
def arch_uprobe_pre_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    utask = _utask(task)
    utask.autask.saved_trap_nr, task.thread.trap_nr = task.thread.trap_nr, UPROBE_TRAP_NR
    regs.ip = utask.xol_vaddr
    _regs(regs).flags |= STEP


@hookimpl
def arch_uprobe_post_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    utask, insn = _utask(task), decoded(auprobe)
    task.thread.trap_nr = utask.autask.saved_trap_nr
    _regs(regs).flags &= ~STEP
    if insn.op not in (RET, CALLR):
        regs.ip = Vaddr(regs.ip - utask.xol_vaddr + utask.vaddr)
    if insn.op == CALLR:
        _regs(regs).r[LR] = utask.vaddr + insn.size


@hookimpl
def arch_uprobe_abort_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    utask = _utask(task)
    task.thread.trap_nr = utask.autask.saved_trap_nr
    regs.ip = utask.vaddr
    _regs(regs).flags &= ~STEP


@hookimpl
def arch_uprobe_xol_was_trapped(task: Task) -> bool:
    return task.thread.trap_nr != UPROBE_TRAP_NR


@hookimpl
def arch_uprobe_skip_sstep(auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
    insn = decoded(auprobe)
    if insn.op not in EMULATED:
        return False
    following = regs.ip + insn.size
    if insn.op in (B, BZ, CALL, ADR):
        following = branch(insn, _regs(regs))
    if insn.op == LDPC:
        try:
            access(insn, _regs(regs), task.mm)
        except PageFault as fault:
            task.force_sig(fault.info)  # its copy would reach for another address
            return True
    regs.ip = Vaddr(following)
    return True


@hookimpl
def arch_uprobe_mechanism(auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
    if decoded(auprobe).op in EMULATED:
        return Mechanism("emulate", "reference.emulate", "the kernel emulates it")
    return Mechanism("xol", "reference.xol", "a copy is stepped")


@hookimpl
def arch_uretprobe_hijack_return_addr(
    trampoline_vaddr: Vaddr, regs: Regs, task: Task
) -> Vaddr | None:
    orig = Vaddr(_regs(regs).r[LR])
    _regs(regs).r[LR] = trampoline_vaddr
    return orig


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
    return ReferenceCpu(abi)


@hookimpl
def arch_regs(abi: Abi, config: Config) -> Regs:
    return PtRegs(abi.bits)


@hookimpl
def start_thread(entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, config: Config) -> Regs:
    regs = PtRegs(mm.abi.bits, entry)
    regs.sp = sp
    return regs


@hookimpl
def regs_return_value(regs: Regs) -> int:
    return _regs(regs).r[0]


@hookimpl
def syscall_get_nr(regs: Regs) -> int:
    return _regs(regs).r[8]


@hookimpl
def syscall_get_arguments(regs: Regs) -> tuple[int, ...]:
    return tuple(_regs(regs).r[:6])


@hookimpl
def syscall_set_return_value(regs: Regs, error: int, value: int) -> None:
    regs.set("r0", -error if error else value)


@hookimpl
def copy_thread(task: Task, sp: int | None, tls: int | None) -> Regs:
    parent = _regs(task.regs)
    child = PtRegs(parent.bits, parent.ip, list(parent.r), parent.flags)
    child.r[0] = 0
    if sp is not None:
        child.sp = Vaddr(sp)
    return child


@hookimpl
def arch_insn_flow(insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
    return Flow(decode(insn, abi).size)


@hookimpl
def arch_format_insn(insn: bytes, abi: Abi) -> str:
    return insn[: decode(insn, abi).size].hex()


# --- samples ------------------------------------------------------------------


@hookimpl
def arch_insn_samples(abi: Abi, config: Config) -> InsnSamples:
    def find(insn: bytes) -> str | None:
        op = decode(insn, abi).op
        return NAMES[op] if op < len(NAMES) else None

    def draw(row: str, spot: Spot, random: Random) -> Sample:
        return _draw(abi, OPCODES[row], spot, random)

    return InsnSamples(
        rows=NAMES,
        registers={**{f"r{n}": (1 << abi.bits) - 1 for n in range(16) if n != SP}, "flags": 3},
        find=find,
        draw=draw,
        idioms=Idioms(
            nop=assemble(abi, NOP),
            call=lambda at, to: assemble(abi, CALL, imm=to - at),
            jump=lambda at, to: assemble(abi, B, imm=to - at),
            ret=assemble(abi, RET),
            syscall=assemble(abi, SYS),
            enter=assemble(abi, ADD, SP, 13, -16) + assemble(abi, ST, LR, SP, 0),
            leave=assemble(abi, LD, LR, SP, 0) + assemble(abi, ADD, SP, 13, 16),
        ),
        traps=tuple(assemble(abi, TRAPNZ, a) for a in range(16)),
    )


def _draw(abi: Abi, op: int, spot: Spot, random: Random) -> Sample:
    a, b = random.choice([n for n in range(16) if n != SP]), random.choice(range(14))
    imm = random.choice((0, 1, -1, 0x7FFF, -0x8000, random.randrange(-0x8000, 0x8000)))
    regs = dict[str, int]()
    if op in (B, BZ, CALL):
        imm = (random.choice(spot.code) & -4) - spot.vaddr
    elif op == RET:
        regs["r15"] = random.choice(spot.code) & -4
    elif op == CALLR:
        regs[f"r{a}"] = random.choice(spot.code) & -4
    elif op in (LD, ST):
        regs[f"r{b}"] = spot.operand - imm & (1 << abi.bits) - 1
    elif op == LDPC:
        imm = spot.operand - spot.vaddr
    elif op == LIL:
        imm = random.getrandbits(32)
    return Sample(assemble(abi, op, a, b, imm), regs)
