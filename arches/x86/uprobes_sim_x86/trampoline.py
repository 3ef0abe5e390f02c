"""The two trampolines of 64-bit tasks, and the system calls that they make.

A function with a return probe returns to code that makes the system call
uretprobe (6.11); a no-op of five bytes becomes a call of code that makes the
system call uprobe (6.18). Both are after arch/x86/kernel/uprobes.c.
"""

import struct
from typing import Final, cast

from uprobes_sim.arch import Abi, ArchUprobe
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import Access, Mm, PageFault, Vma, VmFlags
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.swbp import handle_syscall_uprobe
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_MASK, PAGE_SIZE, Vaddr, page_align
from uprobes_sim.uretprobes import uprobe_handle_trampoline
from uprobes_sim.version import Config
from uprobes_sim.write import uprobe_write_opcode
from uprobes_sim.xol import uprobes_state
from uprobes_sim_x86.concerns import RED_ZONE
from uprobes_sim_x86.probe import X86Uprobe
from uprobes_sim_x86.regs import PtRegs

INT3: Final = b"\xcc"
CALL: Final = b"\xe8"
CALL_INSN_SIZE: Final = 5
"""Length of the call, and so of a no-op that it may replace."""

URETPROBE_TRAMPOLINE: Final = bytes.fromhex("50 51 4153 48c7c04f010000 0f05 415b 59 c3 cc")
"""push %rax, %rcx, %r11; uretprobe; pop %r11, %rcx; ret, to what has become of rax."""
_URETPROBE_INSNS: Final = 8
_URETPROBE_SYSCALL_END: Final = URETPROBE_TRAMPOLINE.index(b"\x0f\x05") + 2

UPROBE_TRAMPOLINE: Final = bytes.fromhex("51 4153 50 48c7c050010000 0f05 58 415b 59 c3 cc")
"""push %rcx, %r11, %rax; uprobe; pop them; ret."""
_UPROBE_INSNS: Final = 1 + 9
"""With the call that stands for the no-op."""

_NAME: Final = "[uprobes-trampoline]"
_FLAGS: Final = (
    VmFlags.READ | VmFlags.EXEC | VmFlags.MAYREAD | VmFlags.MAYEXEC | VmFlags.DONTCOPY | VmFlags.IO
)
_REACH: Final = 1 << 31
"""How far a call goes, in bytes."""


@hookimpl
def arch_uretprobe_trampoline(abi: Abi, config: Config) -> bytes:
    by_syscall = abi.bits == 64 and config.kernel.has("x86_uretprobe_syscall")
    return URETPROBE_TRAMPOLINE if by_syscall else INT3


def trampoline_syscall(task: Task, regs: PtRegs, name: str) -> int:
    """Do the system call *name*, one of `SYSCALLS`; SIGILL where its stack is not there."""
    behaviour, do = SYSCALLS[name]
    if regs.bits != 64 or not task.config.kernel.has(behaviour):
        return -Errno.ENOSYS
    try:
        return do(task, regs)
    except PageFault:
        return _sigill(task)


def _uretprobe(task: Task, regs: PtRegs) -> int:
    """Return from a probed function: what was pushed becomes rcx, r11 and the return address."""
    state = uprobes_state(task.mm)
    entry = state.trampoline_vaddr
    if entry is None or regs.ip != entry + _URETPROBE_SYSCALL_END:
        return _sigill(task)
    ip, bottom = regs.ip, regs.sp
    top = bottom + 24
    r11, cx, ax = struct.unpack("<3Q", task.mm.read(bottom, 24))
    _restore(regs, ax=ax, cx=cx, r11=r11, sp=top)
    state.uprobes.trampoline_insns += _URETPROBE_INSNS

    uprobe_handle_trampoline(state.uprobes, task)

    if regs.sp == top:  # else a handler wants another stack, and goes on there
        _push(task, bottom, (regs.get("r11"), regs.get("cx"), regs.ip), dead=2)
        _sysret(regs, ip, bottom)
    return regs.ax


def _uprobe(task: Task, regs: PtRegs) -> int:
    """Hit a probe whose no-op has become a call."""
    if not _in_uprobe_trampoline(task.mm, regs.ip):
        return -Errno.ENXIO
    ip, bottom = regs.ip, regs.sp
    top = bottom + 32
    ax, r11, cx, returns_to = struct.unpack("<4Q", task.mm.read(bottom, 32))
    _restore(regs, ax=ax, cx=cx, r11=r11, sp=top)
    site = regs.ip = Vaddr(returns_to - CALL_INSN_SIZE)
    uprobes_state(task.mm).uprobes.trampoline_insns += _UPROBE_INSNS

    handle_syscall_uprobe(task, site)

    if regs.sp != top:
        return regs.ax
    if regs.ip != site:
        returns_to = regs.ip
    _push(task, bottom, (regs.ax, regs.get("r11"), regs.get("cx"), returns_to), dead=4)
    _sysret(regs, ip, bottom)
    return 0


SYSCALLS: Final = {
    "uretprobe": ("x86_uretprobe_syscall", _uretprobe),
    "uprobe": ("x86_nop5_optimized", _uprobe),
}
"""The calls of the trampolines: since when there are which, and what they do."""


def _restore(regs: PtRegs, *, ax: int, cx: int, r11: int, sp: int) -> None:
    """Show handlers the registers that the program had."""
    regs.set("ax", ax)
    regs.set("cx", cx)
    regs.set("r11", r11)
    regs.sp = Vaddr(sp)


def _push(task: Task, bottom: Vaddr, words: tuple[int, ...], *, dead: int) -> None:
    """Give the trampoline *words* to pop; the first *dead* of them stay below the stack."""
    task.mm.write(bottom, struct.pack(f"<{len(words)}Q", *words))
    residue = uprobes_state(task.mm).residue
    for at, word in enumerate(words[:dead]):
        residue[bottom + 8 * at] = word.to_bytes(8, "little")


def _sysret(regs: PtRegs, ip: Vaddr, sp: Vaddr) -> None:
    """Go back into the trampoline, with rcx and r11 as the instruction leaves them."""
    regs.ip, regs.sp = ip, sp
    regs.set("r11", regs.flags)
    regs.set("cx", ip)


def _sigill(task: Task) -> int:
    task.force_sig(SigInfo(Signal.SIGILL, SiCode.SI_KERNEL))
    return -1


# --- the call in place of a no-op ---------------------------------------------


class Trampolines:
    """`uprobes_state.head_tramps`: the pages of one process. A child of fork has none."""

    def __init__(self, mm: Mm) -> None:
        """Start without a page."""
        self._mm = mm
        self._pages: list[Vaddr] = []

    def get(self, vaddr: Vaddr) -> Vaddr:
        """Find a page that a call at *vaddr* reaches, or map one (get_uprobe_trampoline).

        Raises:
            KernelError: ENOMEM, no room in reach.
        """
        end = vaddr + CALL_INSN_SIZE
        for page in self._pages:
            if -_REACH <= page - end < _REACH:
                return page
        page = _nearest_room(self._mm, end)
        self._mm.mmap(page, PAGE_SIZE, _FLAGS, name=_NAME)
        self._mm.fault(page, Access.EXEC).data[: len(UPROBE_TRAMPOLINE)] = UPROBE_TRAMPOLINE
        self._pages.append(page)
        return page


def _nearest_room(mm: Mm, vaddr: int) -> Vaddr:
    """Find the free page nearest to *vaddr* (find_nearest_trampoline).

    Raises:
        KernelError: ENOMEM, none is in reach.
    """
    above = page_align(vaddr)
    for vma in mm.vmas.values():
        if vma.start >= above + PAGE_SIZE:
            break
        above = max(above, vma.end)
    below = (vaddr & ~PAGE_MASK) - PAGE_SIZE
    for vma in reversed(mm.vmas.values()):
        if vma.end <= below:
            break
        below = min(below, vma.start - PAGE_SIZE)
    rooms = [
        (abs(page - vaddr), page)
        for page in (below, above)
        if PAGE_SIZE <= page < mm.task_size and -_REACH <= page - vaddr < _REACH
    ]
    if not rooms:
        raise KernelError(Errno.ENOMEM, f"no room for a trampoline in reach of {vaddr:#x}")
    return Vaddr(min(rooms)[1])


@hookimpl
def arch_uprobe_init_state(mm: Mm) -> object:
    return Trampolines(mm) if mm.abi.bits == 64 else None


def can_optimize(probe: X86Uprobe, vaddr: Vaddr, config: Config) -> bool:
    """Tell whether the no-op at *vaddr* may become a call.

    It stays a breakpoint where the defects of the call are not to act.
    """
    return (
        config.kernel.has("x86_nop5_optimized")
        and config.errata == "linux"
        and RED_ZONE.concerns(probe.decoded)
        and vaddr & PAGE_MASK <= PAGE_SIZE - CALL_INSN_SIZE
    )


@hookimpl
def arch_uprobe_optimize(auprobe: ArchUprobe, vaddr: Vaddr, task: Task) -> bool:
    probe, mm = cast(X86Uprobe, auprobe), task.mm
    if not probe.can_optimize or probe.optimize_fail:
        return False
    try:
        if mm.read(vaddr, 1, force=True) != INT3:
            return False
        trampolines = cast(Trampolines, uprobes_state(mm).arch)
        distance = trampolines.get(vaddr) - (vaddr + CALL_INSN_SIZE)
        call = CALL + distance.to_bytes(4, "little", signed=True)
        mm.write(Vaddr(vaddr + 1), call[1:], force=True)
        mm.write(vaddr, call[:1], force=True)
    except (KernelError, PageFault):
        probe.optimize_fail = True
    return not probe.optimize_fail


@hookimpl
def set_swbp(auprobe: ArchUprobe, vma: Vma, vaddr: Vaddr) -> bytes:
    if cast(X86Uprobe, auprobe).can_optimize and _is_optimized(vma.mm, vaddr):
        return b""
    hook = uprobes_state(vma.mm).uprobes.hook
    return uprobe_write_opcode(hook, vma, vaddr, INT3, is_register=True)


@hookimpl
def set_orig_insn(auprobe: ArchUprobe, vma: Vma, vaddr: Vaddr) -> bytes:
    probe = cast(X86Uprobe, auprobe)
    if probe.can_optimize and _is_optimized(vma.mm, vaddr):
        vma.mm.write(vaddr, INT3, force=True)
        vma.mm.write(Vaddr(vaddr + 1), probe.insn[1:CALL_INSN_SIZE], force=True)
    hook = uprobes_state(vma.mm).uprobes.hook
    return uprobe_write_opcode(hook, vma, vaddr, probe.insn[:1], is_register=False)


def _is_optimized(mm: Mm, vaddr: Vaddr) -> bool:
    """Tell whether there is a call of a trampoline that is mapped here."""
    try:
        found = mm.read(vaddr, CALL_INSN_SIZE, force=True)
    except PageFault:
        return False
    distance = int.from_bytes(found[1:], "little", signed=True)
    target = vaddr + CALL_INSN_SIZE + distance
    return found[:1] == CALL and _in_uprobe_trampoline(mm, target)


def _in_uprobe_trampoline(mm: Mm, vaddr: int) -> bool:
    vma = mm.find_vma(vaddr)
    return vma is not None and vma.name == _NAME
