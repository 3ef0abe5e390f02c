"""Hits a second: `python benchmarks/hits.py`. Wants gdb-multiarch and qemu-user.

called.c under one probe, whose instruction is emulated or stepped. On x86-64
beside gdb with a Python breakpoint that counts and goes on, on the native
program, and beside the limit of what Unicorn allows: a bare loop that stops at
int3 and goes on. On powerpc64le beside gdb over the stub of QEMU.

Every clock runs from the first hit to the last. All take turns; medians count.
"""

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Final

from unicorn import Uc
from unicorn import unicorn_const as uc_const
from unicorn import x86_const as x86

from table import Ratio, report
from uprobes_sim import session
from uprobes_sim.choice import Options
from uprobes_sim.events import Event, Hit

HERE: Final = Path(__file__).parent
HITS: Final = 10_000
GDB_HITS: Final = 2_000
ROUNDS: Final = 9
PUSH, MOV = "called", "called+1"
"""push %rbp and mov %rsp,%rbp: on x86-64 the one is emulated, the other stepped."""
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
count = Count("*called")
gdb.execute("{go}")
print("RATE", (count.hits - 1) / (count.last - count.start))
"""


def ours(target: str, probe: str, how: str) -> float:
    """Hits a second of the simulator."""
    times, kinds = list[float](), set[str]()

    def count(event: Event) -> None:
        if isinstance(event, Hit):
            times.append(time.perf_counter())
            kinds.add(event.how)

    program, options = HERE / target / "called", Options(compare=False)
    session.run(program, [str(HITS)], [probe], options, stdin=BytesIO(), emit=count)
    assert len(times) == HITS
    assert kinds == {how}
    return (HITS - 1) / (times[-1] - times[0])


def bare_unicorn() -> float:
    """Stops at int3 a second, of a loop that does nothing else."""
    uc = Uc(uc_const.UC_ARCH_X86, uc_const.UC_MODE_64)
    code = b"\xcc\x48\xff\xcb\x75\xfa"  # int3; dec %rbx; jnz to int3
    at, stops = 0x1000, 0
    end = at + len(code)
    uc.mem_map(at, 0x1000)
    uc.mem_write(at, code)
    uc.reg_write(x86.UC_X86_REG_RBX, HITS)
    uc.hook_add(uc_const.UC_HOOK_INTR, lambda uc, number, data: uc.emu_stop())
    ip = at
    start = time.perf_counter()
    while True:
        uc.emu_start(ip, end)
        ip = uc.reg_read(x86.UC_X86_REG_RIP)
        if ip == end:
            break
        stops += 1
    elapsed = time.perf_counter() - start
    assert stops == HITS
    return stops / elapsed


def gdb(program: Path, go: str, *steps: str) -> float:
    """Hits a second that gdb reports."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(GDB_SCRIPT.format(go=go))
        script.flush()
        commands = [
            part
            for step in (f"file {program}", *steps, f"source {script.name}")
            for part in ("-ex", step)
        ]
        command = ["gdb-multiarch", "-nx", "-batch", *commands]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    (rate,) = (line for line in done.stdout.splitlines() if line.startswith("RATE"))
    return float(rate.split()[1])


def native_gdb() -> float:
    """Hits a second of gdb on the native program."""
    return gdb(HERE / "x86_64" / "called", f"run {GDB_HITS} > /dev/null")


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
    command = ["qemu-ppc64le", "-g", str(port), str(program), str(GDB_HITS)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL):
        return gdb(program, "continue", f"target remote :{port}")


MEASURED: Final[dict[str, Callable[[], float]]] = {
    "emulated": lambda: ours("x86_64", PUSH, "emulate"),
    "stepped": lambda: ours("x86_64", MOV, "xol"),
    "gdb": native_gdb,
    "limit": bare_unicorn,
    "powerpc64le": lambda: ours("powerpc64le", PUSH, "emulate"),
    "gdb over QEMU": gdb_over_qemu,
}


def main() -> None:
    """Measure, and print the table."""
    rounds = [{name: measure() for name, measure in MEASURED.items()} for _ in range(ROUNDS)]
    rate = {name: median(each[name] for each in rounds) for name in MEASURED}
    report(
        "hits a second",
        "uprobes-sim",
        "theirs",
        [
            Ratio("x86-64 emulated : limit", rate["emulated"], rate["limit"], at_least=0.3),
            Ratio("x86-64 stepped : limit", rate["stepped"], rate["limit"], at_least=0.1),
            Ratio("x86-64 emulated : gdb", rate["emulated"], rate["gdb"], at_least=2),
            Ratio("x86-64 stepped : gdb", rate["stepped"], rate["gdb"], at_least=1),
            Ratio(
                "powerpc64le : gdb over QEMU",
                rate["powerpc64le"],
                rate["gdb over QEMU"],
                at_least=20,
            ),
        ],
    )


if __name__ == "__main__":
    main()
