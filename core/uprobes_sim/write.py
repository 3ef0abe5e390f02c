"""Writing an opcode into a private page: `uprobe_write_opcode`, `verify_opcode`."""

from typing import TYPE_CHECKING

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import PageFault, Vma
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, Vaddr
from uprobes_sim.xol import uprobes_state

if TYPE_CHECKING:
    from uprobes_sim.hookspecs import ArchHooks


def uprobe_write_opcode(
    hook: "ArchHooks", vma: Vma, vaddr: Vaddr, opcode: bytes, *, is_register: bool
) -> bytes:
    """Write *opcode* at *vaddr* of a process; answer the bytes written, if any.

    Uprobes win over any other breakpoint: a foreign trap is overwritten, and a
    breakpoint that equals ours is taken for ours.
    Kernel: kernel/events/uprobes.c, uprobe_write_opcode and verify_opcode.

    Raises:
        KernelError: EFAULT where the page cannot be had.
    """
    mm = vma.mm
    try:
        present = mm.read(vaddr, len(opcode), force=True)
        if hook.is_swbp_insn(insn=present, abi=mm.abi) == is_register:
            return b""
        pte = mm.pgtable[vaddr >> PAGE_SHIFT]
        if not is_register and not pte.anon:
            return b""  # the private copy is gone, and our breakpoint with it
        mm.write(vaddr, opcode, force=True)
    except PageFault as fault:
        raise KernelError(Errno.EFAULT, f"cannot write a breakpoint: {fault}") from fault
    if not is_register and uprobes_state(mm).kernel.has("file_page_back"):
        _drop_equal_page(vma, vaddr)
    return opcode


def _drop_equal_page(vma: Vma, vaddr: Vaddr) -> None:
    """Map the file again if the private page has become equal to it."""
    if vma.inode is None:
        return
    pte = vma.mm.pgtable[vaddr >> PAGE_SHIFT]
    original = vma.inode.page(vma.offset(vaddr & ~PAGE_MASK) >> PAGE_SHIFT)
    if original is not None and pte.anon and pte.frame.data == original.data:
        vma.mm.drop_private(vaddr)
