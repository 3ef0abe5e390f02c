"""Hits a second: `python benchmarks/hits.py`. Wants qemu-user and gdb-multiarch.

called.c under one probe, 100,000 hits, on x86 and on powerpc64le; against
gdb-multiarch with a Python breakpoint that counts and goes on, over the gdb stub
of QEMU, on the same powerpc64le program (fewer hits, as it is slow; its clock
starts at the first). Ours include loading the program; the best of three counts.
"""

import socket
import subprocess
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Final

from table import Ratio, report
from uprobes_sim import session
from uprobes_sim.events import Event, Hit

HERE: Final = Path(__file__).parent
HITS: Final = 100_000
GDB_HITS: Final = 2_000
ROUNDS: Final = 3
GDB_SCRIPT: Final = """
import gdb, time
class Count(gdb.Breakpoint):
    hits = 0
    def stop(self):
        if not self.hits:
            self.start = time.perf_counter()
        self.hits += 1
        self.last = time.perf_counter()
        return False
count = Count("called")
gdb.execute("continue")
print("RATE", (count.hits - 1) / (count.last - count.start))
"""


def ours(target: str) -> float:
    """Hits a second of the simulator."""
    hits = 0

    def count(event: Event) -> None:
        nonlocal hits
        hits += isinstance(event, Hit)

    program, options = HERE / target / "called", session.Options(compare=False)
    start = time.perf_counter()
    session.run(program, [str(HITS)], ["called"], options, stdin=BytesIO(), emit=count)
    elapsed = time.perf_counter() - start
    assert hits == HITS
    return hits / elapsed


def free_port() -> int:
    """Find a port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def gdb_over_qemu() -> float:
    """Hits a second of gdb on a program that runs under QEMU."""
    program = HERE / "powerpc64le" / "called"
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(GDB_SCRIPT)
        script.flush()
        command = ["qemu-ppc64le", "-g", str(port), str(program), str(GDB_HITS)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL):
            steps = [f"file {program}", f"target remote :{port}", f"source {script.name}"]
            commands = [part for step in steps for part in ("-ex", step)]
            done = subprocess.run(
                ["gdb-multiarch", "-nx", "-batch", *commands],
                capture_output=True,
                text=True,
                check=True,
            )
    (rate,) = (line for line in done.stdout.splitlines() if line.startswith("RATE"))
    return float(rate.split()[1])


def main() -> None:
    """Measure, and print the table."""
    theirs = max(gdb_over_qemu() for _ in range(ROUNDS))
    ratios = [
        Ratio(target, max(ours(target) for _ in range(ROUNDS)), theirs, at_least=20)
        for target in ("powerpc64le", "x86_64")
    ]
    report("hits a second", "uprobes-sim", "gdb over QEMU", ratios)


if __name__ == "__main__":
    main()
