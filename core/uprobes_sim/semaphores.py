"""Reference counters of USDT probes: +1 where a breakpoint is written, -1 where it is taken away.

A counter whose page is not mapped yet is owed, and paid when the page comes.
"""

from typing import TYPE_CHECKING, Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.memory import Mm, PageFault, Vma
from uprobes_sim.places import valid_ref_ctr_vma
from uprobes_sim.units import Vaddr

if TYPE_CHECKING:
    from uprobes_sim.uprobes import Uprobe, Uprobes

_SIZE: Final = 2
"""Bytes of a counter: a signed short."""


class DelayedUprobes:
    """`delayed_uprobe_list`: increments owed, one at most for a probe and a process."""

    def __init__(self) -> None:
        """Start with no debts."""
        self._owed: list[tuple[Uprobe, Mm]] = []

    def __len__(self) -> int:
        """Count the debts."""
        return len(self._owed)

    def add(self, uprobe: "Uprobe", mm: Mm) -> None:
        """Owe an increment (delayed_uprobe_add)."""
        if (uprobe, mm) not in self._owed:
            self._owed.append((uprobe, mm))

    def remove(self, uprobe: "Uprobe | None", mm: Mm | None) -> None:
        """Forget debts: of *uprobe*, of *mm*, or of both if both are given."""
        self._owed = [
            (each, its)
            for each, its in self._owed
            if (uprobe is not None and each is not uprobe) or (mm is not None and its is not mm)
        ]

    def of(self, vma: Vma) -> list["Uprobe"]:
        """List the probes whose counter *vma* maps, for the process that maps it."""
        return [each for each, mm in self._owed if mm is vma.mm and _maps(vma, each)]


def _maps(vma: Vma, uprobe: "Uprobe") -> bool:
    vaddr = vma.vaddr(uprobe.ref_ctr_offset)
    return vma.inode is uprobe.inode and vma.start <= vaddr < vma.end


def update_ref_ctr(up: "Uprobes", uprobe: "Uprobe", mm: Mm, d: int) -> None:
    """Add *d* to the counter of *uprobe* in a process, or owe it (update_ref_ctr).

    Raises:
        KernelError: EINVAL, it would become negative; EBUSY, its page cannot be had.
    """
    failed: KernelError | None = None
    vma = _find_ref_ctr_vma(uprobe, mm)
    if vma is not None:
        try:
            _add(up, uprobe, vma, d)
        except KernelError as exc:
            failed = exc
        if d > 0 and failed is None:
            return
    elif d > 0:
        up.delayed.add(uprobe, mm)
        up.record(Act.DELAY, "the counter is not mapped yet: one is owed", uprobe=uprobe)
        return
    if d < 0:
        up.delayed.remove(uprobe, mm)
    if failed is not None:
        raise failed


def _find_ref_ctr_vma(uprobe: "Uprobe", mm: Mm) -> Vma | None:
    for vma in uprobe.inode.i_mmap:
        if vma.mm is mm and valid_ref_ctr_vma(vma) and _maps(vma, uprobe):
            return vma
    return None


def _add(up: "Uprobes", uprobe: "Uprobe", vma: Vma, d: int) -> None:
    """Add *d* to the counter that *vma* maps (__update_ref_ctr)."""
    mm, vaddr = vma.mm, Vaddr(vma.vaddr(uprobe.ref_ctr_offset))
    try:
        value = int.from_bytes(mm.read(vaddr, _SIZE), mm.abi.byteorder, signed=True) + d
        if value < 0:
            raise KernelError(Errno.EINVAL, f"the reference counter at {vaddr:#x} is {value - d}")
        mm.write(vaddr, (value & 0xFFFF).to_bytes(_SIZE, mm.abi.byteorder))
    except PageFault as fault:
        raise KernelError(Errno.EBUSY, f"cannot have the reference counter: {fault}") from fault
    up.record(Act.SEMAPHORE, f"{d:+d}, now {value}", vaddr=vaddr, uprobe=uprobe)


def pay_delayed(up: "Uprobes", vma: Vma) -> None:
    """Pay what is owed to the counters that *vma* maps (delayed_ref_ctr_inc)."""
    for uprobe in up.delayed.of(vma):
        try:
            _add(up, uprobe, vma, 1)
        except KernelError as exc:
            up.record(Act.WARN, exc.reason, uprobe=uprobe, errno=exc.errno)
        up.delayed.remove(uprobe, vma.mm)
