"""Where breakpoints may be: which mappings count (valid_vma)."""

from dataclasses import dataclass
from typing import Final

from uprobes_sim.memory import Vma, VmFlags
from uprobes_sim.version import Kernel


@dataclass(frozen=True, slots=True)
class VmaRules:
    """Of the flags in a mask, exactly those of a value must be set."""

    register_mask: int
    register_value: int
    other_mask: int
    other_value: int


def vma_rules(kernel: Kernel) -> VmaRules:
    """Find the rules of a release. Kernel: kernel/events/uprobes.c, valid_vma."""
    if not kernel.has("valid_vma_mayexec"):
        now = VmFlags.READ | VmFlags.EXEC
        return VmaRules(now | VmFlags.WRITE | VmFlags.SHARED | VmFlags.HUGETLB, now, 0, 0)
    shared = VmFlags.MAYSHARE if kernel.has("valid_vma_mayshare") else VmFlags.SHARED
    mask = VmFlags.HUGETLB | VmFlags.MAYEXEC | shared
    return VmaRules(mask | VmFlags.WRITE, VmFlags.MAYEXEC, mask, VmFlags.MAYEXEC)


_NEWEST: Final = VmaRules(
    VmFlags.HUGETLB | VmFlags.MAYEXEC | VmFlags.MAYSHARE | VmFlags.WRITE,
    VmFlags.MAYEXEC,
    VmFlags.HUGETLB | VmFlags.MAYEXEC | VmFlags.MAYSHARE,
    VmFlags.MAYEXEC,
)


def valid_vma(vma: Vma, *, is_register: bool, rules: VmaRules = _NEWEST) -> bool:
    """Tell whether uprobes may write into *vma*, or, not registering, have written.

    Registering: a private file mapping that may become executable and is not
    writable. Otherwise writable ones count too.
    """
    if vma.inode is None:
        return False
    flags = int(vma.flags)
    if is_register:
        return flags & rules.register_mask == rules.register_value
    return flags & rules.other_mask == rules.other_value


def valid_ref_ctr_vma(vma: Vma) -> bool:
    """Tell whether a semaphore can live in *vma*: private and writable (valid_ref_ctr_vma)."""
    flags = vma.flags & (VmFlags.WRITE | VmFlags.SHARED)
    return vma.inode is not None and flags == VmFlags.WRITE
