"""Program start and system calls of x86: arch/x86/kernel/process.c, asm/syscall.h."""

from typing import Final, cast

from uprobes_sim.arch import Abi, Regs
from uprobes_sim.errno import Errno
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import Mm
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config
from uprobes_sim_x86.regs import PtRegs
from uprobes_sim_x86.trampoline import SYSCALLS, trampoline_syscall

_ARGUMENTS: Final = {
    64: ("di", "si", "dx", "r10", "r8", "r9"),
    32: ("bx", "cx", "dx", "si", "di", "bp"),
}

AT_PLATFORM: Final = 15
AT_HWCAP: Final = 16

HWCAP: Final = 0x078B_FBFD
"""cpuid 1, edx, as the engine's processor answers it."""

_ARCH_SET_GS, _ARCH_SET_FS, _ARCH_GET_FS, _ARCH_GET_GS = 0x1001, 0x1002, 0x1003, 0x1004
_SET_BASE: Final = {_ARCH_SET_FS: "fs_base", _ARCH_SET_GS: "gs_base"}
_GET_BASE: Final = {_ARCH_GET_FS: "fs_base", _ARCH_GET_GS: "gs_base"}

_GDT_ENTRY_TLS_MIN: Final = 12
"""First entry of a 64-bit kernel's GDT that set_thread_area gives out."""
_GDT_ENTRY_TLS_ENTRIES: Final = 3
_ANY_ENTRY: Final = 0xFFFF_FFFF


@hookimpl
def arch_regs(abi: Abi, config: Config) -> Regs:
    return PtRegs(abi.bits)


@hookimpl
def start_thread(entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, config: Config) -> Regs:
    regs = PtRegs(mm.abi.bits)
    regs.ip, regs.sp = entry, sp
    return regs


@hookimpl
def copy_thread(task: Task, sp: int | None, tls: int | None) -> Regs:
    regs = cast(PtRegs, task.regs).copy()
    regs.ax = 0
    if sp is not None:
        regs.sp = Vaddr(sp)
    if tls is not None:
        _set_tls(task, regs, tls)
    return regs


def _set_tls(task: Task, regs: PtRegs, tls: int) -> None:
    """Set the thread pointer of a child: fs, or the GDT entry that *tls* describes."""
    if regs.bits == 64:
        regs.set("fs_base", tls)
        return
    entry, base = (int.from_bytes(task.mm.read(tls + at, 4), "little") for at in (0, 4))
    regs.tls[entry] = base
    regs.set("gs_base", base)


@hookimpl
def syscall_get_nr(regs: Regs) -> int:
    return cast(PtRegs, regs).orig_ax & 0xFFFF_FFFF


@hookimpl
def syscall_get_arguments(regs: Regs) -> tuple[int, ...]:
    return tuple(regs.get(name) for name in _ARGUMENTS[cast(PtRegs, regs).bits])


@hookimpl
def syscall_set_return_value(regs: Regs, error: int, value: int) -> None:
    regs.set("ax", -error if error else value)


@hookimpl
def regs_return_value(regs: Regs) -> int:
    return cast(PtRegs, regs).ax


@hookimpl
def arch_syscall(task: Task, name: str, args: tuple[int, ...]) -> int:
    regs = cast(PtRegs, task.regs)
    if name == "arch_prctl" and regs.bits == 64:
        return _arch_prctl(task, regs, args[0], args[1])
    if name == "set_thread_area" and regs.bits == 32:
        return _set_thread_area(task, regs, args[0])
    if name in SYSCALLS:
        return trampoline_syscall(task, regs, name)
    return -Errno.ENOSYS


@hookimpl
def arch_auxv(abi: Abi, config: Config) -> dict[int, int | bytes]:
    platform = b"x86_64" if abi.bits == 64 else b"i686"
    return {AT_HWCAP: HWCAP, AT_PLATFORM: platform}


def _arch_prctl(task: Task, regs: PtRegs, option: int, address: int) -> int:
    """Set or get the base of fs or gs (do_arch_prctl_64). Shadow stacks are EINVAL."""
    if option in _SET_BASE:
        if address >= task.mm.task_size:
            return -Errno.EPERM
        regs.set(_SET_BASE[option], address)
        return 0
    if option in _GET_BASE:
        task.mm.write(address, regs.get(_GET_BASE[option]).to_bytes(8, "little"))
        return 0
    return -Errno.EINVAL


def _set_thread_area(task: Task, regs: PtRegs, user_desc: int) -> int:
    """Fill an entry of the GDT; a load of fs or gs finds its base there (do_set_thread_area)."""
    first = _GDT_ENTRY_TLS_MIN
    entry = int.from_bytes(task.mm.read(user_desc, 4), "little")
    base = int.from_bytes(task.mm.read(user_desc + 4, 4), "little")
    if entry == _ANY_ENTRY:
        free = [at for at in range(first, first + _GDT_ENTRY_TLS_ENTRIES) if at not in regs.tls]
        if not free:
            return -Errno.ESRCH
        entry = free[0]
        task.mm.write(user_desc, entry.to_bytes(4, "little"))
    if not first <= entry < first + _GDT_ENTRY_TLS_ENTRIES:
        return -Errno.EINVAL
    regs.tls[entry] = base
    return 0
