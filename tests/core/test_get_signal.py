"""core/uprobes_sim/send.py, get_signal.py and the calls of syscalls/signal.py."""

from pathlib import Path

import pytest

from kernel_box import BUF, KernelBox
from toy_arch import ADDI, JMP, NOP, SYS, TEXT, Box
from uprobes_sim.clock import INSNS_PER_JIFFY, JIFFY
from uprobes_sim.errno import Errno
from uprobes_sim.get_signal import get_signal
from uprobes_sim.send import send_group_signal, send_signal
from uprobes_sim.signals import (
    SA_RESETHAND,
    SIG_IGN,
    SigAction,
    SigInfo,
    Signal,
)
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ExitCode
from uprobes_sim.units import Offset
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer

HANDLER = SigAction(TEXT)


@pytest.fixture
def box(tmp_path: Path) -> KernelBox:
    return KernelBox(tmp_path)


def thread_of(task: Task, pid: int) -> Task:
    return Task(
        pid, "thread", task.mm, task.regs, task.config, sigactions=task.sigactions, group=task.group
    )


def test_a_standard_signal_waits_once_and_a_real_time_one_as_often_as_sent() -> None:
    task = Box((NOP,)).task
    for signal in (Signal.SIGUSR1, Signal(40)):
        task.sigactions[signal] = HANDLER
        for _ in range(3):
            send_signal(SigInfo(signal), task)

    assert [int(info.signal) for info in task.pending] == [10, 40, 40, 40]


def test_an_ignored_signal_does_not_wait_unless_it_is_blocked() -> None:
    """kernel/signal.c, sig_ignored: it may be caught by the time it is unblocked."""
    task = Box((NOP,)).task
    task.sigactions[Signal.SIGUSR1] = SigAction(SIG_IGN)
    send_signal(SigInfo(Signal.SIGUSR1), task)
    send_signal(SigInfo(Signal.SIGCHLD), task)
    task.blocked = Signal.SIGUSR1.bit

    send_signal(SigInfo(Signal.SIGUSR1), task)

    assert [info.signal for info in task.pending] == [Signal.SIGUSR1]


def test_the_first_thread_that_does_not_block_it_takes_a_signal_to_the_process() -> None:
    first = Box((NOP,)).task
    second = thread_of(first, 1001)
    first.sigactions[Signal.SIGUSR1] = HANDLER

    send_group_signal(SigInfo(Signal.SIGUSR1), first.group)
    both = (first.signal_pending(), second.signal_pending())
    first.blocked = Signal.SIGUSR1.bit
    later = (first.signal_pending(), second.signal_pending())

    assert (both, later) == ((True, False), (False, True))


def test_what_an_instruction_caused_comes_before_lower_numbers() -> None:
    """kernel/signal.c, dequeue_synchronous_signal."""
    task = Box((NOP,)).task
    task.pending += [SigInfo(Signal.SIGHUP), SigInfo(Signal.SIGINT), SigInfo(Signal.SIGSEGV)]

    order = [task.dequeue_signal() for _ in range(3)]

    assert [info and info.signal for info in order] == [11, 1, 2]


def test_a_deadly_signal_ends_all_threads() -> None:
    box = Box((NOP,))
    other = thread_of(box.task, 1001)
    box.task.pending.append(SigInfo(Signal.SIGTERM))

    found = [get_signal(box.machine.sched, task) for task in (box.task, other)]

    assert found == [None, None]
    assert box.task.group.group_exit == ExitCode(signal=Signal.SIGTERM)
    assert (box.task.killed_by, other.killed_by) == (Signal.SIGTERM, Signal.SIGTERM)


def test_a_handler_for_once_is_gone_when_it_runs() -> None:
    box = Box((NOP,))
    box.task.sigactions[Signal.SIGUSR1] = SigAction(TEXT, SA_RESETHAND)
    box.task.pending.append(SigInfo(Signal.SIGUSR1))

    found = get_signal(box.machine.sched, box.task)

    assert found is not None
    assert found[1].handler == TEXT
    assert box.task.sigaction(Signal.SIGUSR1).handler == 0


def test_a_stopped_process_goes_on_with_sigcont() -> None:
    box = Box((NOP,), (SYS,))
    send_signal(SigInfo(Signal.SIGSTOP), box.task)
    box.machine.sched.add_timer(
        7 * JIFFY, lambda: send_group_signal(SigInfo(Signal.SIGCONT), box.task.group)
    )

    box.run()

    assert (box.task.exit_status, box.machine.sched.clock.uptime) == (0, 7 * JIFFY)


# --- during a step ----------------------------------------------------------------


def test_a_timer_that_is_due_behind_a_stepped_instruction_is_held_back() -> None:
    """The interrupt comes during the step; its signal is seen behind the instruction."""
    box = Box((ADDI, 1, 1, 1), (JMP, 0, 0, -1))
    consumer = UprobeConsumer(handler=lambda task: HandlerResult.KEEP)
    box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer)
    denied = list[bool]()

    def ring() -> None:
        assert box.task.utask is not None
        denied.append(box.task.utask.active_uprobe is not None)
        box.task.pending.append(SigInfo(Signal.SIGQUIT))

    box.machine.sched.add_timer(JIFFY, ring)
    box.machine.cpu.insns = INSNS_PER_JIFFY - 3  # the first instruction is stepped, then the third

    box.run()

    assert denied == [True]
    assert (box.task.killed_by, box.regs.ip, box.regs.r[1]) == (Signal.SIGQUIT, TEXT + 4, 2)


# --- calls ------------------------------------------------------------------------


def test_a_signal_interrupts_a_wait_and_the_call_is_decided_with_it(box: KernelBox) -> None:
    box.task.sigactions[Signal.SIGUSR1] = HANDLER
    send_signal(SigInfo(Signal.SIGUSR1), box.task)

    box("pause")

    assert box.task.restart is Errno.ERESTARTNOHAND


def test_a_sleep_that_is_taken_up_again_ends_when_it_was_to_end(box: KernelBox) -> None:
    box.task.sigactions[Signal.SIGUSR1] = HANDLER
    send_signal(SigInfo(Signal.SIGUSR1), box.task)
    second = box.put((0).to_bytes(8, "little") + (10**6).to_bytes(8, "little"))
    box("nanosleep", second, 0)
    deadline = box.task.restart_deadline
    box.task.pending.clear()
    box.vfs.clock.sleep(400_000)

    assert box("nanosleep", second, 0) == 0
    assert deadline == box.vfs.clock.uptime


def test_a_signal_is_waited_for_without_a_handler(box: KernelBox) -> None:
    mask = box.put(Signal.SIGUSR2.bit.to_bytes(8, "little"))
    box("rt_sigprocmask", 0, mask, 0, 8)
    box("kill", 1000, int(Signal.SIGUSR2))

    assert box("rt_sigtimedwait", mask, BUF, 0, 8) == Signal.SIGUSR2
    assert int.from_bytes(box.got(4), "little") == Signal.SIGUSR2
    timeout = box.put(bytes(16))
    assert box("rt_sigtimedwait", mask, 0, timeout, 8) == -Errno.EAGAIN


def test_an_alarm_tells_what_was_left_of_the_one_before(box: KernelBox) -> None:
    assert box("alarm", 5) == 0
    box.vfs.clock.sleep(2 * 10**9)

    assert (box("alarm", 1), box("alarm", 0)) == (3, 1)


def test_a_signal_stack_is_remembered_and_too_small_a_one_refused(box: KernelBox) -> None:
    stack = b"".join(value.to_bytes(8, "little") for value in (0x5000, 0, 8192))

    assert box("sigaltstack", box.put(stack), 0) == 0
    assert box("sigaltstack", 0, BUF) == 0
    assert box.got(24) == stack
    small = b"".join(value.to_bytes(8, "little") for value in (0x5000, 0, 1024))
    assert box("sigaltstack", box.put(small), 0) == -Errno.ENOMEM


def test_a_futex_is_waited_for_only_while_it_has_the_value(box: KernelBox) -> None:
    word = box.put(bytes(8))

    assert box("futex", word, 1, 5, 0, 0, 0) == 0
    assert box("futex", word, 0, 1, 0, 0, 0) == -Errno.EAGAIN
    timeout = box.put((0).to_bytes(8, "little") + (1000).to_bytes(8, "little"))
    assert box("futex", word, 0, 0, timeout, 0, 0) == -Errno.ETIMEDOUT
    assert box("futex", word + 1, 1, 1, 0, 0, 0) == -Errno.EINVAL


def test_a_signal_that_comes_to_be_ignored_waits_no_more(box: KernelBox) -> None:
    """kernel/signal.c, do_sigaction, after POSIX 3.3.1.3."""
    box.task.blocked = Signal.SIGUSR1.bit
    box("kill", 1000, int(Signal.SIGUSR1))
    before = len(box.task.group.pending)

    box("rt_sigaction", int(Signal.SIGUSR1), box.put((1).to_bytes(8, "little") + bytes(24)), 0, 8)

    assert (before, box.task.group.pending) == (1, [])
