"""`uprobes-sim arches`."""

from dataclasses import asdict, dataclass, replace
from typing import Final

from uprobes_sim import linker
from uprobes_sim.arch import ABIS, ArchInfo
from uprobes_sim.errors import LinkError, PluginError
from uprobes_sim.hookspecs import PROJECT, WeakHooks
from uprobes_sim.version import parse_release
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Format, Settings
from uprobes_sim_cli.options import session_options

_WEAK: Final = tuple(name for name in vars(WeakHooks) if not name.startswith("_"))
_MARK: Final = f"{PROJECT}_impl"


@dataclass(frozen=True, slots=True)
class Backend:
    """What an installed plugin tells of itself; *error*: why it cannot be used."""

    name: str
    distribution: str | None = None
    version: str | None = None
    interface: int | None = None
    overrides: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    error: str | None = None


def arches(settings: Settings) -> int:
    """List the installed backends, or the one that is named; answers 1 when one is broken.

    Raises:
        UprobesSimError: no such backend, no such kernel.
    """
    release = session_options(settings).kernel
    if release is not None:
        parse_release(release.partition("+")[0])
    names = linker.installed() if settings.arch is None else (settings.arch,)
    found = [describe(name) for name in names]
    objects = [asdict(each) for each in found]
    if settings.format is Format.TEXT:
        render.print_table(objects)
    else:
        render.print_objects(objects, array=settings.format is Format.JSON)
    return 1 if any(each.error for each in found) else 0


def describe(name: str) -> Backend:
    """Ask the plugin called *name*; whatever it cannot answer is its `error`."""
    backend = Backend(name)
    try:
        entry_point = linker.find_entry_point(name)
        if entry_point.dist is not None:
            dist = entry_point.dist
            backend = replace(backend, distribution=dist.name, version=dist.version)
        plugin = linker.find(name)
        infos, variants = _link(name)
    except PluginError as exc:
        return replace(backend, error=str(exc))
    return replace(
        backend,
        interface=getattr(plugin, "INTERFACE", None),
        overrides=tuple(hook for hook in _WEAK if hasattr(getattr(plugin, hook, None), _MARK)),
        variants=variants,
        claims=tuple(sorted({claim for info in infos for claim in info.claims})),
    )


def _link(name: str) -> tuple[list[ArchInfo], tuple[str, ...]]:
    """Link the backend for every ABI that it serves, at least one."""
    linked, refusal = list[linker.Linked](), LinkError("it serves no ABI")
    for abi in ABIS:
        try:
            linked.append(linker.link(name, abi))
        except LinkError as exc:
            refusal = exc
    if not linked:
        raise refusal
    return [each.info for each in linked], tuple(linked[0].hook.arch_variants())
