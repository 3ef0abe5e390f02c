"""Two builds of a file, instruction by instruction: symbols and offsets tell which are the same."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uprobes_sim.scan.arrays import Int64s, Uint64s
from uprobes_sim.scan.code import Code
from uprobes_sim.scan.columns import HARMFUL
from uprobes_sim.scan.scanner import Judge
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Difference:
    """An instruction to which the kernel gives another answer in the other build."""

    symbol: str
    offset: int
    """From the symbol on, in bytes."""
    before: Verdict
    before_text: str
    after: Verdict
    after_text: str


@dataclass(frozen=True, slots=True)
class Lone:
    """A function that only one of the builds has."""

    symbol: str
    new: bool
    """The other build has it."""


@dataclass(frozen=True, slots=True)
class _Build:
    """The instructions of one build that lie in named functions, by function and offset."""

    judge: Judge
    code: Code
    names: frozenset[str]
    keys: Int64s
    """Number of the name, shared by both builds, and offset; ascending."""
    vaddrs: Uint64s
    outcomes: Int64s
    """Numbers of outcomes, shared by both builds."""


_Numbers = dict[object, int]


def diff(old: tuple[Judge, Code], new: tuple[Judge, Code]) -> Iterator[Lone | Difference]:
    """Compare two builds: first what only one has, then what changes; by name and by offset.

    Raises:
        ProgramError: as `Judge.parts`.
    """
    names, outcomes = _Numbers(), _Numbers()
    before, after = (_build(*each, names, outcomes) for each in (old, new))
    for symbol in sorted(before.names ^ after.names):
        yield Lone(symbol, symbol in after.names)
    shared, left, right = np.intersect1d(
        before.keys, after.keys, assume_unique=True, return_indices=True
    )
    differs = before.outcomes[left] != after.outcomes[right]
    by_number = {number: str(name) for name, number in names.items()}
    found = [
        (by_number[key >> 32], key & 0xFFFFFFFF, Vaddr(here), Vaddr(there))
        for key, here, there in zip(
            shared[differs].tolist(),
            before.vaddrs[left][differs].tolist(),
            after.vaddrs[right][differs].tolist(),
            strict=True,
        )
    ]
    for symbol, offset, here, there in sorted(found):
        yield Difference(symbol, offset, *_answer(before, here), *_answer(after, there))


def _build(judge: Judge, code: Code, names: _Numbers, outcomes: _Numbers) -> _Build:
    numbers, labels = _name_numbers(code, names)
    keys, vaddrs, found = [], [], []
    for part in judge.parts(code):
        holders = code.functions.holders(part.vaddr)
        named = np.flatnonzero(numbers[holders] >= 0)
        holders, vaddr = holders[named], part.vaddr[named]
        distance = (vaddr - code.functions.start[holders]).astype(np.int64)
        keys.append(numbers[holders] << 32 | distance)
        vaddrs.append(vaddr)
        known = np.array(
            [outcomes.setdefault(_outcome(each[0]), len(outcomes)) for each in judge.forms],
            np.int64,
        )
        found.append(known[part.sweep.form[named]])
    key = np.concatenate(keys or [np.zeros(0, np.int64)])
    order = np.argsort(key, kind="stable")
    return _Build(
        judge,
        code,
        labels,
        key[order],
        np.concatenate(vaddrs or [np.zeros(0, np.uint64)])[order],
        np.concatenate(found or [key])[order],
    )


def _name_numbers(code: Code, names: _Numbers) -> tuple[Int64s, frozenset[str]]:
    """Number the names of functions, the last of all standing for "no function"; -1: no name.

    Of several functions of one name, the second is `name#2`.
    """
    numbers, labels, met = [], set[str](), Counter[str]()
    for index in range(len(code.functions)):
        name = code.functions.name(index)
        if name is None:
            numbers.append(-1)
            continue
        met[name] += 1
        label = name if met[name] == 1 else f"{name}#{met[name]}"
        labels.add(label)
        numbers.append(names.setdefault(label, len(names)))
    return np.array([*numbers, -1], np.int64), frozenset(labels)


def _outcome(answer: Verdict) -> object:
    """Give what counts as the same answer: all but words, and notes."""
    harm = tuple(each.rule for each in answer.warnings if each.severity in HARMFUL)
    return answer.verdict, answer.errno, answer.rule, harm


def _answer(build: _Build, vaddr: Vaddr) -> tuple[Verdict, str]:
    judge = build.judge
    insn, answers = judge.ask_at(build.code, vaddr)
    return answers[0], judge.hook.arch_insn_text(insn=insn, vaddr=vaddr, abi=judge.info.abi)
