"""Constants of 64-bit tasks: arch/arm64/include/asm/uprobes.h and its like."""

from typing import Final

from uprobes_sim.arch import Abi, ArchInfo
from uprobes_sim.uapi import GENERIC, Layout, Uapi
from uprobes_sim.units import Vaddr

AARCH64_INSN_SIZE: Final = 4

_TASK_SIZE: Final = 1 << 48
_STACK_TOP: Final = _TASK_SIZE - (64 << 20)
"""The page of slots is put above it."""
_MMAP_GAP: Final = 128 << 20
"""Room that the stack has to grow into."""
_EM_AARCH64: Final = 183
_CAPSTONE_ARM64: Final = 1

_UAPI: Final = Uapi(
    stat=GENERIC.stat,
    stat64=GENERIC.stat64,
    sigaction=Layout("L:handler L:flags L:restorer"),
    o_directory=0o40000,
    o_nofollow=0o100000,
    o_direct=0o200000,
    o_largefile=0o400000,
)
"""asm-generic, but for the flags of open that arm has had from the beginning."""

INFO: Final = ArchInfo(
    name="arm64",
    abi=Abi(64, "little"),
    elf_machines=frozenset({_EM_AARCH64}),
    swbp_insn=(0xD42000A0).to_bytes(AARCH64_INSN_SIZE, "little"),
    max_insn_bytes=AARCH64_INSN_SIZE,
    xol_slot_bytes=AARCH64_INSN_SIZE,
    task_size=_TASK_SIZE,
    stack_top=Vaddr(_STACK_TOP),
    mmap_base=Vaddr(_STACK_TOP - _MMAP_GAP),
    load_bias=Vaddr(0xAAAA_AAAA_A000),
    syscall_table="arm64",
    machine="aarch64",
    claims=("step", "emulate", "return", "longjmp", "processes", "fork", "scan", "qemu"),
    uapi=_UAPI,
    capstone=(_CAPSTONE_ARM64, 0),
)
"""The breakpoint is `brk #5`."""
