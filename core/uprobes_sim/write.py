"""Writing an opcode into a private page: `uprobe_write_opcode`, `verify_opcode`."""

from typing import TYPE_CHECKING, Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.memory import PageFault, Vma, VmFlags
from uprobes_sim.semaphores import update_ref_ctr
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, Vaddr
from uprobes_sim.xol import uprobes_state

if TYPE_CHECKING:
    from uprobes_sim.hookspecs import ArchHooks
    from uprobes_sim.uprobes import Uprobes

_COW: Final = VmFlags.SHARED | VmFlags.MAYWRITE


def uprobe_write_opcode(
    hook: "ArchHooks", vma: Vma, vaddr: Vaddr, opcode: bytes, *, is_register: bool
) -> bytes:
    """Write *opcode* at *vaddr* of a process; answer the bytes written, if any.

    Uprobes win over any other breakpoint: a foreign trap is overwritten, and a
    breakpoint that equals ours is taken for ours. The semaphore of the probe
    moves with the byte.
    Kernel: kernel/events/uprobes.c, uprobe_write_opcode and verify_opcode.

    Raises:
        KernelError: EFAULT where the page cannot be had; EINVAL for a mapping that is not
            copied on write; as `update_ref_ctr`; on older kernels EEXIST and EINVAL where
            the breakpoint is there already, or none is to be taken away.
    """
    mm, up = vma.mm, uprobes_state(vma.mm).uprobes
    if vma.flags & _COW != VmFlags.MAYWRITE:
        raise KernelError(Errno.EINVAL, f"the mapping at {vaddr:#x} is not copied on write")
    try:
        present = mm.read(vaddr, len(opcode), force=True)
        if hook.is_swbp_insn(insn=present, abi=mm.abi) == is_register:
            return _leave(up, vaddr, present, is_register=is_register)
        _update_ref_ctr(up, vma, 1 if is_register else -1)
        if not is_register and not mm.pgtable[vaddr >> PAGE_SHIFT].anon:
            return b""  # the private copy is gone, and our breakpoint with it
        mm.write(vaddr, opcode, force=True)
    except PageFault as fault:
        raise KernelError(Errno.EFAULT, f"cannot write a breakpoint: {fault}") from fault
    up.record(Act.WRITE, f"{opcode.hex()} over {present.hex()}", vaddr=vaddr, uprobe=up.writing)
    if not is_register and up.has("file_page_back"):
        _drop_equal_page(vma, vaddr)
    return opcode


def _leave(up: "Uprobes", vaddr: Vaddr, present: bytes, *, is_register: bool) -> bytes:
    """Write nothing: memory is as it shall be, as far as uprobes can tell.

    Raises:
        KernelError: EEXIST, EINVAL on kernels that say so.
    """
    if is_register and up.has("present_swbp_is_eexist"):
        raise KernelError(Errno.EEXIST, f"a breakpoint is at {vaddr:#x} already")
    if not is_register and not up.has("verify_opcode"):
        raise KernelError(Errno.EINVAL, f"no breakpoint is at {vaddr:#x}")
    what = "is taken for our breakpoint" if is_register else "is no breakpoint of ours"
    up.record(Act.PRESENT, f"{present.hex()} {what}", vaddr=vaddr, uprobe=up.writing)
    return b""


def _update_ref_ctr(up: "Uprobes", vma: Vma, d: int) -> None:
    """Change the semaphore, if the probe that is being written has one."""
    if up.writing is not None and up.writing.ref_ctr_offset:
        update_ref_ctr(up, up.writing, vma.mm, d)


def _drop_equal_page(vma: Vma, vaddr: Vaddr) -> None:
    """Map the file again if the private page has become equal to it."""
    if vma.inode is None:
        return
    pte = vma.mm.pgtable[vaddr >> PAGE_SHIFT]
    original = vma.inode.page(vma.offset(vaddr & ~PAGE_MASK) >> PAGE_SHIFT)
    if original is not None and pte.anon and pte.frame.data == original.data:
        vma.mm.drop_private(vaddr)
