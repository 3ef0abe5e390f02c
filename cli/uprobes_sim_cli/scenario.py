"""`uprobes-sim scenario`."""

from collections.abc import Iterator

from uprobes_sim.errors import UprobesSimError
from uprobes_sim.scenarios.play import Played, find, play, scenarios
from uprobes_sim.scenarios.scenario import Scenario
from uprobes_sim.version import Kernel
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Format, Settings
from uprobes_sim_cli.options import session_options
from uprobes_sim_cli.streams import STDOUT, writing


def scenario(settings: Settings, wanted: str | None) -> int:
    """List scenarios, or play one or `all`; answers 1 when one does not end as it is known to."""
    if wanted is None:
        return _list(settings)
    chosen = _on_arch(settings) if wanted == "all" else [find(wanted)]
    options = session_options(settings)
    status, objects = 0, list[render.Json]()
    for each in chosen:
        played = play(each, options)
        status |= played.wrong is not None
        if settings.format is Format.TEXT:
            with writing(STDOUT):
                print(*_as_text(played, short=wanted == "all"), sep="\n")
        else:
            objects.append(_as_json(each) | _ending(played))
    if settings.format is not Format.TEXT:
        render.print_objects(objects, array=settings.format is Format.JSON)
    return status


def _on_arch(settings: Settings) -> list[Scenario]:
    """List the scenarios that can play on the architecture that is asked for, if one is.

    Raises:
        UprobesSimError: none can.
    """
    arch = settings.arch
    found = [each for each in scenarios().values() if arch is None or arch in each.arches]
    if not found:
        raise UprobesSimError(f"no scenario plays on {arch}; leave --arch out")
    return found


def _list(settings: Settings) -> int:
    objects = [_as_json(each) for each in _on_arch(settings)]
    if settings.format is Format.TEXT:
        render.print_table([{key: each[key] for key in ("name", "title")} for each in objects])
    else:
        render.print_objects(objects, array=settings.format is Format.JSON)
    return 0


def _as_json(scenario: Scenario) -> render.Json:
    """Give the object of a scenario; its keys are part of the interface."""
    return {
        "name": scenario.name,
        "title": scenario.title,
        "claim": scenario.claim,
        "source": scenario.source,
        "expected": scenario.expected,
        "by_kernel": {str(Kernel(release)): words for release, words in scenario.outcomes},
    }


def _ending(played: Played) -> render.Json:
    return {
        "arch": played.arch,
        "kernel": str(played.kernel),
        "outcome": played.outcome,
        "causes": [str(each) for each in played.causes],
        "played": played.was_played,
        "wrong": played.wrong,
    }


def _as_text(played: Played, *, short: bool) -> Iterator[str]:
    scenario = played.scenario
    yield f"{scenario.name}  ({played.arch}, Linux {played.kernel})"
    if short:
        yield f"  {played.outcome}"
    else:
        yield f"  {scenario.title}"
        yield f'  claim     "{scenario.claim}"'
        yield f"            {scenario.source}"
        yield f"  expected  {scenario.expected}"
        yield f"  outcome   {played.outcome}"
        yield from (f"  because   {each}" for each in played.causes)
        for release, words in scenario.outcomes:
            yield f"  since {Kernel(release)!s:<5} {words}"
    if played.wrong is not None:
        yield f"  WRONG     {played.wrong}"
