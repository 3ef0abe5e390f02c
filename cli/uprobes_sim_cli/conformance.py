"""`uprobes-sim conformance`."""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from uprobes_sim.conformance import claims
from uprobes_sim.conformance.choice import EXAMPLES, Choice
from uprobes_sim.conformance.target import Missing, Target, label, link, load, missing
from uprobes_sim.errors import PluginError, UprobesSimError
from uprobes_sim.linker import installed
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Format, Settings
from uprobes_sim_cli.streams import STDOUT, writing

if TYPE_CHECKING:
    from uprobes_sim.conformance.results import Result, Results

_NEEDS: Final = ("pytest", "hypothesis")
_SHOWN: Final = 40
"""Failures that are shown in text; the report has all."""


def conformance(
    settings: Settings,
    levels: list[str],
    examples: int | None,
    seed: int,
    xfails: Path | None,
    oracle: str | None,
    report: Path | None,
    seconds: float,
) -> int:
    """Test a backend; answers 1 when there is something wrong with it.

    Raises:
        UprobesSimError: what was asked for cannot be done.
    """
    if lacking := [name for name in _NEEDS if find_spec(name) is None]:
        raise UprobesSimError(
            f"the conformance suite needs {' and '.join(lacking)}: "
            "pip install 'uprobes-sim[conformance]'"
        )
    if settings.arch is None:
        names = " or ".join(f"--arch {name}" for name in installed())
        raise UprobesSimError(f"name the backend: {names}, or --arch MODULE:OBJECT")
    if unknown := set(levels) - {*claims.LEVELS}:
        known = ", ".join(claims.LEVELS)
        raise UprobesSimError(f"there is no level {sorted(unknown)[0]}; there are {known}")
    choice = Choice(tuple(levels), examples or EXAMPLES, seed, xfails, oracle, report, seconds)
    plugin = load(settings.arch)
    if to_write := missing(plugin):
        _show_missing(settings, to_write)
        return 1
    try:
        target = link(settings.arch, plugin, seconds)
    except PluginError as exc:
        _say([str(exc)])
        return 1
    return _test(settings, target, choice)


def _test(settings: Settings, target: Target, choice: Choice) -> int:
    from uprobes_sim.conformance.report import as_json, write

    _validate(target, choice)
    as_text = settings.format is Format.TEXT
    if as_text:
        _say(_introduction(target, choice))
    results = _run(target, choice)
    if choice.report is not None:
        write(choice.report, target, choice, results)
    if as_text:
        _say(_conclusion(results))
    else:
        found = as_json(target, choice, results)
        render.print_objects([found], array=settings.format is Format.JSON)
    return 0 if results.passed else 1


def _validate(target: Target, choice: Choice) -> None:
    """Refuse to test what is not claimed."""
    offered = claims.levels(target.claims)
    if choice.oracle is not None and choice.oracle not in target.claims:
        raise UprobesSimError(
            f"{target.name} does not claim {choice.oracle}, so there is nothing to compare with it"
        )
    if choice.oracle == "kernel":
        from uprobes_sim.conformance.live_kernel import open_kernel

        open_kernel(target.machines[0].info).close()
    for level in choice.levels:
        if level not in offered:
            needed = [name for name, claim in claims.CLAIMS.items() if claim.level == level]
            raise UprobesSimError(
                f"{target.name} does not claim {' or '.join(needed)}, so there is nothing to test "
                f"on the level {level}"
            )
    if "oracle" in choice.levels and choice.oracle is None:
        raise UprobesSimError("the level oracle needs --oracle qemu or --oracle kernel")


def _show_missing(settings: Settings, found: list[Missing]) -> None:
    if settings.format is not Format.TEXT:
        rows: list[render.Json] = [{"hook": each.hook, "asks": each.asks} for each in found]
        render.print_objects(rows, array=settings.format is Format.JSON)
        return
    width = max(len(each.hook) for each in found)
    lines = [f"{settings.arch}: {len(found)} required hooks are still to be written"]
    _say(lines + [f"  {each.hook:<{width}}  {each.asks}" for each in found])


def _introduction(target: Target, choice: Choice) -> Iterator[str]:
    """Tell beforehand what is claimed, and what follows."""
    abis = ", ".join(label(linked.info.abi) for linked in target.machines)
    yield f"{target.name}: tasks {abis}"
    width = max(map(len, claims.CLAIMS))
    for name, claim in claims.CLAIMS.items():
        claimed = "claimed    " if name in target.claims else "not claimed"
        yield f"  {name:<{width}}  {claimed}  level {claim.level}: {claim.what}"
    levels = claims.chosen(choice, target.claims)
    yield f"levels: {', '.join(levels)}; {choice.examples} examples, seed {choice.seed}"


def _run(target: Target, choice: Choice) -> "Results":
    """Run the tests; a terminal sees a bar."""
    from uprobes_sim.conformance.run import run

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    console = Console(stderr=True)
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("collecting", total=None, failed=0)
        failed = 0

        def watch(result: "Result", total: int) -> None:
            nonlocal failed
            failed += result.status == "failed"
            progress.update(task, description=result.level, total=total, failed=failed)
            progress.advance(task)

        return run(target, choice, watch)


def _conclusion(results: "Results") -> Iterator[str]:
    for level in claims.LEVELS:
        counts = {
            status: count
            for status in ("passed", "failed", "skipped", "xfailed")
            if (count := results.count(status, level))
        }
        if counts:
            yield f"{level:<10} " + ", ".join(f"{n} {status}" for status, n in counts.items())
    if results.step_cases:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(results.cases.items()))
        yield f"{results.step_cases:,} step cases ({kinds})"
    for failure in results.failures[:_SHOWN]:
        yield f"failed {failure.id}: {failure.message}"
    if len(results.failures) > _SHOWN:
        yield f"and {len(results.failures) - _SHOWN} more; --report DIR writes them all"
    yield from results.complaints
    yield "passed" if results.passed else "failed"


def _say(lines: Iterable[str]) -> None:
    with writing(STDOUT):
        print(*lines, sep="\n", flush=True)
