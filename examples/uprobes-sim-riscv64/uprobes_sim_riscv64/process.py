"""Program start and system calls of riscv64: arch/riscv/kernel/process.c, asm/syscall.h."""

from typing import Final, cast

from uprobes_sim.arch import Abi, Regs
from uprobes_sim.errno import Errno
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import Mm
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config
from uprobes_sim_riscv64.regs import A0, A7, TP, PtRegs
from uprobes_sim_riscv64.vdso import map_vdso

_AT_HWCAP: Final = 16

HWCAP: Final = sum(1 << ord(letter) - ord("a") for letter in "imafdc")
"""The extensions by their letters."""

_ARGUMENTS: Final = range(A0, A0 + 6)
_FLUSH_LOCAL: Final = 1
"""The only flag of riscv_flush_icache."""


@hookimpl
def arch_regs(abi: Abi, config: Config) -> Regs:
    return PtRegs()


@hookimpl
def start_thread(entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, config: Config) -> Regs:
    map_vdso(mm)
    regs = PtRegs()
    regs.ip, regs.sp = entry, sp
    return regs


@hookimpl
def copy_thread(task: Task, sp: int | None, tls: int | None) -> Regs:
    regs = cast(PtRegs, task.regs).copy()
    regs.set_x(A0, 0)
    if sp is not None:
        regs.sp = Vaddr(sp)
    if tls is not None:
        regs.set_x(TP, tls)
    return regs


@hookimpl
def syscall_get_nr(regs: Regs) -> int:
    return cast(PtRegs, regs).x(A7) & 0xFFFF_FFFF


@hookimpl
def syscall_get_arguments(regs: Regs) -> tuple[int, ...]:
    return tuple(cast(PtRegs, regs).x(number) for number in _ARGUMENTS)


@hookimpl
def syscall_set_return_value(regs: Regs, error: int, value: int) -> None:
    cast(PtRegs, regs).set_x(A0, -error if error else value)


@hookimpl
def regs_return_value(regs: Regs) -> int:
    return cast(PtRegs, regs).x(A0)


@hookimpl
def arch_syscall(task: Task, name: str, args: tuple[int, ...]) -> int:
    if name == "riscv_flush_icache":
        if args[2] & ~_FLUSH_LOCAL:
            return -Errno.EINVAL
        if args[1] > args[0]:
            task.mm.flush_icache_range(args[0], args[1] - args[0])
        return 0
    return -Errno.ENOSYS


@hookimpl
def arch_auxv(abi: Abi, config: Config) -> dict[int, int | bytes]:
    return {_AT_HWCAP: HWCAP}
