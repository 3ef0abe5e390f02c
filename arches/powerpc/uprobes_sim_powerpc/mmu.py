"""The data side of memory, as fast as Python has it: page to bytes in one lookup."""

from collections.abc import Callable
from struct import Struct, error
from typing import Final

from uprobes_sim.arch import ByteOrder
from uprobes_sim.memory import Access, Mm, PageFault
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, Vaddr

SIZES: Final = (1, 2, 4, 8, 16)
"""Sizes of numbers in memory, in bytes."""

CODES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
"""Those that `struct` has, with its characters."""

CROSSING: Final = error
"""Raised by a quick access that would leave its page; the slow way can do that."""


class Tlb(dict[int, memoryview]):
    """Bytes of each page that was accessed, by page number.

    A miss asks the kernel. An address out of range wraps, as in the processor.
    """

    __slots__ = ("_access", "_mask", "_mm", "cacheable")

    def __init__(self, mm: Mm, access: Access, cacheable: Callable[[int], bool]) -> None:
        """Start empty. Only pages that are *cacheable* are kept."""
        super().__init__()
        self._mm = mm
        self._access = access
        self._mask = (1 << mm.abi.bits - PAGE_SHIFT) - 1
        self.cacheable = cacheable

    def __missing__(self, vpn: int) -> memoryview:
        """Have the page made present.

        Raises:
            PageFault: not at the address itself, but at the start of its page.
        """
        page = vpn & self._mask
        data = self._mm.fault(page << PAGE_SHIFT, self._access).data
        if self.cacheable(page) and page == vpn:
            self[vpn] = data
        return data


class Memory:
    """What a load or a store sees: numbers in the byte order of the task.

    An access that fails raises `PageFault` at the exact address and has changed nothing.
    """

    def __init__(self, mm: Mm, stored_into: Callable[[int], bool]) -> None:
        """Look at *mm*. *stored_into*: told of a page before its first store; may it be kept?"""
        self.mm = mm
        self.byteorder: ByteOrder = mm.abi.byteorder
        self._mask = (1 << mm.abi.bits) - 1
        self.r = Tlb(mm, Access.READ, lambda vpn: True)
        """Pages for loads."""
        self.w = Tlb(mm, Access.WRITE, stored_into)
        """Pages for stores."""
        self.load1, self.load2, self.load4, self.load8, self.load16 = (
            self._loader(size) for size in SIZES
        )
        """Read a number: `load4(ea)`."""
        self.store1, self.store2, self.store4, self.store8, self.store16 = (
            self._storer(size) for size in SIZES
        )
        """Write a number that is in range: `store4(ea, value)`."""

    def _loader(self, size: int) -> Callable[[int], int]:
        def slow(ea: int) -> int:
            return int.from_bytes(self.load(ea, size), self.byteorder)

        if size not in CODES:
            return slow
        unpack, pages = self.struct(size).unpack_from, self.r

        def load(ea: int) -> int:
            try:
                value: int = unpack(pages[ea >> PAGE_SHIFT], ea & PAGE_MASK)[0]
            except (PageFault, CROSSING):
                return slow(ea)
            return value

        return load

    def _storer(self, size: int) -> Callable[[int, int], None]:
        def slow(ea: int, value: int) -> None:
            self.store(ea, value.to_bytes(size, self.byteorder))

        if size not in CODES:
            return slow
        pack, pages = self.struct(size).pack_into, self.w

        def store(ea: int, value: int) -> None:
            try:
                pack(pages[ea >> PAGE_SHIFT], ea & PAGE_MASK, value)
            except (PageFault, CROSSING):
                slow(ea, value)

        return store

    def struct(self, size: int) -> Struct:
        """Give the packer for numbers of *size* bytes, up to 8."""
        return Struct(("<" if self.byteorder == "little" else ">") + CODES[size])

    def flush(self, start: int, end: int) -> None:
        """Forget the pages from *start* up to *end*."""
        first, last = start >> PAGE_SHIFT, end + PAGE_MASK >> PAGE_SHIFT
        for tlb in (self.r, self.w):
            if last - first > len(tlb):
                tlb.clear()
            else:
                for vpn in range(first, last):
                    tlb.pop(vpn, None)

    def load(self, ea: int, size: int) -> bytes:
        """Read *size* bytes, of any number of pages."""
        ea &= self._mask
        at = ea & PAGE_MASK
        try:
            if at + size <= PAGE_SIZE:
                return bytes(self.r[ea >> PAGE_SHIFT][at : at + size])
            head = PAGE_SIZE - at
            return bytes(self.r[ea >> PAGE_SHIFT][at:]) + self.load(ea + head, size - head)
        except PageFault as fault:
            raise _exact(fault, ea) from None

    def store(self, ea: int, data: bytes) -> None:
        """Write *data*, all of it or, if a page is missing, nothing."""
        self.probe_write(ea, len(data))
        while data:
            ea &= self._mask
            at = ea & PAGE_MASK
            part = data[: PAGE_SIZE - at]
            self.w[ea >> PAGE_SHIFT][at : at + len(part)] = part
            ea, data = ea + len(part), data[len(part) :]

    def probe_write(self, ea: int, size: int) -> None:
        """Make sure that *size* bytes can be written, so that stores can be done in any order."""
        ea &= self._mask
        try:
            for page in range(ea >> PAGE_SHIFT, (ea + size - 1 >> PAGE_SHIFT) + 1):
                self.w[page]
        except PageFault as fault:
            raise _exact(fault, ea) from None


def _exact(fault: PageFault, ea: int) -> PageFault:
    """Put the address of the access in place of that of its page."""
    at = Vaddr(max(fault.vaddr, ea))
    return PageFault(at, fault.access, fault.fault, present=fault.present)
