"""ELF files that are broken at random, and `check` on each: `python elf_mutants.py FROM TO`.

Prints one line for each that is not answered as it should be: an exception that is no error of
ours, more than five seconds of computing; a process that needs too much memory ends.
"""

import io
import resource
import struct
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from typer.testing import CliRunner

from check_cases import CASES
from elf_programs import program
from uprobes_sim_cli.app import app

PATIENCE: Final = 5.0
"""Seconds of computing that an answer may take."""
MEMORY: Final = 1 << 30
"""Bytes of address space beyond what the interpreter has at the start."""
ORIGINALS: Final = (
    ("x86_64", "add3"),
    ("x86_64", "calls"),
    ("x86", "add3-pie"),
    ("powerpc64le", "calls"),
    ("powerpc64", "add3-pie"),
    ("powerpc", "add3"),
)
ABSURD: Final = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1)
PROBES: Final = ("main", "main%return", "main+3", "0x400000", "@0x40", "@0x1003", "usdt:{}:a:b")


def originals(folder: Path) -> list[bytes]:
    """Give whole files: programs, and some of those that have what rules look at."""
    files = [program(*original).read_bytes() for original in ORIGINALS]
    for case in CASES:
        if case.rule in ("check.semaphore", "check.plt", "check.descriptor", "check.inlined"):
            files.append(case.build(folder).read_bytes())
    return files


def mutant(original: bytes, random: Random) -> bytes:
    """Break a file in one of several ways."""
    data = bytearray(original)
    kind = random.randrange(4)
    if kind == 0:
        return bytes(data[: random.randrange(len(data))])
    headers = min(len(data), 64 + 56 * 10)
    sections = max(0, len(data) - 64 * 40)
    where = ((0, headers), (sections, len(data)), (0, len(data)))[random.randrange(3)]
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        at = random.randrange(*where)
        if kind == 1:
            data[at] ^= 1 << random.randrange(8)
        else:
            size = random.choice((1, 2, 4, 8))
            value = random.choice(ABSURD) & (1 << 8 * size) - 1
            at -= at % size
            field = struct.pack("<Q", value)[:size]
            data[at : at + size] = field[: len(data) - at]
    return bytes(data)


def failures(first: int, last: int) -> Iterator[str]:
    """Check the mutants with these numbers; give what is wrong."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        files, path = originals(folder), folder / "mutant"
        limit = MEMORY + _address_space()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for number in range(first, last):
            random = Random(number)
            path.write_bytes(mutant(random.choice(files), random))
            probes = [probe.format(path) for probe in random.sample(PROBES, 3)]
            args = ["check", str(path), *probes]
            if random.random() < 0.2:
                args = ["check", str(path), random.choice(("--exits", "--multi")), "main", "ma*"]
            yield from _answer(number, args)


def _answer(number: int, args: list[str]) -> Iterator[str]:
    start = time.process_time()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        done = CliRunner().invoke(app, args)
    took = time.process_time() - start
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        trace = traceback.format_exception(done.exception)[-3:]
        yield f"{number}: {' '.join(' '.join(trace).split())}"
    elif done.exit_code not in (0, 1, 2) or "Traceback" in done.output:
        yield f"{number}: exit status {done.exit_code}"
    elif "report it to its authors" in done.stderr:
        yield f"{number}: {done.stderr.strip()}"
    if took > PATIENCE:
        yield f"{number}: took {took:.1f} s"


def _address_space() -> int:
    """Bytes that this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    for line in failures(int(sys.argv[1]), int(sys.argv[2])):
        print(line, flush=True)
