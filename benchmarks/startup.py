"""Cost of `uprobes-sim --help`: `python benchmarks/startup.py`.

Against a typer application that has the same commands, options and help texts and
imports nothing else. The two are started in turn; the median of each counts.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from table import Ratio, report
from uprobes_sim_cli.app import app

ROUNDS: Final = 25
OURS: Final = "from uprobes_sim_cli.app import app\napp()\n"
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
        f"@app.command()\n{function(name, command)}"
        for name, command in group.commands.items()
        if isinstance(command, TyperCommand)
    )
    return BARE.format(callback=function("main", group), commands="\n".join(commands))


def function(name: str, command: TyperCommand | TyperGroup) -> str:
    """Write the function of one command."""
    params = ", ".join(f"{param.name}: str = {declared(param)}" for param in command.params)
    return f"def {name}({params}):\n    {command.help!r}\n"


def declared(param: object) -> str:
    """Write what typer is told of an option or argument."""
    if isinstance(param, TyperOption):
        return f"typer.Option('', {param.opts[0]!r}, help={param.help!r})"
    return "typer.Argument('')"


def seconds(script: Path) -> float:
    """Time one `--help`."""
    start = time.perf_counter()
    command = (sys.executable, script, "--help")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.py", Path(folder) / "theirs.py"
        ours.write_text(OURS)
        theirs.write_text(bare())
        seconds(ours), seconds(theirs)  # the first start reads from disk
        rounds = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    mine, bare_typer = (statistics.median(column) for column in zip(*rounds, strict=True))
    report("seconds", "uprobes-sim", "bare typer", [Ratio("--help", mine, bare_typer, at_most=1.2)])


if __name__ == "__main__":
    main()
