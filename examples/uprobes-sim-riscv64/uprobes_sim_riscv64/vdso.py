"""The page that the kernel gives to every program: it has the code behind signal handlers.

A real vDSO is an ELF file, which AT_SYSINFO_EHDR names; nobody is told of this one.
"""

from typing import Final

from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.units import PAGE_SIZE, Vaddr

_NAME: Final = "[vdso]"
_FLAGS: Final = VmFlags.READ | VmFlags.EXEC | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
_RT_SIGRETURN: Final = bytes.fromhex("9308b00873000000")
"""li a7, 139; ecall (arch/riscv/kernel/vdso/rt_sigreturn.S)."""


def map_vdso(mm: Mm) -> None:
    """Map the page into a new address space (arch_setup_additional_pages)."""
    at = mm.get_unmapped_area(PAGE_SIZE)
    mm.mmap(at, PAGE_SIZE, _FLAGS, name=_NAME)
    mm.write(at, _RT_SIGRETURN, force=True)


def rt_sigreturn(mm: Mm) -> Vaddr | None:
    """Find the code to which signal handlers return; None: the program has unmapped it."""
    return next((Vaddr(vma.start) for vma in mm.vmas.values() if vma.name == _NAME), None)
