"""A program run under probes, and the same program run without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from uprobes_sim.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may choose about a run. None: the default, or what the ELF header says."""

    arch: str | None = None
    kernel: str | None = None
    """A release as `parse_release` takes it."""
    cpu: str | None = None
    errata: Literal["linux", "none"] = "linux"
    variant: str | None = None
    compare: bool = True
    """Run the program without probes as well, and compare."""
    regs: bool = False
    """Keep all registers in each hit."""
    write: bool = False
    """Write the files that the program wrote to the host, at the end."""


def run(
    program: Path,
    argv: Sequence[str],
    probes: Sequence[str],
    options: Options,
    *,
    stdin: BinaryIO,
    emit: Callable[[Event], None],
) -> int:
    """Run *program* with *argv* (argv[0] excluded) under *probes*; show events to *emit*.

    Answers 0, or 1 when the kernel refuses a probe or the runs differ: the exit status.

    Raises:
        UprobesSimError: bad input, in one line.
    """
    raise NotImplementedError


def demonstration(arch: str, options: Options, *, emit: Callable[[Event], None]) -> int:
    """Run the small program that the plugin ships, under its probes. Answers as `run`.

    Raises:
        UprobesSimError: as `run`; the plugin ships no demonstration.
    """
    raise NotImplementedError
