"""Build the demonstration programs: `python build.py` in this folder.

Wants `ziglang` from PyPI and a `strip` for the target. The probes in demo.toml
name offsets in the code that comes out, so look at them after a change.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
TARGETS: Final = {
    "demo.x86_64": ("x86_64-linux-musl", "x86_64-linux-gnu-strip"),
    "demo.x86": ("x86-linux-musl", "x86_64-linux-gnu-strip"),
}
"""What zig calls each target, and who drops the debugging information."""

# Without -g zig drops the symbols too, and probes want those.
FLAGS: Final = ("-Os", "-g", "-static", "-fomit-frame-pointer", "-fno-sanitize=all")


def main() -> None:
    """Compile demo.c for every target."""
    for name, (triple, strip) in TARGETS.items():
        program = HERE / name
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", triple, *FLAGS]
        subprocess.run([*compiler, "-o", program, HERE / "demo.c"], check=True)
        subprocess.run([strip, "--strip-debug", program], check=True)


if __name__ == "__main__":
    main()
