"""core/uprobes_sim/swbp.py, and with it a whole hit: breakpoint, handlers, step."""

import pytest

from toy_arch import (
    ADDI,
    CALL,
    DATA,
    ILLEGAL,
    JMP,
    LD,
    LI,
    NOP,
    RET,
    STACK,
    SYS,
    TEXT,
    TRAP,
    TRAP_OP,
    TRAPIF,
    Box,
    ExitOnly,
)
from uprobes_sim.cpu import Stop
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.task import Task
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer
from uprobes_sim.xol import uprobes_state


def probe(box: Box, index: int, *answers: HandlerResult) -> list[int]:
    """Probe word *index*; the list that comes back fills with the addresses of hits."""
    hits: list[int] = []

    def handler(task: Task) -> HandlerResult:
        hits.append(task.regs.ip)
        return answers[0] if answers else HandlerResult.KEEP

    box.machine.uprobes.uprobe_register(
        box.inode, Offset(4 * index), UprobeConsumer(handler=handler)
    )
    return hits


def steps(box: Box) -> list[str]:
    """Note how each probed instruction is executed."""
    how: list[str] = []

    def on_step(task: Task, uprobe: Uprobe, way: str) -> None:
        how.append(way)

    box.machine.uprobes.on_step = on_step
    return how


def test_an_emulated_instruction_needs_no_page() -> None:
    box = Box((NOP,), (LI, 1, 0, 7), (SYS,))
    hits, how = probe(box, 0), steps(box)

    box.run()

    assert (hits, how, box.task.exit_status) == ([TEXT], ["emulate"], 7)
    assert uprobes_state(box.task.mm).xol_area is None


def test_a_stepped_instruction_runs_in_a_slot_and_goes_on_behind_the_probe() -> None:
    box = Box((LI, 2, 0, 3), (ADDI, 1, 2, 4), (SYS,))
    hits, how = probe(box, 1), steps(box)

    box.run()

    assert (hits, how, box.task.exit_status) == ([TEXT + 4], ["xol"], 7)
    area = uprobes_state(box.task.mm).get_xol_area()
    assert box.task.mm.read(area.vaddr, 4) == TRAP  # the trampoline
    assert box.task.mm.read(area.vaddr + 1024, 4) == box.code[4:8]  # the copy
    assert area.free_slots == 3  # of four, one for the trampoline: the slot is free again


def test_a_stepped_call_returns_behind_the_probe() -> None:
    box = Box((CALL, 0, 0, 3), (LI, 1, 0, 5), (SYS,), (RET,))
    probe(box, 0)

    box.run()

    assert box.task.exit_status == 5


def test_handlers_run_newest_first() -> None:
    box = Box((NOP,), (SYS,))
    order: list[str] = []

    def consumer(name: str) -> UprobeConsumer:
        def handler(task: Task) -> HandlerResult:
            order.append(name)
            return HandlerResult.KEEP

        return UprobeConsumer(handler=handler)

    for name in ("first", "second", "third"):
        box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer(name))
    box.run()

    assert order == ["third", "second", "first"]


def loop_with_removal(release: tuple[int, ...], *, wanted: bool) -> tuple[list[int], bytes]:
    """Pass a probe whose handler wants removal three times: its hits, the word at the end."""
    box = Box((ADDI, 2, 2, 1), (ADDI, 3, 3, 1), (JMP, 0, 0, -2), release=release)
    hits = probe(box, 0, HandlerResult.UPROBE_HANDLER_REMOVE)
    uprobe = box.machine.uprobes.find_uprobe(box.inode, 0)
    assert uprobe is not None
    uprobe.consumers[0].filter = lambda mm: wanted
    machine, task = box.machine, box.task
    for _ in range(100):
        entry = machine.hook.arch_uprobe_step(cpu=machine.cpu, task=task)
        if entry.stop is not Stop.SINGLE_STEP or (task.utask and task.utask.active_uprobe):
            machine._enter_kernel(task, entry, ExitOnly())
            machine._exit_to_user_mode(task)
        if box.regs.r[3] == 3:
            break
    return hits, box.word(0)


def test_a_handler_that_wants_removal_is_called_once_if_no_filter_objects() -> None:
    hits, word = loop_with_removal((6, 12), wanted=False)

    assert (hits, word) == ([TEXT], bytes([ADDI, 2, 2, 1]))


def test_a_filter_that_wants_the_process_keeps_the_probe() -> None:
    hits, word = loop_with_removal((6, 12), wanted=True)

    assert (hits, word) == ([TEXT] * 3, TRAP)


def test_before_6_12_nobody_asks_the_filter() -> None:
    hits, word = loop_with_removal((6, 11), wanted=True)

    assert (hits, word) == ([TEXT], bytes([ADDI, 2, 2, 1]))


def test_one_consumer_that_keeps_its_probe_keeps_it_for_all() -> None:
    box = Box((NOP,), (NOP,), (SYS,))
    probe(box, 0, HandlerResult.UPROBE_HANDLER_REMOVE)
    probe(box, 0)

    box.run()

    assert box.word(0) == TRAP


def test_a_handler_may_send_the_task_elsewhere() -> None:
    box = Box((LI, 1, 0, 1), (SYS,), (LI, 1, 0, 2), (SYS,))

    def handler(task: Task) -> HandlerResult:
        task.regs.ip = Vaddr(TEXT + 8)
        return HandlerResult.KEEP

    box.machine.uprobes.uprobe_register(box.inode, Offset(0), UprobeConsumer(handler=handler))
    box.run()

    assert box.task.exit_status == 2


def test_before_6_18_the_probed_instruction_is_executed_all_the_same() -> None:
    """The copy is stepped; where it goes on is the architecture's business."""
    box = Box((LI, 1, 0, 1), (SYS,), (LI, 2, 0, 2), (SYS,), release=(6, 13))
    how = steps(box)

    def handler(task: Task) -> HandlerResult:
        task.regs.ip = Vaddr(TEXT + 8)
        return HandlerResult.KEEP

    box.machine.uprobes.uprobe_register(box.inode, Offset(0), UprobeConsumer(handler=handler))
    box.run()

    assert how == ["xol"]
    assert (box.task.exit_status, box.regs.r[2]) == (1, 0)


def test_a_faulting_copy_gives_the_signal_at_the_probe() -> None:
    box = Box((LI, 2, 0, 8), (LD, 1, 2, 0), (SYS,))
    hits = probe(box, 1)

    box.run()

    assert box.task.killed_by is Signal.SIGSEGV
    assert box.regs.ip == TEXT + 4  # not in the slot
    assert hits == [TEXT + 4]
    assert uprobes_state(box.task.mm).get_xol_area().free_slots == 3


def test_an_illegal_instruction_is_probed_and_then_illegal() -> None:
    box = Box((ILLEGAL,), (SYS,))
    probe(box, 0)

    box.run()

    assert (box.task.killed_by, box.regs.ip) == (Signal.SIGILL, TEXT)


@pytest.mark.parametrize("probed", [False, True], ids=["no probe", "a probe elsewhere"])
def test_a_trap_of_the_program_is_its_own(probed: bool) -> None:
    box = Box((NOP,), (TRAP_OP,), (SYS,))
    if probed:
        probe(box, 0)

    box.run()

    assert box.task.killed_by is Signal.SIGTRAP


def test_a_conditional_trap_that_fires_is_the_programs_too() -> None:
    box = Box((NOP,), (LI, 2, 0, 1), (TRAPIF, 2), (SYS,))
    probe(box, 0)

    box.run()

    assert (box.task.killed_by, box.regs.ip) == (Signal.SIGTRAP, TEXT + 8)


def test_a_breakpoint_that_was_just_removed_is_executed_again() -> None:
    """The task has trapped; before it looks for the probe, the probe goes."""
    box = Box((LI, 1, 0, 9), (SYS,))
    hits = probe(box, 0)
    uprobe = box.machine.uprobes.find_uprobe(box.inode, 0)
    assert uprobe is not None
    entry = box.machine._execute(box.task)
    box.machine._enter_kernel(box.task, entry, None)

    box.machine.uprobes.uprobe_unregister(uprobe, uprobe.consumers[0])
    box.machine._exit_to_user_mode(box.task)
    box.run()

    assert (hits, box.task.exit_status) == ([], 9)


def test_two_probes_in_a_row_share_the_slot_one_after_the_other() -> None:
    box = Box((ADDI, 1, 1, 1), (ADDI, 1, 1, 2), (SYS,))
    first, second = probe(box, 0), probe(box, 1)

    box.run()

    assert (first, second, box.task.exit_status) == ([TEXT], [TEXT + 4], 3)


def test_the_programs_stack_and_data_are_untouched() -> None:
    box = Box((ADDI, 1, 1, 1), (NOP,), (SYS,))
    probe(box, 0)
    probe(box, 1)

    box.run()

    assert not any(box.task.mm.read(DATA, 0x1000))
    assert not any(box.task.mm.read(STACK - 0x1000, 0x1000))


def test_a_signal_that_ends_the_task_does_not_wait_for_the_step() -> None:
    """kernel/events/uprobes.c, uprobe_deny_signal: the copy is given up, ip is the probe's."""
    box = Box((ADDI, 1, 1, 1), (SYS,))
    probe(box, 0)
    machine, task = box.machine, box.task
    machine._enter_kernel(task, machine._execute(task), ExitOnly())
    machine._exit_to_user_mode(task)
    stepping = task.utask is not None and task.utask.active_uprobe is not None

    task.pending.append(SigInfo(Signal.SIGTERM))
    machine._exit_to_user_mode(task)

    assert stepping
    assert (task.killed_by, box.regs.ip, box.regs.r[1]) == (Signal.SIGTERM, TEXT, 0)


def test_any_other_signal_waits_for_the_end_of_the_step() -> None:
    box = Box((ADDI, 1, 1, 1), (SYS,))
    probe(box, 0)
    machine, task = box.machine, box.task
    machine._enter_kernel(task, machine._execute(task), ExitOnly())
    machine._exit_to_user_mode(task)

    task.pending.append(SigInfo(Signal.SIGQUIT))
    machine._exit_to_user_mode(task)
    waiting = not task.dead
    machine._enter_kernel(task, machine._execute(task), ExitOnly())
    machine._exit_to_user_mode(task)

    assert waiting
    assert (task.killed_by, box.regs.ip, box.regs.r[1]) == (Signal.SIGQUIT, TEXT + 4, 1)
