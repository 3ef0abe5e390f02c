"""core/uprobes_sim/task.py"""

from toy_arch import NOP, Box
from uprobes_sim.signals import SIG_IGN, SigAction, SigInfo, Signal
from uprobes_sim.task import (
    UprobeTask,
    UprobeTaskState,
    uprobe_post_sstep_notifier,
    uprobe_pre_sstep_notifier,
)


def test_a_breakpoint_is_claimed_only_where_uprobes_could_be() -> None:
    """kernel/events/uprobes.c, uprobe_pre_sstep_notifier."""
    task = Box((NOP,)).task

    without = uprobe_pre_sstep_notifier(task)
    task.mm.has_uprobes = True
    with_probe = uprobe_pre_sstep_notifier(task)

    assert (without, with_probe, task.tif_uprobe) == (False, True, True)


def test_a_step_is_claimed_only_by_who_steps() -> None:
    box = Box((NOP,))
    task = box.task
    task.utask = UprobeTask()

    idle = uprobe_post_sstep_notifier(task)
    task.utask.active_uprobe = object()  # type: ignore[assignment]
    stepping = uprobe_post_sstep_notifier(task)

    assert (idle, stepping) == (False, True)
    assert task.utask.state is UprobeTaskState.UTASK_SSTEP_ACK


def test_a_blocked_signal_waits() -> None:
    task = Box((NOP,)).task
    task.blocked = 1 << (Signal.SIGTERM - 1)
    task.pending += [SigInfo(Signal.SIGTERM), SigInfo(Signal.SIGHUP)]

    taken = task.dequeue_signal()

    assert taken is not None
    assert taken.signal is Signal.SIGHUP
    assert not task.signal_pending()


def test_a_forced_signal_cannot_be_ignored_or_blocked() -> None:
    """kernel/signal.c, force_sig_info_to_task: the default action comes back."""
    task = Box((NOP,)).task
    task.blocked = 1 << (Signal.SIGSEGV - 1)
    task.sigactions[Signal.SIGSEGV] = SigAction(SIG_IGN)

    task.force_sig(SigInfo(Signal.SIGSEGV))

    assert task.signal_pending()
    assert task.sigaction(Signal.SIGSEGV) == SigAction()
