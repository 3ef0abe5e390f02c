"""What one run has worked out and the next need not: files in the user's cache folder.

Nothing depends on it. A file belongs to the sources that made it, and no other reads it.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import uprobes_sim
from uprobes_sim.scan.arrays import AnyArray

Arrays = dict[str, AnyArray]

_FOLDER: Final = "uprobes-sim"
_DIGITS: Final = 24
_MOST: Final = 100
"""Files that are kept."""
_MOST_BYTES: Final = 64 << 20
"""What they may have together."""
_BROKEN: Final = (OSError, ValueError, KeyError, TypeError, EOFError)
"""What is raised by a file that is not there, or that somebody has cut."""

listeners: Final = list[Callable[[str], None]]()
"""Who wants to hear of what takes long, in a few words."""


def announce(what: str) -> None:
    """Tell those who listen that *what* takes some seconds."""
    for listener in listeners:
        listener(what)


warners: Final = list[Callable[[str], None]]()
"""Who wants to hear, in a line, of what will take long at every run, and the way out."""


def warn(what: str) -> None:
    """Tell those who want to hear that all will take long."""
    for warner in warners:
        warner(what)


def is_writable() -> bool:
    """Tell whether what is worked out can be kept."""
    with suppress(OSError):
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.access(folder(), os.W_OK)


def folder() -> Path:
    """Find our folder; a path that is not absolute is to be ignored (XDG base directories)."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / _FOLDER


@cache
def sources(package: Path) -> str:
    """Make a fingerprint of the sources of the core and of *package*."""
    from hashlib import sha256

    found = sha256()
    for folder in (Path(uprobes_sim.__file__).parent, package):
        for parent, _, files in sorted(os.walk(folder)):
            for name in sorted(files):
                if name.endswith(".py"):
                    status = os.stat(os.path.join(parent, name))
                    found.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()


def place(package: Path, *parts: object, suffix: str) -> Path:
    """Say where that lies which is made of *parts* by the sources of *package*."""
    from hashlib import sha256

    key = sha256("\n".join([sources(package), *map(str, parts)]).encode()).hexdigest()
    return folder() / f"{key[:_DIGITS]}{suffix}"


def arrays(path: Path, build: Callable[[], Arrays]) -> Arrays:
    """Read arrays, or *build* them and keep them for the next time; what that raises is raised."""
    from zipfile import BadZipFile

    import numpy as np

    try:
        _check(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return dict(found)
    except (*_BROKEN, BadZipFile):
        built = build()
        _write(path, lambda file: np.savez(file, **built))  # type: ignore[arg-type]  # of numpy
        return built


def read_json(path: Path) -> Any:  # noqa: ANN401  whatever was written
    """Read what `write_json` wrote; None where it is not there."""
    try:
        _check(path)
        return json.loads(path.read_bytes())
    except _BROKEN:
        return None


def write_json(path: Path, value: object) -> None:
    """Keep *value* for the next time, if that can be."""
    _write(path, lambda file: file.write(json.dumps(value).encode()))


def _check(path: Path) -> None:
    """Believe nobody but ourselves.

    Raises:
        OSError: there is no such file, or it is somebody else's.
    """
    if os.stat(path).st_uid != os.getuid():
        raise PermissionError(f"{path} is somebody else's")


def _write(path: Path, fill: Callable[[Any], object]) -> None:
    """Write a file that is there whole or not at all."""
    from tempfile import NamedTemporaryFile

    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                fill(file)
            except BaseException:
                os.unlink(file.name)
                raise
        os.replace(file.name, path)
        _forget(path.parent)


def _forget(folder: Path) -> None:
    """Drop the oldest files: those of sources that have changed since."""
    files = [(file.stat(), file) for file in folder.iterdir()]
    kept = 0
    for number, (status, file) in enumerate(sorted(files, key=lambda each: -each[0].st_mtime_ns)):
        kept += status.st_size
        if number >= _MOST or kept > _MOST_BYTES:
            file.unlink()
