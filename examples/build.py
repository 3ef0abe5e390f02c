"""Build the ELF files of the examples: `python examples/build.py`.

Wants `ziglang` from PyPI and `llvm-strip` (Debian: llvm). The files are committed, so that no
test needs a compiler. The probes in demo.toml name offsets in the code that comes out, so look at
them after a change.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SOURCES: Final = HERE.parent / "tests" / "programs"
PACKAGES: Final = {"arm64": "aarch64-linux-musl", "riscv64": "riscv64-linux-musl"}
"""Last part of a distribution's name, and what zig calls its target."""

# Without -g zig drops the symbols too, and probes want those.
FLAGS: Final = ("-O2", "-g", "-static", "-fno-sanitize=all", "-fno-stack-protector")
NAMES: Final = (
    *("add3", "calls", "endings", "files", "filter", "floats", "forks", "signals", "text"),
    *("threads", "ticks"),
)
"""Programs of tests/programs. The others are about another architecture."""
UNOPTIMISED: Final = ("add3", "calls", "text", "floats")
"""Programs that are also built without optimisation, with `-O0` at the end of their name."""


def compile_static(triple: str, source: Path, program: Path, *flags: str) -> None:
    """Compile *source* to a static *program* with symbols."""
    program.parent.mkdir(exist_ok=True)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", triple, *FLAGS, *flags]
    subprocess.run([*compiler, "-o", program, source, "-lm"], check=True)
    subprocess.run(["llvm-strip", "--strip-debug", program], check=True)


def main() -> None:
    """Build all of them. The C library is optimised even where the program is not."""
    for name, triple in PACKAGES.items():
        package = HERE / f"uprobes-sim-{name}"
        demo = package / f"uprobes_sim_{name}" / "demo"
        programs = package / "tests" / "programs"
        compile_static(triple, HERE / "demo.c", demo / f"demo.{name}", "-Os")
        for stem in NAMES:
            compile_static(triple, SOURCES / f"{stem}.c", programs / stem)
        for stem in UNOPTIMISED:
            flags = ("-include", str(HERE / "unoptimised.h"))
            compile_static(triple, SOURCES / f"{stem}.c", programs / f"{stem}-O0", *flags)


if __name__ == "__main__":
    main()
