"""`uprobes-sim run`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from uprobes_sim import session
from uprobes_sim.errors import UprobesSimError
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Settings
from uprobes_sim_cli.options import session_options
from uprobes_sim_cli.writers import open_writer


def run(
    settings: Settings,
    program: Path,
    args: Sequence[str],
    probes: Sequence[str],
    *,
    regs: bool,
    compare: bool,
    trace: str | None,
    write: bool,
) -> int:
    """Run *program* under *probes*; answers the exit status."""
    options = replace(session_options(settings), regs=regs, compare=compare, write=write)
    if trace is not None and _same_file(trace, program):
        raise UprobesSimError(f"{trace}: --trace would write over the program; name another file")
    stdin = sys.stdin.buffer if sys.stdin else BytesIO()  # None where it is closed
    with open_writer(settings.format, trace, render.trace_line) as writer:
        return session.run(program, args, probes, options, stdin=stdin, emit=writer.show)


def _same_file(one: str, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):  # one of them is not there, so they are two
        return False
