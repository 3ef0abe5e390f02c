"""Numbers that must not be mixed up."""

from typing import Final, NewType

Vaddr = NewType("Vaddr", int)
"""Address in the memory of a task, in bytes."""

Offset = NewType("Offset", int)
"""Distance from the start of a file, in bytes."""

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
"""Bytes in a page. Every modelled kernel is configured for 4 KiB pages."""

PAGE_MASK: Final = PAGE_SIZE - 1
"""Bits of an address inside its page (the complement of the kernel's PAGE_MASK)."""


def page_align(value: int) -> int:
    """Round *value*, in bytes, up to a whole page."""
    return (value + PAGE_MASK) & ~PAGE_MASK
