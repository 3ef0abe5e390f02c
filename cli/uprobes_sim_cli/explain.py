"""`uprobes-sim explain`."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from uprobes_sim.choice import link_for
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.explain import Explainer, Explanation, runs
from uprobes_sim.loader import load
from uprobes_sim_cli import output
from uprobes_sim_cli.answers import STANDARD_INPUT, Answer, answer_all
from uprobes_sim_cli.app import Settings
from uprobes_sim_cli.options import link_bare, session_options
from uprobes_sim_cli.verdicts import errno_name, outcome, span, verdict_object, warning_lines


def explain(settings: Settings, operands: Sequence[str]) -> int:
    """Explain instructions, or probes in a file; answers 1 when one is refused.

    Or, in a file, when the probe hurts the program.
    """
    first, *rest = operands
    options = session_options(settings)
    if first != STANDARD_INPUT and os.path.exists(first):  # Path raises where it is too long
        if not rest:
            raise UprobesSimError(f"{first}: name a probe in it, such as main or 0x10000")
        program = load(Path(first))
        from uprobes_sim.check.checker import Checker

        checker = Checker(program, link_for(program, options), options)
        return answer_all(
            settings.format, rest, lambda probe: _answer(checker.explainer, checker.explain(probe))
        )
    if os.sep in first:
        raise UprobesSimError(f"{first}: no such file")
    explainer = Explainer(link_bare(options), options)
    return answer_all(
        settings.format,
        operands,
        lambda text: _answer(explainer, explainer.explain(explainer.bare(text))),
    )


def _answer(explainer: Explainer, found: Explanation) -> Answer:
    verdict, in_file = found.verdict, found.spot.program is not None
    return Answer(
        as_json(explainer, found),
        lambda: as_text(explainer, found),
        verdict.alarming if in_file else verdict.verdict == "reject",
    )


def as_json(explainer: Explainer, found: Explanation) -> output.Json:
    """Give the object of an explanation; its keys are part of the interface."""
    spot = found.spot
    return {
        "arch": explainer.info.name,
        "kernel": str(explainer.config.kernel),
        "path": None if spot.program is None else str(spot.program.path),
        "symbol": spot.symbol,
        "vaddr": None if spot.vaddr is None else hex(spot.vaddr),
        "offset": spot.offset,
        "size": found.size,
        "insn": found.insn,
        "text": found.text,
        **verdict_object(found.verdict),
        "fields": found.fields,
        "by_kernel": {
            release: {"verdict": verdict.verdict, "errno": errno_name(verdict)}
            for release, verdict in found.by_kernel.items()
        },
        "errata": [each.id for each in found.errata],
        "source": None
        if found.grounds is None
        else {"kernel": found.grounds.kernel, "manual": found.grounds.manual},
    }


def as_text(explainer: Explainer, found: Explanation) -> Iterator[str]:
    """Write an explanation for people."""
    spot, verdict = found.spot, found.verdict
    yield f"{found.insn}  {found.text}"
    yield from warning_lines(verdict, loud=True)
    if spot.program is not None:
        name = f" in {spot.symbol}" if spot.symbol else ""
        yield f"  place     {spot.vaddr:#x}{name}, offset {spot.offset:#x} of {spot.program.path}"
    if found.fields:
        yield "  fields    " + " ".join(f"{name}={value}" for name, value in found.fields.items())
    value = "" if verdict.errno is None else f" ({verdict.errno.value})"
    machine = f"Linux {explainer.config.kernel} on {explainer.config.cpu}"
    yield f"  verdict   {outcome(verdict)}{value} by {machine}"
    yield f"  reason    {verdict.reason} [{verdict.rule}]"
    if found.grounds is not None:
        yield f"  source    {'; '.join(filter(None, (found.grounds.kernel, found.grounds.manual)))}"
    yield from warning_lines(verdict, loud=False)
    yield "  kernels   " + ", ".join(
        f"{outcome(each)} since {release}" for release, each in runs(found.by_kernel)
    )
    if found.errata:
        yield "  errata    " + ", ".join(f"{each.id} ({span(each)})" for each in found.errata)
