"""Program start and system calls of arm64: arch/arm64/kernel/process.c, asm/syscall.h."""

from typing import Final, cast

from uprobes_sim.arch import Abi, Regs
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import Mm
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config
from uprobes_sim_arm64.regs import PtRegs

_AT_PLATFORM: Final = 15
_AT_HWCAP: Final = 16
_AT_HWCAP2: Final = 26

HWCAP: Final = 0b1_1111_1011
"""fp, asimd, aes, pmull, sha1, sha2, crc32, atomics: what the engine's processor has."""

_SYSCALL_NUMBER: Final = 8
_ARGUMENTS: Final = range(6)


@hookimpl
def arch_regs(abi: Abi, config: Config) -> Regs:
    return PtRegs()


@hookimpl
def start_thread(entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, config: Config) -> Regs:
    regs = PtRegs()
    regs.ip, regs.sp = entry, sp
    return regs


@hookimpl
def copy_thread(task: Task, sp: int | None, tls: int | None) -> Regs:
    regs = cast(PtRegs, task.regs).copy()
    regs.set_x(0, 0)
    if sp is not None:
        regs.sp = Vaddr(sp)
    if tls is not None:
        regs.set("tpidr_el0", tls)
    return regs


@hookimpl
def syscall_get_nr(regs: Regs) -> int:
    return cast(PtRegs, regs).x(_SYSCALL_NUMBER) & 0xFFFF_FFFF


@hookimpl
def syscall_get_arguments(regs: Regs) -> tuple[int, ...]:
    return tuple(cast(PtRegs, regs).x(number) for number in _ARGUMENTS)


@hookimpl
def syscall_set_return_value(regs: Regs, error: int, value: int) -> None:
    cast(PtRegs, regs).set_x(0, -error if error else value)


@hookimpl
def regs_return_value(regs: Regs) -> int:
    return cast(PtRegs, regs).x(0)


@hookimpl
def arch_auxv(abi: Abi, config: Config) -> dict[int, int | bytes]:
    return {_AT_HWCAP: HWCAP, _AT_HWCAP2: 0, _AT_PLATFORM: b"aarch64\0"}
