"""Record what another release answers: `python -m live.vm KERNEL --release 6.1.192` in tests.

KERNEL is a bzImage, such as that of Debian's linux-image-6.1.0-*-cloud-amd64.
"""

import errno
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Annotated, Final, NamedTuple

import typer

from live.blocks import SLOT_BYTES, marker, write_drawn
from live.draw import Drawn
from live.encodings import every_encoding
from live.kernel import Bits
from live.verdicts import write_encodings
from live.vm.machine import Answer, Job, ask
from x86_verdicts import NAMED, RECORDED, lead, recorded

_BITS: Final[tuple[Bits, ...]] = (64, 32)
_TABLES: Final = [table for bits, table, _ in recorded("6.18") if bits == 64]
_ENOTSUPP: Final = 524
_LETTERS: Final = {0: ".", errno.ENOEXEC: "X", _ENOTSUPP: "N"}
_SAMPLE: Final = 60
"""Encodings of each rule."""
_SEED: Final = 61


def main(
    kernel: Annotated[Path, typer.Argument(help="The kernel to boot.")],
    release: Annotated[str, typer.Option(help="Its release.")],
    folder: Annotated[Path, typer.Option(help="Where to put the files of answers.")] = RECORDED,
    tables: Annotated[bool, typer.Option(help="Ask for the tables; 6.12 takes hours.")] = True,
) -> None:
    """Boot KERNEL in QEMU and write down its answers."""
    records = _RECORDS if tables else _RECORDS[1:]
    with TemporaryDirectory() as place:
        program = Path(place) / "program"
        jobs = [record.make(bits, program) for record in records for bits in _BITS]
        answers = iter(ask(kernel, jobs, Path(place), timeout=1_500))
    for record in records:
        lines = [line for bits in _BITS for line in record.tell(bits, next(answers))]
        path = folder / f"{record.name}_{'.'.join(release.split('.')[:2])}.txt"
        path.write_text("\n".join([f"# Linux {release}, {record.head}", *lines]) + "\n")


def _verdicts_job(path: Path, codes: Sequence[bytes], bits: Bits) -> Job:
    offsets = write_encodings(path, codes, bits)
    return Job(path.read_bytes(), offsets, keep=False)


def _tables_job(bits: Bits, path: Path) -> Job:
    """Ask about every opcode of every table, with two ModRM bytes."""
    asked = product(_TABLES, range(256), (0xC0, 0x05))
    codes = [lead(table) + bytes([opcode, modrm]) for table, opcode, modrm in asked]
    return _verdicts_job(path, codes, bits)


def _sample(bits: Bits) -> list[bytes]:
    rules = every_encoding(bits).values()
    return [code for rule in rules for code in Random(_SEED).sample(rule, _SAMPLE)]


def _sample_job(bits: Bits, path: Path) -> Job:
    return _verdicts_job(path, _sample(bits), bits)


def _named_job(bits: Bits, path: Path) -> Job:
    """Execute each named instruction in a block of its own."""
    choose = [lambda at, code=code: Drawn(code) for code in NAMED[bits]]
    blocks = write_drawn(path, bits, choose, seed=_SEED)
    return Job(path.read_bytes(), blocks.sites, keep=True)


def _fold(bits: Bits, answer: Answer) -> Iterator[str]:
    """Write each table as lists of opcodes by answer."""
    for number, table in enumerate(_TABLES):
        lists = defaultdict[str, list[int]](list)
        for opcode in range(256):
            at = 2 * (256 * number + opcode)
            both = {_LETTERS[code] for code in answer.errnos[at : at + 2]}
            lists[both.pop() if len(both) == 1 else "m"].append(opcode)
        named = (f"{letter} {_ranges(lists[letter])}" for letter in "NXm" if lists[letter])
        yield " | ".join((str(bits), table, *named))


def _ranges(opcodes: Sequence[int]) -> str:
    words = list[str]()
    for opcode in opcodes:
        if words and int(words[-1][-2:], 16) == opcode - 1:
            words[-1] = f"{words[-1][:2]}-{opcode:02x}"
        else:
            words.append(f"{opcode:02x}")
    return " ".join(words)


def _sampled(bits: Bits, answer: Answer) -> Iterator[str]:
    for code, number in zip(_sample(bits), answer.errnos, strict=True):
        yield f"{bits} {_LETTERS[number]} {code.hex()}"


def _how(bits: Bits, answer: Answer) -> Iterator[str]:
    """Tell by the slot whether the instruction was stepped, and in which form."""
    for number, code in enumerate(NAMED[bits]):
        slot = answer.stderr[SLOT_BYTES * number :][:SLOT_BYTES]
        how = _LETTERS[answer.errnos[2 * number + 1]]
        if how == ".":
            stepped = not slot.startswith(marker(number))
            how = f"xol {slot[: len(code)].hex()}" if stepped else "emulate"
        yield f"{bits} {code.hex()} {how}"


class Record(NamedTuple):
    """A file of answers."""

    name: str
    head: str
    make: Callable[[Bits, Path], Job]
    tell: Callable[[Bits, Answer], Iterator[str]]


_RECORDS: Final = (
    Record(
        "verdicts",
        "what registration answered: mode | table | refused opcodes.",
        _tables_job,
        _fold,
    ),
    Record(
        "sample",
        "what registration answered to encodings by rule: mode, answer, code.",
        _sample_job,
        _sampled,
    ),
    Record(
        "executed",
        "how it executes what is probed, by the slot it left: mode, code, how.",
        _named_job,
        _how,
    ),
)

typer.run(main)
