"""Constants of the two kinds of tasks: arch/x86/include/asm/uprobes.h and its like."""

from typing import Final, Literal

from uprobes_sim.arch import Abi, ArchInfo
from uprobes_sim.uapi import Uapi
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.uapi import I386, X86_64

_CAPSTONE_X86: Final = 3
_STACK_GAP: Final = 64 << 20
"""Room above the stack, where the page of slots is put."""
_MMAP_GAP: Final = 128 << 20
"""Room that the stack has to grow into."""


def _info(
    bits: Literal[32, 64], task_size: int, load_bias: int, table: str, elf: int, uapi: Uapi
) -> ArchInfo:
    abi = Abi(bits, "little")
    stack_top = task_size - _STACK_GAP
    return ArchInfo(
        name="x86",
        abi=abi,
        elf_machines=frozenset({elf}),
        swbp_insn=b"\xcc",
        max_insn_bytes=16,
        xol_slot_bytes=128,
        task_size=task_size,
        stack_top=Vaddr(stack_top),
        mmap_base=Vaddr(stack_top - _MMAP_GAP),
        load_bias=Vaddr(load_bias),
        syscall_table=table,
        machine="x86_64",
        syscall_insn_size=2,
        uapi=uapi,
        capstone=(_CAPSTONE_X86, bits // 8),
        claims=(
            *("step", "emulate", "return", "longjmp", "processes", "fork", "scan"),
            "kernel",
        ),
    )


INFO: Final = {
    info.abi: info
    for info in (
        _info(64, 0x7FFF_FFFF_F000, 0x5555_5555_4000, "x86_64", 62, X86_64),
        _info(32, 0xFFFF_E000, 0x5655_5000, "i386", 3, I386),
    )
}
