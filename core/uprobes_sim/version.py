"""The one table of kernel behaviours: what which release does.

A behaviour has a name, the release it came with and, if it went again, the
release it went with. Code asks for behaviours by name and never compares
release numbers. Backends add rows of their own (`arch_behaviours`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from uprobes_sim.errors import UnknownKernelError

Release = tuple[int, ...]

RELEASES: Final[tuple[Release, ...]] = (
    (3, 5),
    (3, 6),
    (3, 7),
    (3, 8),
    (3, 9),
    (3, 10),
    (3, 12),
    (3, 13),
    (3, 15),
    (3, 16),
    (4, 1),
    (4, 3),
    (4, 13),
    (4, 14),
    (4, 15),
    (4, 16),
    (4, 18),
    (4, 20),
    (5, 4),
    (5, 8),
    (5, 12),
    (5, 13),
    (5, 19),
    (6, 1),
    (6, 3),
    (6, 11),
    (6, 12),
    (6, 13),
    (6, 14),
    (6, 16),
    (6, 18),
)
"""Releases that differ from the one before, oldest first."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Something that some releases do and others do not."""

    name: str
    since: Release
    until: Release | None
    """First release without it; None: still there."""
    what: str
    source: str
    """Where it is known from: commit, kernel file and function, live kernel, or memory."""

    def __contains__(self, release: object) -> bool:
        """Tell whether *release* behaves so."""
        assert isinstance(release, tuple)
        return self.since <= release and (self.until is None or release < self.until)


BEHAVIOURS: Final = (
    Behaviour(
        "is_trap_insn",
        (3, 10),
        None,
        "is_trap_insn tells what may not be probed and what is SIGTRAP; before, is_swbp_insn",
        "0908ad6e56b5 uprobes: Add trap variant helper",
    ),
    Behaviour(
        "uretprobes",
        (3, 10),
        None,
        "return probes; slot 0 of the out-of-line page is their trampoline",
        "v3.10, prepare_uretprobe",
    ),
    Behaviour(
        "post_xol_error_is_sigill",
        (3, 16),
        None,
        "an error of arch_uprobe_post_xol is SIGILL; before, it was ignored",
        "v3.16, handle_singlestep (release from memory)",
    ),
    Behaviour(
        "lost_trampoline_is_sigill",
        (4, 3),
        None,
        "the trampoline hit without a return instance is SIGILL; before, SIGTRAP",
        "v4.3, handle_trampoline",
    ),
    Behaviour(
        "uretprobe_is_alive",
        (4, 3),
        None,
        "frames that longjmp left are recognised by arch_uretprobe_is_alive",
        "v4.3, cleanup_return_instances",
    ),
    Behaviour(
        "offset_alignment",
        (5, 8),
        None,
        "an offset that is no multiple of the breakpoint's size is EINVAL at registration",
        "013b2deba9a6 uprobes: ensure that uprobe->offset and ->ref_ctr_offset are aligned",
    ),
    Behaviour(
        "file_page_back",
        (5, 4),
        None,
        "unregistering gives the file's page back when the private one equals it again",
        "v5.4, uprobe_write_opcode (release from memory)",
    ),
    Behaviour(
        "removal_asks_filters",
        (6, 12),
        None,
        "UPROBE_HANDLER_REMOVE of all handlers removes only where no filter wants the process",
        "kernel/events/uprobes.c of v6.12, handler_chain",
    ),
    Behaviour(
        "handler_may_change_ip",
        (6, 18),
        None,
        "a handler that changes ip skips the probed instruction",
        "4363264111e1, handle_swbp",
    ),
)
"""The core's rows."""


class Kernel:
    """One Linux release, and what it does."""

    def __init__(self, release: Release, behaviours: Iterable[Behaviour] = ()) -> None:
        """Take the row of *release*, with *behaviours* beside the core's."""
        self.release = release
        rows = {row.name: row for row in (*BEHAVIOURS, *behaviours)}
        self._has = {name: release in row for name, row in rows.items()}

    def has(self, behaviour: str) -> bool:
        """Tell whether this release has *behaviour*, a name of the table."""
        return self._has[behaviour]

    def __str__(self) -> str:
        """Write the release as people do: `6.18`."""
        return ".".join(map(str, self.release))


def parse_release(text: str) -> Release:
    """Find the row of the table for a release such as `6.1` or `6.1.192`.

    The newest row that is not newer than *text* counts.

    Raises:
        UnknownKernelError: not a release, older than the table or newer.
    """
    match = re.fullmatch(r"(\d+)\.(\d+)(?:\.\d+)?", text)
    oldest, newest = (".".join(map(str, r)) for r in (RELEASES[0], RELEASES[-1]))
    if match is None:
        raise UnknownKernelError(f"{text!r} is no kernel release; write it like 6.1 or 6.1.192")
    release = (int(match[1]), int(match[2]))
    if not RELEASES[0] <= release <= RELEASES[-1]:
        raise UnknownKernelError(f"kernel {text} is not modelled; {oldest} to {newest} are")
    return max(row for row in RELEASES if row <= release)


@dataclass(frozen=True, slots=True)
class Config:
    """The machine that is simulated: release, processor, and how true to its faults."""

    kernel: Kernel
    cpu: str
    """One of `ArchInfo.cpus`."""
    errata: Literal["linux", "none"] = "linux"
    """Known defects of that kernel act (`linux`), or everything goes right (`none`)."""
    in_force: frozenset[str] = frozenset()
    """Ids of the errata that this machine has, whether they act or not."""

    def acts(self, erratum: str) -> bool:
        """Tell whether the defect with this id is to show itself."""
        return self.errata == "linux" and erratum in self.in_force
