"""cli/uprobes_sim_cli/plain.py, and what a command imports"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from elf_programs import program
from uprobes_sim_cli.app import app

RUN = """
import json, sys
from uprobes_sim_cli.app import app
try:
    app(sys.argv[1:])
except SystemExit:
    pass
json.dump(sorted(sys.modules), open({path!r}, "w"))
"""
DEAR = (
    "pydantic",
    "elftools",
    "numpy",
    "numba",
    "unicorn",
    "rich",
    "uprobes_sim.session",
    "uprobes_sim.events",
)


@pytest.mark.parametrize("command", ["check", "explain"])
def test_a_quick_command_imports_nothing_dear(command: str, tmp_path: Path) -> None:
    path = tmp_path / "modules"
    script = RUN.format(path=str(path))

    subprocess.run(
        [sys.executable, "-c", script, command, str(program("x86_64", "add3")), "main"],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )

    imported = set(json.loads(path.read_text()))
    assert "uprobes_sim.uprobes" in imported
    assert imported.isdisjoint(DEAR)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["check", "--format", "xml"], "'xml' is not one of"),
        (["check", "--bits", "16"], "'16' is not one of"),
        (["check"], "missing argument"),
        (["check", "--exits=yes", "a"], "--exits"),
        (["errata", "--emit", "java"], "'java' is not one of"),
    ],
)
def test_what_is_not_plain_is_still_refused_by_typer(args: list[str], reason: str) -> None:
    done = CliRunner().invoke(app, args)

    assert (done.exit_code, done.stdout) == (2, "")
    assert reason in done.stderr.lower()


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_words_are_still_turned_into_what_they_mean(format_: str) -> None:
    done = CliRunner().invoke(app, ["arches", "--format", format_])

    assert done.exit_code == 0
    assert done.stdout.startswith("[" if format_ == "json" else "{")
