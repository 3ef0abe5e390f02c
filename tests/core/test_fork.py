"""core/uprobes_sim/fork.py, exit.py and utask.py: what a child gets, and what an end gives back."""

import pytest

from kernel_box import BUF, KernelBox
from toy_arch import ADDI, CALL, DATA, NOP, POP, PUSH, RET, SYS, TEXT, TRAP, Box
from uprobes_sim.errors import KernelError
from uprobes_sim.exit import do_exit, do_group_exit, end_task
from uprobes_sim.fork import CloneArgs, CloneFlags, copy_process, dup_mm
from uprobes_sim.memory import Mm, PageFault, VmFlags
from uprobes_sim.signals import Signal
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ExitCode
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer
from uprobes_sim.xol import uprobes_state

THREAD = (
    CloneFlags.CLONE_VM
    | CloneFlags.CLONE_SIGHAND
    | CloneFlags.CLONE_THREAD
    | CloneFlags.CLONE_FILES
)
VFORK = CloneFlags.CLONE_VM | CloneFlags.CLONE_VFORK
FUNCTION = ((CALL, 0, 0, 2), (SYS,), (PUSH,), (NOP,), (POP,), (RET,))


def child_of(box: Box, flags: int = 0) -> Task:
    if box.task not in box.machine.tasks.created:
        box.machine.tasks.add(box.task)
    args = CloneArgs(flags=CloneFlags(flags), exit_signal=Signal.SIGCHLD)
    linked = type("Linked", (), {"hook": box.machine.hook, "info": box.machine.info})()
    return copy_process(box.machine.tasks, linked, box.task, args)


def probe(box: Box, index: int, *, returns: bool = False) -> list[int]:
    hits = list[int]()

    def handler(task: Task) -> HandlerResult:
        hits.append(task.pid)
        return HandlerResult.KEEP

    def ret_handler(task: Task, func: Vaddr) -> None:
        hits.append(task.pid)

    consumer = UprobeConsumer(
        handler=None if returns else handler, ret_handler=ret_handler if returns else None
    )
    box.machine.uprobes.uprobe_register(box.inode, Offset(4 * index), consumer)
    return hits


# --- memory -------------------------------------------------------------------


@pytest.mark.parametrize("writer", ["parent", "child"])
def test_what_one_writes_the_other_does_not_see(writer: str) -> None:
    parent = Box((NOP,)).task.mm
    parent.write(DATA, b"before")
    child = dup_mm(parent)
    who, other = (parent, child) if writer == "parent" else (child, parent)

    who.write(DATA, b"after!")

    assert (who.read(DATA, 6), other.read(DATA, 6)) == (b"after!", b"before")


def test_shared_memory_stays_shared_even_where_nobody_was_yet() -> None:
    parent = Box((NOP,)).task.mm
    shared = VmFlags.READ | VmFlags.WRITE | VmFlags.SHARED | VmFlags.MAYSHARE
    parent.mmap(0x50000, 0x2000, shared | VmFlags.MAYREAD | VmFlags.MAYWRITE)
    child = dup_mm(parent)

    child.write(0x50FFF, b"over a border")

    assert parent.read(0x50FFF, 13) == b"over a border"


def test_what_is_not_to_be_copied_is_not_there() -> None:
    parent = Box((NOP,)).task.mm
    parent.mmap(0x50000, 0x1000, VmFlags.READ | VmFlags.MAYREAD | VmFlags.DONTCOPY)

    child = dup_mm(parent)

    with pytest.raises(PageFault):
        child.read(0x50000, 1)


def test_a_page_that_the_child_has_left_is_the_parents_again() -> None:
    box = Box((NOP,))
    box.task.mm.write(DATA, b"mine")
    before = box.task.mm.pgtable[DATA >> 12].frame
    child = child_of(box)
    end_task(child, ExitCode(0))
    do_exit(box.machine.tasks, child)

    box.task.mm.write(DATA, b"ours")

    assert box.task.mm.pgtable[DATA >> 12].frame is before
    assert child.mm not in [vma.mm for vma in box.inode.i_mmap]


# --- probes ---------------------------------------------------------------------


def test_a_child_has_its_parents_breakpoints_and_no_filter_is_asked() -> None:
    """kernel/events/uprobes.c, uprobe_dup_mmap."""
    box, asked = Box((NOP,), (SYS,)), list[object]()

    def wanted(mm: Mm) -> bool:
        asked.append(mm)
        return True

    consumer = UprobeConsumer(handler=lambda task: HandlerResult.KEEP, filter=wanted)
    box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer)

    child = dup_mm(box.task.mm)

    assert child.read(TEXT, 4) == TRAP
    assert (child.has_uprobes, child.recalc_uprobes) == (True, True)
    assert child not in asked


def test_removing_a_probe_mends_parent_and_child() -> None:
    box = Box((NOP,), (SYS,))
    consumer = UprobeConsumer(handler=lambda task: HandlerResult.KEEP)
    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer)
    child = dup_mm(box.task.mm)

    box.machine.uprobes.uprobe_unregister(uprobe, consumer)

    original = bytes([NOP, 0, 0, 0])
    assert (box.word(0), child.read(TEXT, 4)) == (original, original)


def inside_the_function(release: tuple[int, ...] = (6, 18)) -> tuple[Box, list[int]]:
    """A task that has entered a function with a return probe."""
    box = Box(*FUNCTION, release=release)
    hits = probe(box, 2, returns=True)
    machine, task = box.machine, box.task
    while task.utask is None or not task.utask.return_instances or task.utask.active_uprobe:
        machine._enter_kernel(task, machine._execute(task), None)
        machine._exit_to_user_mode(task)
    return box, hits


def test_fork_copies_pending_returns_and_the_page_to_the_same_address() -> None:
    box, _ = inside_the_function()
    area = uprobes_state(box.task.mm).get_xol_area()

    child = child_of(box)

    assert box.task.utask is not None
    assert child.utask is not None
    assert child.utask.depth == 1
    assert child.utask.return_instances[0] is not box.task.utask.return_instances[0]
    theirs = uprobes_state(child.mm).xol_area
    assert theirs is not None
    assert theirs is not area
    assert theirs.vaddr == area.vaddr


def test_vfork_copies_pending_returns_and_shares_the_page() -> None:
    box, _ = inside_the_function()

    child = child_of(box, VFORK)

    assert child.utask is not None
    assert child.utask.depth == 1
    assert child.mm is box.task.mm


def test_a_thread_has_no_pending_returns() -> None:
    box, _ = inside_the_function()

    assert child_of(box, THREAD).utask is None


def test_before_3_13_a_child_has_no_pending_returns() -> None:
    box, _ = inside_the_function((3, 12))

    assert child_of(box).utask is None


def test_parent_and_child_both_return_through_the_probe() -> None:
    box, hits = inside_the_function()
    child = child_of(box)
    for task in (box.task, child):
        box.machine.tasks.wake_up_new_task(task)

    box.run()

    assert sorted(hits) == [1000, 1001]
    assert (box.task.killed_by, child.killed_by) == (None, None)


def test_an_end_in_the_middle_of_a_step_gives_slot_and_probe_back() -> None:
    """kernel/events/uprobes.c, uprobe_free_utask."""
    box = Box((ADDI, 1, 1, 1), (SYS,))
    probe(box, 0)
    machine, task = box.machine, box.task
    machine._enter_kernel(task, machine._execute(task), None)
    machine._exit_to_user_mode(task)
    assert task.utask is not None
    uprobe, area = task.utask.active_uprobe, uprobes_state(task.mm).get_xol_area()
    assert uprobe is not None
    before = (area.free_slots, uprobe.ref)
    machine.tasks.add(task)
    end_task(task, ExitCode(1))

    do_exit(machine.tasks, task)

    assert (area.free_slots, uprobe.ref) == (before[0] + 1, before[1] - 1)
    assert task.utask is None


# --- calls ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(CloneFlags.CLONE_THREAD, id="threads share handlers"),
        pytest.param(CloneFlags.CLONE_SIGHAND, id="who shares handlers shares memory"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags: CloneFlags) -> None:
    with pytest.raises(KernelError, match="EINVAL"):
        child_of(Box((NOP,)), flags)


def test_a_child_shares_what_clone_says() -> None:
    box = Box((NOP,))

    thread, process = child_of(box, THREAD), child_of(box)

    assert thread.files is box.task.files
    assert thread.sigactions is box.task.sigactions
    assert (thread.tgid, thread.pid) == (1000, 1001)
    assert process.files is not box.task.files
    assert (process.tgid, process.group.parent) == (1002, box.task.group)


def test_a_parent_without_children_does_not_wait(tmp_path_factory: pytest.TempPathFactory) -> None:
    box = KernelBox(tmp_path_factory.mktemp("empty"))

    assert box("wait4", -1, BUF, 0, 0) == -10
    assert box("waitid", 0, 0, BUF, 4, 0) == -10


def test_a_leader_that_has_left_ends_as_the_process_does() -> None:
    box = Box((NOP,))
    thread = child_of(box, THREAD)
    end_task(box.task, ExitCode(0))
    do_exit(box.machine.tasks, box.task)

    do_group_exit(thread, ExitCode(3))
    do_exit(box.machine.tasks, thread)

    assert (box.task.exit_status, box.task.group.ended) == (3, ExitCode(3))


def test_there_is_an_end_to_forking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uprobes_sim.pids.MAX_THREADS", 2)
    box = Box((NOP,))
    first = child_of(box)
    with pytest.raises(KernelError, match="EAGAIN"):
        child_of(box)

    end_task(first, ExitCode(0))
    do_exit(box.machine.tasks, first)

    assert child_of(box).pid > first.pid
