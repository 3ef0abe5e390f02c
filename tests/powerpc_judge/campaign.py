"""A long run of the judge, which can be stopped and goes on where it was."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from powerpc_judge.judge import Judge, Verdict
from powerpc_judge.qemu import ABIS
from uprobes_sim.arch import Abi

BATCH: Final = 5000
_TURNS: Final = (ABIS[0], ABIS[1], ABIS[0], ABIS[1], ABIS[2])


class OtherCampaign(Exception):
    """The state belongs to a campaign of another seed."""


@dataclass
class Campaign:
    """How far it is, and what came out."""

    seed: int
    batches: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def cases(self) -> int:
        """Count the cases that were judged."""
        return self.verdict.cases.total()

    def run(self, judge: Judge, cases: int) -> Iterator[None]:
        """Judge until there are *cases*; stop for breath after every batch."""
        while self.cases < cases:
            abi, start = self._turn()
            size = min(BATCH, cases - self.cases)
            self.verdict.add(judge.batch(abi, f"{self.seed} {self.batches}", size, start=start))
            self.batches += 1
            yield

    def _turn(self) -> tuple[Abi, int]:
        """Tell the ABI of the next batch, and the row that it begins with."""
        abi = _TURNS[self.batches % len(_TURNS)]
        start = sum(n for (name, _), n in self.verdict.cases.items() if name == str(abi))
        return abi, start

    def save(self, path: Path) -> None:
        """Write the state."""
        state = {
            "seed": self.seed,
            "batches": self.batches,
            "cases": [[*key, n] for key, n in self.verdict.cases.items()],
            "wrong": [[*key, n] for key, n in self.verdict.wrong.items()],
            "masked": self.verdict.masked,
            "examples": self.verdict.examples,
        }
        new = path.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(path)


def load(path: Path, seed: int) -> Campaign:
    """Read the state, or start with none.

    Raises:
        OtherCampaign: it was begun with another seed.
    """
    if not path.exists():
        return Campaign(seed)
    state = json.loads(path.read_text())
    if state["seed"] != seed:
        raise OtherCampaign(f"{path} holds a campaign of seed {state['seed']}: remove it, or go on")
    verdict = Verdict(
        Counter({(abi, row): n for abi, row, n in state["cases"]}),
        Counter({(abi, row): n for abi, row, n in state["wrong"]}),
        Counter(state["masked"]),
        state["examples"],
    )
    return Campaign(seed, state["batches"], verdict)
