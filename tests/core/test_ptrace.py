"""core/uprobes_sim/ptrace.py: a debugger beside probes."""

import pytest

from toy_arch import ADDI, JMP, NOP, SYS, TEXT, TRAP, Box
from uprobes_sim.errors import KernelError
from uprobes_sim.ptrace import Debugger
from uprobes_sim.signals import Signal
from uprobes_sim.task import Task
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer


def keep(task: Task) -> HandlerResult:
    return HandlerResult.KEEP


def test_a_breakpoint_is_heard_of_and_stepped_over() -> None:
    box = Box((NOP,), (ADDI, 1, 1, 1), (SYS,))
    debugger = Debugger(box.machine, box.task)
    debugger.insert_breakpoint(Vaddr(TEXT + 4), TRAP)

    box.run()

    assert debugger.heard == [TEXT + 4]
    assert (box.task.exit_status, box.word(1)) == (1, TRAP)


def test_a_trap_that_is_not_its_own_is_the_programs() -> None:
    box = Box((NOP,), (SYS,))
    debugger = Debugger(box.machine, box.task)
    debugger.poke(TEXT, TRAP)

    box.run()

    assert (debugger.heard, box.task.killed_by) == ([], Signal.SIGTRAP)


def test_over_an_armed_probe_it_keeps_the_probes_breakpoint() -> None:
    box = Box((ADDI, 1, 1, 1), (SYS,))
    mine = UprobeConsumer(handler=keep)
    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(0), mine)
    debugger = Debugger(box.machine, box.task)
    debugger.insert_breakpoint(TEXT, TRAP)
    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    debugger.remove_breakpoint(TEXT)

    assert box.word(0) == TRAP  # stale


def test_a_step_onto_a_probe_is_the_probes_hit() -> None:
    box = Box((ADDI, 1, 1, 1), (SYS,))
    hits: list[int] = []

    def handler(task: Task) -> HandlerResult:
        hits.append(task.regs.ip)
        return HandlerResult.KEEP

    box.machine.uprobes.uprobe_register(box.inode, Offset(0), UprobeConsumer(handler=handler))
    debugger = Debugger(box.machine, box.task)

    debugger.single_step()
    box.machine._exit_to_user_mode(box.task)

    assert hits == [TEXT]


def test_a_step_executes_one_instruction() -> None:
    box = Box((ADDI, 1, 1, 1), (JMP, 0, 0, -1))

    Debugger(box.machine, box.task).single_step()

    assert (box.regs.r[1], box.regs.ip) == (1, TEXT + 4)


def test_where_nothing_is_mapped_there_is_nothing_to_peek() -> None:
    box = Box((NOP,))
    debugger = Debugger(box.machine, box.task)

    with pytest.raises(KernelError, match="EIO"):
        debugger.peek(Vaddr(0x50000), 4)
    with pytest.raises(KernelError, match="EIO"):
        debugger.poke(Vaddr(0x50000), TRAP)
