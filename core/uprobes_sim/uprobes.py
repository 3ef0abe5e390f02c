"""Probes and where they are: register, install, remove, and the life of mappings.

The first half of kernel/events/uprobes.c, in its order; `swbp` has the hits.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from sortedcontainers import SortedDict

from uprobes_sim.arch import ArchUprobe
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError, Refused
from uprobes_sim.events import How
from uprobes_sim.linker import Linked
from uprobes_sim.memory import Mm, Vma, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.sched import Scheduler
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, Offset, Vaddr
from uprobes_sim.version import Config
from uprobes_sim.xol import UprobesState

_PLACE_FLAGS: Final = VmFlags.HUGETLB | VmFlags.MAYEXEC | VmFlags.MAYSHARE


class HandlerResult(IntEnum):
    """What a handler may answer."""

    KEEP = 0
    UPROBE_HANDLER_REMOVE = 1
    """Remove the breakpoint from this process, if all consumers say so."""


@dataclass(eq=False, slots=True)
class UprobeConsumer:
    """`struct uprobe_consumer`: who wants to hear of a probe."""

    handler: Callable[[Task], HandlerResult] | None = None
    """Called at each hit, `task.regs.ip` at the probe."""
    ret_handler: Callable[[Task, Vaddr], None] | None = None
    """Called when the probed function returns, with the address that was entered."""
    filter: Callable[[Mm], bool] | None = None
    """Which processes to install in; asked at installation only. None: all."""


@dataclass(eq=False, slots=True)
class Uprobe:
    """`struct uprobe`: one per file and offset."""

    inode: Inode
    offset: Offset
    consumers: list[UprobeConsumer] = field(default_factory=list)
    """The newest first, which is the order of calls."""
    arch: ArchUprobe | None = None
    """The instruction, copied and accepted (UPROBE_COPY_INSN); None before."""


def valid_vma(vma: Vma, *, is_register: bool) -> bool:
    """Tell whether uprobes may write into *vma*.

    Registering: a private file mapping that may become executable and is not
    writable. Otherwise writable ones count too.
    Kernel: kernel/events/uprobes.c, valid_vma.
    """
    flags = _PLACE_FLAGS | VmFlags.WRITE if is_register else _PLACE_FLAGS
    return vma.inode is not None and vma.flags & flags == VmFlags.MAYEXEC


class Uprobes:
    """The uprobes of one machine."""

    def __init__(self, linked: Linked, config: Config, sched: Scheduler) -> None:
        """Start without a probe, on the architecture *linked*."""
        self.hook = linked.hook
        self.info = linked.info
        self.config = config
        self.sched = sched
        self.on_step: Callable[[Task, Uprobe, How], None] = lambda task, uprobe, how: None
        """Told how each probed instruction is executed: `emulate` or `xol`."""
        self.trampoline_insns = 0
        """Instructions that trampolines have had the processor execute."""
        self._tree: SortedDict[tuple[int, int], Uprobe] = SortedDict()

    # --- the tree ---------------------------------------------------------

    def find_uprobe(self, inode: Inode, offset: int) -> Uprobe | None:
        """Look up the probe at *offset* of *inode*."""
        found: Uprobe | None = self._tree.get((inode.ino, offset))
        return found

    def _alloc_uprobe(self, inode: Inode, offset: Offset) -> Uprobe:
        uprobe: Uprobe = self._tree.setdefault((inode.ino, offset), Uprobe(inode, offset))
        return uprobe

    def _uprobes_in(self, vma: Vma, start: int, end: int) -> list[Uprobe]:
        """List the probes of the part *start* up to *end* of *vma*, by offset."""
        if vma.inode is None:
            return []
        ino = vma.inode.ino
        keys = self._tree.irange((ino, vma.offset(start)), (ino, vma.offset(end)), (True, False))
        return [self._tree[key] for key in keys]

    # --- one place --------------------------------------------------------

    def _copy_insn(self, uprobe: Uprobe) -> bytes:
        """Copy the instruction from the file, never from a process (copy_insn).

        Raises:
            KernelError: EIO, not even its first byte is in the file.
        """
        inode, size = uprobe.inode, self.info.max_insn_bytes
        if uprobe.offset >= inode.size:
            raise KernelError(Errno.EIO, f"offset {uprobe.offset:#x} is at the end of the file")
        first = inode.page(uprobe.offset >> PAGE_SHIFT)
        assert first is not None
        at = uprobe.offset & PAGE_MASK
        insn = bytes(first.data[at : at + size])
        second = inode.page((uprobe.offset >> PAGE_SHIFT) + 1)
        if len(insn) < size and second is not None:
            insn += bytes(second.data[: size - len(insn)])
        return insn.ljust(size, b"\0")

    def _prepare_uprobe(self, uprobe: Uprobe, mm: Mm, vaddr: Vaddr) -> ArchUprobe:
        """Analyse the instruction, once for all processes (prepare_uprobe).

        Raises:
            KernelError: EIO; else as `analyze_insn`.
        """
        if uprobe.arch is None:
            uprobe.arch = self.analyze_insn(self._copy_insn(uprobe), mm, vaddr)
        return uprobe.arch

    def analyze_insn(self, insn: bytes, mm: Mm, vaddr: Vaddr) -> ArchUprobe:
        """Accept an instruction, as it lies in the file, for a probe at *vaddr*.

        Raises:
            KernelError: ENOTSUPP for a trap; what the architecture refuses.
        """
        opcode = insn[: self.info.swbp_size]
        if self.is_trap_insn(opcode, mm):
            text = self.hook.arch_insn_text(insn=insn, vaddr=vaddr, abi=mm.abi)
            raise Refused(
                Errno.ENOTSUPP,
                f"{self.info.name}.trap",
                f"the instruction in the file, {text} ({opcode.hex()}), is a trap already",
            )
        return self.hook.arch_uprobe_analyze_insn(insn=insn, mm=mm, vaddr=vaddr, config=self.config)

    def is_trap_insn(self, opcode: bytes, mm: Mm) -> bool:
        """Ask the hook by which this kernel tells traps."""
        if self.config.kernel.has("is_trap_insn"):
            return self.hook.is_trap_insn(insn=opcode, abi=mm.abi)
        return self.hook.is_swbp_insn(insn=opcode, abi=mm.abi)

    def is_wanted(self, uprobe: Uprobe, mm: Mm) -> bool:
        """Tell whether any consumer wants *mm* (filter_chain)."""
        return any(_wants(consumer, mm) for consumer in uprobe.consumers)

    def _install_breakpoint(self, uprobe: Uprobe, vma: Vma, vaddr: Vaddr) -> None:
        """Write the breakpoint into one process (install_breakpoint).

        Raises:
            KernelError: as `_prepare_uprobe` and the hook `set_swbp`.
        """
        mm = vma.mm
        auprobe = self._prepare_uprobe(uprobe, mm, vaddr)
        first = not mm.has_uprobes
        mm.has_uprobes = True  # before the write: a thread may hit it at once
        try:
            self.hook.set_swbp(auprobe=auprobe, vma=vma, vaddr=vaddr)
        except KernelError:
            mm.has_uprobes = not first
            raise
        mm.recalc_uprobes = False

    def _remove_breakpoint(self, uprobe: Uprobe, vma: Vma, vaddr: Vaddr) -> None:
        """Write the original back into one process (remove_breakpoint)."""
        vma.mm.recalc_uprobes = True
        if uprobe.arch is not None:
            self.hook.set_orig_insn(auprobe=uprobe.arch, vma=vma, vaddr=vaddr)

    # --- all places -------------------------------------------------------

    def _build_map_info(self, uprobe: Uprobe, *, is_register: bool) -> list[tuple[Vma, Vaddr]]:
        """List the places that map the probed offset (build_map_info)."""
        places = []
        for vma in reversed(uprobe.inode.i_mmap):
            vaddr = vma.vaddr(uprobe.offset)
            if vma.start <= vaddr < vma.end and valid_vma(vma, is_register=is_register):
                places.append((vma, vaddr))
        return places

    def _register_for_each_vma(self, uprobe: Uprobe, new: UprobeConsumer | None) -> None:
        """Install for the *new* consumer, or remove what nobody wants any more.

        Raises:
            KernelError: the first that could not be installed; of removals, the
                last that failed.
        """
        failed: KernelError | None = None
        for vma, vaddr in self._build_map_info(uprobe, is_register=new is not None):
            self.sched.cond_resched("register_for_each_vma")
            if new is not None:
                if _wants(new, vma.mm):
                    self._install_breakpoint(uprobe, vma, vaddr)
            elif vma.mm.has_uprobes and not self.is_wanted(uprobe, vma.mm):
                try:
                    self._remove_breakpoint(uprobe, vma, vaddr)
                except KernelError as exc:
                    failed = exc
        if failed is not None:
            raise failed

    def uprobe_register(self, inode: Inode, offset: Offset, consumer: UprobeConsumer) -> Uprobe:
        """Put a probe on *offset* of a file, in every process that maps it, now and later.

        The instruction is looked at only where somebody maps it.
        Kernel: kernel/events/uprobes.c, uprobe_register.

        Raises:
            KernelError: EINVAL for a consumer without callback, an offset beyond
                the end or misaligned; else as the instruction is refused.
        """
        if consumer.handler is None and consumer.ret_handler is None:
            raise KernelError(Errno.EINVAL, "a consumer needs a handler")
        if consumer.ret_handler is not None and not self.config.kernel.has("uretprobes"):
            raise Refused(
                Errno.EINVAL,
                "uprobes.no_return",
                f"Linux {self.config.kernel} has no return probes",
            )
        if offset > inode.size:
            raise KernelError(Errno.EINVAL, f"offset {offset:#x} is beyond the end of the file")
        if offset % self.info.swbp_size and self.config.kernel.has("offset_alignment"):
            raise Refused(
                Errno.EINVAL,
                f"{self.info.name}.alignment",
                f"offset {offset:#x} is no multiple of {self.info.swbp_size}",
            )
        uprobe = self._alloc_uprobe(inode, offset)
        uprobe.consumers.insert(0, consumer)
        try:
            self._register_for_each_vma(uprobe, consumer)
        except KernelError:
            self.uprobe_unregister(uprobe, consumer)
            raise
        return uprobe

    def uprobe_unregister(self, uprobe: Uprobe, consumer: UprobeConsumer) -> None:
        """Take a consumer away, and the breakpoints that were its only.

        Kernel: kernel/events/uprobes.c, uprobe_unregister_nosync. As there, a
        breakpoint that cannot be removed leaks the probe.

        Raises:
            KernelError: ENOENT, it is no consumer of the probe.
        """
        if consumer not in uprobe.consumers:
            raise KernelError(Errno.ENOENT, "that consumer is not registered with the probe")
        uprobe.consumers.remove(consumer)
        try:
            self._register_for_each_vma(uprobe, None)
        except KernelError:
            return
        if not uprobe.consumers:
            del self._tree[uprobe.inode.ino, uprobe.offset]

    def unapply_uprobe(self, uprobe: Uprobe, mm: Mm) -> None:
        """Remove the breakpoints of one process, as its handlers wish (unapply_uprobe)."""
        for vma, vaddr in self._build_map_info(uprobe, is_register=False):
            if vma.mm is mm:
                with suppress(KernelError):  # a page that cannot be had is not its handlers' fault
                    self._remove_breakpoint(uprobe, vma, vaddr)

    # --- mappings come and go ---------------------------------------------

    def attach(self, mm: Mm) -> None:
        """Make a new address space known."""
        mm.uprobes_state = UprobesState(mm, self)

    def uprobe_mmap(self, vma: Vma) -> None:
        """Install the probes of a new file mapping. An error is nobody's (uprobe_mmap)."""
        if not valid_vma(vma, is_register=True):
            return
        for uprobe in self._uprobes_in(vma, vma.start, vma.end):
            if self.is_wanted(uprobe, vma.mm):
                try:
                    self._install_breakpoint(uprobe, vma, vma.vaddr(uprobe.offset))
                except KernelError:
                    continue

    def uprobe_munmap(self, vma: Vma, start: int, end: int) -> None:
        """Note that probes may go with a mapping (uprobe_munmap)."""
        if vma.mm.has_uprobes and valid_vma(vma, is_register=False):
            vma.mm.recalc_uprobes |= bool(self._uprobes_in(vma, start, end))

    def mmf_recalc_uprobes(self, mm: Mm) -> None:
        """Clear MMF_HAS_UPROBES if no mapping has a probe any more."""
        mm.has_uprobes = any(
            self._uprobes_in(vma, vma.start, vma.end)
            for vma in mm.vmas.values()
            if valid_vma(vma, is_register=False)
        )


def _wants(consumer: UprobeConsumer, mm: Mm) -> bool:
    return consumer.filter is None or consumer.filter(mm)
