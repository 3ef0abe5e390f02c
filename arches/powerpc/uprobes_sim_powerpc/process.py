"""A program's first registers and auxiliary vector, after arch/powerpc/kernel/process.c."""

from functools import cache
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.memory import Mm
from uprobes_sim.symbols import Image, Symbol
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim_powerpc.abi import CPUS, has_isa_300, info
from uprobes_sim_powerpc.isa.system import SPR_PVR, dcache_block
from uprobes_sim_powerpc.regs import MSR_LE, MSR_SF, MSR_USER, PtRegs
from uprobes_sim_powerpc.signal import map_vdso

VSCR_NJ: Final = 0x00010000
"""Vector arithmetic takes denormals for zeros: so the kernel starts every program."""

_EF_PPC64_ABI: Final = 3
_ELF_V2: Final = 2

_AT_PLATFORM: Final = 15
_AT_HWCAP: Final = 16
_AT_DCACHEBSIZE: Final = 19
_AT_ICACHEBSIZE: Final = 20
_AT_BASE_PLATFORM: Final = 24
_AT_HWCAP2: Final = 26

_PPC_FEATURE_32: Final = 0x80000000
_PPC_FEATURE_64: Final = 0x40000000
_PPC_FEATURE_HAS_ALTIVEC: Final = 0x10000000
_PPC_FEATURE_HAS_FPU: Final = 0x08000000
_PPC_FEATURE_HAS_MMU: Final = 0x04000000
_PPC_FEATURE_ICACHE_SNOOP: Final = 0x00002000
_PPC_FEATURE_ARCH_2_05: Final = 0x00001000
_PPC_FEATURE_ARCH_2_06: Final = 0x00000100
_PPC_FEATURE_HAS_VSX: Final = 0x00000080
_PPC_FEATURE_TRUE_LE: Final = 0x00000002

_PPC_FEATURE2_ARCH_2_07: Final = 0x80000000
_PPC_FEATURE2_DSCR: Final = 0x20000000
_PPC_FEATURE2_ISEL: Final = 0x08000000
_PPC_FEATURE2_TAR: Final = 0x04000000
_PPC_FEATURE2_VEC_CRYPTO: Final = 0x02000000

_HWCAP_32: Final = _PPC_FEATURE_32 | _PPC_FEATURE_HAS_FPU | _PPC_FEATURE_HAS_MMU
_HWCAP_64: Final = (
    _HWCAP_32
    | _PPC_FEATURE_64
    | _PPC_FEATURE_HAS_ALTIVEC
    | _PPC_FEATURE_ICACHE_SNOOP
    | _PPC_FEATURE_ARCH_2_05
    | _PPC_FEATURE_ARCH_2_06
    | _PPC_FEATURE_HAS_VSX
    | _PPC_FEATURE_TRUE_LE
)
_HWCAP2_64: Final = (
    _PPC_FEATURE2_ARCH_2_07
    | _PPC_FEATURE2_DSCR
    | _PPC_FEATURE2_ISEL
    | _PPC_FEATURE2_TAR
    | _PPC_FEATURE2_VEC_CRYPTO
)
"""What libraries choose their code by: POWER8, whatever the processor."""


def user_regs(abi: Abi, cpu: str) -> PtRegs:
    """Make the registers of an ordinary user task, all zero but MSR."""
    msr, isa_300, pvr = _user_mode(abi, cpu)
    regs = PtRegs(abi.bits, msr, isa_300=isa_300)
    regs.spr[SPR_PVR] = pvr
    return regs


@cache
def _user_mode(abi: Abi, cpu: str) -> tuple[int, bool, int]:
    """Give MSR, whether the processor has ISA 3.0, and PVR."""
    msr = MSR_USER | MSR_SF * (abi.bits == 64) | MSR_LE * (abi.byteorder == "little")
    level, pvr = CPUS[cpu]
    return msr, has_isa_300(abi, level), pvr


def first_regs(entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, cpu: str) -> PtRegs:
    """Make the registers of a program whose ELF header says *entry* (start_thread)."""
    abi = mm.abi
    regs = user_regs(abi, cpu)
    regs.vscr = VSCR_NJ
    regs.sp = sp
    regs.nip = entry
    map_vdso(mm)
    if abi.bits == 64:
        regs.elf_v1 = has_descriptors(abi, e_flags)
        if regs.elf_v1:
            _enter_by_descriptor(regs, mm)
        else:
            regs.gpr[12] = entry  # a global entry point finds its TOC by this
    return regs


def copy_thread(task: Task, sp: int | None, tls: int | None) -> PtRegs:
    """Make the registers of a child, for which the call answers 0 (copy_thread)."""
    assert isinstance(task.regs, PtRegs)
    regs = task.regs.copy()
    regs.gpr[3] = 0
    regs.cr[0] &= ~1  # no error
    if sp is not None:
        regs.gpr[1] = sp
    if tls is not None:
        regs.gpr[13 if regs.bits == 64 else 2] = tls
    return regs


def has_descriptors(abi: Abi, e_flags: int) -> bool:
    """Tell whether a function's symbol names a descriptor (ELFv1), not code."""
    return abi == Abi(64, "big") and e_flags & _EF_PPC64_ABI != _ELF_V2


def _enter_by_descriptor(regs: PtRegs, mm: Mm) -> None:
    """Take entry and TOC out of the descriptor at `nip`, as `start_thread` does."""
    descriptor = mm.read(regs.nip, 16, force=True)
    entry, toc = (int.from_bytes(descriptor[at : at + 8], "big") for at in (0, 8))
    if mm.find_vma(entry) is None:  # a static-pie program has not relocated itself yet
        bias = info(mm.abi).load_bias
        entry, toc = entry + bias, toc + bias
    regs.nip = entry
    regs.gpr[2] = toc


def auxv(abi: Abi) -> dict[int, int | bytes]:
    """Describe the processor to the program (ARCH_DLINFO, ELF_HWCAP, ELF_PLATFORM)."""
    block = dcache_block(abi.bits)
    blocks: dict[int, int | bytes] = {_AT_DCACHEBSIZE: block, _AT_ICACHEBSIZE: block}
    if abi.bits == 32:
        return {_AT_HWCAP: _HWCAP_32, **blocks}
    platform = b"power8\0"
    return {
        _AT_HWCAP: _HWCAP_64,
        _AT_HWCAP2: _HWCAP2_64,
        _AT_PLATFORM: platform,
        _AT_BASE_PLATFORM: platform,
        **blocks,
    }


def symbol_entry(symbol: Symbol, image: Image, *, want_global: bool) -> Vaddr:
    """Find the code of a function: by its descriptor, or its local entry point.

    The three upper bits of `st_other` say how far the local entry point lies behind the global one
    (64-bit ELF V2 ABI, 3.4.1); `perf probe` goes there, because calls from inside the module do.
    """
    if image.section(symbol.value) == ".opd":
        return Vaddr(int.from_bytes(image.read(symbol.value, 8), "big"))
    if want_global or image.e_flags & _EF_PPC64_ABI != _ELF_V2:
        return symbol.value
    return Vaddr(symbol.value + ((1 << (symbol.other >> 5)) >> 2 << 2))
