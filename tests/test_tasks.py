"""Programs of several tasks under probes: every hit counted, each by the right task."""

from collections import Counter

import pytest
from typer.testing import CliRunner

from elf_programs import program, run_natively
from test_programs import Events, output_of, run_probed
from uprobes_sim_cli.app import app

BOTH = ("powerpc64le", "x86_64")
FLOATING_POINT = {"powerpc64le": "scale+0x18", "x86_64": "scale+4"}
"""An instruction of `scale` that the kernel steps out of line."""


def hits_of(events: Events, probe: str) -> list[tuple[int, int]]:
    """Who has hit *probe*: pid and tid of each hit."""
    return [
        (event["pid"], event["tid"])
        for event in events
        if event["event"] in ("hit", "return") and event["probe"] == probe
    ]


@pytest.mark.parametrize("target", BOTH)
def test_eight_threads_hammer_one_probe_and_none_is_missed(target: str) -> None:
    path = program(target, "threads")

    events = run_probed(path, ["hammer", "hammer%return"], ["40"], b"")

    by_task = Counter(hits_of(events, "hammer"))
    assert by_task == {(1000, tid): 40 for tid in range(1001, 1009)}
    assert Counter(hits_of(events, "hammer%return")) == by_task
    assert output_of(events, 1) == run_natively(target, path, "40").stdout


@pytest.mark.parametrize("slice_", [31, 97, 211])
@pytest.mark.parametrize("target", BOTH)
def test_threads_that_contend_take_the_same_turns_with_probes_and_without(
    target: str, slice_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices so short that most end inside a lock, a step or a trampoline."""
    monkeypatch.setattr("uprobes_sim.machine.INSNS_PER_JIFFY", slice_)
    probes = ["hammer", "hammer%return", "pthread_mutex_lock%return", "work+8"]

    events = run_probed(program(target, "threads"), probes, ["12"], b"")

    assert events[-1]["hits"] == dict.fromkeys(probes, 96) | {"work+8": 8}


@pytest.mark.parametrize("target", BOTH)
def test_fifty_children_hit_a_probe_once_each(target: str) -> None:
    path = program(target, "forks")

    events = run_probed(path, ["child", "child%return", "fork%return"], [], b"")

    children = [(pid, pid) for pid in range(1001, 1051)]
    assert sorted(hits_of(events, "child")) == children
    assert sorted(hits_of(events, "child%return")) == children
    forks = Counter(hits_of(events, "fork%return"))
    assert forks == {(1000, 1000): 50, **dict.fromkeys(children, 1)}, "both return from fork"
    assert output_of(events, 1) == run_natively(target, path).stdout


@pytest.mark.parametrize("target", BOTH)
def test_a_timer_interrupts_steps_and_the_sum_is_right(target: str) -> None:
    path, probe = program(target, "ticks"), FLOATING_POINT[target]

    events = run_probed(path, [probe, "tick"], ["2"], b"")

    hows = {event["how"] for event in events if event.get("probe") == probe}
    assert hows == {"xol"}
    assert len(hits_of(events, "tick")) == 2
    assert output_of(events, 1) == run_natively(target, path, "2").stdout


@pytest.mark.parametrize("target", BOTH)
def test_signal_frames_are_those_of_the_kernel(target: str) -> None:
    path = program(target, "signals")

    events = run_probed(path, ["probed", "step_over", "on_stack%return"], [], b"")

    assert output_of(events, 1) == run_natively(target, path).stdout


@pytest.mark.parametrize("target", ["x86_64", "x86"])
def test_handlers_are_told_of_faults_what_the_kernel_tells(target: str) -> None:
    """Signal, code, address, number of the exception and its error code. QEMU tells other codes."""
    path = program(target, "faults")

    events = run_probed(path, [], [], b"")

    assert output_of(events, 1) == run_natively(target, path).stdout


def test_beside_a_probe_a_trap_of_the_program_tells_of_the_fault_before_it() -> None:
    """Seen on a live 6.18: uprobes have claimed the exception before its number is noted."""
    command = ["run", str(program("x86_64", "faults")), "-p", "load", "--no-compare"]

    result = CliRunner().invoke(app, command)

    assert "trap: signal 5 code 128 at nothing, trapno 14 err 4 cr2 0" in result.stdout
    assert "hits: load 4\n" in result.stdout


def test_threads_wait_for_a_slot_when_all_are_taken() -> None:
    """Forty threads step the same system call, which waits; the page has 31 slots."""
    path = program("x86_64", "slots")

    events = run_probed(path, ["get_syscall"], [], b"", warned=True)

    assert Counter(hits_of(events, "get_syscall")) == {(1000, 1001 + n): 1 for n in range(40)}
    assert output_of(events, 1) == b"sum 780\n"


@pytest.mark.parametrize("target", BOTH)
def test_a_child_that_starts_a_program_is_probed_as_it_was(target: str) -> None:
    path = program(target, "spawn")

    events = run_probed(path, ["started", "started%return", "by_vfork%return"], [], b"")

    assert hits_of(events, "started") == [(1001, 1001), (1002, 1002), (1003, 1003), (1005, 1005)]
    assert hits_of(events, "started%return") == hits_of(events, "started")
    assert hits_of(events, "by_vfork%return") == [(1000, 1000)] * 2
    judge = program("x86_64", "spawn")  # QEMU starts no foreign programs
    assert output_of(events, 1) == run_natively("x86_64", judge).stdout


def test_two_runs_of_threads_print_the_same_bytes() -> None:
    path = program("powerpc64le", "threads")

    first, second = (run_probed(path, ["hammer", "work%return"], ["20"], b"") for _ in range(2))

    assert first == second
