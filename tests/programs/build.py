"""Build the test programs: `python tests/programs/build.py [NAME]…`.

Wants `ziglang` from PyPI, which brings a C compiler and a C library for every
target, and a `strip` for each. The ELF files are committed, so that no test
needs a compiler.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
TARGETS: Final = {
    "powerpc64le": ("powerpc64le-linux-musl", "powerpc64le-linux-gnu-strip"),
    "powerpc64": ("powerpc64-linux-musl", "powerpc64-linux-gnu-strip"),
    "powerpc": ("powerpc-linux-musleabihf", "powerpc-linux-gnu-strip"),
    "x86_64": ("x86_64-linux-musl", "x86_64-linux-gnu-strip"),
    "x86": ("x86-linux-musl", "x86_64-linux-gnu-strip"),
}
"""What zig calls each target, and who drops the debugging information."""

# Without -g zig drops the symbols too, and probes want those.
FLAGS: Final = ("-Os", "-g", "-fno-sanitize=all", "-fno-stack-protector")
AS_PIE: Final = ("add3",)
"""Programs that are also built as static-pie, with `-pie` at the end of their name."""


def compile_static(target: str, source: Path, program: Path, *flags: str) -> None:
    """Compile *source* to a static *program* with symbols, for Linux on *target*."""
    triple, strip = TARGETS[target]
    program.parent.mkdir(exist_ok=True)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", triple, "-static"]
    subprocess.run([*compiler, *FLAGS, *flags, "-o", program, source, "-lm"], check=True)
    subprocess.run([strip, "--strip-debug", program], check=True)


def build(names: Sequence[str]) -> None:
    """Build the programs called *names* for every target."""
    for name in names:
        for target in TARGETS:
            source, program = HERE / f"{name}.c", HERE / target / name
            compile_static(target, source, program)
            if name in AS_PIE:
                pie = program.with_name(f"{name}-pie")
                compile_static(target, source, pie, "-fPIE", "-pie")


if __name__ == "__main__":
    build(sys.argv[1:] or sorted(source.stem for source in HERE.glob("*.c")))
