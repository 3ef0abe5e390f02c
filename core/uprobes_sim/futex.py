"""Futexes: who waits for a word of memory to change (kernel/futex/)."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from uprobes_sim.memory import Access, Mm, VmFlags
from uprobes_sim.units import PAGE_MASK

FUTEX_BITSET_MATCH_ANY: Final = 0xFFFFFFFF


@dataclass(eq=False, slots=True)
class FutexQ:
    """`struct futex_q`: one task that waits."""

    key: Hashable
    bitset: int = FUTEX_BITSET_MATCH_ANY
    woken: bool = False


def futex_key(mm: Mm, uaddr: int) -> Hashable:
    """Name the futex at *uaddr*: by its place in shared memory, else in this address space.

    Raises:
        PageFault: nothing can be read there.
    """
    frame = mm.fault(uaddr, Access.READ)
    vma = mm.find_vma(uaddr)
    assert vma is not None
    if vma.flags & VmFlags.SHARED:
        return id(frame), uaddr & PAGE_MASK
    return id(mm), uaddr


class Futexes:
    """All who wait for futexes, the longest waiting first."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._waiting: list[FutexQ] = []

    def queue(self, q: FutexQ) -> None:
        """Let one more wait."""
        self._waiting.append(q)

    def unqueue(self, q: FutexQ) -> None:
        """Forget one who waits no more."""
        if q in self._waiting:
            self._waiting.remove(q)

    def wake(self, key: Hashable, count: int, bitset: int = FUTEX_BITSET_MATCH_ANY) -> int:
        """Wake up to *count* of those who wait for *key*; answer how many it were."""
        woken = [q for q in self._waiting if q.key == key and q.bitset & bitset][: max(count, 0)]
        for q in woken:
            q.woken = True
            self._waiting.remove(q)
        return len(woken)

    def requeue(self, key: Hashable, target: Hashable, count: int) -> int:
        """Let up to *count* of those who wait for *key* wait for *target* instead."""
        moved = [q for q in self._waiting if q.key == key][: max(count, 0)]
        for q in moved:
            q.key = target
        return len(moved)
