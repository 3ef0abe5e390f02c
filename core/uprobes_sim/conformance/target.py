"""The plugin under test: found by its name or where it lies, and linked for all it serves."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Final, cast

from uprobes_sim.arch import ABIS, Abi
from uprobes_sim.conformance.guard import Guard
from uprobes_sim.errors import LinkError, PluginError, UnknownArchError
from uprobes_sim.hookspecs import PROJECT, RequiredHooks
from uprobes_sim.linker import Linked, find, installed, link_plugin

REQUIRED: Final = tuple(name for name in vars(RequiredHooks) if not name.startswith("_"))

SECONDS: Final = 10.0
"""That a hook may take."""


@dataclass(frozen=True, slots=True)
class Target:
    """A plugin that links, for every ABI that it serves."""

    name: str
    plugin: object
    guard: Guard
    machines: tuple[Linked, ...]

    @property
    def claims(self) -> tuple[str, ...]:
        """What it claims, for any ABI."""
        return tuple(sorted({claim for linked in self.machines for claim in linked.info.claims}))


@dataclass(frozen=True, slots=True)
class Missing:
    """A hook that is still to be written."""

    hook: str
    asks: str
    """The question, in a sentence."""


def load(arch: str) -> object:
    """Import the plugin called *arch*: an installed one, or MODULE:OBJECT.

    OBJECT may be a submodule; without it, MODULE: is the module itself. The
    working directory counts as well.

    Raises:
        UnknownArchError: there is none.
        PluginError: it cannot be imported.
    """
    module, colon, path = arch.partition(":")
    if not colon:
        return find(arch)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return _resolve(module, path)
    except (Exception, SystemExit) as exc:  # whatever a stranger's module does
        if isinstance(exc, ModuleNotFoundError) and exc.name and module.startswith(exc.name):
            known = ", ".join(installed())
            raise UnknownArchError(
                f"there is no module {exc.name}; installed plugins: {known}"
            ) from None
        raise PluginError(f"plugin {arch} cannot be imported: {type(exc).__name__}: {exc}") from exc


def _resolve(module: str, path: str) -> object:
    found: object = importlib.import_module(module)
    for name in filter(None, path.split(".")):
        if not hasattr(found, name) and hasattr(found, "__path__"):
            importlib.import_module(f"{module}.{name}")
        found = getattr(found, name)
        module = f"{module}.{name}"
    return found


def missing(plugin: object) -> list[Missing]:
    """List the required hooks that *plugin* does not have, or that raise NotImplementedError."""
    hooks = {name: getattr(plugin, name, None) for name in REQUIRED}
    return [
        Missing(name, _asks(name))
        for name, hook in hooks.items()
        if not hasattr(hook, f"{PROJECT}_impl") or is_stub(cast(Callable[..., object], hook))
    ]


def is_stub(hook: Callable[..., object]) -> bool:
    """Tell whether *hook* does nothing but raise NotImplementedError."""
    code: CodeType | None = getattr(hook, "__code__", None)
    return code is not None and code.co_names == ("NotImplementedError",)


def _asks(hook: str) -> str:
    documented: str = getattr(RequiredHooks, hook).__doc__
    return documented.strip().splitlines()[0].removesuffix(".")


def link(arch: str, plugin: object, seconds: float = SECONDS) -> Target:
    """Link *plugin* for each ABI that it serves.

    Raises:
        LinkError: it links for none; why it does not for the first.
        Fault: `arch_info` has raised or answers nonsense.
    """
    guard = Guard(arch, seconds)
    machines, refusal = list[Linked](), LinkError(f"plugin {arch}: it serves no ABI")
    for abi in ABIS:
        try:
            machines.append(link_plugin(plugin, arch, abi, wrap=guard.wrap))
        except LinkError as exc:
            refusal = exc if abi == ABIS[0] else refusal
    if not machines:
        raise refusal
    return Target(arch, plugin, guard, tuple(machines))


def label(abi: Abi) -> str:
    """Name *abi* shortly, for the name of a test: `64le`."""
    return f"{abi.bits}{abi.byteorder[0]}e"
