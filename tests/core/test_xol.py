"""core/uprobes_sim/xol.py"""

import pytest

from toy_arch import ADDI, NOP, SYS, TRAP, Box
from uprobes_sim.memory import Access, PageFault, VmFlags
from uprobes_sim.sched import Deadlock
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim.xol import XolArea, uprobes_state


def area_of(box: Box) -> XolArea:
    return uprobes_state(box.task.mm).get_xol_area()


def test_the_page_lies_as_high_as_it_can() -> None:
    box = Box((NOP,))

    assert area_of(box).vaddr == box.machine.info.task_size - PAGE_SIZE


def test_it_is_made_once_and_named() -> None:
    box = Box((NOP,))

    assert area_of(box) is area_of(box)
    vma = box.task.mm.find_vma(area_of(box).vaddr)
    assert vma is not None
    assert vma.name == "[uprobes]"
    assert vma.flags & VmFlags.EXEC
    assert vma.flags & VmFlags.DONTCOPY


def test_the_program_cannot_write_it() -> None:
    box = Box((NOP,))

    with pytest.raises(PageFault):
        box.task.mm.fault(area_of(box).vaddr, Access.WRITE)


def test_slot_0_is_the_trampolines_and_the_lowest_free_one_is_taken() -> None:
    area = area_of(Box((NOP,)))

    first, second = area.get_insn_slot(), area.get_insn_slot()
    area.free_insn_slot(first)

    assert [first - area.vaddr, second - area.vaddr] == [1024, 2048]
    assert area.get_insn_slot() == first


def test_who_finds_no_slot_waits() -> None:
    """With one task there is nobody who could give one back."""
    area = area_of(Box((NOP,)))
    for _ in range(3):
        area.get_insn_slot()

    with pytest.raises(Deadlock, match="xol_get_insn_slot"):
        area.get_insn_slot()


def test_who_finds_no_slot_goes_on_when_one_is_given_back() -> None:
    box = Box((NOP,))
    area, sched = area_of(box), box.machine.sched
    taken, free = list[Vaddr](), list[int]()

    def step() -> None:
        slot = area.get_insn_slot()
        taken.append(slot)
        free.append(area.free_slots)
        sched.cond_resched("in the slot")
        area.free_insn_slot(slot)

    for _ in range(7):
        sched.spawn("task", step)
    sched.run()

    assert (len(taken), min(free), area.free_slots) == (7, 0, 3)
    assert len(set(taken)) == 3


def test_a_slot_that_changes_is_told_to_engines_and_one_that_does_not_is_not() -> None:
    box = Box((NOP,))
    area = area_of(box)
    slot = area.get_insn_slot()
    heard: list[int] = []
    box.task.mm.notifiers.append(lambda start, end: heard.append(start))

    area.fill(slot, b"\1\2\3\4")
    area.fill(slot, b"\1\2\3\4")
    area.fill(slot, b"\1\2\3\5")

    assert heard == [slot, slot]
    assert box.task.mm.read(slot, 4) == b"\1\2\3\5"


def test_a_program_that_unmaps_the_page_runs_into_nothing() -> None:
    from uprobes_sim.signals import Signal
    from uprobes_sim.task import Task
    from uprobes_sim.units import Offset
    from uprobes_sim.uprobes import HandlerResult, UprobeConsumer

    def handler(task: Task) -> HandlerResult:
        return HandlerResult.KEEP

    box = Box((ADDI, 1, 1, 1), (SYS,))
    box.machine.uprobes.uprobe_register(box.inode, Offset(0), UprobeConsumer(handler=handler))
    box.task.mm.munmap(area_of(box).vaddr, PAGE_SIZE)

    box.run()

    assert box.task.killed_by is Signal.SIGSEGV


def test_the_trampoline_is_the_architectures() -> None:
    box = Box((NOP,))

    assert box.task.mm.read(Vaddr(area_of(box).vaddr), 4) == TRAP
