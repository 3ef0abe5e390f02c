"""Two builds of a file, instruction by instruction: symbols and offsets tell which are the same."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uprobes_sim.errors import ProgramError
from uprobes_sim.scan.arrays import Bools, Int64s, Uint64s
from uprobes_sim.scan.code import Code
from uprobes_sim.scan.columns import HARMFUL
from uprobes_sim.scan.scanner import Judge
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """What the kernel says of an instruction of one build."""

    text: str
    """The instruction, as people write it."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Difference:
    """An instruction to which the kernel gives another answer in the other build.

    Where only one build has an instruction there, it is one that is refused or does harm.
    """

    symbol: str
    offset: int
    """From the symbol on, in bytes."""
    before: Answer | None
    after: Answer | None


@dataclass(frozen=True, slots=True)
class Lone:
    """A function that only one of the builds has."""

    symbol: str
    new: bool
    """The other build has it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two builds, beside each other."""

    found: Iterator[Lone | Difference]
    insns: int
    """Instructions of both."""
    nameless: int
    """Those in no named function, which are not compared."""


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
    told: Bools
    """Whether people want to hear where it is."""
    insns: int
    """All of the build."""


_Numbers = dict[object, int]


def diff(old: tuple[Judge, Code], new: tuple[Judge, Code]) -> Comparison:
    """Compare two builds: first what only one has, then what changes; by name and by offset.

    Raises:
        ProgramError: as `Judge.parts`, or they are of two architectures.
    """
    if (old[1].e_machine, old[1].abi) != (new[1].e_machine, new[1].abi):
        raise ProgramError(
            f"{_kind(*old)} and {_kind(*new)} have no instructions in common; compare builds of "
            "one architecture"
        )
    names, outcomes = _Numbers(), _Numbers()
    before, after = (_build(*each, names, outcomes) for each in (old, new))
    insns = before.insns + after.insns
    named = len(before.keys) + len(after.keys)
    by_number = {number: str(name) for name, number in names.items()}
    return Comparison(_differences(before, after, by_number), insns, insns - named)


def _kind(judge: Judge, code: Code) -> str:
    return f"{code.path} ({judge.info.name}, {code.abi.bits}-bit {code.abi.byteorder}-endian)"


def _differences(
    before: _Build, after: _Build, names: dict[int, str]
) -> Iterator[Lone | Difference]:
    for symbol in sorted(before.names ^ after.names):
        yield Lone(symbol, symbol in after.names)
    shared, left, right = np.intersect1d(
        before.keys, after.keys, assume_unique=True, return_indices=True
    )
    differs = before.outcomes[left] != after.outcomes[right]
    pairs = list(
        zip(
            shared[differs].tolist(),
            before.vaddrs[left][differs].tolist(),
            after.vaddrs[right][differs].tolist(),
            strict=True,
        )
    )
    both = before.names & after.names
    pairs += [(key, vaddr, None) for key, vaddr in _told_besides(before, left, both, names)]
    pairs += [(key, None, vaddr) for key, vaddr in _told_besides(after, right, both, names)]
    for symbol, key, here, there in sorted(
        ((names[key >> 32], key, here, there) for key, here, there in pairs),
        key=lambda row: row[:2],
    ):
        yield Difference(symbol, key & 0xFFFFFFFF, _answer(before, here), _answer(after, there))


def _told_besides(
    build: _Build, shared: Int64s, both: frozenset[str], names: dict[int, str]
) -> Iterator[tuple[int, int]]:
    """List what people want to hear of in functions of both builds, where only this one has it."""
    alone = build.told.copy()
    alone[shared] = False
    for key, vaddr in zip(build.keys[alone].tolist(), build.vaddrs[alone].tolist(), strict=True):
        if names[key >> 32] in both:
            yield key, vaddr


def _build(judge: Judge, code: Code, names: _Numbers, outcomes: _Numbers) -> _Build:
    numbers, labels = _name_numbers(code, names)
    keys, vaddrs, found, told, insns = [], [], [], [], 0
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
        form = part.sweep.form[named]
        found.append(known[form])
        told.append(judge.told[form])
        insns += len(part.sweep.form)
    key = np.concatenate(keys or [np.zeros(0, np.int64)])
    order = np.argsort(key, kind="stable")
    return _Build(
        judge,
        code,
        labels,
        key[order],
        np.concatenate(vaddrs or [np.zeros(0, np.uint64)])[order],
        np.concatenate(found or [key])[order],
        np.concatenate(told or [np.zeros(0, np.bool_)])[order],
        insns,
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


def _answer(build: _Build, at: int | None) -> Answer | None:
    if at is None:
        return None
    judge, vaddr = build.judge, Vaddr(at)
    insn, answers = judge.ask_at(build.code, vaddr)
    text = judge.hook.arch_insn_text(insn=insn, vaddr=vaddr, abi=judge.info.abi)
    return Answer(text, answers[0])
