"""The conformance suite, quickly; `uprobes-sim conformance` has 10,000 step cases."""

import subprocess
import sys


def test_the_conformance_suite_passes() -> None:
    command = [sys.executable, "-m", "uprobes_sim_cli", "conformance", "--arch", "riscv64"]

    done = subprocess.run(
        [*command, "--examples", "300"], capture_output=True, text=True, timeout=300, check=False
    )

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("\npassed\n")
