"""Every integer instruction of the powerpc engine against QEMU, on edges and random operands."""

import random
from pathlib import Path

import pytest

from powerpc_oracle import CASE_REGS, SCRATCH, Case, execute, make_cases
from uprobes_sim.arch import Abi
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS, IMPLIED

MODULES = ("arith", "bits", "condition", "divide", "logic", "shift", "loadstore", "prefixed")
REGISTERS = {"RT": 21, "RS": 21, "RA": 16, "RB": 11, "RC": 6}
ABIS = [
    pytest.param(Abi(64, "little"), id="64-little"),
    pytest.param(Abi(64, "big"), id="64-big"),
    pytest.param(Abi(32, "big"), id="32-big"),
]
NOT_IN_QEMU_PPC = {"isel", "popcntb"}
QEMU_IS_WRONG = {"divde[o][.]"}
"""QEMU 7.2 does not see that a quotient from 2**63 up to 2**64 does not fit."""


def rows(abi: Abi, *, memory: bool) -> list[Insn]:
    """Instructions that this test can try on a processor of *abi*."""
    found = [
        row
        for row in isa.load()
        if row.meaning.__module__.rpartition(".")[2] in MODULES
        and row.bits <= abi.bits
        and ("m" in row.fields) is memory
        and row.name not in QEMU_IS_WRONG
    ]
    if abi.bits == 64:
        return found
    return [row for row in found if row.isa == "2.03" and row.name not in NOT_IN_QEMU_PPC]


def draw_word(rng: random.Random, row: Insn) -> int:
    """Make a word of *row*: operands in r3 to r10, other fields at random."""
    word = row.form.value
    for bit in range(64 if row.prefixed else 32):
        flipped = word | 1 << bit
        if row.form.mask >> bit & 1:
            continue
        if any(FIELDS[f](flipped) != FIELDS[f](word) for f in row.fields if f not in IMPLIED):
            word = flipped if rng.random() < 0.5 else word
    for name in set(row.fields) & REGISTERS.keys():
        word &= ~(31 << REGISTERS[name])
        word |= rng.randrange(3, 3 + CASE_REGS) << REGISTERS[name]
    return word


def in_scratch(rng: random.Random, row: Insn, word: int) -> int:
    """Change the word of a load or a store so that it stays inside scratch memory: r4 + r5."""
    for name, number in (("RA", 4), ("RB", 5)):
        if name in row.fields:
            word = word & ~(31 << REGISTERS[name]) | number << REGISTERS[name]
    if row.prefixed:
        word &= ~(0x17FFFF << 32)  # a short displacement, and not from the instruction
    if "RB" not in row.fields:
        word = word & ~0xFFFC | rng.randrange(0, 96, 4)
    return word


def with_pointers(rng: random.Random, cases: list[Case]) -> list[Case]:
    """Point r4 into scratch memory, with r5 as a small offset."""
    return [(case[0], SCRATCH + rng.randrange(64), rng.randrange(64), *case[3:]) for case in cases]


def draw(rng: random.Random, row: Insn, count: int) -> list[int]:
    words: list[int] = []
    while len(words) < count:
        word = draw_word(rng, row)
        if "m" in row.fields:
            word = in_scratch(rng, row, word)
        if row.is_valid(word) and not undefined(row, word):
            words.append(word)
    return words


def undefined(row: Insn, word: int) -> bool:
    """Tell words that the ISA leaves undefined: mfocrf of several fields."""
    several = "FXM" in row.fields and FIELDS["FXM"](word).bit_count() != 1
    return several and bool(word >> 20 & 1)


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("memory", [False, True], ids=["registers", "memory"])
@pytest.mark.parametrize("hot", [3, 1000], ids=["translated", "called"])
def test_the_engine_does_what_qemu_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abi: Abi, memory: bool, hot: int
) -> None:
    monkeypatch.setattr("uprobes_sim_powerpc.cpu.HOT", hot)
    rng = random.Random(f"{abi} {memory}")
    known = rows(abi, memory=memory)
    words = [word for row in known for word in draw(rng, row, 3)]
    cases = make_cases(rng, 24, abi.bits)
    if memory:
        cases = with_pointers(rng, cases)

    theirs, ours = execute(tmp_path, abi, words, cases)

    names = [
        "scratch",
        *(
            f"{row.name} {word:#x}"
            for row, word in zip((row for row in known for _ in range(3)), words, strict=True)
        ),
    ]
    wrong = [name for name, a, b in zip(names, theirs, ours, strict=True) if a != b]
    assert wrong == []
