"""`uprobes-sim explain`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from uprobes_sim import session
from uprobes_sim.arch import Abi
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.explain import Explainer, Explanation, runs
from uprobes_sim.linker import link
from uprobes_sim.loader import load
from uprobes_sim.verdict import Verdict
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Settings
from uprobes_sim_cli.filters import STANDARD_INPUT, Answers, BadLines, filter_lines
from uprobes_sim_cli.options import bare_abi, session_options

_HOW = {"reject": "refused", **render.HOW}


def explain(settings: Settings, operands: Sequence[str]) -> int:
    """Explain instructions, or probes in a file; answers 1 when one is refused."""
    first, *rest = operands
    if first != STANDARD_INPUT and Path(first).exists():
        return _explain_probes(settings, Path(first), rest)
    explainer = Explainer(*_bare(settings))
    answers = _answers(settings, explainer)

    def answer(text: str) -> Explanation:
        return explainer.explain(explainer.bare(text))

    found = list[bool]()
    try:
        if operands == [STANDARD_INPUT]:
            found += [_refused(each) for each in filter_lines(answers, answer)]
        else:
            found += [_refused(each) for each in _show(answers, map(answer, operands))]
    except BadLines:
        return 2
    finally:
        answers.close()
    return int(any(found))


def _explain_probes(settings: Settings, path: Path, probes: Sequence[str]) -> int:
    if not probes:
        raise UprobesSimError(f"{path}: name a probe in it, such as main or 0x10000")
    program = load(path)
    options = session_options(settings)
    explainer = Explainer(session.link_for(program, options), options)
    answers = _answers(settings, explainer)
    spots = [explainer.probed(program, probe) for probe in probes]
    try:
        return int(any([_refused(each) for each in _show(answers, map(explainer.explain, spots))]))
    finally:
        answers.close()
