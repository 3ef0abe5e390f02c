"""The out-of-line page of a process: slots for copies, and the trampoline in slot 0."""

from typing import TYPE_CHECKING, Final

from uprobes_sim.arch import ArchInfo
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import Access, Mm, Vma, VmFlags
from uprobes_sim.sched import Scheduler
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim.version import Kernel

if TYPE_CHECKING:
    from uprobes_sim.task import Task
    from uprobes_sim.uprobes import Uprobes

UPROBES_MAPPINGS: Final = frozenset({"[uprobes]", "[uprobes-trampoline]"})
"""Names of the mappings that probes make."""

XOL_FLAGS: Final = VmFlags.EXEC | VmFlags.MAYEXEC | VmFlags.DONTCOPY | VmFlags.IO


class XolArea:
    """`struct xol_area`: one page, mapped as `[uprobes]`, until the process ends."""

    def __init__(
        self,
        mm: Mm,
        info: ArchInfo,
        trampoline: bytes,
        sched: Scheduler,
        vaddr: Vaddr | None = None,
    ) -> None:
        """Map the page, at *vaddr* if given, and put *trampoline* in front, if there is one.

        Kernel: kernel/events/uprobes.c, __create_xol_area and xol_add_vma.

        Raises:
            KernelError: ENOMEM, no room in the address space.
        """
        if vaddr is None:
            vaddr = mm.get_unmapped_area(PAGE_SIZE, limit=mm.task_size)
        self.vaddr = vaddr
        """Start of the page, and so the address of the trampoline, if it has one."""
        self.has_trampoline = bool(trampoline)
        self.replaced: set[Vaddr] = set()
        """Return addresses for which the trampoline's has stood."""
        self.stacks: set[tuple[int, int]] = set()
        """Where they lay: start and end of each stack."""
        self._mm = mm
        self._sched = sched
        self._slot_bytes = info.xol_slot_bytes
        self._busy = bytearray(PAGE_SIZE // info.xol_slot_bytes)
        self._busy[0] = bool(trampoline)  # its own for ever
        mm.mmap(self.vaddr, PAGE_SIZE, XOL_FLAGS, name="[uprobes]")
        self._page = mm.fault(self.vaddr, Access.EXEC).data  # ours, even if the program unmaps it
        self._copy(self.vaddr, trampoline)

    @property
    def free_slots(self) -> int:
        """Slots that nobody has taken."""
        return self._busy.count(0)

    def note(self, orig: Vaddr, task: "Task") -> None:
        """Note that the trampoline stands for *orig* from now on, on the stack of *task*."""
        self.replaced.add(orig)
        stack, sp = task.altstack, task.regs.sp
        if stack is not None and sp in stack:
            self.stacks.add((stack.sp, stack.sp + stack.size))
        elif (vma := self._mm.find_vma(sp)) is not None:
            self.stacks.add((vma.start, vma.end))

    def get_insn_slot(self) -> Vaddr:
        """Take the lowest free slot; wait for one if there is none (xol_get_insn_slot)."""
        self._sched.wait_event("xol_get_insn_slot", lambda: self.free_slots > 0)
        slot = self._busy.index(0)
        self._busy[slot] = True
        return Vaddr(self.vaddr + slot * self._slot_bytes)

    def fill(self, slot: Vaddr, ixol: bytes) -> None:
        """Copy an instruction into *slot* (arch_uprobe_copy_ixol)."""
        self._copy(slot, ixol)

    def free_insn_slot(self, slot: Vaddr) -> None:
        """Give *slot* back (xol_free_insn_slot)."""
        self._busy[(slot - self.vaddr) // self._slot_bytes] = False

    def _copy(self, vaddr: Vaddr, code: bytes) -> None:
        at = vaddr - self.vaddr
        if self._page[at : at + len(code)] == code:
            return  # the same probe as before: engines keep what they made of it
        self._page[at : at + len(code)] = code
        self._mm.flush_icache_range(vaddr, len(code))


class UprobesState:
    """`struct uprobes_state` of an address space: it links the mm to its uprobes."""

    def __init__(self, mm: Mm, uprobes: "Uprobes") -> None:
        """Let *uprobes* hear of what happens to the mappings of *mm*."""
        self._mm = mm
        self.uprobes = uprobes
        """The uprobes of the machine."""
        self.xol_area: XolArea | None = None
        self.arch: object = uprobes.hook.arch_uprobe_init_state(mm=mm)
        """The backend's own: where its trampolines are."""
        self.residue: dict[int, bytes] = {}
        """What trampolines have last left below the stack pointer, words by their address."""
        self.count = 0
        """Breakpoints in place, as kernels before MMF_HAS_UPROBES count them."""

    def uprobe_mmap(self, vma: Vma) -> None:
        """Pass on: a file mapping was made or cut."""
        self.uprobes.uprobe_mmap(vma)

    def uprobe_munmap(self, vma: Vma, start: int, end: int) -> None:
        """Pass on: a range of a file mapping is about to go."""
        self.uprobes.uprobe_munmap(vma, start, end)

    def get_xol_area(self, vaddr: Vaddr | None = None) -> XolArea:
        """Find the page, made now (at *vaddr*) if this is the first need of it (get_xol_area).

        Raises:
            KernelError: ENOMEM.
        """
        if self.xol_area is None:
            up = self.uprobes
            code = b""
            if up.has("uretprobes"):
                code = up.hook.arch_uretprobe_trampoline(abi=self._mm.abi, config=up.config)
            self.xol_area = XolArea(self._mm, up.info, code, up.sched, vaddr)
        return self.xol_area

    @property
    def kernel(self) -> Kernel:
        """The release whose uprobes these are."""
        return self.uprobes.config.kernel

    @property
    def trampoline_vaddr(self) -> Vaddr | None:
        """Address of the return trampoline, if the page exists (uprobe_get_trampoline_vaddr)."""
        area = self.xol_area
        return area.vaddr if area is not None and area.has_trampoline else None


def uprobes_state(mm: Mm) -> UprobesState:
    """Find the uprobes' state of *mm*.

    Raises:
        KernelError: EINVAL, the address space belongs to no machine.
    """
    state = mm.uprobes_state
    if not isinstance(state, UprobesState):
        raise KernelError(Errno.EINVAL, "this address space knows no uprobes")
    return state
