"""May a probe be there? What registration checks, and the instruction in the file."""

from typing import TYPE_CHECKING

from uprobes_sim.arch import ArchUprobe
from uprobes_sim.consumers import UprobeConsumer
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError, Refused
from uprobes_sim.memory import Mm
from uprobes_sim.page_cache import Inode
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, Vaddr

if TYPE_CHECKING:
    from uprobes_sim.uprobes import Uprobe, Uprobes

_REF_CTR_ALIGN = 2


def check_register(
    up: "Uprobes", inode: Inode, offset: int, consumer: UprobeConsumer, ref_ctr_offset: int
) -> None:
    """Refuse what uprobe_register refuses before it looks at any process, in its order.

    A negative offset passes: the comparison is signed, and nobody maps it.

    Raises:
        KernelError: EINVAL or EIO.
    """
    check_configured(up)
    has, name = up.config.kernel.has, up.info.name
    if consumer.handler is None and consumer.ret_handler is None:
        raise KernelError(Errno.EINVAL, "a consumer needs a handler")
    _check_release(up, consumer, ref_ctr_offset)
    if has("register_needs_read_folio") and not is_readable(up, inode):
        raise Refused(Errno.EIO, "uprobes.no_pages", f"{inode.name} cannot be read by pages")
    if offset > inode.size:
        reason = f"offset {offset:#x} is beyond the end of the file"
        raise Refused(Errno.EINVAL, "uprobes.beyond_end", reason)
    if has("offset_alignment"):
        if offset % up.info.swbp_size:
            reason = f"offset {offset:#x} is no multiple of {up.info.swbp_size}"
            raise Refused(Errno.EINVAL, f"{name}.alignment", reason)
        if ref_ctr_offset % _REF_CTR_ALIGN:
            reason = f"reference counter offset {ref_ctr_offset:#x} is odd"
            raise Refused(Errno.EINVAL, "uprobes.odd_ref_ctr", reason)


def check_configured(up: "Uprobes") -> None:
    """Refuse everything where the kernel has no uprobes, or was built without.

    Raises:
        KernelError: ENOSYS.
    """
    kernel = up.config.kernel
    if not kernel.has("uprobes"):
        reason = f"Linux {kernel} has no uprobes on {up.info.name}"
        raise Refused(Errno.ENOSYS, "uprobes.not_there", reason)
    if not kernel.has("uprobes_configured"):
        reason = "the kernel is configured without CONFIG_UPROBES"
        raise Refused(Errno.ENOSYS, "uprobes.not_configured", reason)


def _check_release(up: "Uprobes", consumer: UprobeConsumer, ref_ctr_offset: int) -> None:
    """Refuse what the release has no words for."""
    kernel = up.config.kernel
    if consumer.ret_handler is not None and not kernel.has("uretprobes"):
        reason = f"Linux {kernel} has no return probes"
        raise Refused(Errno.EINVAL, "uprobes.no_return", reason)
    if ref_ctr_offset and not kernel.has("ref_ctr_offset"):
        reason = f"Linux {kernel} has no reference counters"
        raise Refused(Errno.EINVAL, "uprobes.no_ref_ctr", reason)
    if kernel.has("relisted_consumer_is_einval") and up.has_successor(consumer):
        raise KernelError(Errno.EINVAL, "the consumer is on a list already")


def is_readable(up: "Uprobes", inode: Inode) -> bool:
    """Tell whether the kernel can read pages of a file: read_folio, or shmem."""
    return up.config.kernel.has("shmem") if inode.is_shmem else inode.has_read_folio


def copy_insn(up: "Uprobes", uprobe: "Uprobe") -> bytes:
    """Copy the instruction from the file, never from a process (copy_insn).

    Raises:
        KernelError: EIO, not even its first byte is in the file, or the file has no pages.
    """
    inode, size = uprobe.inode, up.info.max_insn_bytes
    if not is_readable(up, inode):
        raise KernelError(Errno.EIO, f"{inode.name} cannot be read by pages")
    if uprobe.offset >= inode.size and up.config.kernel.has("copy_insn_eio"):
        raise KernelError(Errno.EIO, f"offset {uprobe.offset:#x} is at the end of the file")
    first, at = uprobe.offset >> PAGE_SHIFT, uprobe.offset & PAGE_MASK
    pages = [frame.data for n in (first, first + 1) if (frame := inode.page(n)) is not None]
    return b"".join(map(bytes, pages))[at : at + size].ljust(size, b"\0")


def analyze_insn(up: "Uprobes", insn: bytes, mm: Mm, vaddr: Vaddr) -> ArchUprobe:
    """Accept an instruction, as it lies in the file, for a probe at *vaddr*.

    Raises:
        KernelError: ENOTSUPP for a trap; what the architecture refuses.
    """
    opcode = insn[: up.info.opcode_size]
    if up.is_trap_insn(opcode, mm):
        text = up.hook.arch_insn_text(insn=insn, vaddr=vaddr, abi=mm.abi)
        raise Refused(
            Errno.ENOTSUPP,
            f"{up.info.name}.trap",
            f"the instruction in the file, {text} ({opcode.hex()}), is a trap already",
        )
    return up.hook.arch_uprobe_analyze_insn(insn=insn, mm=mm, vaddr=vaddr, config=up.config)
