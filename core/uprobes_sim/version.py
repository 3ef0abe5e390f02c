"""The one table of kernel behaviours: what which release does.

A behaviour has a name, the release it came with and, if it went again, the
release it went with. Code asks for behaviours by name and never compares
release numbers. Backends add rows of their own (`arch_behaviours`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from uprobes_sim.errors import UnknownKernelError

Release = tuple[int, ...]


class Kconfig(Protocol):
    """The configuration of a kernel."""

    def meets(self, requirement: str) -> bool:
        """Tell whether it says *requirement*, such as `CONFIG_PPC_KUAP=y`; `n` is not set."""
        ...


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
    (3, 17),
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
    series: str | None = None
    """A patch series on an older release that had it before, as `--kernel` names it."""
    requires: str | None = None
    """The option of the configuration that it hangs on: `CONFIG_PPC_KUAP=y`."""

    def __contains__(self, release: object) -> bool:
        """Tell whether *release* behaves so."""
        assert isinstance(release, tuple)
        return self.since <= release and (self.until is None or release < self.until)


BEHAVIOURS: Final = (
    Behaviour(
        "uprobes",
        (3, 5),
        None,
        "there are uprobes at all; a backend tells since when by a row of the same name",
        "2b1444983508 uprobes, mm, x86: Add the ability to install and remove uprobes breakpoints",
    ),
    Behaviour(
        "uprobes_configured",
        (3, 5),
        None,
        "the kernel was built with uprobes; without, registering is ENOSYS",
        "include/linux/uprobes.h, the functions without CONFIG_UPROBES",
        requires="CONFIG_UPROBES=y",
    ),
    Behaviour(
        "present_swbp_is_eexist",
        (3, 5),
        (3, 7),
        "set_swbp answers -EEXIST where memory has a breakpoint; register and mmap take "
        "it for success",
        "kernel/events/uprobes.c of v3.6, set_swbp and register_for_each_vma",
    ),
    Behaviour(
        "mmap_reports_errors",
        (3, 5),
        (3, 7),
        "a mapping fails when a probe cannot be installed in it; after, the error is swallowed",
        "kernel/events/uprobes.c of v3.6, uprobe_mmap",
    ),
    Behaviour(
        "utask_bp_hit",
        (3, 5),
        (3, 8),
        "the notifier sets UTASK_BP_HIT whatever the task was doing; a step under way is forgotten",
        "kernel/events/uprobes.c of v3.6, uprobe_pre_sstep_notifier",
    ),
    Behaviour(
        "relisted_consumer_is_einval",
        (3, 5),
        (3, 9),
        "a consumer that is on a list already, and not its last, is EINVAL",
        "kernel/events/uprobes.c of v3.6, uprobe_register",
    ),
    Behaviour(
        "skip_sstep_flag",
        (3, 5),
        (3, 16),
        "an instruction that was once not skipped is never asked about again (UPROBE_SKIP_SSTEP)",
        "8a6b173287bb uprobes: Kill UPROBE_SKIP_SSTEP and can_skip_sstep()",
    ),
    Behaviour(
        "trap_read_again",
        (3, 6),
        None,
        "where there is no probe, memory decides between SIGTRAP and a restart; before, SIGTRAP",
        "56bb4cf6 uprobes: Teach handle_swbp() to rely on is_swbp rather than uprobes_srcu",
    ),
    Behaviour(
        "mmf_flags",
        (3, 7),
        None,
        "MMF_HAS_UPROBES, cleared lazily; before, a count of the breakpoints in place",
        "f8ac4ec9c064 uprobes: Introduce MMF_HAS_UPROBES",
    ),
    Behaviour(
        "step_hooks",
        (3, 7),
        (3, 8),
        "arch_uprobe_enable_step and arch_uprobe_disable_step are asked around a step",
        "kernel/events/uprobes.c of v3.7, handle_swbp and handle_singlestep",
    ),
    Behaviour(
        "verify_opcode",
        (3, 8),
        None,
        "memory is looked at under the write; before, set_orig_insn on no breakpoint was -EINVAL",
        "uprobes: Kill set_orig_insn()->is_swbp_at_addr() (the release from memory)",
    ),
    Behaviour(
        "failed_removal_leaks",
        (3, 8),
        None,
        "a breakpoint that cannot be removed keeps its probe for ever; before, nobody looked",
        "kernel/events/uprobes.c of v3.12, remove_breakpoint",
    ),
    Behaviour(
        "valid_vma_mayexec",
        (3, 8),
        None,
        "what may become executable counts; before, only what can be read and executed now",
        "78a320542e6c uprobes: Change valid_vma() to demand VM_MAYEXEC rather than VM_EXEC",
    ),
    Behaviour(
        "filters_install",
        (3, 9),
        None,
        "filters decide where breakpoints are; before, who is called at a hit",
        "63633cbf8284 uprobes: Introduce filter_chain()",
    ),
    Behaviour(
        "filter_contexts",
        (3, 9),
        (6, 12),
        "filters are told what they are asked for: REGISTER, UNREGISTER or MMAP",
        "kernel/events/uprobes.c of v3.12, enum uprobe_filter_ctx",
    ),
    Behaviour(
        "each_consumer_installs",
        (3, 9),
        None,
        "every new consumer visits the mappings; before, only the first and the last did",
        "kernel/events/uprobes.c of v3.6, uprobe_register",
    ),
    Behaviour(
        "uprobe_apply",
        (3, 9),
        None,
        "uprobe_apply: a filter's answer may change",
        "v3.9, uprobe_apply",
    ),
    Behaviour(
        "handler_remove",
        (3, 9),
        None,
        "UPROBE_HANDLER_REMOVE: handlers can remove the breakpoint from a process",
        "v3.9, handler_chain",
    ),
    Behaviour(
        "handlers_see_probe_address",
        (3, 9),
        None,
        "ip is the probe's before handlers run; before, where the trap had left it",
        "74e59dfc6b19 uprobes: Change handle_swbp() to expose bp_vaddr (the release from memory)",
    ),
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
        "register_needs_read_folio",
        (3, 16),
        None,
        "a file that cannot be read by pages is EIO at once; before, when it is mapped",
        "41ccba029e94 uprobes: Teach __uprobe_register() to check readpage",
    ),
    Behaviour(
        "copy_insn_eio",
        (3, 16),
        None,
        "a probe at the end of the file is EIO when it is mapped; before, zeros were copied",
        "2ded0980a6e4 uprobes: Fix copy_insn()",
    ),
    Behaviour(
        "valid_vma_mayshare",
        (3, 16),
        None,
        "a mapping that was made shared never counts; before, one that is shared now",
        "uprobes: Prohibit probing on MAP_SHARED region (the release from memory)",
    ),
    Behaviour(
        "shmem",
        (3, 17),
        None,
        "files of tmpfs can be probed",
        "v3.17, uprobe_register (release from memory)",
    ),
    Behaviour(
        "lost_trampoline_is_sigill",
        (4, 3),
        None,
        "the trampoline hit without a return instance is SIGILL; before, SIGTRAP",
        "v4.3, handle_trampoline",
    ),
    Behaviour(
        "dup_return_instances",
        (3, 13),
        None,
        "a child of fork or vfork inherits the pending return probes; before, it got SIGTRAP",
        "3247343118da, dup_xol_work",
    ),
    Behaviour(
        "uretprobe_is_alive",
        (4, 3),
        None,
        "frames that longjmp left are recognised by arch_uretprobe_is_alive",
        "v4.3, cleanup_return_instances",
    ),
    Behaviour(
        "ref_ctr_offset",
        (4, 20),
        None,
        "reference counters (semaphores), paid later where their page is not mapped yet",
        "v4.20, update_ref_ctr",
    ),
    Behaviour(
        "file_page_back",
        (5, 4),
        (6, 16),
        "unregistering gives the file's page back when the private one equals it again",
        "v5.4 (from memory), live 6.1; the rewrite of v6.16 can, and live 6.18 never did",
    ),
    Behaviour(
        "offset_alignment",
        (5, 8),
        None,
        "an offset that is no multiple of the breakpoint's size is EINVAL at "
        "registration, and so is an odd reference counter",
        "013b2deba9a6 uprobes: ensure that uprobe->offset and ->ref_ctr_offset are aligned",
    ),
    Behaviour(
        "sigtrap_forced",
        (6, 1),
        None,
        "SIGTRAP of a trap without probe is forced, blocked or not; before, it was sent",
        "kernel/events/uprobes.c of v6.1, handle_swbp (the change is older, but newer than 4.20)",
    ),
    Behaviour(
        "callchain_fixup",
        (6, 11),
        None,
        "user call chains show return addresses in place of the trampoline's",
        "kernel/events/callchain.c of v6.11, fixup_uretprobe_trampoline_entries",
    ),
    Behaviour(
        "removal_asks_filters",
        (6, 12),
        None,
        "UPROBE_HANDLER_REMOVE of all handlers removes only where no filter wants the process",
        "kernel/events/uprobes.c of v6.12, handler_chain",
    ),
    Behaviour(
        "references_keep_probe",
        (6, 12),
        None,
        "a probe leaves the tree with its last reference; before, with its last consumer",
        "kernel/events/uprobes.c of v6.12, put_uprobe",
    ),
    Behaviour(
        "session_consumers",
        (6, 13),
        None,
        "a consumer with both callbacks is a session, with cookies; UPROBE_HANDLER_IGNORE",
        "4d756095d399 uprobe: Add support for session consumer",
    ),
    Behaviour(
        "hprobe_lease",
        (6, 13),
        None,
        "pending returns lease their probe for 100 ms; before, they hold a reference",
        "dd1a7567784e uprobes: SRCU-protect uretprobe lifetime",
    ),
    Behaviour(
        "any_file_vma",
        (6, 13),
        None,
        "a hit is looked up in any file mapping; before, only where uprobes may write",
        "kernel/events/uprobes.c of 6.12.117 and of v7.0, find_active_uprobe",
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
    """One Linux release, perhaps with a patch series on it, and what it does."""

    def __init__(
        self,
        release: Release,
        behaviours: Iterable[Behaviour] = (),
        series: str | None = None,
        kconfig: Kconfig | None = None,
    ) -> None:
        """Take the row of *release*, with *behaviours* beside the core's or in their place.

        *kconfig* None: as distributions configure it.
        """
        self.release = release
        self.series = series
        self.kconfig = kconfig
        rows = {row.name: row for row in (*BEHAVIOURS, *behaviours)}
        self._has = {
            name: (release in row or (series is not None and row.series == series))
            and (kconfig is None or row.requires is None or kconfig.meets(row.requires))
            for name, row in rows.items()
        }

    def has(self, behaviour: str) -> bool:
        """Tell whether this release has *behaviour*, a name of the table."""
        return self._has[behaviour]

    @property
    def behaviours(self) -> frozenset[str]:
        """Name all that it has of the table."""
        return frozenset(name for name, has in self._has.items() if has)

    def __str__(self) -> str:
        """Write it as people do: `6.18`, `3.6+powerpc-v3`."""
        return self.series or ".".join(map(str, self.release))


def releases(behaviours: Iterable[Behaviour] = ()) -> tuple[Release, ...]:
    """List the releases that differ from the one before, also by a backend's own *behaviours*.

    The oldest first; none is older or newer than `RELEASES` are.
    """
    borders = {border for row in behaviours for border in (row.since, row.until) if border}
    within = {border for border in borders if RELEASES[0] <= border <= RELEASES[-1]}
    return tuple(sorted(within.union(RELEASES)))


def parse_release(text: str, rows: Sequence[Release] = RELEASES) -> Release:
    """Find the row of the table for a release such as `6.1` or `6.1.192`.

    The newest of *rows* that is not newer than *text* counts.

    Raises:
        UnknownKernelError: not a release, older than the table or newer.
    """
    match = re.fullmatch(r"(\d+)(?:\.(\d+)(?:\.\d+)?)?", text)
    oldest, newest = (".".join(map(str, r)) for r in (RELEASES[0], RELEASES[-1]))
    major = None if match is None else int(match[1])
    known = major is not None and RELEASES[0][0] <= major <= RELEASES[-1][0]
    if match is None or (known and match[2] is None):
        raise UnknownKernelError(f"{text!r} is no kernel release; write it like 6.1 or 6.1.192")
    release = (int(match[1]), int(match[2] or 0))
    if not RELEASES[0] <= release <= RELEASES[-1]:
        raise UnknownKernelError(f"kernel {text} is not modelled; {oldest} to {newest} are")
    return max(row for row in rows if row <= release)


def parse_kernel(
    text: str, behaviours: tuple[Behaviour, ...], kconfig: Kconfig | None = None
) -> Kernel:
    """Find the kernel that *text* names: a release, or a patch series of *behaviours* on one.

    Raises:
        UnknownKernelError: as `parse_release`; no such series.
    """
    base, plus, _ = text.partition("+")
    release = parse_release(base, releases(behaviours))
    if not plus:
        return Kernel(release, behaviours, kconfig=kconfig)
    known = sorted({row.series for row in behaviours if row.series is not None})
    if text not in known:
        there = f"there is {', '.join(known)}" if known else "this backend has none"
        raise UnknownKernelError(f"no patch series is called {text}; {there}")
    return Kernel(release, behaviours, text, kconfig)


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
