"""core/uprobes_sim/uretprobes.py: the trampoline, nested and chained."""

import pytest

from toy_arch import ADDI, CALL, JMP, JR, LI, LR, NOP, POP, PUSH, RET, SYS, TEXT, Box
from uprobes_sim.errors import Refused
from uprobes_sim.signals import Signal
from uprobes_sim.task import Task, UprobeTask
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer
from uprobes_sim.xol import uprobes_state


def probe_return(box: Box, index: int) -> list[tuple[int, int]]:
    """Probe the return of the function at word *index*: (where to, entered word)."""
    returns: list[tuple[int, int]] = []

    def ret_handler(task: Task, func: Vaddr) -> None:
        returns.append(((task.regs.ip - TEXT) // 4, (func - TEXT) // 4))

    box.machine.uprobes.uprobe_register(
        box.inode, Offset(4 * index), UprobeConsumer(ret_handler=ret_handler)
    )
    return returns


def test_a_return_is_seen_and_the_program_goes_on_where_it_was_called() -> None:
    box = Box((CALL, 0, 0, 3), (LI, 1, 0, 5), (SYS,), (NOP,), (RET,))
    returns = probe_return(box, 3)

    box.run()

    assert (returns, box.task.exit_status) == ([(1, 3)], 5)


def test_the_link_register_holds_the_trampoline_meanwhile() -> None:
    """The one thing that a program can see of a return probe."""
    box = Box((CALL, 0, 0, 2), (SYS,), (NOP,), (ADDI, 1, LR, 0), (RET,))
    probe_return(box, 2)

    box.run()

    area = uprobes_state(box.task.mm).get_xol_area()
    assert box.task.exit_status == area.vaddr
    assert area.replaced == {TEXT + 4}


def test_nested_functions_return_inner_first() -> None:
    box = Box(
        (CALL, 0, 0, 2), (SYS,),
        (PUSH,), (CALL, 0, 0, 3), (POP,), (RET,),
        (PUSH,), (POP,), (RET,),
    )  # fmt: skip
    outer, inner = probe_return(box, 2), probe_return(box, 6)
    utasks: list[UprobeTask | None] = []
    box.machine.tasks.on_exit = lambda task: utasks.append(task.utask)

    box.run()

    assert (outer, inner) == ([(1, 2)], [(4, 6)])
    assert utasks[0] is not None
    assert utasks[0].depth == 0


def test_a_tail_call_chains_and_both_returns_are_seen() -> None:
    box = Box((CALL, 0, 0, 2), (SYS,), (NOP,), (JMP, 0, 0, 1), (NOP,), (RET,))
    first, tail = probe_return(box, 2), probe_return(box, 4)

    box.run()

    assert (first, tail, box.task.exit_status) == ([(1, 2)], [(1, 4)], 0)


def test_recursion_counts_every_level() -> None:
    deep = 5
    words = [(CALL, 0, 0, 2), (SYS,)]
    for _ in range(deep):
        words += [(PUSH,), (CALL, 0, 0, 3), (POP,), (RET,)]
    words += [(PUSH,), (POP,), (RET,)]
    box = Box(*words)
    seen = [probe_return(box, 2 + 4 * level) for level in range(deep + 1)]

    box.run()

    assert [len(each) for each in seen] == [1] * (deep + 1)


def test_deeper_than_64_is_not_traced_and_still_returns() -> None:
    """MAX_URETPROBE_DEPTH."""
    # 0: r2 = 70; call f; exit      f: push lr; r2 -= 1; call f unless r2 == 0
    box = Box(
        (LI, 2, 0, 70), (CALL, 0, 0, 2), (SYS,),
        (PUSH,), (ADDI, 2, 2, -1), (ADDI, 3, 2, 0), (CALL, 0, 0, 3), (POP,), (RET,),
        (JR, 4),
    )  # fmt: skip
    depth = 0
    returns = probe_return(box, 3)

    def pick(task: Task) -> HandlerResult:
        nonlocal depth
        depth += 1
        going_on = TEXT + 4 * 3 if depth < 70 else TEXT + 4 * 7
        task.regs.set("r4", going_on)
        return HandlerResult.KEEP

    # The probe at word 9 decides where `jr r4` goes: into f again, or out.
    box.machine.uprobes.uprobe_register(
        box.inode,
        Offset(4 * 9),
        UprobeConsumer(handler=pick),
    )
    box.run()

    assert depth == 70
    assert len(returns) == 64
    assert box.task.killed_by is None


def test_frames_that_were_jumped_over_are_dropped() -> None:
    """As by longjmp: the inner function never returns, the outer one does."""
    box = Box(
        (CALL, 0, 0, 2), (SYS,),
        (PUSH,), (ADDI, 5, 14, 0), (CALL, 0, 0, 4), (NOP,), (POP,), (RET,),
        (PUSH,), (ADDI, 14, 5, 0), (JMP, 0, 0, -5),
    )  # fmt: skip
    outer, inner = probe_return(box, 2), probe_return(box, 8)

    box.run()

    assert (outer, inner, box.task.killed_by) == ([(1, 2)], [], None)


def test_a_probe_removed_meanwhile_returns_in_silence() -> None:
    box = Box((CALL, 0, 0, 2), (SYS,), (NOP,), (NOP,), (RET,))
    returns = probe_return(box, 2)
    uprobe = box.machine.uprobes.find_uprobe(box.inode, 8)
    assert uprobe is not None
    consumer = uprobe.consumers[0]

    def remove(task: Task) -> HandlerResult:
        box.machine.uprobes.uprobe_unregister(uprobe, consumer)
        return HandlerResult.KEEP

    box.machine.uprobes.uprobe_register(box.inode, Offset(12), UprobeConsumer(handler=remove))
    box.run()

    assert (returns, box.task.killed_by) == ([], None)


def test_the_trampoline_without_a_return_instance_is_sigill() -> None:
    box = Box((CALL, 0, 0, 3), (ADDI, 4, 6, 0), (JR, 4), (NOP,), (ADDI, 6, LR, 0), (RET,))
    probe_return(box, 3)

    box.run()

    assert box.task.killed_by is Signal.SIGILL


def test_before_4_3_it_is_sigtrap() -> None:
    box = Box(
        (CALL, 0, 0, 3), (ADDI, 4, 6, 0), (JR, 4), (NOP,), (ADDI, 6, LR, 0), (RET,),
        release=(4, 1),
    )  # fmt: skip
    probe_return(box, 3)

    box.run()

    assert box.task.killed_by is Signal.SIGTRAP


def test_before_3_10_there_are_no_return_probes() -> None:
    box = Box((CALL, 0, 0, 2), (SYS,), (NOP,), (RET,), release=(3, 9))

    with pytest.raises(Refused, match=r"Linux 3\.9 has no return probes"):
        probe_return(box, 2)
    assert box.word(2) == box.code[8:12]
