"""Constants that depend on the ABI: 64-bit of either byte order, 32-bit big-endian."""

from functools import cache
from typing import Final

from uprobes_sim.arch import Abi, ArchInfo
from uprobes_sim.errors import LinkError
from uprobes_sim.units import Vaddr
from uprobes_sim_powerpc.insn import TRAP
from uprobes_sim_powerpc.uapi import POWERPC32, POWERPC64

ABIS: Final = (Abi(64, "little"), Abi(64, "big"), Abi(32, "big"))

CPUS: Final[dict[str, tuple[str, int]]] = {
    "power10": ("3.1", 0x00800200),
    "power9": ("3.0", 0x004E1202),
    "power8": ("2.07", 0x004D0200),
}
"""Newest Power ISA that each processor has, and its version register (PVR)."""


def is_radix(cpu: str) -> bool:
    """Tell whether Linux runs *cpu* with the radix MMU, and so with KUAP; else it is hash."""
    return CPUS[cpu][0] >= "3.0"


def has_isa_300(abi: Abi, level: str) -> bool:
    """Tell whether a processor of Power ISA *level* has 3.0; none of 32 bits has."""
    return abi.bits == 64 and level >= "3.0"


_EM_PPC: Final = 20
_EM_PPC64: Final = 21

_TASK_SIZE: Final = {32: 0xC0000000, 64: 0x0000400000000000}
_ELF_ET_DYN_BASE: Final = {32: 0x00400000, 64: 0x100000000}
_ROOM: Final = 64 << 20
"""Between the end of user space and the stack, and again between the stack's end and mmap."""

_CS_ARCH_PPC: Final = 4
_CS_MODE: Final = {32: 1 << 2, 64: 1 << 3}
_CS_MODE_BIG_ENDIAN: Final = 1 << 31


def capstone_mode(abi: Abi) -> tuple[int, int]:
    """Give what capstone wants to know, without asking it: that costs 20 ms."""
    return _CS_ARCH_PPC, _CS_MODE[abi.bits] | _CS_MODE_BIG_ENDIAN * (abi.byteorder == "big")


@cache
def info(abi: Abi) -> ArchInfo:
    """Gather the constants for tasks of *abi*.

    Raises:
        LinkError: no powerpc task is like that.
    """
    if abi not in ABIS:
        raise LinkError(f"powerpc has no {abi} tasks here; it has {', '.join(map(str, ABIS))}")
    task_size = _TASK_SIZE[abi.bits]
    wide = abi.bits == 64
    return ArchInfo(
        name="powerpc",
        abi=abi,
        elf_machines=frozenset({_EM_PPC64 if wide else _EM_PPC}),
        swbp_insn=TRAP.to_bytes(4, abi.byteorder),
        max_insn_bytes=8,
        xol_slot_bytes=8,
        task_size=task_size,
        stack_top=Vaddr(task_size - _ROOM),
        mmap_base=Vaddr(task_size - 2 * _ROOM),
        load_bias=Vaddr(_ELF_ET_DYN_BASE[abi.bits]),
        syscall_table="powerpc64" if wide else "powerpc",
        machine=("ppc64le" if abi.byteorder == "little" else "ppc64") if wide else "ppc",
        uapi=POWERPC64 if wide else POWERPC32,
        cpus=tuple(CPUS),
        capstone=capstone_mode(abi),
        claims=("step", "emulate", "return", "longjmp", "processes", "fork", "scan", "qemu"),
        exec_readable=not wide,  # radix can keep code from being read, and does
    )
