"""The pages of a simulated process in the host's child.

They are the frames themselves: both map the same files. A page comes when the
child faults on it, with the rights that it has in `Mm`, and goes when `Mm` says
that it has changed. So the processor of the host finds exactly what the simulated
one would, and refuses what that would refuse.
"""

import os
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

from unicorn import unicorn_const as uc_const

from uprobes_sim.errors import EngineError
from uprobes_sim.memory import Access, Mm
from uprobes_sim.page_cache import Frame, Slab
from uprobes_sim.unicorn_memory import page_rights
from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE
from uprobes_sim_x86.host.tracee import STUB_AT, SYS_MMAP, SYS_MUNMAP, Tracee

_MAP_SHARED_FIXED: Final = 0x11
_STUB_STRIDE: Final = 1 << 32


class AddressSpace:
    """The address space of the child, filled from one `Mm` at a time."""

    def __init__(self, tracee: Tracee) -> None:
        """Fill that of *tracee*, which is empty."""
        self._tracee = tracee
        self._mm: Mm | None = None
        self._known = WeakSet[Mm]()
        self._rights: dict[int, int] = {}
        """UC_PROT_* of the pages that are there, by page number."""
        self._stale: set[int] = set()
        """Pages of them that have changed."""
        self._files = WeakKeyDictionary[Slab, int]()
        """The child's descriptors of the files that frames lie in."""

    def switch(self, mm: Mm) -> None:
        """Become the address space of *mm*."""
        if self._mm is not mm:
            self._tracee.unmap_all()
            self._rights.clear()
            self._stale.clear()
            self._mm = mm
        if mm not in self._known:
            self._known.add(mm)
            mm.notifiers.append(lambda low, high: self._on_change(mm, low, high))
        if mm.find_vma(self._tracee.stub):
            stubs = range(STUB_AT, STUB_AT + 64 * _STUB_STRIDE, _STUB_STRIDE)
            self._tracee.move_stub(next(at for at in stubs if not mm.find_vma(at)))
        self.clean()

    def admit(self, vaddr: int) -> None:
        """Let the child have the page at *vaddr*, or write to it if it may read it already.

        Raises:
            PageFault: the program may not.
        """
        assert self._mm is not None
        number = vaddr >> PAGE_SHIFT
        had = self._rights.get(number, 0)
        if had & uc_const.UC_PROT_WRITE:
            raise EngineError(f"the host's processor refuses an access to {vaddr:#x}")
        frame = self._mm.fault(vaddr, Access.WRITE if had else Access.READ)
        self.clean()
        self._map(number, frame, page_rights(self._mm, vaddr))

    def admit_code(self, vaddr: int) -> None:
        """Let the child execute what lies at *vaddr*.

        Raises:
            PageFault: the program may not.
        """
        assert self._mm is not None
        frame = self._mm.fault(vaddr, Access.EXEC)
        number = vaddr >> PAGE_SHIFT
        if not self._rights.get(number, 0) & uc_const.UC_PROT_EXEC:
            self._map(number, frame, page_rights(self._mm, vaddr))

    def leave(self) -> None:
        """Tell of code that may have been written to."""
        assert self._mm is not None
        for number, rights in list(self._rights.items()):
            if rights & uc_const.UC_PROT_WRITE and rights & uc_const.UC_PROT_EXEC:
                self._mm.flush_icache_range(number << PAGE_SHIFT, PAGE_SIZE)

    def clean(self) -> None:
        """Unmap what has changed."""
        for number in self._stale:
            self._tracee.syscall(SYS_MUNMAP, number << PAGE_SHIFT, PAGE_SIZE)
        self._stale.clear()

    def _map(self, number: int, frame: Frame, rights: int) -> None:
        vaddr = number << PAGE_SHIFT
        file, offset = self._file(frame.slab), frame.index << PAGE_SHIFT
        try:
            self._tracee.syscall(
                SYS_MMAP, vaddr, PAGE_SIZE, rights, _MAP_SHARED_FIXED, file, offset
            )
        except OSError as exc:
            raise EngineError(f"this machine lets nobody have memory at {vaddr:#x}: {exc}") from exc
        self._rights[number] = rights

    def _file(self, slab: Slab) -> int:
        file = self._files.get(slab)
        if file is None:
            file = self._files[slab] = self._tracee.open(f"/proc/{os.getpid()}/fd/{slab.file}")
        return file

    def _on_change(self, mm: Mm, low: int, high: int) -> None:
        """Hear that pages have changed. What was only written to is the same page as ever."""
        whole = not (low | high) % PAGE_SIZE
        if mm is self._mm and whole:
            self._forget(low, high)

    def _forget(self, low: int, high: int) -> None:
        gone = [n for n in self._rights if low <= n << PAGE_SHIFT < high]
        for number in gone:
            del self._rights[number]
        self._stale.update(gone)
