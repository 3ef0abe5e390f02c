"""Probes and where they are: register, install, remove, and the life of mappings.

The first half of kernel/events/uprobes.c, in its order; `swbp` has the hits.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from sortedcontainers import SortedDict

from uprobes_sim.arch import ArchUprobe
from uprobes_sim.consumers import Cookie, FilterCtx
from uprobes_sim.consumers import HandlerResult as HandlerResult
from uprobes_sim.consumers import UprobeConsumer as UprobeConsumer
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import Linked
from uprobes_sim.log import Act, Record
from uprobes_sim.memory import Mm, PageFault, Vma
from uprobes_sim.page_cache import Inode
from uprobes_sim.places import valid_vma as valid_vma
from uprobes_sim.places import vma_rules
from uprobes_sim.prepare import analyze_insn, check_register, copy_insn
from uprobes_sim.sched import Scheduler
from uprobes_sim.semaphores import DelayedUprobes, pay_delayed
from uprobes_sim.task import Task
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobe import Uprobe as Uprobe
from uprobes_sim.uprobe import does
from uprobes_sim.verdict import How
from uprobes_sim.version import Config
from uprobes_sim.write import uprobe_write_opcode
from uprobes_sim.xol import UprobesState, uprobes_state


class Uprobes:
    """The uprobes of one machine."""

    def __init__(self, linked: Linked, config: Config, sched: Scheduler) -> None:
        """Start without a probe, on the architecture *linked*."""
        self.hook = linked.hook
        self.info = linked.info
        self.config = config
        self.has = config.kernel.has
        self.does = does(config.kernel)
        self.sched = sched
        self.on_step: Callable[[Task, Uprobe, How], None] = lambda task, uprobe, how: None
        """Told how each probed instruction is executed: `emulate` or `xol`."""
        self.insns = 0
        """Instructions of programs that no engine has executed, since they were emulated."""
        self.trampoline_insns = 0
        """Instructions that trampolines have had the processor execute."""
        self.log: list[Record] | None = None
        """What was done and why, if somebody wants to know."""
        self.cookie = Cookie()
        """Of the session whose handler runs now: what it writes at entry it reads at return."""
        self.writing: Uprobe | None = None
        """The probe whose breakpoint is being written or taken away (container_of)."""
        self.delayed = DelayedUprobes()
        self.newest_id = 0
        self._rules = vma_rules(config.kernel)
        self._tree: SortedDict[tuple[int, int], Uprobe] = SortedDict()

    def record(
        self,
        act: Act,
        why: str,
        *,
        task: Task | None = None,
        vaddr: Vaddr | None = None,
        uprobe: Uprobe | None = None,
        errno: Errno | None = None,
    ) -> None:
        """Log what was done, and why."""
        if self.log is not None:
            pid = None if task is None else task.pid
            offset = None if uprobe is None else uprobe.offset
            self.log.append(Record(act, why, pid, vaddr, offset, errno))

    # --- the tree ---------------------------------------------------------

    def find_uprobe(self, inode: Inode, offset: int) -> Uprobe | None:
        """Look up the probe at *offset* of *inode*."""
        found: Uprobe | None = self._tree.get((inode.ino, offset))
        return found

    def __iter__(self) -> Iterator[Uprobe]:
        """Give every probe, by file and offset."""
        return iter(self._tree.values())

    def _alloc_uprobe(self, inode: Inode, offset: Offset, ref_ctr_offset: Offset) -> Uprobe:
        """Find the probe, made now if there is none, and take a reference.

        Raises:
            KernelError: EINVAL, it is there with another reference counter.
        """
        new = Uprobe(inode, offset, ref_ctr_offset)
        uprobe: Uprobe = self._tree.setdefault((inode.ino, offset), new)
        if uprobe.ref_ctr_offset != ref_ctr_offset:
            was = uprobe.ref_ctr_offset
            raise KernelError(
                Errno.EINVAL, f"ref_ctr_offset mismatch: {was:#x} before, {ref_ctr_offset:#x} now"
            )
        uprobe.ref += 1
        return uprobe

    def put_uprobe(self, uprobe: Uprobe) -> None:
        """Drop a reference; the last one takes the probe out of the tree (put_uprobe)."""
        uprobe.ref -= 1
        assert uprobe.ref >= 0, "a reference too many was dropped"
        if not uprobe.ref and self.has("references_keep_probe"):
            self._delete_uprobe(uprobe)

    def _delete_uprobe(self, uprobe: Uprobe) -> None:
        key = uprobe.inode.ino, uprobe.offset
        if self._tree.get(key) is uprobe:
            del self._tree[key]
        self.delayed.remove(uprobe, None)

    def _uprobes_in(self, vma: Vma, start: int, end: int) -> list[Uprobe]:
        """List the probes of the part *start* up to *end* of *vma*, by offset."""
        if vma.inode is None:
            return []
        ino = vma.inode.ino
        keys = self._tree.irange((ino, vma.offset(start)), (ino, vma.offset(end)), (True, False))
        return [self._tree[key] for key in keys]

    # --- consumers --------------------------------------------------------

    def _consumer_add(self, uprobe: Uprobe, consumer: UprobeConsumer) -> None:
        self.newest_id += 1
        consumer.id = self.newest_id
        uprobe.consumers.insert(0, consumer)

    def has_successor(self, consumer: UprobeConsumer) -> bool:
        """Tell whether *consumer* has a successor on some list (`uc->next`)."""
        return any(consumer in uprobe.consumers[:-1] for uprobe in self)

    def _wants(self, consumer: UprobeConsumer, mm: Mm, ctx: FilterCtx) -> bool:
        """Ask the filter of one consumer (consumer_filter)."""
        if not self.has("filters_install"):
            return True
        if consumer.filter_ctx is not None and self.has("filter_contexts"):
            answer = consumer.filter_ctx(ctx, mm)
        elif consumer.filter is not None:
            answer = consumer.filter(mm)
        else:
            return True
        self.record(Act.FILTER, f"{ctx.name}: {'yes' if answer else 'no'}")
        return answer

    def is_wanted(
        self, uprobe: Uprobe, mm: Mm, ctx: FilterCtx = FilterCtx.UPROBE_FILTER_UNREGISTER
    ) -> bool:
        """Tell whether any consumer wants *mm* (filter_chain)."""
        return any(self._wants(consumer, mm, ctx) for consumer in uprobe.consumers)

    def calls(self, consumer: UprobeConsumer, task: Task) -> bool:
        """Ask a filter, as older kernels do at each hit, whether *consumer* is to hear of it."""
        return consumer.filter is None or consumer.filter(task.mm)

    # --- one place --------------------------------------------------------

    def valid_vma(self, vma: Vma, *, is_register: bool) -> bool:
        """Tell whether a mapping counts on this kernel."""
        return valid_vma(vma, is_register=is_register, rules=self._rules)

    def _prepare_uprobe(self, uprobe: Uprobe, mm: Mm, vaddr: Vaddr) -> ArchUprobe:
        """Analyse the instruction, once for all processes (prepare_uprobe).

        Raises:
            KernelError: EIO; else as `analyze_insn`.
        """
        if uprobe.arch is None:
            uprobe.insn = copy_insn(self, uprobe)
            uprobe.arch = analyze_insn(self, uprobe.insn, mm, vaddr)
        return uprobe.arch

    def analyze_insn(self, insn: bytes, mm: Mm, vaddr: Vaddr) -> ArchUprobe:
        """Accept an instruction, as it lies in the file. Raises as `prepare.analyze_insn`."""
        return analyze_insn(self, insn, mm, vaddr)

    def is_trap_insn(self, opcode: bytes, mm: Mm) -> bool:
        """Ask the hook by which this kernel tells traps."""
        if self.has("is_trap_insn"):
            return self.hook.is_trap_insn(insn=opcode, abi=mm.abi)
        return self.hook.is_swbp_insn(insn=opcode, abi=mm.abi)

    def _install_breakpoint(self, uprobe: Uprobe, vma: Vma, vaddr: Vaddr) -> None:
        """Write the breakpoint into one process (install_breakpoint).

        Raises:
            KernelError: as `_prepare_uprobe` and the hook `set_swbp`.
        """
        mm = vma.mm
        auprobe = self._prepare_uprobe(uprobe, mm, vaddr)
        had = mm.has_uprobes
        self._count_breakpoint(mm, +1)  # before the write: a thread may hit it at once
        self.writing = uprobe
        try:
            self.hook.set_swbp(auprobe=auprobe, vma=vma, vaddr=vaddr)
        except KernelError:
            self._count_breakpoint(mm, -1)
            if self.has("mmf_flags"):
                mm.has_uprobes = had
            raise
        finally:
            self.writing = None
        self.record(Act.INSTALL, "a consumer wants this process", vaddr=vaddr, uprobe=uprobe)
        mm.recalc_uprobes = False

    def _remove_breakpoint(self, uprobe: Uprobe, vma: Vma, vaddr: Vaddr) -> None:
        """Write the original back into one process (remove_breakpoint).

        Where nobody has wanted the probe so far, the instruction was not copied: zeros are
        written over a breakpoint that is there, somebody else's. Where it was refused, it was.
        """
        mm = vma.mm
        mm.recalc_uprobes = self.has("mmf_flags")
        self.writing = uprobe
        try:
            if uprobe.arch is None:
                opcode = uprobe.insn[: self.info.swbp_size].ljust(self.info.swbp_size, b"\0")
                uprobe_write_opcode(self.hook, vma, vaddr, opcode, is_register=False)
            else:
                self.hook.set_orig_insn(auprobe=uprobe.arch, vma=vma, vaddr=vaddr)
        finally:
            self.writing = None
        self.record(Act.REMOVE, "nobody wants it here any more", vaddr=vaddr, uprobe=uprobe)
        self._count_breakpoint(mm, -1)

    def _count_breakpoint(self, mm: Mm, d: int) -> None:
        """Set MMF_HAS_UPROBES; older kernels count instead."""
        if not self.has("mmf_flags"):
            state = uprobes_state(mm)
            state.count += d
            mm.has_uprobes = state.count != 0
        elif d > 0:
            mm.has_uprobes = True

    # --- all places -------------------------------------------------------

    def _build_map_info(self, uprobe: Uprobe, *, is_register: bool) -> list[tuple[Vma, Vaddr]]:
        """List the places that map the probed offset (build_map_info)."""
        places = []
        for vma in reversed(uprobe.inode.i_mmap):
            vaddr = vma.vaddr(uprobe.offset)
            if vma.start <= vaddr < vma.end and self.valid_vma(vma, is_register=is_register):
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
                if self._wants(new, vma.mm, FilterCtx.UPROBE_FILTER_REGISTER):
                    self._install_for_register(uprobe, vma, vaddr)
            elif self._may_have_breakpoints(vma.mm) and not self.is_wanted(uprobe, vma.mm):
                try:
                    self._remove_breakpoint(uprobe, vma, vaddr)
                except KernelError as exc:
                    failed = self._failed_removal(uprobe, vaddr, exc) or failed
        if failed is not None:
            raise failed

    def _failed_removal(self, uprobe: Uprobe, vaddr: Vaddr, exc: KernelError) -> KernelError | None:
        """Tell what to make of a breakpoint that was not removed: older kernels do not look."""
        if self.has("failed_removal_leaks"):
            return exc
        why = f"set_orig_insn: {exc.reason}"
        self.record(Act.WARN, why, vaddr=vaddr, uprobe=uprobe, errno=exc.errno)
        return None

    def _install_for_register(self, uprobe: Uprobe, vma: Vma, vaddr: Vaddr) -> None:
        try:
            self._install_breakpoint(uprobe, vma, vaddr)
        except KernelError as exc:
            if exc.errno is not Errno.EEXIST:
                raise
            why = "a breakpoint is there: -EEXIST is taken for success"
            self.record(Act.PRESENT, why, vaddr=vaddr, uprobe=uprobe, errno=exc.errno)

    def _may_have_breakpoints(self, mm: Mm) -> bool:
        return mm.has_uprobes or not self.has("mmf_flags")

    def uprobe_register(
        self,
        inode: Inode,
        offset: Offset,
        consumer: UprobeConsumer,
        ref_ctr_offset: Offset = Offset(0),
    ) -> Uprobe:
        """Put a probe on *offset* of a file, in every process that maps it, now and later.

        The instruction is looked at only where somebody maps it. *ref_ctr_offset*: where in
        the file a counter of its consumers' interest is, 0 for none.
        Kernel: kernel/events/uprobes.c, uprobe_register.

        Raises:
            KernelError: EINVAL for a consumer without callback, an offset beyond
                the end or misaligned, another counter than before; EIO for a file without
                pages; else as the instruction is refused.
        """
        try:
            check_register(self, inode, offset, consumer, ref_ctr_offset)
            uprobe = self._alloc_uprobe(inode, offset, ref_ctr_offset)
            first = not uprobe.consumers
            self._consumer_add(uprobe, consumer)
            self.record(Act.REGISTER, "the newest consumer is called first", uprobe=uprobe)
            if first or self.has("each_consumer_installs"):
                self._register_or_undo(uprobe, consumer)
        except KernelError as exc:
            self.record(Act.REFUSE, exc.reason, errno=exc.errno)
            raise
        return uprobe

    def _register_or_undo(self, uprobe: Uprobe, consumer: UprobeConsumer) -> None:
        try:
            self._register_for_each_vma(uprobe, consumer)
        except KernelError:
            self.uprobe_unregister(uprobe, consumer)
            raise

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
        self.record(Act.UNREGISTER, f"{len(uprobe.consumers)} consumers stay", uprobe=uprobe)
        try:
            if not uprobe.consumers or self.has("each_consumer_installs"):
                self._register_for_each_vma(uprobe, None)
        except KernelError as exc:
            why = f"unregister, leaking uprobe: {exc.reason}"
            self.record(Act.LEAK, why, uprobe=uprobe, errno=exc.errno)
            return
        if not uprobe.consumers and not self.has("references_keep_probe"):
            self._delete_uprobe(uprobe)
        self.put_uprobe(uprobe)

    def uprobe_apply(self, uprobe: Uprobe, consumer: UprobeConsumer, *, add: bool) -> None:
        """Ask the filter of *consumer* again: install where it wants more, or remove.

        Kernel: kernel/events/uprobes.c, uprobe_apply.

        Raises:
            KernelError: ENOENT, it is no consumer of the probe; ENOSYS, this kernel cannot;
                else as `uprobe_register`.
        """
        if not self.has("uprobe_apply"):
            raise KernelError(Errno.ENOSYS, f"Linux {self.config.kernel} has no uprobe_apply")
        if consumer not in uprobe.consumers:
            raise KernelError(Errno.ENOENT, "that consumer is not registered with the probe")
        self._register_for_each_vma(uprobe, consumer if add else None)

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
        """Install the probes of a new file mapping (uprobe_mmap).

        Raises:
            KernelError: on kernels that tell; on others an error is nobody's.
        """
        if not self._tree:
            return
        if vma.mm.has_uprobes and self.delayed:
            pay_delayed(self, vma)
        if not self.valid_vma(vma, is_register=True):
            return
        for uprobe in self._uprobes_in(vma, vma.start, vma.end):
            if self.is_wanted(uprobe, vma.mm, FilterCtx.UPROBE_FILTER_MMAP):
                self._install_for_mmap(uprobe, vma, vma.vaddr(uprobe.offset))

    def _install_for_mmap(self, uprobe: Uprobe, vma: Vma, vaddr: Vaddr) -> None:
        try:
            self._install_breakpoint(uprobe, vma, vaddr)
        except KernelError as exc:
            if exc.errno is Errno.EEXIST:  # copied by a fork, or somebody else's
                self._count_breakpoint(vma.mm, +1)
                why = "a breakpoint is there: -EEXIST, and it is counted"
                self.record(Act.PRESENT, why, vaddr=vaddr, uprobe=uprobe, errno=exc.errno)
                return
            if self.has("mmap_reports_errors"):
                raise
            self.record(Act.SWALLOW, exc.reason, vaddr=vaddr, uprobe=uprobe, errno=exc.errno)

    def uprobe_munmap(self, vma: Vma, start: int, end: int) -> None:
        """Note that probes may go with a mapping (uprobe_munmap)."""
        mm = vma.mm
        if not mm.has_uprobes or not self.valid_vma(vma, is_register=False):
            return
        if not self.has("mmf_flags"):
            for uprobe in self._uprobes_in(vma, start, end):
                if self._is_swbp_at_addr(mm, vma.vaddr(uprobe.offset)):
                    self._count_breakpoint(mm, -1)
        elif not mm.recalc_uprobes and self._uprobes_in(vma, start, end):
            mm.recalc_uprobes = True

    def _is_swbp_at_addr(self, mm: Mm, vaddr: Vaddr) -> bool:
        try:
            opcode = mm.read(vaddr, self.info.swbp_size, force=True)
        except PageFault:
            return False
        return self.hook.is_swbp_insn(insn=opcode, abi=mm.abi)

    def mmf_recalc_uprobes(self, mm: Mm) -> None:
        """Clear MMF_HAS_UPROBES if no mapping has a probe any more."""
        mm.has_uprobes = any(
            self._uprobes_in(vma, vma.start, vma.end)
            for vma in mm.vmas.values()
            if self.valid_vma(vma, is_register=False)
        )
        if not mm.has_uprobes:
            self.record(Act.HAS, "no mapping has a probe any more: MMF_HAS_UPROBES is cleared")

    def uprobe_dup_mmap(self, old: Mm, new: Mm) -> None:
        """Tell a copy of an address space that it has breakpoints. No filter is asked.

        Kernel: kernel/events/uprobes.c, uprobe_dup_mmap; before MMF_HAS_UPROBES, dup_mmap
        showed each mapping to uprobe_mmap.
        """
        if not self.has("mmf_flags"):
            for vma in list(new.vmas.values()):
                self.uprobe_mmap(vma)
        elif old.has_uprobes:
            new.has_uprobes = new.recalc_uprobes = True
            self.record(Act.INHERIT, "the child has its parent's breakpoints; no filter was asked")

    def uprobe_clear_state(self, mm: Mm) -> None:
        """Forget what is owed to an address space that is going (uprobe_clear_state)."""
        self.delayed.remove(None, mm)
