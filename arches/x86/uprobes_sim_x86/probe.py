"""How an accepted instruction is executed: `struct arch_uprobe` and its operations.

After arch/x86/kernel/uprobes.c, default_xol_ops to push_xol_ops. The mechanism
is chosen once, when the instruction is analysed.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final, Protocol

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import Mm, PageFault
from uprobes_sim.task import ArchUprobeTask, Task, UprobeTask
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.insn import Insn
from uprobes_sim_x86.regs import (
    X86_EFLAGS_CF,
    X86_EFLAGS_OF,
    X86_EFLAGS_PF,
    X86_EFLAGS_SF,
    X86_EFLAGS_TF,
    X86_EFLAGS_ZF,
    PtRegs,
)


class Restart(KernelError):
    """-ERESTART of a post_xol operation: the original instruction is executed again."""

    def __init__(self) -> None:
        """Say why."""
        super().__init__(Errno.ERESTART, "the stack cannot be written: start over")


class Fixup(IntFlag):
    """What the default operations do after the step (UPROBE_FIX_*)."""

    IP = 0x01
    CALL = 0x02
    SETF = 0x04


class Repair(IntFlag):
    """What a step needs beyond the kernel's fix-ups to be right (`--errata none`)."""

    PUSHF = 0x01
    """TF of the step goes from the flags that were pushed."""
    SYSCALL = 0x02
    """One instruction is stepped, not two, and rcx and r11 do not tell of the slot."""
    REP = 0x04
    """All iterations are one step."""


@dataclass(slots=True)
class X86UprobeTask(ArchUprobeTask):
    """`struct arch_uprobe_task` of x86."""

    saved_scratch_register: int = 0
    saved_tf: bool = False


class XolOps(Protocol):
    """`struct uprobe_xol_ops`."""

    def emulate(self, regs: PtRegs, mm: Mm) -> bool:
        """Execute it by software; False: it must be stepped."""
        ...

    def pre_xol(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Prepare the registers for the copy in the slot."""
        ...

    def post_xol(self, regs: PtRegs, task: Task, utask: UprobeTask) -> None:
        """Make the registers right after the step.

        Raises:
            Restart: the instruction must be executed again.
        """
        ...

    def abort(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Undo `pre_xol`."""
        ...


@dataclass(slots=True)
class X86Uprobe:
    """`struct arch_uprobe` of x86. `insn` and `ixol` are one array there."""

    insn: bytes
    ixol: bytes
    ops: XolOps
    decoded: Insn
    """The instruction as the file has it."""
    repairs: Repair
    can_optimize: bool = False
    """A no-op of five bytes, which becomes a call at its first hit."""
    optimize_fail: bool = False
    """That has failed once, and is not tried again."""

    def repair(self, regs: PtRegs, mm: Mm, utask: UprobeTask) -> None:
        """Make right after the step what the kernel would leave wrong."""
        if Repair.PUSHF in self.repairs and not autask(utask).saved_tf:
            high = Vaddr(regs.sp + 1)  # the byte with TF, however wide the push
            mm.write(high, bytes([mm.read(high, 1)[0] & ~(X86_EFLAGS_TF >> 8)]))

    def leave_slot(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Give a system call the registers of the original: a child of fork has them, too."""
        regs.ip = Vaddr(utask.vaddr + self.decoded.length)
        regs.set("cx", regs.ip)
        if not autask(utask).saved_tf:
            regs.set("r11", regs.get("r11") & ~X86_EFLAGS_TF)
            regs.flags &= ~X86_EFLAGS_TF


def sizeof_long(regs: PtRegs) -> int:
    """Bytes of a return address."""
    return regs.bits // 8


def emulate_push_stack(regs: PtRegs, mm: Mm, value: int) -> bool:
    """Push *value*; False, and nothing has changed: the stack cannot be written."""
    size = sizeof_long(regs)
    sp = (regs.sp - size) & regs.mask
    try:
        mm.write(sp, (value & regs.mask).to_bytes(size, "little"))
    except PageFault:
        return False
    regs.sp = Vaddr(sp)
    return True


def autask(utask: UprobeTask) -> X86UprobeTask:
    """Find the x86 part of *utask*, made now if this is the first step."""
    if not isinstance(utask.autask, X86UprobeTask):
        utask.autask = X86UprobeTask(utask.autask.saved_trap_nr)
    return utask.autask


@dataclass(frozen=True, slots=True)
class DefaultOps:
    """Step a copy, then repair what depends on the place (default_xol_ops)."""

    ilen: int
    fixups: Fixup
    scratch: str | None = None
    """Register that stands for ip in the copy of an ip-relative instruction."""

    def emulate(self, regs: PtRegs, mm: Mm) -> bool:
        """Leave it to the processor."""
        return False

    def pre_xol(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Put the address of the next instruction into the scratch register."""
        if self.scratch is not None:
            autask(utask).saved_scratch_register = regs.get(self.scratch)
            regs.set(self.scratch, utask.vaddr + self.ilen)

    def abort(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Give the scratch register its value back (riprel_post_xol)."""
        if self.scratch is not None:
            regs.set(self.scratch, autask(utask).saved_scratch_register)

    def post_xol(self, regs: PtRegs, task: Task, utask: UprobeTask) -> None:
        """Repair the scratch register, ip or the return address."""
        self.abort(regs, utask)
        if Fixup.IP in self.fixups:
            regs.ip = Vaddr(regs.ip + utask.vaddr - utask.xol_vaddr)
        if Fixup.CALL in self.fixups:
            regs.sp = Vaddr(regs.sp + sizeof_long(regs))
            if not emulate_push_stack(regs, task.mm, utask.vaddr + self.ilen):
                raise Restart
        if Fixup.SETF in self.fixups:
            autask(utask).saved_tf = True  # TF is as popf has set it


_CONDITIONS: Final = (
    lambda f: f & X86_EFLAGS_OF,
    lambda f: f & X86_EFLAGS_CF,
    lambda f: f & X86_EFLAGS_ZF,
    lambda f: f & (X86_EFLAGS_CF | X86_EFLAGS_ZF),
    lambda f: f & X86_EFLAGS_SF,
    lambda f: f & X86_EFLAGS_PF,
    lambda f: bool(f & X86_EFLAGS_SF) != bool(f & X86_EFLAGS_OF),
    lambda f: f & X86_EFLAGS_ZF or bool(f & X86_EFLAGS_SF) != bool(f & X86_EFLAGS_OF),
)
"""Conditions 0, 2, 4, ... of jcc; the odd ones are their opposites (SDM vol. 1, B.1)."""


def check_jmp_cond(opcode: int, flags: int) -> bool:
    """Tell whether a branch is taken; all but 70 to 7f always are."""
    if not 0x70 <= opcode <= 0x7F:
        return True
    return bool(_CONDITIONS[opcode >> 1 & 7](flags)) != bool(opcode & 1)


@dataclass(frozen=True, slots=True)
class BranchOps:
    """Jumps, calls and no-ops (branch_xol_ops)."""

    opcode: int
    """Of the short form."""
    ilen: int
    offset: int

    def emulate(self, regs: PtRegs, mm: Mm) -> bool:
        """Go where the branch goes; a call whose push fails is stepped."""
        offset = self.offset
        regs.ip = Vaddr(regs.ip + self.ilen)
        if self.opcode == 0xE8:
            if not emulate_push_stack(regs, mm, regs.ip):
                return False
        elif not check_jmp_cond(self.opcode, regs.flags):
            offset = 0
        regs.ip = Vaddr(regs.ip + offset)
        return True

    def pre_xol(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Do nothing: the copy of the call has no offset, and is about to fault."""

    def abort(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Do nothing."""

    def post_xol(self, regs: PtRegs, task: Task, utask: UprobeTask) -> None:
        """Start over: the stack has become writable in the meantime."""
        regs.sp = Vaddr(regs.sp + sizeof_long(regs))
        raise Restart


@dataclass(frozen=True, slots=True)
class PushOps:
    """push of a register (push_xol_ops)."""

    register: str
    ilen: int

    def emulate(self, regs: PtRegs, mm: Mm) -> bool:
        """Push; where that fails, the processor shall raise the fault."""
        if not emulate_push_stack(regs, mm, regs.get(self.register)):
            return False
        regs.ip = Vaddr(regs.ip + self.ilen)
        return True

    def pre_xol(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Do nothing."""

    def abort(self, regs: PtRegs, utask: UprobeTask) -> None:
        """Do nothing."""

    def post_xol(self, regs: PtRegs, task: Task, utask: UprobeTask) -> None:
        """Do nothing: ip is left in the slot, since push_xol_ops has no such operation."""
