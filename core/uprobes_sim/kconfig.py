"""Kernel configurations, and what this machine tells of its own kernel."""

import platform
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uprobes_sim.errors import UnknownKernelError, UprobesSimError

_GZIP: Final = b"\x1f\x8b"
_GZIP_FORMAT: Final = 31
"""`wbits` by which zlib expects a header of gzip."""
_LARGEST: Final = 16 << 20
"""Bytes of a configuration that are read."""
_SET: Final = re.compile(r"^(CONFIG_\w+)=(.*)$", re.MULTILINE)
_UNSET: Final = re.compile(r"^# CONFIG_\w+ is not set$", re.MULTILINE)
_CPU: Final = re.compile(r"^cpu\s*:\s*(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Kconfig:
    """The configuration of one kernel."""

    values: dict[str, str]

    def meets(self, requirement: str) -> bool:
        """Tell whether it says *requirement*, such as `CONFIG_PPC_KUAP=y`; `n` is not set."""
        name, _, value = requirement.partition("=")
        return self.values.get(name, "n") == value


def read_kconfig(path: Path) -> Kconfig:
    """Read a configuration, plain or compressed.

    Raises:
        UprobesSimError: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
        if data.startswith(_GZIP):
            data = zlib.decompressobj(_GZIP_FORMAT).decompress(data, _LARGEST)
    except (OSError, ValueError, zlib.error) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise UprobesSimError(f"{path} cannot be read: {reason}") from None
    text = data.decode(errors="replace")
    values = {name: value.strip('"') for name, value in _SET.findall(text)}
    if not values and _UNSET.search(text) is None:
        raise UprobesSimError(
            f"{path} is no kernel configuration; it has no line like CONFIG_UPROBES=y"
        )
    return Kconfig(values)


@dataclass(frozen=True)
class Host:
    """This machine's kernel."""

    release: str
    """As `parse_release` takes it."""
    machine: str
    """`uname -m`."""
    kconfig: Kconfig | None
    """None: it does not tell."""
    cpu: str | None
    """Processor as /proc/cpuinfo names it, in lower case; None: not in one word."""


def read_host() -> Host:
    """Ask this machine for its kernel's release, configuration and processor.

    Raises:
        UnknownKernelError: it does not run Linux.
    """
    system, release = platform.system(), platform.release()
    match = re.match(r"\d+\.\d+(\.\d+)?", release)
    if system != "Linux" or match is None:
        raise UnknownKernelError(
            f"this machine runs {system} {release}, which is not Linux; give --kernel X.Y"
        )
    return Host(match[0], platform.machine(), _own_kconfig(release), _own_cpu())


def _own_kconfig(release: str) -> Kconfig | None:
    for path in (Path("/proc/config.gz"), Path(f"/boot/config-{release}")):
        try:
            return read_kconfig(path)
        except UprobesSimError:
            continue
    return None


def _own_cpu() -> str | None:
    try:
        match = _CPU.search(Path("/proc/cpuinfo").read_text(errors="replace"))
    except OSError:
        return None
    return None if match is None else match[1].lower()
