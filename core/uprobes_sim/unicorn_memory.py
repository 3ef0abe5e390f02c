"""Frames as the memory of Unicorn, and the page tables of `Mm` as its TLB."""

import ctypes
from collections.abc import Callable
from typing import Any, Final, Protocol

from unicorn import Uc, UcError
from unicorn import unicorn_const as uc_const

from uprobes_sim.memory import Access, Mm, PageFault, VmFlags
from uprobes_sim.page_cache import Frame, Slab
from uprobes_sim.unicorn_guest import Guest, UnicornRegs
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, Vaddr

_ACCESS: Final = {
    uc_const.UC_MEM_READ: Access.READ,
    uc_const.UC_MEM_WRITE: Access.WRITE,
    uc_const.UC_MEM_FETCH: Access.EXEC,
}


class GuestMemory:
    """Physical memory and page tables, as Unicorn sees them."""

    def __init__(self, on_code: Callable[[int], None]) -> None:
        """Start without an address space. *on_code* is called with a page before it is executed."""
        self.mm: Mm | None = None
        self._on_code = on_code
        self.fault: PageFault | None = None
        """The access that `mm` has refused."""
        self.stale = False
        """The TLB holds pages that have changed."""
        self.slabs: list[Slab] = []
        """The slabs that Unicorn has mapped, in the order of their physical addresses."""
        self._physical: dict[int, int] = {}

    def flush(self, uc: Uc) -> None:
        """Empty the TLB if it is stale."""
        if self.stale:
            flush_tlb(uc)
            self.stale = False

    def fill(self, uc: Uc, vaddr: int, access: int, entry: Any, data: object) -> bool:  # noqa: ANN401
        """Fill a TLB entry; False: a page fault."""
        assert self.mm is not None
        try:
            frame = self.mm.fault(vaddr, _ACCESS[access])
        except PageFault as exc:
            self.fault = exc
            return False
        entry.paddr = self._address(uc, frame) + (vaddr & PAGE_MASK)  # its pages may be smaller
        entry.perms = page_rights(self.mm, vaddr)
        if entry.perms & uc_const.UC_PROT_EXEC:
            self.flush(uc)  # code may just have moved to a private page
            self._on_code(vaddr & ~PAGE_MASK)
        return True

    def _address(self, uc: Uc, frame: Frame) -> int:
        slab = frame.slab
        base = self._physical.get(id(slab))
        if base is None:
            base = self._physical[id(slab)] = _SLABS_AT + sum(
                len(each.memory) for each in self.slabs
            )
            self.slabs.append(slab)
            map_slab(uc, base, slab)
        return base + (frame.index << PAGE_SHIFT)


_SLABS_AT: Final = 1 << 20
"""Physical address of the first slab. What lies below is the replica's scratch page."""


def page_rights(mm: Mm, vaddr: int) -> int:
    """Tell what may be done with a page that is present, without asking again: UC_PROT_*."""
    vma, pte = mm.find_vma(vaddr), mm.pgtable[vaddr >> PAGE_SHIFT]
    assert vma is not None
    rights: int = uc_const.UC_PROT_NONE
    if vma.flags & (VmFlags.READ | VmFlags.WRITE) or _may_read(mm, vaddr):
        rights |= uc_const.UC_PROT_READ
    private = pte.anon and pte.frame.mapcount == 1
    if vma.flags & VmFlags.WRITE and (private or vma.flags & VmFlags.SHARED):
        rights |= uc_const.UC_PROT_WRITE
    if vma.flags & VmFlags.EXEC:
        rights |= uc_const.UC_PROT_EXEC
    return rights


def _may_read(mm: Mm, vaddr: int) -> bool:
    """Tell whether a page that may only be executed can be read all the same."""
    try:
        mm.fault(vaddr, Access.READ)
    except PageFault:
        return False
    return True


def map_slab(uc: Uc, base: int, slab: Slab) -> None:
    """Make the host memory of *slab* physical memory at *base*."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(slab.memory))
    uc.mem_map_ptr(base, len(slab.memory), uc_const.UC_PROT_ALL, start)


class Replica:
    """A second Unicorn that repeats an access to learn its exact address.

    The TLB asks by page. The page that was refused is a scratch page here, and a
    hook, which would be too slow to have in the engine, sees the access to it.
    """

    def __init__(self, guest: Guest, memory: GuestMemory) -> None:
        """Share the physical memory of *memory*."""
        self._guest = guest
        self._memory = memory
        self._page = 0
        self._found: int | None = None
        self._uc = new_uc(guest, self)
        self._uc.mem_map(0, PAGE_SIZE)
        base = _SLABS_AT
        for slab in memory.slabs:
            map_slab(self._uc, base, slab)
            base += len(slab.memory)
        accesses = uc_const.UC_HOOK_MEM_READ | uc_const.UC_HOOK_MEM_WRITE
        self._uc.hook_add(accesses, self._on_access)

    def locate(self, regs: UnicornRegs, fault: PageFault) -> PageFault:
        """Answer *fault* with the address of the first byte that was refused."""
        if fault.access is Access.EXEC:
            at = Vaddr(max(regs.ip, fault.vaddr))
        else:
            self._page = fault.vaddr
            self._repeat(regs)
            at = Vaddr(fault.vaddr if self._found is None else self._found)
        return PageFault(at, fault.access, fault.fault, present=fault.present)

    def fill(self, uc: Uc, vaddr: int, access: int, entry: Any, data: object) -> bool:  # noqa: ANN401
        """Fill a TLB entry, the refused page with the scratch page."""
        fetch = access == uc_const.UC_MEM_FETCH
        refused = vaddr & ~PAGE_MASK == self._page & ~PAGE_MASK
        if refused and not fetch:
            entry.paddr = vaddr & PAGE_MASK
            entry.perms = uc_const.UC_PROT_READ | uc_const.UC_PROT_WRITE
            return True
        found = self._memory.fill(uc, vaddr, access, entry, data)
        if refused:
            entry.perms = uc_const.UC_PROT_EXEC  # the code itself lies in the refused page
        return found

    def _repeat(self, regs: UnicornRegs) -> None:
        ids = self._guest.registers
        self._guest.enter(self._uc, regs)
        for register, value in zip(ids, regs.file.values, strict=False):
            self._uc.reg_write(register, value)
        try:
            self._uc.emu_start(regs.ip, 0, count=1)
        except UcError:
            return  # another page of the same instruction is refused as well

    def _on_access(
        self, uc: Uc, access: int, address: int, size: int, value: int, data: object
    ) -> None:
        """See an access. *address* is physical."""
        if self._found is None and address < PAGE_SIZE:
            self._found = (self._page & ~PAGE_MASK) + address
            uc.emu_stop()


class _Filler(Protocol):
    """Who fills the TLB."""

    def fill(self, uc: Uc, vaddr: int, access: int, entry: Any, data: object) -> bool:  # noqa: ANN401
        """Fill *entry* for *vaddr*; False: a page fault."""
        ...


def new_uc(guest: Guest, memory: _Filler) -> Uc:
    """Make a processor in user mode, whose TLB *memory* fills."""
    uc = Uc(guest.arch, guest.mode, guest.cpu_model)
    guest.boot(uc)
    uc.ctl_set_tlb_mode(uc_const.UC_TLB_VIRTUAL)
    uc.hook_add(uc_const.UC_HOOK_TLB_FILL, memory.fill)
    return uc


def flush_tlb(uc: Uc) -> None:
    """Forget where pages are, and which translations are at which address."""
    uc.ctl(uc_const.UC_CTL_TLB_FLUSH, uc_const.UC_CTL_IO_WRITE)
