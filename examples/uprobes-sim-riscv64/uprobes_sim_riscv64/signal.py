"""Signal frames of riscv64: arch/riscv/kernel/signal.c."""

from typing import Final, cast

from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import Access, Fault, PageFault
from uprobes_sim.siginfo import (
    SIGINFO_SIZE,
    pack_altstack,
    pack_siginfo,
    pack_sigset,
    stack_t_size,
    unpack_altstack,
    unpack_sigset,
)
from uprobes_sim.signals import SA_ONSTACK, SigAction, SigInfo
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.units import Vaddr
from uprobes_sim_riscv64.regs import A0, GENERAL, RA, REST, PtRegs
from uprobes_sim_riscv64.vdso import rt_sigreturn

_SAVED: Final = ("epc", *GENERAL, *REST, "fcsr")
_SIGCONTEXT: Final = Layout(
    " ".join(f"Q:{name}" for name in ("epc", *GENERAL, *REST)) + " I:fcsr 268x"
)
"""`struct user_regs_struct`, and a union as long as floating point of 128 bits would be."""

_UC: Final = SIGINFO_SIZE
_STACK: Final = _UC + 16
_MASK: Final = _STACK + 24
_CONTEXT: Final = _UC + 176
_FRAME_SIZE: Final = _CONTEXT + _SIGCONTEXT.size(64)
"""What lies where in `struct rt_sigframe`, from its start."""


@hookimpl
def setup_rt_frame(task: Task, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    regs, abi = cast(PtRegs, task.regs), task.mm.abi
    frame = _sigsp(task, regs, action) - _FRAME_SIZE & -16
    back = rt_sigreturn(task.mm)
    data = pack_siginfo(info, abi).ljust(_STACK, b"\0")
    data += pack_altstack(task.altstack, regs.sp, abi)
    data += pack_sigset(oldset, abi).ljust(_CONTEXT - _MASK, b"\0")
    data += _SIGCONTEXT.pack(64, "little", {name: regs.get(name) for name in _SAVED})
    task.mm.write(frame, data)
    regs.set_x(RA, 0 if back is None else back)
    regs.set_x(A0, info.signal)
    regs.set_x(A0 + 1, frame)
    regs.set_x(A0 + 2, frame + _UC)
    regs.sp, regs.ip = Vaddr(frame), Vaddr(action.handler)
    return Vaddr(frame)


@hookimpl
def arch_sigreturn(task: Task, is_rt: bool) -> int:
    regs, mm, abi = cast(PtRegs, task.regs), task.mm, task.mm.abi
    frame = int(regs.sp)
    if frame % 8:
        raise PageFault(frame, Access.READ, Fault.FORBIDDEN)  # access_ok and badframe
    context = mm.read(frame + _CONTEXT, _SIGCONTEXT.size(64))
    values = _SIGCONTEXT.unpack(64, "little", context)
    blocked = unpack_sigset(mm.read(frame + _MASK, 8), abi)
    stack, _ = unpack_altstack(mm.read(frame + _STACK, stack_t_size(abi)), abi)
    for name in _SAVED:
        regs.set(name, values[name])
    task.altstack = stack
    return blocked


def _sigsp(task: Task, regs: PtRegs, action: SigAction) -> int:
    """Find where the frame ends (get_sigframe)."""
    stack, sp = task.altstack, int(regs.sp)
    if action.flags & SA_ONSTACK and stack is not None and sp not in stack:
        return stack.sp + stack.size
    return sp
