"""Signal frames of arm64: arch/arm64/kernel/signal.c."""

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
from uprobes_sim.signals import SA_ONSTACK, SA_RESTORER, SA_SIGINFO, SigAction, SigInfo
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.units import Vaddr
from uprobes_sim_arm64.regs import GENERAL, VECTORS, PtRegs

_SIGCONTEXT: Final = Layout(
    "Q:fault_address " + " ".join(f"Q:{name}" for name in (*GENERAL, "sp", "pc", "pstate")) + " 8x"
)
_FPSIMD: Final = Layout("I:magic I:size I:fpsr I:fpcr " + " ".join(f"16s:{v}" for v in VECTORS))
_FPSIMD_MAGIC: Final = 0x4650_8001
_ESR: Final = Layout("I:magic I:size Q:esr")
_ESR_MAGIC: Final = 0x4553_5201
_RECORDS: Final = 4096
"""Room for records of any kind, behind the registers."""

_UC: Final = SIGINFO_SIZE
_STACK: Final = _UC + 16
_MASK: Final = _STACK + 24
_CONTEXT: Final = _UC + 176
_FRAME_SIZE: Final = _CONTEXT + _SIGCONTEXT.size(64) + _RECORDS
"""What lies where in `struct rt_sigframe`, from its start."""

_FRAME_RECORD: Final = 16
"""x29 and x30, for those who walk the stack."""
_FRAME_POINTER, _LINK = 29, 30


@hookimpl
def setup_rt_frame(task: Task, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
    regs, abi = cast(PtRegs, task.regs), task.mm.abi
    record = _sigsp(task, regs, action) - _FRAME_RECORD & -16
    frame = record - _FRAME_SIZE & -16
    if not action.flags & SA_RESTORER:
        raise _no_restorer(frame)
    told = pack_siginfo(info, abi) if action.flags & SA_SIGINFO else b""
    data = told.ljust(SIGINFO_SIZE, b"\0") + bytes(16)
    data += pack_altstack(task.altstack, regs.sp, abi)
    data += pack_sigset(oldset, abi).ljust(_CONTEXT - _MASK, b"\0")
    data += _context(task, regs) + _records(task, regs).ljust(_RECORDS, b"\0")
    task.mm.write(frame, data)
    links = (regs.x(_FRAME_POINTER), regs.x(_LINK))
    task.mm.write(record, b"".join(link.to_bytes(8, "little") for link in links))
    regs.set_x(0, info.signal)
    if action.flags & SA_SIGINFO:
        regs.set_x(1, frame)
        regs.set_x(2, frame + _UC)
    regs.set_x(_FRAME_POINTER, record)
    regs.set_x(_LINK, action.restorer)
    regs.sp, regs.ip = Vaddr(frame), Vaddr(action.handler)
    return Vaddr(frame)


@hookimpl
def arch_sigreturn(task: Task, is_rt: bool) -> int:
    regs, mm, abi = cast(PtRegs, task.regs), task.mm, task.mm.abi
    frame = int(regs.sp)
    if frame % 16:
        raise PageFault(frame, Access.READ, Fault.FORBIDDEN)  # badframe
    size = _SIGCONTEXT.size(64)
    values = _SIGCONTEXT.unpack(64, "little", mm.read(frame + _CONTEXT, size))
    vectors = mm.read(frame + _CONTEXT + size, _FPSIMD.size(64))
    if int.from_bytes(vectors[:4], "little") != _FPSIMD_MAGIC:
        raise PageFault(frame, Access.READ, Fault.FORBIDDEN)
    blocked = unpack_sigset(mm.read(frame + _MASK, 8), abi)
    stack, _ = unpack_altstack(mm.read(frame + _STACK, stack_t_size(abi)), abi)
    for name in (*GENERAL, "sp", "pc", "pstate"):
        regs.set(name, values[name])
    _restore_vectors(regs, vectors)
    task.altstack = stack
    return blocked


def _sigsp(task: Task, regs: PtRegs, action: SigAction) -> int:
    """Find where the frame ends."""
    stack, sp = task.altstack, int(regs.sp)
    if action.flags & SA_ONSTACK and stack is not None and sp not in stack:
        return stack.sp + stack.size
    return sp


def _no_restorer(frame: int) -> PageFault:
    """Say that there is nowhere to return to: no vDSO is mapped, which would have the code."""
    return PageFault(frame, Access.WRITE, Fault.FORBIDDEN)


def _context(task: Task, regs: PtRegs) -> bytes:
    values = {name: regs.get(name) for name in (*GENERAL, "sp", "pc", "pstate")}
    values["fault_address"] = task.thread.fault_address
    return _SIGCONTEXT.pack(64, "little", values)


def _records(task: Task, regs: PtRegs) -> bytes:
    """Write floating point, and what the last exception was; zeros end the list."""
    values: dict[str, int | bytes] = {
        **{name: regs.get(name).to_bytes(16, "little") for name in VECTORS},
        "magic": _FPSIMD_MAGIC,
        "size": _FPSIMD.size(64),
        "fpsr": regs.get("fpsr"),
        "fpcr": regs.get("fpcr"),
    }
    records = _FPSIMD.pack(64, "little", values)
    if task.thread.trap_nr:
        esr = {"magic": _ESR_MAGIC, "size": _ESR.size(64), "esr": task.thread.trap_nr}
        records += _ESR.pack(64, "little", esr)
    return records


def _restore_vectors(regs: PtRegs, record: bytes) -> None:
    regs.set("fpsr", int.from_bytes(record[8:12], "little"))
    regs.set("fpcr", int.from_bytes(record[12:16], "little"))
    for number, name in enumerate(VECTORS):
        at = 16 + 16 * number
        regs.set(name, int.from_bytes(record[at : at + 16], "little"))
