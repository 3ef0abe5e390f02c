"""Join an architecture to the core, as a linker joins object files."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

import pluggy

from uprobes_sim import plugins
from uprobes_sim.arch import Abi, ArchInfo
from uprobes_sim.errors import LinkError, PluginError, UnknownArchError
from uprobes_sim.hookspecs import INTERFACE, PROJECT, ArchHooks, RequiredHooks, WeakHooks
from uprobes_sim.weak import Weak

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Answer = Callable[..., object]
Wrap = Callable[[str, Answer], Answer]
"""Given the name of a hook and its answer; makes what is called in its place."""


class Linked(NamedTuple):
    """An architecture that is whole: every hook has exactly one answer."""

    hook: ArchHooks
    info: ArchInfo


def link(arch: str, abi: Abi, variant: str | None = None) -> Linked:
    """Join the plugin named *arch*, for tasks of *abi*, to the defaults.

    *variant*: one of the backend's `arch_variants`, default its first.

    Raises:
        UnknownArchError: no plugin of that name is installed.
        PluginError: the plugin cannot be imported, or there are two.
        LinkError: a hook is undefined, unknown, or defined twice; the plugin
            was written for another interface; no such ABI or variant.
    """
    return link_plugin(find(arch), arch, abi, variant)


def link_plugin(
    plugin: object, name: str, abi: Abi, variant: str | None = None, *, wrap: Wrap | None = None
) -> Linked:
    """Join *plugin*, which need not be installed. Otherwise as `link`.

    *wrap*: laid around every answer, for whoever watches a backend.
    """
    declared = getattr(plugin, "INTERFACE", None)
    if declared != INTERFACE:
        raise LinkError(
            f"plugin {name}: written for interface {declared}, this is uprobes-sim's {INTERFACE}"
        )
    pm = new_manager()
    pm.register(_with_variant(plugin, name, variant), name=name)
    try:
        check(pm)
    except LinkError as exc:
        raise LinkError(f"plugin {name}: {exc}") from exc
    hook = bind(pm, wrap)
    info = hook.arch_info(abi=abi)
    if not isinstance(info, ArchInfo):
        raise LinkError(f"plugin {name}: arch_info answers {type(info).__name__}, not ArchInfo")
    weak = cast(Weak, pm.get_plugin("weak"))
    weak.hook, weak.info = hook, info
    return Linked(hook, info)


def installed() -> tuple[str, ...]:
    """Name the plugins that are installed; imports none of them."""
    return tuple(sorted({name for name, _ in plugins.installed()}))


def find_entry_point(arch: str) -> "EntryPoint":
    """Find where the plugin named *arch* comes from; does not import it.

    Raises:
        UnknownArchError: no plugin of that name is installed.
        PluginError: two distributions bring a plugin of that name.
    """
    wanted = arch, _value(arch)
    return next(each for each in plugins.entry_points() if (each.name, each.value) == wanted)


def _value(arch: str) -> str:
    """Find what the entry point named *arch* names; raises as `find_entry_point`."""
    found = sorted({value for name, value in plugins.installed() if name == arch})
    if not found:
        names = ", ".join(installed()) or "none"
        raise UnknownArchError(f"no plugin is named {arch}; installed: {names}")
    if len(found) > 1:
        values = " and ".join(found)
        raise PluginError(f"two plugins are named {arch}: {values}; uninstall one of them")
    return found[0]


@cache
def find(arch: str) -> object:
    """Import the plugin named *arch*.

    Raises:
        UnknownArchError, PluginError: as for `link`.
    """
    value = _value(arch)
    try:
        if value.replace(".", "_").isidentifier():
            return import_module(value)
        return cast(object, find_entry_point(arch).load())
    except (Exception, SystemExit) as exc:  # whatever a stranger's module does
        raise PluginError(
            f"plugin {arch} ({value}) cannot be imported: {type(exc).__name__}: {exc}"
        ) from exc


def _with_variant(plugin: object, name: str, variant: str | None) -> object:
    """Lay the hooks of a variant over the backend's own, before anyone links them."""
    if variant is None:
        return plugin
    list_variants = getattr(plugin, "arch_variants", None)
    variants = list_variants() if list_variants else {"upstream": None}
    if variant not in variants:
        raise LinkError(f"plugin {name}: no variant {variant}; it has {', '.join(variants)}")
    return SimpleNamespace(**(_hooks(plugin) | _hooks(variants[variant])))


def _hooks(plugin: object) -> dict[str, object]:
    """List what *plugin* marks as hook implementations."""
    found = {name: getattr(plugin, name) for name in dir(plugin)}
    return {name: value for name, value in found.items() if hasattr(value, f"{PROJECT}_impl")}


def new_manager() -> pluggy.PluginManager:
    """Make a manager that knows every question and every default."""
    pm = pluggy.PluginManager(PROJECT)
    pm.add_hookspecs(RequiredHooks)
    pm.add_hookspecs(WeakHooks)
    pm.register(Weak(cast(ArchHooks, pm.hook)), name="weak")
    return pm


def bind(pm: pluggy.PluginManager, wrap: Wrap | None = None) -> ArchHooks:
    """Take the one answer to each hook, to be called without pluggy: a fortieth of the time.

    A stepped hit crosses the border nine times. `check` has made sure that there
    is one answer each, and that it takes what the question gives.
    """
    winners = {name: caller.get_hookimpls()[-1].function for name, caller in vars(pm.hook).items()}
    if wrap is not None:
        winners = {name: wrap(name, answer) for name, answer in winners.items()}
    return cast(ArchHooks, SimpleNamespace(**winners))


def check(pm: pluggy.PluginManager) -> None:
    """Refuse hooks that a linker would refuse as symbols.

    Raises:
        LinkError: as for `link`.
    """
    try:
        pm.check_pending()
    except pluggy.PluginValidationError as exc:
        raise LinkError(str(exc)) from exc
    for caller in vars(pm.hook).values():
        _check_hook(caller)


def _check_hook(caller: pluggy.HookCaller) -> None:
    impls = caller.get_hookimpls()
    strong = [impl.plugin_name for impl in impls if not impl.trylast]
    weak = [impl.plugin_name for impl in impls if impl.trylast]
    if not impls:
        raise LinkError(f"{caller.name}: undefined")
    if len(strong) > 1 or len(weak) > 1:
        raise LinkError(f"{caller.name}: defined by {weak + strong}")

    assert caller.spec is not None
    for impl in impls:
        if impl.wrapper or impl.hookwrapper:
            raise LinkError(f"{caller.name}: {impl.plugin_name} wraps it; an arch answers itself")
        if impl.argnames != caller.spec.argnames:
            raise LinkError(f"{caller.name}: {impl.plugin_name} takes {impl.argnames}")
