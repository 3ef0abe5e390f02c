"""Broken ELF files through `check`: elf_mutants.py."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 200), pytest.param(200, 2_000, marks=pytest.mark.campaign)],
    ids=["a sample", "2,000"],
)
def test_a_broken_file_is_answered_or_told_in_one_line(first: int, last: int) -> None:
    command = [sys.executable, "elf_mutants.py", str(first), str(last)]

    done = subprocess.run(
        command, cwd=TESTS, capture_output=True, text=True, timeout=900, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
