"""`scan` of files that somebody has damaged: whatever they hold, it reports or says why not."""

import random
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from elf_programs import TARGETS, program
from uprobes_sim_cli.app import app

SEED: Final = 20261126
PATIENCE: Final = 5
"""Seconds of the processor that one file may take: others may be using it as well."""
MEMORY: Final = 512 << 20
"""Bytes by which the process may grow over all of them."""

WORDS: Final = (0, 1, 0x7F, 0xFF, 0xFFF, 0xFFFF, 1 << 31, (1 << 32) - 1, (1 << 63), (1 << 64) - 1)


def flipped(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 8, 64, 512))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flipped_in_headers(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 4, 8))):
        data[rng.randrange(min(len(data), 512))] = rng.randrange(256)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def absurd(data: bytearray, rng: random.Random) -> None:
    """Write numbers that no header has, into the ELF header or into a table of headers."""
    wide = data[4] == 2
    order = "<" if data[5] == 1 else ">"
    form = f"{order}Q" if wide else f"{order}I"
    place = 0x28 if wide else 0x20
    (sections,) = struct.unpack_from(form, data, place)
    start, size = rng.choice(((16, 48), (64, 512), (sections, 64 * 30)))
    for _ in range(rng.choice((1, 2, 4))):
        at = start + rng.randrange(size // 2) * 2
        word = rng.choice(WORDS).to_bytes(8, "little")[: rng.choice((2, 4, 8))]
        data[at : at + len(word)] = word


def shuffled(data: bytearray, rng: random.Random) -> None:
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    size = min(rng.randrange(1, 4096), len(data) - b)
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


MUTATIONS: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    flipped,
    flipped_in_headers,
    cut,
    absurd,
    shuffled,
)


def mutant(number: int) -> bytes:
    """Make the mutant with this number; the same in every run."""
    rng = random.Random(f"{SEED} {number}")
    target = TARGETS[number % len(TARGETS)]
    original = program(target, rng.choice(("add3", "add3-pie"))).read_bytes()
    data = bytearray(original)
    while data == original:  # a bit may be flipped twice
        MUTATIONS[number % len(MUTATIONS)](data, rng)
    if number % 7 == 0:
        rng.choice(MUTATIONS)(data, rng)
    return bytes(data)


def scan(path: Path, *args: str) -> Any:
    return CliRunner().invoke(app, ["scan", *args, str(path)])


def check(numbers: range, path: Path) -> None:
    """Scan mutants, and see that each is answered."""
    for target in TARGETS:
        assert scan(program(target, "add3")).exit_code == 0  # compiles what is not compiled yet
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in numbers:
        path.write_bytes(mutant(number))
        started = process_time()
        done = scan(path, "--format", ("text", "json", "sarif", "junit")[number % 4])
        took = process_time() - started
        assert isinstance(done.exception, SystemExit | None), f"mutant {number}: {done.exception!r}"
        assert done.exit_code in (0, 2), f"mutant {number}"
        assert len(done.stderr.splitlines()) == (done.exit_code == 2), f"mutant {number}"
        assert took < PATIENCE, f"mutant {number} took {took:.1f} s"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown << 10 < MEMORY


def test_three_hundred_damaged_files_are_answered(tmp_path: Path) -> None:
    check(range(300), tmp_path / "mutant")


@pytest.mark.campaign
def test_two_thousand_damaged_files_are_answered(tmp_path: Path) -> None:
    check(range(300, 2300), tmp_path / "mutant")


def test_the_instructions_of_damaged_files_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "mutant"
    for number in range(1000, 1020):
        path.write_bytes(mutant(number))

        done = scan(path, "--format", "jsonl", "--only", "damages")

        assert isinstance(done.exception, SystemExit | None), repr(done.exception)
