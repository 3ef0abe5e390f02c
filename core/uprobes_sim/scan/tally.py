"""From the instructions of a file to its report: counting in arrays, names at the end.

A report depends on the file and on the kernel alone, not on what was scanned before.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from uprobes_sim.errata import Severity
from uprobes_sim.errno import Errno
from uprobes_sim.scan.arrays import Bools, Int64s, Uint64s
from uprobes_sim.scan.code import Code
from uprobes_sim.scan.columns import COLUMNS, loudness
from uprobes_sim.scan.memory import Answers
from uprobes_sim.scan.report import Change, FileReport, Finding, FunctionRow, Place
from uprobes_sim.scan.scanner import Judge, Part
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Verdict

_EXAMPLES: Final = 3
_NOBODY: Final = 0xFFFFFFFF
"""Number of the function that holds what no function does."""


def report(judge: Judge, code: Code, *, detail: bool = False) -> FileReport:
    """Scan one file; *detail*: with rows for functions and places.

    Raises:
        ProgramError: as `Judge.parts`.
    """
    tally = _Tally(judge, code, detail=detail)
    for part in judge.parts(code):
        tally.add(part)
    return tally.report()


class _Met(NamedTuple):
    """What a file has of a form."""

    number: int
    answers: Answers
    total: int
    vaddr: Vaddr
    """Of the first."""

    @property
    def answer(self) -> Verdict:
        """What the first kernel says."""
        return self.answers[0]


class _Group(NamedTuple):
    """A rule that refuses (no severity), or a warning."""

    rule: str
    severity: Severity | None


@dataclass(slots=True)
class _Held:
    """Instructions of one form in one function."""

    count: int
    vaddr: int
    """Of the first of them."""


class _Tally:
    """Adds up one file."""

    def __init__(self, judge: Judge, code: Code, *, detail: bool) -> None:
        self._judge, self._code, self._detail = judge, code, detail
        self._counts: Int64s = np.zeros(0, np.int64)
        """Instructions of each form."""
        self._first: Uint64s = np.zeros(0, np.uint64)
        """Address of the first of them."""
        self._left_out = 0
        self._where: dict[int, dict[int, _Held]] = {}
        """Of each form that somebody must hear of, what each function holds."""
        self._room: Bools = np.empty(0, np.bool_)
        self._functions = np.zeros((len(code.functions) + 1, 1 + len(COLUMNS)), np.int64)

    def add(self, part: Part) -> None:
        """Add the instructions of a piece."""
        sweep, forms = part.sweep, part.sweep.form
        self._left_out += sweep.end - int(sweep.size.sum(dtype=np.int64))
        counts = np.bincount(forms, minlength=len(self._judge.forms))
        first = np.zeros(len(counts), np.uint64)
        first[: len(self._first)] = self._first
        counts[: len(self._counts)] += self._counts
        fresh = counts > 0
        fresh[: len(self._counts)] &= self._counts == 0
        self._counts, self._first = counts, first
        told = self._judge.told
        chosen = self._which(fresh | told, forms)
        vaddrs, found = part.vaddrs(chosen), forms[chosen]
        new = np.flatnonzero(fresh[found])[::-1]
        first[found[new]] = vaddrs[new]  # the last that is written stays
        self._add_places(found[told[found]], vaddrs[told[found]])
        if self._detail:
            self._add_functions(forms, part.vaddr)

    def _which(self, wanted: Bools, forms: Int64s) -> Int64s:
        """List the elements of *forms* that are *wanted*."""
        if len(self._room) < len(forms):
            self._room = np.empty(len(forms), np.bool_)
        # By this mode numpy writes where it is told to.
        return np.flatnonzero(wanted.take(forms, out=self._room[: len(forms)], mode="clip"))

    def _add_places(self, forms: Int64s, vaddrs: Uint64s) -> None:
        """Add instructions that people are shown."""
        if not len(forms):
            return
        pairs = forms << 32 | self._code.functions.holders(vaddrs) & _NOBODY
        found, first, counts = np.unique(pairs, return_index=True, return_counts=True)
        firsts = vaddrs[first].tolist()
        for pair, vaddr, count in zip(found.tolist(), firsts, counts.tolist(), strict=True):
            holders = self._where.setdefault(pair >> 32, {})
            holders.setdefault(pair & _NOBODY, _Held(0, vaddr)).count += count

    def _add_functions(self, forms: Int64s, vaddrs: Uint64s) -> None:
        table, rows = self._functions, len(self._functions)
        holders = self._code.functions.holders(vaddrs) + 1
        table[:, 0] += np.bincount(holders, minlength=rows)
        for number in range(len(COLUMNS)):
            weights = self._judge.columns[forms, number]
            table[:, 1 + number] += np.bincount(holders, weights, rows).astype(np.int64)

    def report(self) -> FileReport:
        """Say what was counted."""
        judge, code = self._judge, self._code
        numbers = np.flatnonzero(self._counts)
        rows = numbers.tolist(), self._counts[numbers].tolist(), self._first[numbers].tolist()
        met = [
            _Met(number, judge.forms[number], total, Vaddr(first))
            for number, total, first in zip(*rows, strict=True)
        ]
        groups, answers = _groups(met), _answers(met)
        kernel, *others = (str(config.kernel) for config in judge.configs)
        return FileReport(
            path=code.path,
            arch=judge.info.name,
            kernel=kernel,
            build_id=code.build_id,
            insns=int(self._counts.sum()),
            left_out=self._left_out,
            verdicts=_verdicts(answers),
            rules=_counted((answer.rule, total) for answer, total in answers),
            errnos=_counted((a.errno.name, total) for a, total in answers if a.errno),
            warnings={group.rule: _sum(some) for group, some in groups.items() if group.severity},
            findings=tuple(self._finding(group, some) for group, some in groups.items()),
            functions=tuple(self._rows()) if self._detail else (),
            places=tuple(self._places(groups)) if self._detail else (),
            other_kernel=others[0] if others else None,
            changes=tuple(self._changes(met)) if others else (),
        )

    def _finding(self, group: _Group, met: list[_Met]) -> Finding:
        held = sorted({at for each in met for at in self._where.get(each.number, ())} - {_NOBODY})
        return Finding(
            *group,
            self._reason(group, met),
            _errno(group, met),
            _sum(met),
            {} if group.severity == "note" else self._mnemonics(met),
            len(held),
            tuple(self._code.functions.label(at) for at in held[:_EXAMPLES]),
        )

    def _reason(self, group: _Group, met: list[_Met]) -> str:
        """Give the reason of a warning; of a refusal, that for the first instruction."""
        for caution in met[0].answer.warnings:
            if caution.rule == group.rule and group.severity:
                return caution.reason
        first = min(each.vaddr for each in met)
        return self._judge.refusal(self._code, first)

    def _mnemonics(self, met: Iterable[_Met]) -> dict[str, int]:
        return _counted((self._mnemonic(each.vaddr), each.total) for each in met)

    def _mnemonic(self, vaddr: Vaddr) -> str:
        judge, code = self._judge, self._code
        insn = code.source.read(code.offset_of(vaddr), judge.info.max_insn_bytes)
        return judge.mnemonic(insn, vaddr)

    def _places(self, groups: dict[_Group, list[_Met]]) -> Iterator[Place]:
        functions = self._code.functions
        for group, met in groups.items():
            reason, errno = self._reason(group, met), _errno(group, met)
            by_holder = dict[int, list[_Held]]()
            for each in met:
                for holder, held in self._where.get(each.number, {}).items():
                    by_holder.setdefault(holder, []).append(held)
            for holder, parts in sorted(by_holder.items()):
                first = min(held.vaddr for held in parts)
                yield Place(
                    *group,
                    reason,
                    errno,
                    None if holder == _NOBODY else functions.name(holder),
                    first,
                    self._code.probe_offset(first),
                    sum(held.count for held in parts),
                )

    def _rows(self) -> Iterator[FunctionRow]:
        functions = self._code.functions
        for index, (insns, *row) in enumerate(self._functions[1:].tolist()):
            counts = dict(zip(COLUMNS, row, strict=True))
            yield FunctionRow(functions.name(index), int(functions.start[index]), insns, counts)

    def _changes(self, met: list[_Met]) -> Iterator[Change]:
        groups = dict[tuple[_Outcome, _Outcome], list[_Met]]()
        for each in met:
            outcomes = _outcome(each.answers[0]), _outcome(each.answers[1])
            if outcomes[0] != outcomes[1]:
                groups.setdefault(outcomes, []).append(each)
        for some in sorted(groups.values(), key=lambda some: (-_sum(some), some[0].vaddr)):
            before, after = some[0].answers[:2]
            yield Change(before, after, _sum(some), self._mnemonics(some))


_Outcome = tuple[str, Errno | None, str]


def _outcome(answer: Verdict) -> _Outcome:
    return answer.verdict, answer.errno, answer.rule


def _sum(met: Iterable[_Met]) -> int:
    return sum(each.total for each in met)


def _counted(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up, and sort: the most frequent first."""
    counter = Counter[str]()
    for key, count in pairs:
        counter[key] += count
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _answers(met: list[_Met]) -> list[tuple[Verdict, int]]:
    """Add up forms that are answered in the same words: that are most of them."""
    totals, answers = Counter[int](), dict[int, Verdict]()
    for each in met:
        totals[id(each.answers)] += each.total
        answers[id(each.answers)] = each.answer
    return [(answers[key], total) for key, total in totals.items()]


def _verdicts(answers: list[tuple[Verdict, int]]) -> dict[str, int]:
    found = _counted((answer.verdict, total) for answer, total in answers)
    return {verdict: found.get(verdict, 0) for verdict in ("emulate", "xol", "reject")}


def _groups(met: list[_Met]) -> dict[_Group, list[_Met]]:
    """Sort forms by rule and by warning, the loudest and the most frequent first."""
    groups = dict[_Group, list[_Met]]()
    for each in met:
        if each.answer.verdict == "reject":
            groups.setdefault(_Group(each.answer.rule, None), []).append(each)
        for caution in each.answer.warnings:
            groups.setdefault(_Group(caution.rule, caution.severity), []).append(each)
    rank = {
        group: (loudness(group.severity), -_sum(some), group.rule) for group, some in groups.items()
    }
    return {group: groups[group] for group in sorted(groups, key=rank.__getitem__)}


def _errno(group: _Group, met: list[_Met]) -> str | None:
    errno = met[0].answer.errno
    return errno.name if errno is not None and group.severity is None else None
