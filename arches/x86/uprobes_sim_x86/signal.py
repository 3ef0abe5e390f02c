"""Signal frames of x86: arch/x86/kernel/signal_64.c and signal_32.c."""

from collections.abc import Mapping
from typing import Final, cast

from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import PageFault
from uprobes_sim.siginfo import (
    SIGINFO_SIZE,
    pack_altstack,
    pack_siginfo,
    pack_sigset,
    stack_t_size,
    unpack_altstack,
    unpack_sigset,
)
from uprobes_sim.signals import (
    SA_ONSTACK,
    SA_RESTORER,
    SA_SIGINFO,
    SigAction,
    SigInfo,
)
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.fpu import (
    FXSAVE_SIZE,
    fsave_header,
    restore_xstate,
    save_xstate,
)
from uprobes_sim_x86.regs import EXTENDED, PtRegs

_SIGCONTEXT_64: Final = Layout(
    "Q:r8 Q:r9 Q:r10 Q:r11 Q:r12 Q:r13 Q:r14 Q:r15 Q:di Q:si Q:bp Q:bx Q:dx Q:ax Q:cx Q:sp Q:ip"
    " Q:flags H:cs H:gs H:fs H:ss Q:err Q:trapno Q:oldmask Q:cr2 Q:fpstate 64x"
)
_SIGCONTEXT_32: Final = Layout(
    "I:gs I:fs I:es I:ds I:di I:si I:bp I:sp I:bx I:dx I:cx I:ax I:trapno I:err I:ip I:cs I:flags"
    " I:sp_at_signal I:ss I:fpstate I:oldmask I:cr2"
)
_LEGACY: Final = ("di", "si", "bp", "bx", "dx", "ax", "cx", "sp")
_GENERAL: Final = {
    64: (*EXTENDED, *_LEGACY),
    32: _LEGACY,
}

_REDZONE: Final = 128
_XSTATE_ALIGN: Final = 64
_FSAVE_SIZE: Final = 112
_FPSTATE_32_SIZE: Final = 624
"""`struct _fpstate_32` has room in the old frame that nobody uses any more."""

_UC_FLAGS_64: Final = 7
"""UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS."""
_UC_FLAGS_32: Final = 1

_FLAGS_CLEARED: Final = 0x10500
"""DF, RF and TF: a handler starts without."""
_FLAGS_RESTORED: Final = 0x50DD5
"""FIX_EFLAGS: what a program may have in flags."""

_USER_DS: Final = 0x2B
_NO_SYSCALL: Final = (1 << 64) - 1

_UC_SIZE: Final = {64: 304, 32: 116}
_MCONTEXT_AT: Final = {64: 40, 32: 20}
_RT_HEAD_32: Final = Layout("I:pretcode I:sig I:pinfo I:puc")
_RETCODE_RT: Final = bytes.fromhex("b8ad000000cd8000")
_RETCODE: Final = bytes.fromhex("58b877000000cd80")
"""What returned from handlers before libraries did, and what debuggers look for."""


@hookimpl
def setup_rt_frame(task: Task, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    regs = cast(PtRegs, task.regs)
    if regs.bits == 64:
        return _setup_64(task, regs, info, action, oldset)
    if action.flags & SA_SIGINFO:
        return _setup_rt_32(task, regs, info, action, oldset)
    return _setup_32(task, regs, info, action, oldset)


@hookimpl
def arch_sigreturn(task: Task, is_rt: bool) -> int:
    regs = cast(PtRegs, task.regs)
    mm, abi, word = task.mm, task.mm.abi, regs.bits // 8
    if not is_rt:
        frame = regs.sp - 8
        context = mm.read(frame + 8, _SIGCONTEXT_32.size(32))
        high = mm.read(frame + 8 + len(context) + _FPSTATE_32_SIZE, 4)
        values = _SIGCONTEXT_32.unpack(32, "little", context)
        _restore(task, regs, values)
        return values["oldmask"] | int.from_bytes(high, "little") << 32
    frame = regs.sp - word
    uc = frame + 8 if regs.bits == 64 else frame + 16 + SIGINFO_SIZE
    context_at, stack_at = uc + _MCONTEXT_AT[regs.bits], uc + 2 * word
    layout = _SIGCONTEXT_64 if regs.bits == 64 else _SIGCONTEXT_32
    size = layout.size(abi.bits)
    values = layout.unpack(abi.bits, "little", mm.read(context_at, size))
    blocked = unpack_sigset(mm.read(context_at + size, 8), abi)
    stack, _ = unpack_altstack(mm.read(stack_at, stack_t_size(abi)), abi)
    _restore(task, regs, values)
    task.altstack = stack
    return blocked


def _restore(task: Task, regs: PtRegs, values: Mapping[str, int]) -> None:
    """Take the registers out of a frame (restore_sigcontext)."""
    image = None
    if at := values["fpstate"]:
        image = task.mm.read(at + (_FSAVE_SIZE if regs.bits == 32 else 0), FXSAVE_SIZE)
    for name in _GENERAL[regs.bits]:
        regs.set(name, values[name])
    regs.ip = Vaddr(values["ip"])
    kept = regs.flags & ~_FLAGS_RESTORED
    regs.flags = kept | values["flags"] & _FLAGS_RESTORED
    regs.orig_ax = _NO_SYSCALL & regs.mask
    if image is not None:
        restore_xstate(regs, image)


def _sigsp(task: Task, regs: PtRegs, action: SigAction) -> int:
    """Find where the frame ends (get_sigframe)."""
    stack, sp = task.altstack, int(regs.sp)
    if action.flags & SA_ONSTACK and stack is not None and sp not in stack:
        return stack.sp + stack.size
    return sp - _REDZONE if regs.bits == 64 else sp


def _context(task: Task, regs: PtRegs, info: SigInfo, oldset: int, fpstate: int) -> dict[str, int]:
    """Fill a sigcontext (setup_sigcontext)."""
    values = {name: regs.get(name) for name in (*_GENERAL[regs.bits], "ip", "flags", "cs", "ss")}
    values |= {"err": task.thread.error_code, "trapno": task.thread.trap_nr}
    values |= {"cr2": task.thread.fault_address, "oldmask": oldset, "fpstate": fpstate}
    if regs.bits == 32:
        tls = min(regs.tls, default=None)
        values |= {"ds": _USER_DS, "es": _USER_DS, "sp_at_signal": int(regs.sp)}
        values["gs"] = 0 if tls is None else tls << 3 | 3
    return values


def _setup_64(task: Task, regs: PtRegs, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    abi, image = task.mm.abi, save_xstate(regs)
    fpstate = _sigsp(task, regs, action) - len(image) & -_XSTATE_ALIGN
    size = 8 + _UC_SIZE[64] + SIGINFO_SIZE
    frame = (fpstate - size & -16) - 8
    context = _context(task, regs, info, oldset, fpstate)
    if not action.flags & SA_RESTORER:
        raise _no_restorer(frame)
    data = action.restorer.to_bytes(8, "little")
    data += _UC_FLAGS_64.to_bytes(8, "little") + bytes(8)
    data += pack_altstack(task.altstack, regs.sp, abi)
    data += _SIGCONTEXT_64.pack(64, "little", context) + pack_sigset(oldset, abi)
    task.mm.write(fpstate, image)
    task.mm.write(frame, data + pack_siginfo(info, abi))
    regs.set("di", info.signal)
    regs.ax = 0
    regs.set("si", frame + 8 + _UC_SIZE[64])
    regs.set("dx", frame + 8)
    _enter(regs, frame, action)
    return Vaddr(frame)


def _no_restorer(frame: int) -> PageFault:
    """Say that a program gave no address to return to, which the kernel takes for a bad frame."""
    from uprobes_sim.memory import Access, Fault

    return PageFault(frame, Access.WRITE, Fault.FORBIDDEN)


def _enter(regs: PtRegs, frame: int, action: SigAction) -> None:
    regs.sp, regs.ip = Vaddr(frame), Vaddr(action.handler)
    regs.flags &= ~_FLAGS_CLEARED


def _fpstate_32(task: Task, regs: PtRegs, action: SigAction) -> int:
    image = save_xstate(regs)
    at = (_sigsp(task, regs, action) - len(image) & -_XSTATE_ALIGN) - _FSAVE_SIZE
    task.mm.write(at, fsave_header(image) + image)
    return at


def _setup_32(task: Task, regs: PtRegs, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    fpstate = _fpstate_32(task, regs, action)
    context = _SIGCONTEXT_32.pack(32, "little", _context(task, regs, info, oldset, fpstate))
    size = 8 + len(context) + _FPSTATE_32_SIZE + 4 + len(_RETCODE)
    frame = (fpstate - size + 4 & -16) - 4
    retcode = frame + size - len(_RETCODE)
    restorer = action.restorer if action.flags & SA_RESTORER else retcode
    data = restorer.to_bytes(4, "little") + int(info.signal).to_bytes(4, "little") + context
    data += bytes(_FPSTATE_32_SIZE) + (oldset >> 32).to_bytes(4, "little") + _RETCODE
    task.mm.write(frame, data)
    regs.ax = int(info.signal)
    regs.set("dx", 0)
    regs.set("cx", 0)
    _enter(regs, frame, action)
    return Vaddr(frame)


def _setup_rt_32(task: Task, regs: PtRegs, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    abi, fpstate = task.mm.abi, _fpstate_32(task, regs, action)
    size = 16 + SIGINFO_SIZE + _UC_SIZE[32] + len(_RETCODE_RT)
    frame = (fpstate - size + 4 & -16) - 4
    pinfo, puc = frame + 16, frame + 16 + SIGINFO_SIZE
    restorer = action.restorer if action.flags & SA_RESTORER else frame + size - len(_RETCODE_RT)
    head = {"pretcode": restorer, "sig": int(info.signal), "pinfo": pinfo, "puc": puc}
    data = _RT_HEAD_32.pack(32, "little", head) + pack_siginfo(info, abi)
    data += _UC_FLAGS_32.to_bytes(4, "little") + bytes(4)
    data += pack_altstack(task.altstack, regs.sp, abi)
    data += _SIGCONTEXT_32.pack(32, "little", _context(task, regs, info, oldset, fpstate))
    data += pack_sigset(oldset, abi) + _RETCODE_RT
    task.mm.write(frame, data)
    regs.ax = int(info.signal)
    regs.set("dx", pinfo)
    regs.set("cx", puc)
    _enter(regs, frame, action)
    return Vaddr(frame)
