"""A program that nobody here wrote, with glibc: Debian's busybox-static, under hundreds of probes.

`.ci/run` fetches it and names the file in the environment.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from test_busybox import INPUT, function_starts, run

VARIABLE = "UPROBES_SIM_BUSYBOX_ARM64"
COMMANDS = ("sha256sum", "sort -n", "awk {s+=$1}END{print(s)}", "gzip -c", "false")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_busybox_does_what_it_does_under_qemu(command: str) -> None:
    qemu = shutil.which("qemu-aarch64")
    if VARIABLE not in os.environ or qemu is None:
        pytest.skip(f"{VARIABLE} names no busybox (Debian: busybox-static), or no qemu-aarch64")
    path, words = Path(os.environ[VARIABLE]), command.split()
    probes = [hex(start) for start in function_starts(path)[COMMANDS.index(command) :: 6]]

    found = run(path, words, probes, INPUT)

    judge = subprocess.run([qemu, path, *words], input=INPUT, capture_output=True, check=False)
    assert len(probes) > 200
    assert sum(found.summary.hits.values()) >= 15
    assert found.summary.compared is not None
    assert found.summary.compared.equal
    assert (found.output, found.status) == (judge.stdout, judge.returncode)
