"""The known defects, seen on the running kernel."""

import subprocess
from pathlib import Path

import pytest

from uprobes_sim.conformance.live_kernel import LiveKernel
from x86_defects import AVX, AVX_STEPPED, CASES, EVEX, Case

PROGRAMS = [
    pytest.param(case, id=str(case), marks=pytest.mark.processor(*case.needs))
    for case in (*CASES, *AVX, *AVX_STEPPED, *EVEX)
]


def run(case: Case, path: Path) -> int:
    """Run the program natively."""
    return subprocess.run([path], timeout=20, check=False).returncode


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_probe_hurts_the_program_as_we_say(
    case: Case, kernel: LiveKernel, tmp_path: Path
) -> None:
    path = case.write(tmp_path / "program")

    with kernel.probing(path, [case.offset]):
        assert run(case, path) == case.linux


@pytest.mark.parametrize("case", PROGRAMS)
def test_without_a_probe_it_ends_as_we_say(case: Case, kernel: LiveKernel, tmp_path: Path) -> None:
    assert run(case, case.write(tmp_path / "program")) == case.right
