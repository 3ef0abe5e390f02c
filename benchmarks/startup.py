"""Cost of a start: `python benchmarks/startup.py`.

`uprobes-sim --help`, against a typer application that has the same commands, options and help
texts and imports nothing else. `uprobes-sim check` of one probe, against the import of the
libraries that such a command is made of. Each two are started in turn; the median counts.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from table import Ratio, report
from uprobes_sim_cli.app import app

ROUNDS: Final = 25
OURS: Final = "from uprobes_sim_cli.entry import main\nmain()\n"
LIBRARIES: Final = "import typer, rich.table, elftools.elf.elffile"
PROGRAM: Final = Path(__file__).parents[1] / "tests" / "programs" / "x86_64" / "add3"
BARE: Final = """\
import typer
app = typer.Typer(add_completion=False)
@app.callback(invoke_without_command=True)
{callback}
{commands}
app()
"""


def bare() -> str:
    """Write the application that has nothing behind its commands."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    commands = (
        f"@app.command({name!r})\n{function(name, command)}"
        for name, command in group.commands.items()
        if isinstance(command, TyperCommand)
    )
    return BARE.format(callback=function("main", group), commands="\n".join(commands))


def function(name: str, command: TyperCommand | TyperGroup) -> str:
    """Write the function of one command."""
    params = ", ".join(f"{param.name}: str = {declared(param)}" for param in command.params)
    return f"def {name.replace('-', '_')}({params}):\n    {command.help!r}\n"


def declared(param: object) -> str:
    """Write what typer is told of an option or argument."""
    if isinstance(param, TyperOption):
        return f"typer.Option('', {param.opts[0]!r}, help={param.help!r})"
    return "typer.Argument('')"


def seconds(*command: str | Path, caches: Path) -> float:
    """Time one start; *caches*: the folder for bytecode, which a program that is installed has."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(caches)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    subprocess.run(
        (sys.executable, *command),
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    return time.perf_counter() - start


def medians(mine: Sequence[str | Path], theirs: Sequence[str | Path], caches: Path) -> list[float]:
    """Time two commands in turn."""
    for command in (mine, theirs):  # the first start reads from disk, and compiles
        seconds(*command, caches=caches)
    rounds = [[seconds(*each, caches=caches) for each in (mine, theirs)] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = folder / "ours.py", folder / "theirs.py"
        ours.write_text(OURS)
        theirs.write_text(bare())
        caches = folder / "caches"
        helped = medians((ours, "--help"), (theirs, "--help"), caches)
        checked = medians((ours, "check", PROGRAM, "main"), ("-c", LIBRARIES), caches)
    ratios = [
        Ratio("--help, to a bare typer", helped[0], helped[1], at_most=1.2),
        Ratio("check, to imports", checked[0], checked[1], at_most=2.0),
    ]
    report("seconds", "uprobes-sim", "the other", ratios)


if __name__ == "__main__":
    main()
