"""Play scenarios, on the kernel that is asked for or the newest."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules

from uprobes_sim.choice import Options, configure_as, kernel_of
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.linker import Linked, link
from uprobes_sim.log import Record
from uprobes_sim.scenarios import plays
from uprobes_sim.scenarios.dialect import DIALECTS
from uprobes_sim.scenarios.scenario import ALL, Scenario, ScenarioError
from uprobes_sim.scenarios.stage import Stage
from uprobes_sim.version import Kernel, parse_kernel


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario that was played."""

    scenario: Scenario
    arch: str
    kernel: Kernel
    outcome: str
    causes: tuple[Record, ...]
    wrong: str | None = None
    """Why it is not what it should be; None: it is."""
    was_played: bool = True
    """False: this kernel does not have what it is about."""


def scenarios() -> dict[str, Scenario]:
    """Give all scenarios by name, in the order in which they are told."""
    for module in sorted(each.name for each in iter_modules(plays.__path__)):
        import_module(f"{plays.__name__}.{module}")
    return ALL


def find(name: str) -> Scenario:
    """Find a scenario by name.

    Raises:
        UprobesSimError: there is none.
    """
    known = scenarios()
    if name in known:
        return known[name]
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else "uprobes-sim scenario lists them"
    raise UprobesSimError(f"no scenario is called {name}; {hint}")


def play(scenario: Scenario, options: Options) -> Played:
    """Play a scenario on its own architecture, or on that of *options*.

    Raises:
        UprobesSimError: no such kernel; it cannot play on that architecture.
    """
    arch = options.arch or scenario.arches[0]
    if arch not in scenario.arches:
        can = " and ".join(scenario.arches)
        raise UprobesSimError(f"scenario {scenario.name} plays on {can}, not on {arch}")
    linked = link(arch, DIALECTS[arch].abi, options.variant or scenario.variant)
    kernel = _kernel(linked, options)
    config = configure_as(linked, kernel, options)
    for needed in ("uprobes", scenario.needs):
        if needed is not None and not kernel.has(needed):
            words = f"not there: Linux {kernel} on {arch} does not have it ({needed})"
            return Played(scenario, arch, kernel, words, (), was_played=False)
    stage = Stage(linked, config)
    try:
        found = scenario.play(stage)
    except ScenarioError as exc:
        return Played(scenario, arch, kernel, "no outcome", (), str(exc))
    return Played(
        scenario,
        arch,
        kernel,
        found.words,
        found.causes,
        _wrong(scenario, kernel, found.words, found.causes, stage.log),
    )


def _kernel(linked: Linked, options: Options) -> Kernel:
    """Choose the kernel; where it has no uprobes yet, the patches for it, if there are any."""
    kernel = kernel_of(linked, options)
    rows = linked.hook.arch_behaviours()
    series = next((row.series for row in rows if row.name == "uprobes" and row.series), None)
    if not kernel.has("uprobes") and series is not None:
        patched = parse_kernel(series, rows)
        return patched if patched.release == kernel.release else kernel
    return kernel


def _wrong(
    scenario: Scenario,
    kernel: Kernel,
    words: str,
    causes: tuple[Record, ...],
    log: list[Record],
) -> str | None:
    """Say what is wrong with an outcome, if anything is."""
    if not causes:
        return "the outcome names no cause"
    if not all(any(each is cause for each in log) for cause in causes):
        return "a cause is not in the log"
    known = scenario.known(kernel)
    return None if words == known else f"it is known to end so: {known}"
