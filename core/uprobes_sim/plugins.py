"""Which plugins are installed, remembered from run to run.

To ask importlib.metadata takes 25 ms, most of them for its import. What it said is good as long as
the folders that Python imports from are what they were: an installation changes one of them.
"""

import os
import sys
import time
import zlib
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

from uprobes_sim.cache import folder, read_json, write_json

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "uprobes_sim.arch"

_SETTLED: Final = 2_000_000_000
"""Nanoseconds that a folder has to be left alone: a change in the same tick would not be seen."""


@cache
def installed() -> tuple[tuple[str, str], ...]:
    """Give name and value of each entry point of `GROUP`."""
    folders = _folders()
    path = folder() / f"plugins-{zlib.crc32(os.fsencode(sys.prefix)):08x}.json"
    match read_json(path):
        case {"folders": known, "plugins": [*pairs]} if known == folders:
            with suppress(TypeError, ValueError):
                return tuple((str(name), str(value)) for name, value in pairs)
    found = tuple((each.name, each.value) for each in entry_points())
    if max(folders.values(), default=0) < time.time_ns() - _SETTLED:
        write_json(path, {"folders": folders, "plugins": found})
    return found


def entry_points() -> "tuple[EntryPoint, ...]":
    """Ask importlib.metadata."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _folders() -> dict[str, int]:
    """List what Python imports from, and when that changed last; 0: it is not there."""
    return {folder: _changed(folder) for folder in sys.path}


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except (OSError, ValueError):
        return 0
