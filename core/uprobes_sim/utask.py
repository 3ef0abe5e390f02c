"""What becomes of a task's part in uprobes when tasks and address spaces come and go.

The part of kernel/events/uprobes.c that kernel/fork.c, kernel/exit.c and fs/exec.c call.
"""

from contextlib import suppress

from uprobes_sim.errors import KernelError
from uprobes_sim.memory import Mm
from uprobes_sim.task import Task, UprobeTask
from uprobes_sim.uretprobes import dup_return_instances, free_return_instances
from uprobes_sim.xol import UprobesState, uprobes_state


def uprobe_dup_mmap(old: Mm, new: Mm) -> None:
    """Let a copy of an address space know that it may have inherited breakpoints.

    They came with the private pages. Kernel: kernel/events/uprobes.c, uprobe_dup_mmap.
    """
    if isinstance(old.uprobes_state, UprobesState):
        old.uprobes_state.uprobes.uprobe_dup_mmap(old, new)


def uprobe_copy_process(parent: Task, child: Task, *, shares_mm: bool, is_vfork: bool) -> None:
    """Give a child the pending return probes of the functions that it will return from, too.

    A thread has a stack of its own and gets none. The page of slots does not follow a fork, so
    the child makes its own at the same address: the trampoline's is on its stack already.
    Kernel: kernel/events/uprobes.c, uprobe_copy_process and dup_xol_work.
    """
    child.utask = None
    utask = parent.utask
    if utask is None or not utask.return_instances or (shares_mm and not is_vfork):
        return
    state = uprobes_state(parent.mm)
    if not state.uprobes.has("dup_return_instances"):
        return
    copies = dup_return_instances(state.uprobes, utask.return_instances)
    child.utask = UprobeTask(return_instances=list(copies))
    if not shares_mm and state.xol_area is not None:
        with suppress(KernelError):  # then the child faults when it returns there
            uprobes_state(child.mm).get_xol_area(state.xol_area.vaddr)


def uprobe_free_utask(task: Task) -> None:
    """Drop what a task that ends, or starts another program, has pending. No handler runs.

    Kernel: kernel/events/uprobes.c, uprobe_free_utask.
    """
    utask = task.utask
    if utask is None:
        return
    state = uprobes_state(task.mm)
    free_return_instances(state.uprobes, task)
    if utask.active_uprobe is not None:  # killed while it waited, in the middle of a step
        state.get_xol_area().free_insn_slot(utask.xol_vaddr)
        state.uprobes.put_uprobe(utask.active_uprobe)
    task.utask = None
    task.tif_uprobe = False


def uprobe_clear_state(mm: Mm) -> None:
    """Drop the page of slots, and what is owed, with the address space (uprobe_clear_state)."""
    if isinstance(mm.uprobes_state, UprobesState):
        mm.uprobes_state.uprobes.uprobe_clear_state(mm)
        mm.uprobes_state.xol_area = None
