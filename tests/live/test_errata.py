"""The known defects, seen on the running kernel."""

import subprocess
from pathlib import Path

import pytest

from live.kernel import LiveKernel
from x86_defects import AVX, AVX_STEPPED, CASES, EVEX, PROCESSOR, Case

PROGRAMS = (*CASES, *AVX, *AVX_STEPPED, *EVEX)


def run(case: Case, path: Path) -> int:
    """Run the program natively, on a processor that has its instructions."""
    if not case.needs <= PROCESSOR:
        pytest.skip(f"the processor lacks {case.needs - PROCESSOR}")
    return subprocess.run([path], timeout=20, check=False).returncode


@pytest.mark.parametrize("case", PROGRAMS, ids=str)
def test_a_probe_hurts_the_program_as_we_say(
    case: Case, kernel: LiveKernel, tmp_path: Path
) -> None:
    path = case.write(tmp_path / "program")

    with kernel.probing(path, [case.offset]):
        assert run(case, path) == case.linux


@pytest.mark.parametrize("case", PROGRAMS, ids=str)
def test_without_a_probe_it_ends_as_we_say(case: Case, kernel: LiveKernel, tmp_path: Path) -> None:
    assert run(case, case.write(tmp_path / "program")) == case.right
