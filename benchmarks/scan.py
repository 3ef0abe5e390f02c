"""Speed and memory of a scan: `python benchmarks/scan.py FILE...`.

`uprobes-sim scan FILE`, the whole process, against `objdump -d FILE`, in turn; the median counts.
The aims are 10 times as fast for x86 and 15 times for powerpc. The first scan fills the caches
and is told of by itself. `--growth FILE` scans the code of FILE
from 1 to 64 MiB of it, which shows whether time grows as the code does. Give a file of another
architecture with the name of its objdump: `powerpc64le-linux-gnu-objdump:cc1`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from uprobes_sim.scan.code import read_code
from uprobes_sim.scan.source import FileSource

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from elf_maker import Elf, Segment

ROUNDS: Final = 5
MIB: Final = 1 << 20
STEPS: Final = (1, 2, 4, 8, 16, 32, 64)


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    processor: float
    """Seconds of the processor, in user mode and in the kernel."""
    memory: int
    """Bytes at its peak; of its children, if one of them had more."""


def cost(*command: str | Path, caches: Path) -> Cost:
    """Run a command to its end."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(caches), "XDG_CACHE_HOME": str(caches)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def scan(path: Path, caches: Path) -> Cost:
    """Scan a file."""
    return cost(sys.executable, "-m", "uprobes_sim_cli", "scan", path, caches=caches)


def median(costs: list[Cost]) -> Cost:
    """Take the median of each."""
    return Cost(
        statistics.median(each.seconds for each in costs),
        statistics.median(each.processor for each in costs),
        max(each.memory for each in costs),
    )


def against_objdump(argument: str, caches: Path) -> None:
    """Print how a scan compares with a disassembly."""
    objdump, _, name = argument.rpartition(":")
    path = Path(name)
    first = scan(path, caches)
    ours, theirs = list[Cost](), list[Cost]()
    for _ in range(ROUNDS):
        theirs.append(cost(objdump or "objdump", "-d", path, caches=caches))
        ours.append(scan(path, caches))
    mine, yours, size = median(ours), median(theirs), path.stat().st_size
    print(
        f"{path.name}: {size / MIB:.0f} MiB; {yours.seconds / mine.seconds:.1f} times as fast as "
        f"objdump ({mine.seconds:.2f} s, {yours.seconds:.2f} s; by time of the processor "
        f"{yours.processor / mine.processor:.1f}), the first time "
        f"{yours.seconds / first.seconds:.1f} ({first.seconds:.2f} s); "
        f"memory {mine.memory / size:.1f} times the file"
    )


def growth(path: Path, caches: Path) -> None:
    """Print the time for each amount of the same code, repeated where there is too little."""
    source = FileSource(path)
    code = read_code(source, str(path))
    stretch = max(code.ranges, key=lambda each: each.size)
    text = source.read(stretch.offset, stretch.size)
    text *= -(-STEPS[-1] * MIB // len(text))
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            part = Path(folder, f"{step}")
            elf = Elf(
                (Segment(0x400000, text[: step * MIB]),), machine=code.e_machine, abi=code.abi
            )
            part.write_bytes(elf.build())
            scan(part, caches)
            taken = median([scan(part, caches) for _ in range(3)])
            print(f"{step:>3} MiB of code: {taken.processor:.2f} s of the processor")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", metavar="[OBJDUMP:]FILE")
    parser.add_argument("--growth", type=Path, metavar="FILE")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as caches:
        for each in wanted.files:
            against_objdump(each, Path(caches))
        if wanted.growth:
            growth(wanted.growth, Path(caches))


if __name__ == "__main__":
    main()
