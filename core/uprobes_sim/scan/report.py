"""What a scan found in one file, counted: by verdict, rule and warning, damage first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from uprobes_sim.errata import Severity
from uprobes_sim.scan.code import Code, Functions
from uprobes_sim.scan.columns import COLUMNS, HARMFUL, loudness
from uprobes_sim.scan.scanner import Form, Judge, Part
from uprobes_sim.verdict import Verdict

_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """All instructions of a file that one rule refuses, or that one warning is about."""

    rule: str
    severity: Severity | None
    """None: refused."""
    reason: str
    """Of one of them."""
    errno: str | None
    count: int
    mnemonics: dict[str, int]
    """The most frequent first."""
    functions: int
    """Number of functions that have one."""
    examples: tuple[str, ...]
    """Some of those functions."""


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One function, counted."""

    name: str | None
    """None: only `.eh_frame` knows of it."""
    vaddr: int
    insns: int
    counts: dict[str, int]
    """By `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Instructions of one function that one rule refuses, or that one warning is about."""

    rule: str
    severity: Severity | None
    reason: str
    errno: str | None
    symbol: str | None
    vaddr: int
    """Of the first of them."""
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """Instructions to which two kernels give different answers."""

    before: Verdict
    after: Verdict
    count: int
    mnemonics: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """One file under one kernel, or under two."""

    path: str
    arch: str
    kernel: str
    build_id: str | None
    insns: int
    left_out: int
    """Bytes between instructions: data in the code, as far as can be seen."""
    verdicts: dict[str, int]
    rules: dict[str, int]
    errnos: dict[str, int]
    warnings: dict[str, int]
    findings: tuple[Finding, ...]
    """Warnings, then refusals; the loudest first."""
    functions: tuple[FunctionRow, ...] = ()
    places: tuple[Place, ...] = ()
    """What there is of each finding in each function."""
    other_kernel: str | None = None
    changes: tuple[Change, ...] = ()
    """From `kernel` to `other_kernel`."""

    @property
    def harmful(self) -> int:
        """Count the instructions that are accepted and then damage or kill the program."""
        return sum(each.count for each in self.findings if each.severity in HARMFUL)


@dataclass(slots=True)
class _Held:
    """Instructions of one form in one function."""

    count: int
    vaddr: int
    """Of the first of them."""


Where = dict[int, dict[int, _Held]]
"""Of each form that somebody must hear of, what each function holds; -1: no function does."""


@dataclass(slots=True)
class _Numbers:
    """What is added up, part by part."""

    forms: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Instructions of each form."""
    left_out: int = 0
    where: "Where" = field(default_factory=dict)
    functions: npt.NDArray[np.int64] | None = None
    """Instructions of each function, and its columns, where they are wanted."""


def report(judge: Judge, code: Code, *, detail: bool = False) -> FileReport:
    """Scan one file; *detail*: with rows for functions and places.

    Raises:
        ProgramError: as `Judge.parts`.
    """
    numbers = _Numbers()
    if detail:
        numbers.functions = np.zeros((len(code.functions) + 1, 1 + len(COLUMNS)), np.int64)
    for part in judge.parts(code):
        _add(numbers, judge, code.functions, part)
    forms = np.flatnonzero(numbers.forms)
    used = [(judge.forms[form], int(numbers.forms[form]), form) for form in forms.tolist()]
    first, *others = (str(config.kernel) for config in judge.configs)
    return FileReport(
        path=code.path,
        arch=judge.info.name,
        kernel=first,
        build_id=code.build_id,
        insns=int(numbers.forms.sum()),
        left_out=numbers.left_out,
        verdicts=_verdicts(used),
        rules=_counted((form.answers[0].rule, n) for form, n, _ in used),
        errnos=_counted((a.errno.name, n) for f, n, _ in used if (a := f.answers[0]).errno),
        warnings=_warnings(used),
        findings=tuple(_findings(judge, code.functions, used, numbers.where)),
        functions=_rows(code.functions, numbers.functions),
        places=tuple(_places(code, used, numbers.where)) if detail else (),
        other_kernel=others[0] if others else None,
        changes=tuple(_changes(judge, used)) if others else (),
    )


def _add(numbers: _Numbers, judge: Judge, functions: Functions, part: Part) -> None:
    sweep = part.sweep
    numbers.left_out += sweep.end - int(sweep.size.sum(dtype=np.int64))
    counts = np.bincount(sweep.form, minlength=len(judge.forms))
    counts[: len(numbers.forms)] += numbers.forms
    numbers.forms = counts
    _add_places(numbers.where, judge, functions, part)
    if numbers.functions is not None:
        _add_functions(numbers.functions, judge, functions.holders(part.vaddr), sweep.form)


def _add_places(where: Where, judge: Judge, functions: Functions, part: Part) -> None:
    chosen = np.flatnonzero(judge.told[part.sweep.form])
    vaddrs, forms = part.vaddr[chosen], part.sweep.form[chosen].astype(np.int64)
    pairs = forms << 32 | functions.holders(vaddrs) & 0xFFFFFFFF
    found, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    firsts = vaddrs[first].tolist()
    for pair, vaddr, count in zip(found.tolist(), firsts, counts.tolist(), strict=True):
        holder = pair & 0xFFFFFFFF
        holders = where.setdefault(pair >> 32, {})
        holders.setdefault(-1 if holder == 0xFFFFFFFF else holder, _Held(0, vaddr)).count += count


def _add_functions(
    table: npt.NDArray[np.int64],
    judge: Judge,
    holders: npt.NDArray[np.int64],
    forms: npt.NDArray[np.uint32],
) -> None:
    rows = len(table)
    table[:, 0] += np.bincount(holders + 1, minlength=rows)
    for number in range(len(COLUMNS)):
        weights = judge.columns[forms, number]
        table[:, 1 + number] += np.bincount(holders + 1, weights, rows).astype(np.int64)


Used = Sequence[tuple[Form, int, int]]
"""Forms of a file, how often each is there, and their numbers."""


def _counted(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up, and sort: the most frequent first."""
    counter = Counter[str]()
    for key, count in pairs:
        counter[key] += count
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _verdicts(used: Used) -> dict[str, int]:
    found = _counted((form.answers[0].verdict, count) for form, count, _ in used)
    return {verdict: found.get(verdict, 0) for verdict in ("emulate", "xol", "reject")}


def _warnings(used: Used) -> dict[str, int]:
    severity = {each.rule: each.severity for f, _, _ in used for each in f.answers[0].warnings}
    found = _counted((each.rule, n) for form, n, _ in used for each in form.answers[0].warnings)
    return {rule: found[rule] for rule in sorted(found, key=lambda r: loudness(severity[r]))}


Group = tuple[str, Severity | None]
"""A rule that refuses (None), or a warning."""


def _groups(used: Used) -> dict[Group, list[tuple[Form, int, int]]]:
    """Sort forms by rule and by warnings, the loudest first."""
    groups = dict[Group, list[tuple[Form, int, int]]]()
    for row in used:
        answer = row[0].answers[0]
        if answer.verdict == "reject":
            groups.setdefault((answer.rule, None), []).append(row)
        for caution in answer.warnings:
            groups.setdefault((caution.rule, caution.severity), []).append(row)
    rank = {key: (loudness(key[1]), -sum(n for _, n, _ in rows)) for key, rows in groups.items()}
    return dict(sorted(groups.items(), key=lambda item: rank[item[0]]))


def _reason(group: Group, form: Form) -> str:
    answer = form.answers[0]
    return next((c.reason for c in answer.warnings if c.rule == group[0]), answer.reason)


def _errno(group: Group, form: Form) -> str | None:
    errno = form.answers[0].errno
    return errno.name if errno is not None and group[1] is None else None


def _findings(judge: Judge, functions: Functions, used: Used, where: Where) -> Iterable[Finding]:
    for group, rows in _groups(used).items():
        form = rows[0][0]
        held = sorted({holder for _, _, number in rows for holder in where.get(number, ())} - {-1})
        yield Finding(
            *group,
            _reason(group, form),
            _errno(group, form),
            sum(count for _, count, _ in rows),
            _counted((judge.mnemonic(form), count) for form, count, _ in rows),
            len(held),
            tuple(functions.label(holder) for holder in held[:_EXAMPLES]),
        )


def _places(code: Code, used: Used, where: Where) -> Iterable[Place]:
    for group, rows in _groups(used).items():
        by_holder = dict[int, list[_Held]]()
        for _, _, number in rows:
            for holder, held in where.get(number, {}).items():
                by_holder.setdefault(holder, []).append(held)
        for holder, parts in sorted(by_holder.items()):
            first = min(held.vaddr for held in parts)
            yield Place(
                *group,
                _reason(group, rows[0][0]),
                _errno(group, rows[0][0]),
                None if holder < 0 else code.functions.name(holder),
                first,
                code.offset_of(first),
                sum(held.count for held in parts),
            )


def _rows(functions: Functions, table: npt.NDArray[np.int64] | None) -> tuple[FunctionRow, ...]:
    if table is None:
        return ()
    return tuple(
        FunctionRow(
            functions.name(index),
            int(functions.start[index]),
            row[0],
            dict(zip(COLUMNS, row[1:], strict=True)),
        )
        for index, row in enumerate(table[1:].tolist())
    )


def _changes(judge: Judge, used: Used) -> Iterable[Change]:
    groups = dict[tuple[object, ...], list[tuple[Form, int, int]]]()
    for row in used:
        keys = [(a.verdict, a.errno, a.rule) for a in row[0].answers[:2]]
        if keys[0] != keys[1]:
            groups.setdefault((*keys,), []).append(row)
    for rows in sorted(groups.values(), key=lambda rows: -sum(n for _, n, _ in rows)):
        before, after, *_ = rows[0][0].answers
        yield Change(
            before,
            after,
            sum(count for _, count, _ in rows),
            _counted((judge.mnemonic(form), count) for form, count, _ in rows),
        )
