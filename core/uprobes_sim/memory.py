"""Address spaces: mappings, and private copy-on-write pages over those of files.

`mm/` as far as uprobes, engines and system calls see it. Whoever caches what a page holds
(translations, decoded code) registers a notifier and forgets on request.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from sortedcontainers import SortedDict

from uprobes_sim.arch import Abi
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.fault import PROT_MASK as PROT_MASK
from uprobes_sim.fault import Access as Access
from uprobes_sim.fault import Fault as Fault
from uprobes_sim.fault import PageFault as PageFault
from uprobes_sim.fault import VmFlags as VmFlags
from uprobes_sim.page_cache import Frame, Inode
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, Vaddr, page_align

_and: Final = int.__and__  # IntFlag's own makes an object, at ten times the cost
_SHARED: Final = int(VmFlags.SHARED)
_EXEC: Final = int(VmFlags.EXEC)


@dataclass(eq=False, slots=True)
class Vma:
    """`struct vm_area_struct`: one mapping, from *start* up to *end*."""

    mm: "Mm"
    start: int
    end: int
    flags: VmFlags
    inode: Inode | None = None
    pgoff: int = 0
    """Page of the file that *start* maps."""
    name: str = ""

    def offset(self, vaddr: int) -> int:
        """Offset in the file, in bytes, that *vaddr* maps."""
        return vaddr - self.start + (self.pgoff << PAGE_SHIFT)

    def vaddr(self, offset: int) -> Vaddr:
        """Address at which *offset* of the file is mapped."""
        return Vaddr(self.start + offset - (self.pgoff << PAGE_SHIFT))


@dataclass(slots=True)
class Pte:
    """Page table entry: which frame, and whether it is private (anonymous)."""

    frame: Frame
    anon: bool


class UprobesState(Protocol):
    """`struct uprobes_state`: what uprobes keep in an address space."""

    def uprobe_mmap(self, vma: Vma) -> None:
        """Hear of a file mapping that was made or cut."""
        ...

    def uprobe_munmap(self, vma: Vma, start: int, end: int) -> None:
        """Hear that *start* up to *end* of a file mapping is about to go."""
        ...


Notifier = Callable[[int, int], None]
"""Called with the start and the end of a range whose pages or code have changed."""


class Mm:
    """`struct mm_struct`: the address space of a process."""

    def __init__(
        self, abi: Abi, *, task_size: int, mmap_base: int, exec_readable: bool = True
    ) -> None:
        """Start empty, for tasks of *abi*.

        *task_size*: first address beyond user space. *exec_readable*: a page
        that may only be executed can be read all the same, as on x86.
        """
        self.abi = abi
        self.task_size = task_size
        self.mmap_base = mmap_base
        self.exec_readable = exec_readable
        self.users = 1
        """Tasks that run in it (mm_users)."""
        self._readable = int(VmFlags.READ | VmFlags.WRITE)
        if exec_readable:
            self._readable |= VmFlags.EXEC
        self.vmas: SortedDict[int, Vma] = SortedDict()
        """Mappings by start address."""
        self._vmacache: dict[int, Vma] = {}
        """Mappings by page number, of the pages that were asked for since one changed."""
        self.pgtable: dict[int, Pte] = {}
        """Page table by page number."""
        self.start_brk = 0
        self.brk = 0
        self.notifiers: list[Notifier] = []
        self.has_uprobes = False
        """MMF_HAS_UPROBES: never False while a breakpoint is in place."""
        self.recalc_uprobes = False
        """MMF_RECALC_UPROBES: `has_uprobes` may be stale."""
        self.uprobes_state: UprobesState | None = None
        """The out-of-line page, and the uprobes that want to hear of mappings."""
        self.context: object = None
        """The engine's own: its translations of this address space (mm_context_t)."""

    # --- mappings ---------------------------------------------------------

    def find_vma(self, vaddr: int) -> Vma | None:
        """Find the mapping that contains *vaddr* (vma_lookup)."""
        vma = self._vmacache.get(vaddr >> PAGE_SHIFT)
        if vma is None:
            index = self.vmas.bisect_right(vaddr) - 1
            if index < 0:
                return None
            vma = self.vmas.peekitem(index)[1]
            if vaddr >= vma.end:
                return None
            self._vmacache[vaddr >> PAGE_SHIFT] = vma
        return vma

    def find_vmas(self, start: int, end: int) -> list[Vma]:
        """List the mappings that overlap *start* up to *end*, lowest first."""
        index = max(self.vmas.bisect_right(start) - 1, 0)
        found = []
        for key in self.vmas.islice(index):
            vma = self.vmas[key]
            if vma.start >= end:
                break
            if vma.end > start:
                found.append(vma)
        return found

    def get_unmapped_area(self, length: int, hint: int = 0, limit: int | None = None) -> Vaddr:
        """Find room for *length* bytes below *limit* (default: the mmap base).

        Raises:
            KernelError: ENOMEM.
        """
        length = page_align(length)
        if hint and hint + length <= self.task_size and not self.find_vmas(hint, hint + length):
            return Vaddr(hint)
        end = self.mmap_base if limit is None else limit
        for vma in reversed(self.vmas.values()):
            if vma.start >= end:
                continue
            if vma.end <= end - length:
                break
            end = min(end, vma.start)
        if end - length < PAGE_SIZE:
            raise KernelError(Errno.ENOMEM, "no room left in the address space")
        return Vaddr(end - length)

    def mmap(
        self,
        start: int,
        length: int,
        flags: VmFlags,
        *,
        inode: Inode | None = None,
        pgoff: int = 0,
        name: str = "",
    ) -> Vma:
        """Map *length* bytes at *start*, over whatever was there (MAP_FIXED).

        A file mapping is shown to `uprobe_mmap`, as the kernel does.

        Raises:
            KernelError: as `uprobe_mmap`.
        """
        end = start + page_align(length)
        self.munmap(start, end - start)
        vma = Vma(self, start, end, flags, inode, pgoff, name)
        self._insert(vma)
        try:
            self._uprobe_mmap(vma)
        except KernelError:  # older kernels let a probe that cannot be installed fail a mapping
            self.munmap(start, end - start)
            raise
        return vma

    def munmap(self, start: int, length: int) -> None:
        """Unmap *start* up to *start* + *length*; a mapping half inside is cut."""
        end = start + page_align(length)
        for vma in self.find_vmas(start, end):
            low, high = max(vma.start, start), min(vma.end, end)
            if vma.inode is not None and self.uprobes_state is not None:
                self.uprobes_state.uprobe_munmap(vma, low, high)
            self._isolate(vma, low, high)
            self._zap(low, high)
            self._remove(self.vmas[low])

    def mprotect(self, start: int, length: int, prot: VmFlags) -> None:
        """Give *start* up to *start* + *length* the rights *prot*.

        Raises:
            KernelError: ENOMEM where nothing is mapped, EACCES where a right
                may not be had.
        """
        end = start + page_align(length)
        vmas = self.find_vmas(start, end)
        if sum(min(v.end, end) - max(v.start, start) for v in vmas) != end - start:
            raise KernelError(Errno.ENOMEM, f"nothing is mapped in {start:#x}-{end:#x}")
        for vma in vmas:
            if prot & ~VmFlags((vma.flags >> 4) & PROT_MASK):
                raise KernelError(Errno.EACCES, f"{vma.name or 'mapping'} may not be {prot!r}")
            low, high = max(vma.start, start), min(vma.end, end)
            self._isolate(vma, low, high)
            part = self.vmas[low]
            part.flags = (part.flags & ~PROT_MASK) | prot
            self._changed(low, high)

    def dup_mmap(self, new: "Mm") -> None:
        """Make the empty address space *new* a copy of this one: private pages are shared until
        one of the two writes, those of shared mappings for good.

        Kernel: kernel/fork.c, dup_mmap. No probe is looked for: breakpoints lie in the pages.
        """
        for vma in self.vmas.values():
            if vma.flags & VmFlags.DONTCOPY:
                continue
            copy = Vma(new, vma.start, vma.end, vma.flags, vma.inode, vma.pgoff, vma.name)
            new._insert(copy)
            self._share_pages(vma, new)
        new.start_brk, new.brk = self.start_brk, self.brk

    def _share_pages(self, vma: Vma, new: "Mm") -> None:
        vpns: Collection[int] = range(vma.start >> PAGE_SHIFT, vma.end >> PAGE_SHIFT)
        if vma.flags & VmFlags.SHARED and vma.inode is None:
            for vpn in vpns:  # what one writes later, the other has to see
                if vpn not in self.pgtable:
                    self._populate(vma, vpn << PAGE_SHIFT, Access.READ)
        elif len(vpns) > len(self.pgtable):
            vpns = [vpn for vpn in self.pgtable if vpn in vpns]
        for vpn in vpns:
            pte = self.pgtable.get(vpn)
            if pte is not None:
                pte.frame.mapcount += 1
                new.pgtable[vpn] = Pte(pte.frame, pte.anon)
        if vma.flags & VmFlags.WRITE and not vma.flags & VmFlags.SHARED:
            self._changed(vma.start, vma.end)  # a write must make a copy from now on

    def exit_mmap(self) -> None:
        """Unmap everything: the last task has gone."""
        for vma in self.vmas.values():
            if vma.inode is not None:
                vma.inode.i_mmap.remove(vma)
        for pte in self.pgtable.values():
            pte.frame.mapcount -= 1
        self._vmacache.clear()
        self.vmas.clear()
        self.pgtable.clear()
        self._changed(0, self.task_size)

    def _insert(self, vma: Vma) -> None:
        self._vmacache.clear()
        self.vmas[vma.start] = vma
        if vma.inode is not None:
            vma.inode.i_mmap.append(vma)

    def _remove(self, vma: Vma) -> None:
        self._vmacache.clear()
        del self.vmas[vma.start]
        if vma.inode is not None:
            vma.inode.i_mmap.remove(vma)

    def _isolate(self, vma: Vma, low: int, high: int) -> None:
        """Cut *vma* so that *low* up to *high* is a mapping of its own."""
        for at in (high, low):
            if vma.start < at < vma.end:
                pgoff = vma.pgoff + ((at - vma.start) >> PAGE_SHIFT)
                rest = Vma(self, at, vma.end, vma.flags, vma.inode, pgoff, vma.name)
                vma.end = at
                self._insert(rest)
                for part in (vma, rest):
                    with suppress(KernelError):  # vma_adjust does not look
                        self._uprobe_mmap(part)

    def _uprobe_mmap(self, vma: Vma) -> None:
        if vma.inode is not None and self.uprobes_state is not None:
            self.uprobes_state.uprobe_mmap(vma)

    def _zap(self, low: int, high: int) -> None:
        vpns: Collection[int] = range(low >> PAGE_SHIFT, high >> PAGE_SHIFT)
        if len(vpns) > len(self.pgtable):
            vpns = [vpn for vpn in self.pgtable if vpn in vpns]
        for vpn in vpns:
            pte = self.pgtable.pop(vpn, None)
            if pte is not None:
                pte.frame.mapcount -= 1
        self._changed(low, high)

    def _changed(self, low: int, high: int) -> None:
        for notifier in self.notifiers:
            notifier(low, high)

    # --- pages ------------------------------------------------------------

    def fault(self, vaddr: int, access: Access, *, force: bool = False) -> Frame:
        """Give the page at *vaddr* for *access*, made present if need be.

        *force* (FOLL_FORCE) goes by what the mapping may become, as ptrace and
        uprobes do. A write to a private page makes the private copy first.

        Raises:
            PageFault: nothing is mapped there, or not for this access.
        """
        vma = self.find_vma(vaddr)
        if vma is None or vaddr >= self.task_size:
            raise PageFault(vaddr, access, Fault.UNMAPPED)
        needed = self._readable if access is Access.READ else access.needed
        if not _and(vma.flags, needed | needed << 4 if force else needed):
            present = vaddr >> PAGE_SHIFT in self.pgtable
            raise PageFault(vaddr, access, Fault.FORBIDDEN, present=present)
        vpn = vaddr >> PAGE_SHIFT
        pte = self.pgtable.get(vpn) or self._populate(vma, vaddr, access)
        if access is Access.WRITE and not _and(vma.flags, _SHARED):
            self._unshare(vpn, pte)
        return pte.frame

    def _populate(self, vma: Vma, vaddr: int, access: Access) -> Pte:
        if vma.inode is None:
            pte = Pte(Frame(), anon=True)
        else:
            frame = vma.inode.page(vma.offset(vaddr) >> PAGE_SHIFT)
            if frame is None:
                raise PageFault(vaddr, access, Fault.BEYOND_FILE)
            pte = Pte(frame, anon=False)
        pte.frame.mapcount += 1
        self.pgtable[vaddr >> PAGE_SHIFT] = pte
        return pte

    def _unshare(self, vpn: int, pte: Pte) -> None:
        if pte.anon and pte.frame.mapcount == 1:
            return
        pte.frame.mapcount -= 1
        pte.frame, pte.anon = pte.frame.copy(), True
        pte.frame.mapcount = 1
        self._changed(vpn << PAGE_SHIFT, (vpn + 1) << PAGE_SHIFT)

    def drop_private(self, vaddr: int) -> None:
        """Forget the private page at *vaddr*: the next access maps the file again."""
        start = vaddr & ~PAGE_MASK
        self._zap(start, start + PAGE_SIZE)

    def flush_icache_range(self, vaddr: int, size: int) -> None:
        """Tell engines that code was written behind their back: *size* bytes at *vaddr*."""
        self._changed(vaddr, vaddr + size)

    # --- bytes ------------------------------------------------------------

    def read(self, vaddr: int, size: int, *, force: bool = False) -> bytes:
        """Read *size* bytes at *vaddr* as the task would, or by *force*.

        Raises:
            PageFault: at the first byte that cannot be read.
        """
        parts = []
        for start, count in _pages(vaddr, size):
            frame = self.fault(start, Access.READ, force=force)
            at = start & PAGE_MASK
            parts.append(bytes(frame.data[at : at + count]))
        return b"".join(parts)

    def write(self, vaddr: int, data: bytes, *, force: bool = False) -> None:
        """Write *data* at *vaddr* as the task would, or by *force*.

        Raises:
            PageFault: at the first byte that cannot be written; what lies
                before it has been written.
        """
        done = 0
        for start, count in _pages(vaddr, len(data)):
            frame = self.fault(start, Access.WRITE, force=force)
            at = start & PAGE_MASK
            frame.data[at : at + count] = data[done : done + count]
            done += count
            vma = self.find_vma(start)
            if vma is not None and _and(vma.flags, _EXEC):
                self._changed(start, start + count)

    def read_cstring(self, vaddr: int, limit: int = PAGE_SIZE) -> bytes:
        """Read bytes up to a NUL, at most *limit* (strncpy_from_user).

        Raises:
            PageFault: as `read`.
            KernelError: ENAMETOOLONG when there is no NUL.
        """
        found = bytearray()
        for start, count in _pages(vaddr, limit):
            chunk = self.read(start, count)
            end = chunk.find(0)
            if end >= 0:
                return bytes(found + chunk[:end])
            found += chunk
        raise KernelError(Errno.ENAMETOOLONG, f"no end of string in {limit} bytes")


def _pages(vaddr: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut *size* bytes at *vaddr* at the borders of pages."""
    end = vaddr + size
    while vaddr < end:
        count = min(PAGE_SIZE - (vaddr & PAGE_MASK), end - vaddr)
        yield vaddr, count
        vaddr += count
