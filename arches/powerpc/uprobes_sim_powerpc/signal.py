"""Signal frames of powerpc: arch/powerpc/kernel/signal_64.c, signal_32.c and the vdso's part."""

import struct
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.siginfo import (
    SIGINFO_SIZE,
    pack_altstack,
    pack_siginfo,
    pack_sigset,
    stack_t_size,
    unpack_altstack,
    unpack_sigset,
)
from uprobes_sim.signals import SA_ONSTACK, SA_SIGINFO, SYNCHRONOUS, SiCode, SigAction, SigInfo
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim_powerpc.abi import info as abi_info
from uprobes_sim_powerpc.isa.interrupts import DECREMENTER, PROGRAM, TRACE
from uprobes_sim_powerpc.regs import MSR_LE, PtRegs

_VDSO_GAP: Final = 1 << 20
"""Of the vdso above the stack."""
_SIGTRAMP_64: Final = (0x4E800421, 0x38210080, 0x380000AC, 0x44000002)
"""bctrl; addi r1,r1,128; li r0,__NR_rt_sigreturn; sc: enters the handler, too."""
_SIGTRAMP_32: Final = (0x38000077, 0x44000002, 0x60000000, 0x60000000)
"""li r0,__NR_sigreturn; sc."""
_SIGTRAMP_RT32: Final = (0x380000AC, 0x44000002)
_RT32_AT: Final = 16

_SIGNAL_FRAMESIZE: Final = {64: 128, 32: 64}
_REDZONE_64: Final = 512
_ABIGAP_32: Final = 224

_MSR_VSX, _MSR_VEC = 1 << 23, 1 << 25
_NGREG: Final = 48
_NVRREG: Final = 34

_UC_MASK_64, _UC_STACK_64, _UC_CONTEXT_64 = 40, 16, 168
_VREGS_64: Final = 720
"""Of vmx_reserve in struct sigcontext."""
_VMX_RESERVE: Final = 808
_UC_SIZE_64: Final = _UC_CONTEXT_64 + _VREGS_64 + _VMX_RESERVE
_RT_INFO_64: Final = _UC_SIZE_64 + 16 + 32 + 16
"""Of the siginfo: behind _unused, the old trampoline, pinfo and puc."""

_MCONTEXT_SIZE: Final = 1248
_UC_STACK_32, _UC_REGS_32, _UC_MASK_32, _UC_CONTEXT_32 = 8, 48, 52, 192


def map_vdso(mm: Mm) -> None:
    """Map the page to whose code signal handlers return (arch_setup_additional_pages)."""
    flags = VmFlags.READ | VmFlags.EXEC | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
    base = _vdso(mm.abi)
    mm.mmap(base, PAGE_SIZE, flags, name="[vdso]")
    order = "<" if mm.abi.byteorder == "little" else ">"
    words = _SIGTRAMP_64 if mm.abi.bits == 64 else (*_SIGTRAMP_32, *_SIGTRAMP_RT32)
    mm.write(base, struct.pack(f"{order}{len(words)}I", *words), force=True)


def _vdso(abi: Abi) -> Vaddr:
    return Vaddr(abi_info(abi).stack_top + _VDSO_GAP)


def setup_frame(task: Task, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    """Put a frame on the stack and enter the handler (handle_rt_signal64, handle_signal32)."""
    assert isinstance(task.regs, PtRegs)
    if task.regs.bits == 64:
        return _setup_64(task, task.regs, info, action, oldset)
    if action.flags & SA_SIGINFO:
        return _setup_rt_32(task, task.regs, info, action, oldset)
    return _setup_32(task, task.regs, info, action, oldset)


def sigreturn(task: Task, *, is_rt: bool) -> int:
    """Take the registers out of the frame; answer the signals to be blocked."""
    regs, mm, abi = task.regs, task.mm, task.mm.abi
    assert isinstance(regs, PtRegs)
    if abi.bits == 64:
        uc = regs.gpr[1]
        context, stack = uc + _UC_CONTEXT_64, uc + _UC_STACK_64
        blocked = unpack_sigset(mm.read(uc + _UC_MASK_64, 8), abi)
        _restore_64(regs, mm.read(context, _VREGS_64 + _VMX_RESERVE), context, abi)
    elif is_rt:
        uc = regs.gpr[1] + _SIGNAL_FRAMESIZE[32] + 16 + SIGINFO_SIZE
        stack = uc + _UC_STACK_32
        blocked = unpack_sigset(mm.read(uc + _UC_MASK_32, 8), abi)
        at = int.from_bytes(mm.read(uc + _UC_REGS_32, 4), abi.byteorder)
        _restore_32(regs, mm.read(at, _MCONTEXT_SIZE))
    else:
        context = regs.gpr[1] + _SIGNAL_FRAMESIZE[32]
        high, _, _, low, at = struct.unpack(">12x5I", mm.read(context, 32))
        _restore_32(regs, mm.read(at, _MCONTEXT_SIZE))
        return int(high << 32 | low)
    task.altstack, _ = unpack_altstack(mm.read(stack, stack_t_size(abi)), abi)
    return blocked


def _frame(task: Task, regs: PtRegs, action: SigAction, size: int) -> int:
    """Find room for a frame of *size* bytes (get_sigframe)."""
    stack, sp = task.altstack, int(regs.sp)
    if action.flags & SA_ONSTACK and stack is not None and sp not in stack:
        sp = stack.sp + stack.size
    return sp - size & -16


def _gp_regs(task: Task, regs: PtRegs, info: SigInfo) -> list[int]:
    """List the general registers, and what else pt_regs has, in its order."""
    thread, last = task.thread, [regs.nip, regs.msr, regs.orig_gpr3, regs.ctr, regs.link]
    last += [regs.xer, regs.ccr, 1 if regs.bits == 64 else 0, _trap(regs, info)]
    last += [thread.fault_address, thread.error_code, 0]
    return [*regs.gpr, *last, *[0] * (_NGREG - 32 - len(last))]


def _trap(regs: PtRegs, info: SigInfo) -> int:
    """Name the interrupt that led to the signal: the decrementer's, where it was only a probe's."""
    caused = info.signal in SYNCHRONOUS and info.code > SiCode.SI_USER
    return regs.trap if caused or regs.trap not in (PROGRAM, TRACE) else DECREMENTER


def _load_gp_regs(regs: PtRegs, words: tuple[int, ...]) -> None:
    """Load what a program may change; of MSR that is the byte order (restore_sigcontext)."""
    regs.gpr[:] = words[:32]
    regs.nip, msr, regs.orig_gpr3, regs.ctr, regs.link, regs.xer, regs.ccr = words[32:39]
    regs.msr = regs.msr & ~MSR_LE | msr & MSR_LE
    regs.trap = 0


# --- 64 bits --------------------------------------------------------------------


def _setup_64(task: Task, regs: PtRegs, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    abi = task.mm.abi
    frame = _frame(task, regs, action, _RT_INFO_64 + SIGINFO_SIZE + _REDZONE_64)
    uc = bytes(16) + pack_altstack(task.altstack, regs.sp, abi) + pack_sigset(oldset, abi)
    uc = uc.ljust(_UC_CONTEXT_64, b"\0")
    uc += _sigcontext_64(task, regs, info, action, oldset, frame + _UC_CONTEXT_64)
    pointers = struct.pack(_order(abi) + "2Q", frame + _RT_INFO_64, frame)
    task.mm.write(frame, uc + bytes(48) + pointers + pack_siginfo(info, abi))
    sp = frame - _SIGNAL_FRAMESIZE[64]
    task.mm.write(sp, regs.gpr[1].to_bytes(8, abi.byteorder))

    regs.gpr[1], regs.gpr[3] = sp, int(info.signal)
    regs.gpr[4:7] = [frame + _RT_INFO_64, frame, frame]
    if not action.flags & SA_SIGINFO:
        regs.gpr[4] = frame + _UC_CONTEXT_64
    regs.nip, regs.fpscr = _vdso(abi), 0
    regs.ctr = regs.gpr[12] = action.handler
    if regs.elf_v1:
        descriptor = task.mm.read(action.handler, 16)
        regs.ctr, regs.gpr[2] = struct.unpack(">2Q", descriptor)
    return Vaddr(frame)


def _sigcontext_64(
    task: Task, regs: PtRegs, info: SigInfo, action: SigAction, oldset: int, at: int
) -> bytes:
    """Write a sigcontext that lies at address *at* (setup_sigcontext)."""
    order = _order(task.mm.abi)
    v_regs = at + _VREGS_64 + 15 & ~15
    words = _gp_regs(task, regs, info)
    words[33] |= _MSR_VEC | _MSR_VSX
    head = (int(info.signal), 0, action.handler, oldset, at + 64)
    data = bytes(32) + struct.pack(order + "2i3Q", *head)
    data += struct.pack(f"{order}{_NGREG}Q", *words)
    data += struct.pack(order + "34Q", *regs.hi[:32], regs.fpscr, v_regs)
    vmx = b"".join(_vector(regs.hi[n], regs.lo[n], order) for n in range(32, 64))
    vmx += _vector(0, regs.vscr, order) + struct.pack(order + "I12x", regs.vrsave)
    vsx = struct.pack(order + "32Q", *regs.lo[:32])
    reserve = bytes(v_regs - at - _VREGS_64) + vmx + vsx
    return data + reserve.ljust(_VMX_RESERVE, b"\0")


def _restore_64(regs: PtRegs, data: bytes, at: int, abi: Abi) -> None:
    order = _order(abi)
    words = struct.unpack_from(f"{order}{_NGREG}Q", data, 64)
    _load_gp_regs(regs, words)
    *regs.hi[:32], regs.fpscr, v_regs = struct.unpack_from(order + "34Q", data, 448)
    vmx_at = v_regs - at
    if words[33] & _MSR_VEC and 0 <= vmx_at <= len(data) - 16 * _NVRREG:
        for n in range(32, 64):
            regs.hi[n], regs.lo[n] = _halves(data, vmx_at + 16 * (n - 32), order)
        regs.vscr = _halves(data, vmx_at + 512, order)[1] & 0xFFFFFFFF
        (regs.vrsave,) = struct.unpack_from(order + "I", data, vmx_at + 528)
    vsx_at = vmx_at + 16 * _NVRREG
    if words[33] & _MSR_VSX and 0 <= vsx_at <= len(data) - 256:
        regs.lo[:32] = struct.unpack_from(order + "32Q", data, vsx_at)


def _order(abi: Abi) -> str:
    return "<" if abi.byteorder == "little" else ">"


def _vector(high: int, low: int, order: str) -> bytes:
    """Write a vector as a store of it would: 128 bits in the byte order of the task."""
    halves = (low, high) if order == "<" else (high, low)
    return struct.pack(order + "2Q", *halves)


def _halves(data: bytes, at: int, order: str) -> tuple[int, int]:
    first, second = struct.unpack_from(order + "2Q", data, at)
    return (second, first) if order == "<" else (first, second)


# --- 32 bits --------------------------------------------------------------------


def _setup_32(task: Task, regs: PtRegs, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    frame = _frame(task, regs, action, 32 + _MCONTEXT_SIZE + _ABIGAP_32)
    mcontext = frame + 32
    words = (oldset >> 32, int(info.signal), action.handler, oldset & 0xFFFFFFFF, mcontext)
    task.mm.write(frame, struct.pack(">12x5I", *words) + _mcontext_32(task, regs, info))
    _enter_32(task, regs, info, action, frame - _SIGNAL_FRAMESIZE[32], _vdso(task.mm.abi))
    regs.gpr[4] = frame
    return Vaddr(frame)


def _setup_rt_32(task: Task, regs: PtRegs, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    abi = task.mm.abi
    size = SIGINFO_SIZE + _UC_CONTEXT_32 + _MCONTEXT_SIZE + _ABIGAP_32
    frame = _frame(task, regs, action, size)
    uc_at = frame + SIGINFO_SIZE
    uc = bytes(_UC_STACK_32) + pack_altstack(task.altstack, regs.sp, abi)
    uc = uc.ljust(_UC_REGS_32, b"\0") + (uc_at + _UC_CONTEXT_32).to_bytes(4, "big")
    uc = (uc + pack_sigset(oldset, abi)).ljust(_UC_CONTEXT_32, b"\0")
    task.mm.write(frame, pack_siginfo(info, abi) + uc + _mcontext_32(task, regs, info))
    sp, tramp = frame - _SIGNAL_FRAMESIZE[32] - 16, _vdso(abi) + _RT32_AT
    _enter_32(task, regs, info, action, sp, tramp)
    regs.gpr[4:7] = [frame, uc_at, frame]
    return Vaddr(frame)


def _enter_32(
    task: Task, regs: PtRegs, info: SigInfo, action: SigAction, sp: int, tramp: int
) -> None:
    task.mm.write(sp, regs.gpr[1].to_bytes(4, "big"))
    regs.gpr[1], regs.gpr[3] = sp, int(info.signal)
    regs.link, regs.nip, regs.fpscr = tramp, action.handler, 0


def _mcontext_32(task: Task, regs: PtRegs, info: SigInfo) -> bytes:
    """Write the registers of a 32-bit task: no vectors, as its processors have none."""
    words = [word & 0xFFFFFFFF for word in _gp_regs(task, regs, info)]
    data = struct.pack(f">{_NGREG}I", *words) + struct.pack(">33Q", *regs.hi[:32], regs.fpscr)
    return data.ljust(_MCONTEXT_SIZE, b"\0")


def _restore_32(regs: PtRegs, data: bytes) -> None:
    _load_gp_regs(regs, struct.unpack_from(f">{_NGREG}I", data, 0))
    *regs.hi[:32], regs.fpscr = struct.unpack_from(">33Q", data, 4 * _NGREG)
