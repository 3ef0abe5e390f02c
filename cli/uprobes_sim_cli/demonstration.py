"""`uprobes-sim --arch NAME`: the demonstration."""

from typing import Final

from uprobes_sim import session
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Settings
from uprobes_sim_cli.options import session_options
from uprobes_sim_cli.writers import open_writer

LESSON: Final = """\
A small program runs under probes. Each probe is a breakpoint instruction in the program's
memory; what it replaced still has to be executed at every hit, in one of two ways:
  emulated              the kernel works out what the instruction does to the registers
  stepped out of line   the processor executes a copy in a page of its own, one step only
A return probe (%return) puts the address of a trampoline where the function will return to.
"""


def demonstrate(settings: Settings) -> int:
    """Run the program that the backend ships; answers the exit status."""
    assert settings.arch is not None
    options = session_options(settings)
    with open_writer(settings.format, None, render.lesson_line, LESSON) as writer:
        return session.demonstration(settings.arch, options, emit=writer.show)
