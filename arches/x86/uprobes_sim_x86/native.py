"""`cutter.py` as machine code: compiled once, kept in the cache, and then part of this process.

numba takes 200 ms to import and 90 MB, at every run; the image takes neither.
"""

import ctypes
import mmap
import platform
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np

from uprobes_sim.cache import Arrays, announce, arrays, place, warn
from uprobes_sim_x86 import cutter

SIGNATURES: Final = {
    "sweep": (
        *("int16*", "int64", "int64*", "int64", "int16*", "int64*"),
        *(
            "int64*",
            "uint8*",
            "int64*",
            "int64*",
            "uint32*",
            "int64",
            "int64*",
            "int64*",
            "int64*",
        ),
    ),
    "enter": ("int64*", "uint32*", "int64", "int64*", "uint32*", "int64"),
    "find_short_cuts": ("int64", "int16*", "int16*", "int64*"),
}
"""Types of the parameters of what is compiled; it answers nothing."""

_KNOWN_NUMBA: Final = "known to work: pip install numba==0.68.1"

_PATIENCE: Final = 120
"""Seconds that compiling may take."""


class Cutter(NamedTuple):
    """The functions of `cutter.py`, for arrays."""

    fast: bool
    """They are compiled."""
    sweep: Callable[..., None]
    enter: Callable[..., None]
    find_short_cuts: Callable[..., None]


@cache
def cutter_for_arrays() -> Cutter:
    """Give the compiled functions; where they cannot be had, Python's, ninety times slower."""
    kept = place(Path(__file__).parent, "native", platform.machine(), suffix=".npz")
    try:
        _executable_memory(mmap.PAGESIZE).close()  # numba could not compile without, either
        return Cutter(True, *_load(arrays(kept, _compile)))
    except OSError as exc:
        warn(f"x86 code is scanned by Python's cutter, ninety times slower: {exc}")
        return plain_cutter()


def plain_cutter() -> Cutter:
    """Give the functions as Python runs them."""
    return Cutter(False, *(_plain(getattr(cutter, name)) for name in SIGNATURES))


def _compile() -> Arrays:
    """Compile in another process.

    Raises:
        OSError: that does not work here.
    """
    if platform.machine() != "x86_64":
        raise OSError(f"there is none for {platform.machine()}; scan on an x86-64 machine")
    announce("compiling the decoder of x86, some ten seconds")
    with _temporary_folder() as folder:
        path = Path(folder, "cutter.npz")
        command = [sys.executable, "-m", "uprobes_sim_x86.compile", str(path)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)
        except subprocess.SubprocessError as exc:
            raise OSError(f"numba does not compile: {_last_words(exc)}; {_KNOWN_NUMBA}") from None
        with np.load(path, allow_pickle=False) as found:
            return dict(found)


def _temporary_folder() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory()
    except OSError as exc:
        raise OSError(f"{exc.strerror}; set TMPDIR to a folder that can be written") from None


def _last_words(exc: subprocess.SubprocessError) -> str:
    """Say what a process said last, or what became of it."""
    if not isinstance(exc, subprocess.CalledProcessError):
        return str(exc)
    said = exc.stderr.decode(errors="replace").split("\n")
    return next((line for line in reversed(said) if line.strip()), str(exc))


def _load(found: Arrays) -> list[Callable[..., None]]:
    """Put the image into memory, and give its entry points."""
    image = found["image"]
    memory = _executable_memory(len(image))
    memory.write(image.tobytes())
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for at, value in found["fixups"].tolist():
        memory[at : at + 8] = (base + value).to_bytes(8, "little")
    return [
        _callable(memory, base + entry, signature)
        for entry, signature in zip(found["entries"].tolist(), SIGNATURES.values(), strict=True)
    ]


def _executable_memory(size: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, size, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError as exc:
        raise OSError(
            f"executable memory is denied ({exc.strerror}); allow it, as by systemd's "
            "MemoryDenyWriteExecute=no or SELinux's execmem"
        ) from None


def _callable(memory: mmap.mmap, address: int, signature: tuple[str, ...]) -> Callable[..., None]:
    kinds = [ctypes.c_void_p if kind.endswith("*") else ctypes.c_int64 for kind in signature]
    # What numba compiles is given room for a result and for an exception, and answers a status.
    rooms = ctypes.byref(ctypes.c_void_p()), ctypes.byref(ctypes.c_void_p())
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)(address)

    def call(*args: Any) -> None:  # noqa: ANN401  numbers, and arrays
        """Call *function*; *memory*, in which it is, lives as long."""
        assert not memory.closed
        status = function(
            *rooms, *(a.ctypes.data if isinstance(a, np.ndarray) else a for a in args)
        )
        assert status == 0

    return call


def _plain(function: Callable[..., None]) -> Callable[..., None]:
    """Have a function of Python reckon with Python's numbers, which do not overflow."""

    def call(*args: Any) -> None:  # noqa: ANN401  as above
        lists = [arg.tolist() if isinstance(arg, np.ndarray) else arg for arg in args]
        function(*lists)
        for array, values in zip(args, lists, strict=True):
            if isinstance(array, np.ndarray) and array.flags.writeable:
                array[:] = values

    return call
