"""Cost of `uprobes-sim --help`: `python benchmarks/startup.py`.

Against a typer application that has the same commands with the same options and
imports nothing else. The two are started in turn; the median of each counts.
"""

import inspect
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from table import Ratio, report

ROUNDS: Final = 25
OURS: Final = "from uprobes_sim_cli.app import app\napp()\n"
BARE: Final = """
import typer

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def main(arch: str = "", kernel: str = "", cpu: str = "", errata: str = "linux", bits: str = "",
         variant: str = "", format: str = "text", version: bool = False) -> None:
    "Simulate Linux uprobes."


@app.command()
def run(program: str, args: list[str], probe: list[str] = [], regs: bool = False,
        no_compare: bool = False, trace: str = "", write: bool = False) -> None:
    "Run a program under probes, and tell whether it noticed."


@app.command()
def arches() -> None:
    "List the installed backends."


app()
"""


def seconds(script: Path) -> float:
    """Time one `--help`."""
    start = time.perf_counter()
    command = (sys.executable, script, "--help")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = Path(folder) / "ours.py", Path(folder) / "bare.py"
        ours.write_text(OURS)
        bare.write_text(inspect.cleandoc(BARE))
        seconds(ours), seconds(bare)  # the first start reads from disk
        rounds = [(seconds(ours), seconds(bare)) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    report("seconds", "uprobes-sim", "bare typer", [Ratio("--help", mine, theirs, at_most=1.2)])


if __name__ == "__main__":
    main()
