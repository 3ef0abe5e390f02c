"""core/uprobes_sim/machine.py"""

import pytest

from toy_arch import ADDI, ILLEGAL, JMP, LD, LI, SYS, TEXT, TRAP_OP, Box
from uprobes_sim.errors import EngineError
from uprobes_sim.signals import SIG_IGN, SigAction, SigInfo, Signal


@pytest.mark.parametrize(
    ("word", "signal"),
    [
        pytest.param((ILLEGAL,), Signal.SIGILL, id="illegal"),
        pytest.param((TRAP_OP,), Signal.SIGTRAP, id="trap"),
        pytest.param((LD, 1, 2, 0), Signal.SIGSEGV, id="nothing mapped"),
        pytest.param((JMP, 0, 0, -100), Signal.SIGSEGV, id="jump out of the code"),
    ],
)
def test_what_goes_wrong_becomes_a_signal(word: tuple[int, ...], signal: Signal) -> None:
    box = Box(word)

    box.run()

    assert box.task.killed_by is signal


def test_instructions_are_counted() -> None:
    box = Box((LI, 1, 0, 3), (ADDI, 1, 1, 1), (SYS,))

    box.run()

    assert (box.task.exit_status, box.machine.cpu.insns) == (4, 3)


def test_a_time_slice_ends_and_the_task_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uprobes_sim.machine.LONE_SLICE", 2)
    box = Box(*[(ADDI, 1, 1, 1)] * 9, (SYS,))
    slices: list[str] = []
    monkeypatch.setattr(box.machine.sched, "cond_resched", slices.append)

    box.run()

    assert (box.task.exit_status, len(slices)) == (9, 4)


def test_an_ignored_signal_changes_nothing() -> None:
    box = Box((LI, 1, 0, 3), (SYS,))
    box.task.sigactions[Signal.SIGTERM] = SigAction(SIG_IGN)
    box.task.pending += [SigInfo(Signal.SIGTERM), SigInfo(Signal.SIGCHLD)]

    box.run()

    assert (box.task.exit_status, box.task.killed_by) == (3, None)


def test_a_handler_of_the_program_is_a_clear_refusal() -> None:
    """The toy architecture has no signal frames; a wrong run would be worse."""
    box = Box((ILLEGAL,))
    box.task.sigactions[Signal.SIGILL] = SigAction(TEXT)

    with pytest.raises(EngineError, match="SIGILL at 0x10000: the program has a handler"):
        box.run()
