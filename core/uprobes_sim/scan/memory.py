"""Answers to forms, remembered from run to run."""

from pathlib import Path
from typing import Any, Final

from uprobes_sim import cache
from uprobes_sim.choice import Options
from uprobes_sim.errno import Errno
from uprobes_sim.linker import Linked, find
from uprobes_sim.verdict import Caution, Verdict
from uprobes_sim.version import Config

Answers = tuple[Verdict, ...]
"""One for each kernel."""

_MOST: Final = 1 << 16
"""Forms that are remembered: more are no code."""


class Memory:
    """The answers of one backend to some kernels."""

    def __init__(self, linked: Linked, configs: tuple[Config, ...], options: Options) -> None:
        """Remember what was answered under *configs*."""
        package = Path(getattr(find(linked.info.name), "__file__", None) or ".").parent
        machines = [
            (str(c.kernel), c.cpu, c.errata, sorted(c.kernel.behaviours), sorted(c.in_force))
            for c in configs
        ]
        parts = (linked.info.name, linked.info.abi, options.variant, machines)
        self._path = cache.place(package, *parts, suffix=".json")
        self._answers: list[Answers] = []
        self._numbers: dict[Answers, int] = {}
        self._forms: dict[str, int] = {}
        self.mnemonics: dict[str, str] = {}
        """Of instructions, in hexadecimal."""
        self.refusals: dict[str, str] = {}
        """Why instructions are refused, by all that an answer depends on."""
        self._saved = 0, 0, 0
        self._read()

    def _read(self) -> None:
        found = cache.read_json(self._path)
        try:
            self._answers = [tuple(map(_verdict, each)) for each in found["answers"]]
            self._forms = found["forms"]
            self.mnemonics, self.refusals = found["mnemonics"], found["refusals"]
        except (TypeError, KeyError, ValueError):
            self._answers, self._forms, self.mnemonics, self.refusals = [], {}, {}, {}
            return
        self._numbers = {each: number for number, each in enumerate(self._answers)}
        self._saved = self._sizes

    def recall(self, form: str) -> Answers | None:
        """Say what is answered to *form*, if it is known."""
        number = self._forms.get(form)
        return None if number is None else self._answers[number]

    def learn(self, form: str, answers: Answers) -> None:
        """Remember what is answered to *form*; one without a name is forgotten."""
        if not form or len(self._forms) >= _MOST:
            return
        number = self._numbers.setdefault(answers, len(self._answers))
        if number == len(self._answers):
            self._answers.append(answers)
        self._forms[form] = number

    def save(self) -> None:
        """Keep it for the next run."""
        if self._saved != self._sizes and max(self._sizes) <= _MOST:
            value = {
                "answers": [[_fields(each) for each in group] for group in self._answers],
                "forms": self._forms,
                "mnemonics": self.mnemonics,
                "refusals": self.refusals,
            }
            cache.write_json(self._path, value)
            self._saved = self._sizes

    @property
    def _sizes(self) -> tuple[int, int, int]:
        return len(self._forms), len(self.mnemonics), len(self.refusals)


def _fields(verdict: Verdict) -> list[Any]:
    errno = None if verdict.errno is None else verdict.errno.name
    warnings = [[each.rule, each.severity, each.reason] for each in verdict.warnings]
    return [verdict.verdict, errno, verdict.rule, verdict.reason, warnings]


def _verdict(fields: list[Any]) -> Verdict:
    verdict, errno, rule, reason, warnings = fields
    cautions = tuple(Caution(*each) for each in warnings)
    return Verdict(verdict, None if errno is None else Errno[errno], rule, reason, cautions)
