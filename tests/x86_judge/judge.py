"""Executes a case by the engine and by this machine's processor, and compares."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import capstone
from unicorn import x86_const as x86

from uprobes_sim.cpu import Exit
from uprobes_sim.memory import Access, PageFault, VmFlags
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim_x86.engine import X86Guest
from uprobes_sim_x86.host.execute import execute
from uprobes_sim_x86.insn import Insn, decode
from uprobes_sim_x86.regs import EXTENDED, GENERAL
from uprobes_sim_x86.semantics.execute import execute_own
from uprobes_sim_x86.semantics.operands import Misaligned
from x86_box import DATA, RX, TEXT, Box
from x86_judge.draw import MEMORY, VECTORS, Case

FLAGS: Final = 0xCD5
"""The flags that instructions of a user compute, and DF."""
_UNDEFINED: Final = tuple(
    (getattr(capstone.x86, f"X86_EFLAGS_UNDEFINED_{name}"), bit)
    for name, bit in {"CF": 1, "PF": 4, "AF": 0x10, "ZF": 0x40, "SF": 0x80, "OF": 0x800}.items()
)
_PAGES: Final = 16
_EMPTY: Final = 3


@dataclass(slots=True)
class State:
    """What an instruction can change."""

    end: Exit
    ip: int
    general: list[int]
    flags: int
    vectors: list[int]
    upper: list[int]
    mxcsr: int
    x87: list[tuple[int, int]]
    control: int
    status: int
    empty: int
    """A bit for each x87 register that holds nothing."""
    memory: bytes = field(repr=False)


@dataclass(slots=True)
class Verdict:
    """A case, and what became of it on either side."""

    case: Case
    insn: Insn
    text: str
    ours: State
    theirs: State

    @property
    def different(self) -> set[str]:
        """The fields in which the two states differ."""
        names = State.__slots__
        return {n for n in names if getattr(self.ours, n) != getattr(self.theirs, n)}


class Judge:
    """One engine and the host, fed with the same cases."""

    def __init__(self, bits: Literal[32, 64]) -> None:
        """Judge tasks of *bits*."""
        self._bits = bits
        self._box = Box("", bits, text=RX | VmFlags.WRITE)
        cpu = self._box.cpu
        self._guest = cast(X86Guest, cpu._guest)
        self._uc = cpu._uc
        self._box.step()  # from now on the engine holds the vectors of this task
        mode = capstone.CS_MODE_64 if bits == 64 else capstone.CS_MODE_32
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, mode)
        self._capstone.detail = True
        self._names = (*GENERAL, *EXTENDED) if bits == 64 else GENERAL

    def judge(self, case: Case) -> Verdict:
        """Execute *case* on both sides."""
        insn = decode(case.code.ljust(16, b"\0"), self._bits, as_processor=True)
        text, undefined = self._described(case.code)
        ours, theirs = self._by_engine(case), self._by_host(case, insn)
        ours.flags &= ~undefined
        theirs.flags &= ~undefined
        return Verdict(case, insn, text, ours, theirs)

    def is_ours(self, case: Case) -> bool:
        """Tell whether our own tables execute *case* to its end."""
        self._prepare(case)
        insn = decode(case.code.ljust(16, b"\0"), self._bits)
        try:
            return execute_own(insn, self._box.regs, self._box.mm)
        except (PageFault, Misaligned):
            return False

    def _described(self, code: bytes) -> tuple[str, int]:
        """Name an instruction, and the flags that it leaves undefined."""
        for insn in self._capstone.disasm(code, TEXT):
            undefined = sum(bit for name, bit in _UNDEFINED if insn.eflags & name)
            return f"{insn.mnemonic} {insn.op_str}".strip(), undefined
        return "?", 0

    def _by_engine(self, case: Case) -> State:
        self._prepare(case)
        return self._state(self._box.step())

    def _by_host(self, case: Case, insn: Insn) -> State:
        self._prepare(case)
        regs = self._box.regs
        try:
            found = execute(self._uc, regs, self._box.mm, insn)
        except PageFault as fault:
            found = self._guest.segfault(regs, fault)
        if found is None:
            found = self._guest.interrupt(regs, 1)
        return self._state(found)

    def _prepare(self, case: Case) -> None:
        mm, regs, uc = self._box.mm, self._box.regs, self._uc
        mm.write(TEXT, case.code.ljust(16, b"\x90"))
        for page in range(_PAGES):
            frame = mm.fault(DATA + page * PAGE_SIZE, Access.WRITE)
            frame.data[:] = bytes(PAGE_SIZE)
        mm.write(DATA, case.memory)
        for name, value in zip(self._names, case.general, strict=False):
            regs.set(name, value)
        regs.ip, regs.flags, regs.extended = Vaddr(TEXT), case.flags | 0x202, case.upper
        for number in range(VECTORS[self._bits]):
            uc.reg_write(x86.UC_X86_REG_XMM0 + number, case.vectors[number])
        for number, pair in enumerate(case.x87):
            uc.reg_write(x86.UC_X86_REG_FP0 + number, pair)
        uc.reg_write(x86.UC_X86_REG_MXCSR, case.mxcsr)
        uc.reg_write(x86.UC_X86_REG_FPCW, case.control)
        uc.reg_write(x86.UC_X86_REG_FPSW, case.status)
        uc.reg_write(x86.UC_X86_REG_FPTAG, case.tags)

    def _state(self, end: Exit) -> State:
        regs, uc = self._box.regs, self._uc
        tags, vectors = uc.reg_read(x86.UC_X86_REG_FPTAG), range(VECTORS[self._bits])
        return State(
            end=end,
            ip=regs.ip,
            general=[regs.get(name) for name in self._names],
            flags=regs.flags & FLAGS,
            vectors=[uc.reg_read(x86.UC_X86_REG_XMM0 + n) for n in vectors],
            upper=[regs.upper(n) for n in vectors],
            mxcsr=uc.reg_read(x86.UC_X86_REG_MXCSR),
            x87=[uc.reg_read(x86.UC_X86_REG_FP0 + n) for n in range(8)],
            control=uc.reg_read(x86.UC_X86_REG_FPCW),
            status=uc.reg_read(x86.UC_X86_REG_FPSW),
            empty=sum((tags >> 2 * n & 3 == _EMPTY) << n for n in range(8)),
            memory=self._box.mm.read(DATA, MEMORY),
        )


def show(value: Any) -> str:
    """Write a field of a state for people."""
    if isinstance(value, Exit):
        info = value.info
        told = f" {info.signal.name} {info.code} {info.addr:#x}" if info else ""
        return f"{value.stop.name}{told} trap {value.trap_nr}"
    if isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, bytes):
        return value.hex()
    return " ".join(f"{n:x}" if isinstance(n, int) else f"{n[1]:x}:{n[0]:x}" for n in value)
