"""The conformance suite with the running kernel as its judge."""

import subprocess
import sys
from pathlib import Path

import pytest

from live.kernel import Bits
from uprobes_sim.arch import Abi
from uprobes_sim.conformance.judge import KernelJudge
from uprobes_sim.conformance.live_kernel import LiveKernel, NoLiveKernel, PerfKernel, open_kernel
from uprobes_sim.linker import link

TESTS = Path(__file__).parents[1]


def judged(arch: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the level oracle, with few bytes by chance, where plugins of the tests are found."""
    command = ["conformance", "--arch", arch, "--level", "oracle", "--oracle", "kernel", *args]
    return subprocess.run(
        [sys.executable, "-m", "uprobes_sim_cli", *command, "--examples", "20"],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.usefixtures("kernel")
def test_the_running_kernel_judges_samples_of_x86_alike() -> None:
    done = judged("x86")

    assert (done.returncode, done.stderr) == (0, "")
    assert "oracle     4 passed" in done.stdout
    assert done.stdout.splitlines()[-1] == "passed"


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    ("mistake", "insn", "says"),
    [
        ("refuses_nop", "nop (90", "EINVAL here, accepted by the running kernel"),
        ("steps_push", "push rax (50", "xol here, emulate by the running kernel"),
    ],
)
def test_a_mistake_is_seen(mistake: str, insn: str, says: str) -> None:
    done = judged(f"live.wrong_x86:{mistake}")

    assert (done.returncode, done.stderr) == (1, "")
    assert "oracle     2 passed, 2 failed" in done.stdout
    assert insn in done.stdout
    assert says in done.stdout


def test_a_backend_that_does_not_claim_the_kernel_is_not_compared_with_it() -> None:
    done = judged("powerpc")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "powerpc does not claim kernel" in done.stderr


def test_the_kernel_of_another_machine_is_asked_nothing() -> None:
    info = link("powerpc", Abi(64, "little")).info

    with pytest.raises(NoLiveKernel, match="of a ppc64le machine that runs Linux"):
        open_kernel(info)


@pytest.mark.parametrize("bits", [64, 32])
def test_the_perf_pmu_answers_as_bpf_does(bits: Bits, kernel: LiveKernel, tmp_path: Path) -> None:
    codes = [bytes.fromhex(code) for code in ("90", "cc", "0f0b", "f0ff00", "55", "66" * 15 + "90")]
    linked = link("x86", Abi(bits, "little"))
    perf = PerfKernel()
    try:
        judges = [KernelJudge(linked, live) for live in (kernel, perf)]

        by_bpf, by_perf = (judge.verdicts(codes, tmp_path / "samples") for judge in judges)
    finally:
        perf.close()

    assert by_perf == by_bpf
    assert {answer for pair in by_bpf for answer in pair} == {"accepted", "ENOTSUPP", "ENOEXEC"}
