"""Constants of riscv64: arch/riscv/include/asm/uprobes.h and its like."""

from typing import Final

from uprobes_sim.arch import Abi, ArchInfo
from uprobes_sim.units import Vaddr

C_EBREAK: Final = bytes.fromhex("0290")
"""The breakpoint of a kernel that knows compressed instructions."""
EBREAK: Final = bytes.fromhex("73001000")
"""What lies behind the copy in a slot, in place of a single step (__BUG_INSN_32)."""

_TASK_SIZE: Final = 1 << 38
"""Page tables of three levels."""
_STACK_TOP: Final = _TASK_SIZE - (64 << 20)
"""The page of slots is put above it."""
_MMAP_GAP: Final = 128 << 20
"""Room that the stack has to grow into."""
_EM_RISCV: Final = 243
_CAPSTONE_RISCV: Final = 15
_CAPSTONE_RV64GC: Final = 1 << 1 | 1 << 2

INFO: Final = ArchInfo(
    name="riscv64",
    abi=Abi(64, "little"),
    elf_machines=frozenset({_EM_RISCV}),
    swbp_insn=C_EBREAK,
    opcode_bytes=4,
    max_insn_bytes=8,
    xol_slot_bytes=8,
    task_size=_TASK_SIZE,
    stack_top=Vaddr(_STACK_TOP),
    mmap_base=Vaddr(_STACK_TOP - _MMAP_GAP),
    load_bias=Vaddr(0x2A_AAAA_A000),
    syscall_table="riscv64",
    machine="riscv64",
    claims=("step", "emulate", "return", "longjmp", "processes", "fork", "scan", "qemu"),
    capstone=(_CAPSTONE_RISCV, _CAPSTONE_RV64GC),
)
