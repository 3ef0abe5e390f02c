"""Whose bug it is when something raises what nobody meant to raise."""

import traceback
from typing import Final

from uprobes_sim import linker
from uprobes_sim.errors import PluginError

_CORE: Final = "uprobes_sim"


def blame_plugin(exc: Exception) -> str | None:
    """Name, in one line, the plugin whose code let *exc* out; None: it was not a plugin's."""
    plugins = _packages()
    ours = [
        (frame, line)
        for frame, line in traceback.walk_tb(exc.__traceback__)
        if _package(frame.f_globals) in (_CORE, *plugins)
    ]
    if not ours or _package(ours[-1][0].f_globals) == _CORE:
        return None
    frame, line = ours[-1]
    where = f"{frame.f_code.co_name}, {frame.f_globals['__name__']} line {line}"
    name = plugins[_package(frame.f_globals)]
    return (
        f"plugin {name} raised {type(exc).__name__}: {exc} (in {where}); report it to its authors"
    )


def _package(module_globals: dict[str, object]) -> str:
    return str(module_globals.get("__name__")).partition(".")[0]


def _packages() -> dict[str, str]:
    """Map the top-level package of each installed plugin to the plugin's name."""
    packages = dict[str, str]()
    for name in linker.installed():
        try:
            packages[linker.find_entry_point(name).module.partition(".")[0]] = name
        except PluginError:
            continue
    return packages
