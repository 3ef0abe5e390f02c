"""The engine does what QEMU does, register by register; the running kernel judges as we do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from uprobes_sim.conformance.bench import Bench, Case, Outcome
from uprobes_sim.conformance.judge import KernelJudge
from uprobes_sim.conformance.live_kernel import LiveKernel, NoLiveKernel, open_kernel
from uprobes_sim.conformance.qemu import running
from uprobes_sim.conformance.suite import Suite
from uprobes_sim.linker import Linked
from uprobes_sim.signals import Signal

SHOWN = 5
MOST = 3000
"""Cases that QEMU executes in well under a minute."""
OF_A_ROW = 4
"""Samples of each row that the running kernel is asked about."""
BY_CHANCE = 2000
"""Bytes by chance that it is asked about."""


def judged(bench: Bench) -> list[str]:
    """Rows that QEMU is asked about: those that the backend gives no reason to leave out."""
    patterns = [re.compile(pattern) for pattern in bench.samples.unjudged]
    rows = bench.samples.rows
    return [row for row in rows if not any(pattern.fullmatch(row) for pattern in patterns)]


@pytest.mark.claim("qemu")
def test_the_engine_does_what_qemu_does(suite: Suite, linked: Linked) -> None:
    bench = suite.bench(linked)
    rows = judged(bench)
    random = Random(f"{suite.choice.seed} oracle {linked.info.abi}")
    wrong = list[str]()
    count = max(1, suite.choice.some(MOST) // max(len(rows), 1))
    for cases in bench.batches(rows, count, random):
        bench.lay(cases)
        done = [(case, bench.bare(case)) for case in cases if bench.refusal(case) is None]
        suite.results.cases["judged"] += len(done)
        with running(linked.info, bench.samples, bench.text) as qemu:
            for case, ours in done:
                if ours.syscall:
                    continue
                found = differences(case, ours, *qemu.execute(case))
                wrong += (
                    [f"{case.row}, {bench.describe(case)}: {'; '.join(found)}"] if found else []
                )

    more = f" (and {len(wrong) - SHOWN} more)" if len(wrong) > SHOWN else ""
    assert not wrong, " | ".join(wrong[:SHOWN]) + more


def differences(
    case: Case, ours: Outcome, regs: dict[str, int], memory: bytes, signal: int
) -> list[str]:
    """List where QEMU comes to something else."""
    expected = Signal.SIGTRAP if ours.signal is None else ours.signal.signal
    if signal != expected:
        return [f"{expected.name} here, signal {signal} in QEMU"]
    found = [
        f"{name} is {ours.regs.get(name):#x} here, {value:#x} in QEMU"
        for name, value in regs.items()
        if ours.regs.get(name) != value
    ]
    if ours.signal is None and ours.memory != memory:  # what a fault has cut short is open
        at = next(n for n in range(len(memory)) if memory[n] != ours.memory[n])
        found.append(f"memory {at:#x} holds {ours.memory[at]:#x} here, {memory[at]:#x} in QEMU")
    return found


@pytest.mark.claim("qemu")
def test_what_is_left_out_is_there_and_has_a_reason(suite: Suite, linked: Linked) -> None:
    samples = suite.bench(linked).samples
    for pattern, reason in samples.unjudged.items():
        assert reason, f"{pattern} is left out without a reason"
        assert any(re.fullmatch(pattern, row) for row in samples.rows), f"{pattern} is no row"


@pytest.fixture(scope="module")
def live(suite: Suite) -> Iterator[LiveKernel]:
    """The kernel of this machine, ready for probes."""
    try:
        kernel = open_kernel(suite.target.machines[0].info)
    except NoLiveKernel as exc:
        pytest.skip(str(exc))
    yield kernel
    kernel.close()


@pytest.mark.claim("kernel")
def test_the_running_kernel_accepts_and_refuses_the_same(
    suite: Suite, linked: Linked, live: LiveKernel, tmp_path: Path
) -> None:
    judge = KernelJudge(linked, live)
    random = Random(f"{suite.choice.seed} kernel {linked.info.abi}")
    codes = judge.samples(suite.choice.some(OF_A_ROW), random)
    codes += [random.randbytes(judge.stride) for _ in range(suite.choice.some(BY_CHANCE))]

    with known_programs():
        wrong = judge.differences(codes, tmp_path / "samples")
    suite.results.cases["judged"] += len(codes)

    assert not wrong, shown(wrong)


@pytest.mark.claim("kernel")
def test_the_running_kernel_steps_and_emulates_the_same(
    suite: Suite, linked: Linked, live: LiveKernel, tmp_path: Path
) -> None:
    judge = KernelJudge(linked, live)
    random = Random(f"{suite.choice.seed} kernel steps {linked.info.abi}")

    with known_programs():
        wrong = judge.misjudged_steps(1, random, tmp_path / "samples")

    assert not wrong, shown(wrong)


@contextmanager
def known_programs() -> Iterator[None]:
    """Skip what the running kernel has no programs for."""
    try:
        yield
    except NoLiveKernel as exc:
        pytest.skip(str(exc))


def shown(wrong: list[str]) -> str:
    """Give the first of what is wrong, and how much more there is."""
    more = f" (and {len(wrong) - SHOWN} more)" if len(wrong) > SHOWN else ""
    return " | ".join(wrong[:SHOWN]) + more
