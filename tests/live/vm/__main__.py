"""Record what another release answers: `python -m live.vm KERNEL` in tests, for x86.

KERNEL is a bzImage, such as that of Debian's linux-image-6.1.0-*-cloud-amd64. Its
release names the files of answers.
"""

import errno
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from elf_maker import PAGE
from live.blocks import SLOT_BYTES, marker, write_drawn
from live.draw import Drawn
from live.kernel import EXIT, SLOT, WAIT, Bits, write_program
from live.vm.machine import Answer, Job, ask
from x86_verdicts import NAMED, lead, recorded

_BITS: Final[tuple[Bits, ...]] = (64, 32)
_TABLES: Final = [table for bits, table, _ in recorded("6.18") if bits == 64]
_LETTERS: Final = {0: ".", errno.ENOEXEC: "X", 524: "N"}


def main(
    kernel: Annotated[Path, typer.Argument(help="The kernel to boot.")],
    release: Annotated[str, typer.Option(help="Its release.")],
    verdicts: Annotated[Path, typer.Option(help="Where to write the tables of verdicts.")],
    mechanisms: Annotated[Path, typer.Option(help="Where to write how each is executed.")],
) -> None:
    """Boot KERNEL in QEMU and write down its answers."""
    with TemporaryDirectory() as folder:
        jobs = [_tables_job(bits, Path(folder)) for bits in _BITS]
        jobs += [_named_job(bits, Path(folder)) for bits in _BITS]
        answers = ask(kernel, jobs, Path(folder), timeout=600)
    asked = list(zip(_BITS, answers[:2], answers[2:], strict=True))
    lines = [line for bits, tables, _ in asked for line in _fold(bits, tables)]
    head = f"# What registration answered on Linux {release}: mode | table | refused opcodes."
    verdicts.write_text("\n".join([head, *lines]) + "\n")
    found = [line for bits, _, executed in asked for line in _how(bits, executed)]
    head = f"# How Linux {release} executes what is probed, by the slot it left: mode, code, how."
    mechanisms.write_text("\n".join([head, *found]) + "\n")


def _tables_job(bits: Bits, folder: Path) -> Job:
    """Ask about every opcode of every table, with two ModRM bytes."""
    codes = [
        lead(table) + bytes([opcode, modrm])
        for table, opcode, modrm in product(_TABLES, range(256), (0xC0, 0x05))
    ]
    text = WAIT[bits] + EXIT[bits]
    first = -(-len(text) // SLOT) * SLOT
    text = text.ljust(first, b"\0") + b"".join(code.ljust(SLOT, b"\0") for code in codes)
    program = write_program(folder / "tables", text, bits).read_bytes()
    return Job(program, [PAGE + first + SLOT * at for at in range(len(codes))], keep=False)


def _named_job(bits: Bits, folder: Path) -> Job:
    """Execute each named instruction in a block of its own."""
    choose = [lambda at, code=code: Drawn(code) for code in NAMED[bits]]
    blocks = write_drawn(folder / "named", bits, choose, seed=61)
    return Job(blocks.path.read_bytes(), blocks.sites, keep=True)


def _fold(bits: Bits, answer: Answer) -> Iterator[str]:
    """Write each table as lists of opcodes by answer."""
    for number, table in enumerate(_TABLES):
        lists = defaultdict[str, list[int]](list)
        for opcode in range(256):
            at = 2 * (256 * number + opcode)
            both = {_LETTERS[code] for code in answer.errnos[at : at + 2]}
            lists[both.pop() if len(both) == 1 else "m"].append(opcode)
        lists.pop(".", None)
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


def _how(bits: Bits, answer: Answer) -> Iterator[str]:
    """Tell by the slot whether the instruction was stepped, and in which form."""
    for number, code in enumerate(NAMED[bits]):
        slot = answer.stderr[SLOT_BYTES * number :][:SLOT_BYTES]
        verdict = _LETTERS[answer.errnos[2 * number + 1]]
        if verdict == ".":
            stepped = not slot.startswith(marker(number))
            verdict = f"xol {slot[: len(code)].hex()}" if stepped else "emulate"
        yield f"{bits} {code.hex()} {verdict}"


typer.run(main)
