"""The ELF files of tests/programs, and who can run them natively."""

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

PROGRAMS: Final = Path(__file__).parent / "programs"
QEMU: Final = {
    "powerpc64le": "qemu-ppc64le",
    "powerpc64": "qemu-ppc64",
    "powerpc": "qemu-ppc",
    "x86_64": "qemu-x86_64",
    "x86": "qemu-i386",
}
QEMU_NOTE: Final = re.compile(rb"^qemu: uncaught target signal .*\n", re.MULTILINE)
TARGETS: Final = tuple(QEMU)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of a program shows to the outside. A signal is a negative status."""

    stdout: bytes
    stderr: bytes
    status: int


def program(target: str, name: str) -> Path:
    """Find a program of tests/programs."""
    return PROGRAMS / target / name


def run_natively(target: str, path: Path, *args: str, stdin: bytes = b"") -> Outcome:
    """Run a program on the host, or under QEMU where it is another's; skip without QEMU."""
    prefix = list[str]()
    if not (target.startswith("x86") and platform.machine() == "x86_64"):
        qemu = shutil.which(QEMU[target])
        if qemu is None:
            pytest.skip(f"{QEMU[target]} is not installed (Debian: qemu-user)")
        prefix = [qemu]
    done = subprocess.run(
        [*prefix, path, *args], input=stdin, capture_output=True, timeout=60, check=False
    )
    return Outcome(done.stdout, QEMU_NOTE.sub(b"", done.stderr), done.returncode)
