"""Many probes as one uprobe_multi link: the kernel attaches all of them, or none."""

from collections.abc import Sequence
from dataclasses import dataclass

from uprobes_sim.check.checker import Checked


@dataclass(frozen=True, slots=True)
class Link:
    """A BPF link of type uprobe_multi, as `bpf(BPF_LINK_CREATE)` would make it."""

    text: str
    """What the user asked for."""
    count: int
    failing: tuple[Checked, ...]
    """Probes for which the whole link is refused where a process maps the file."""
    without: tuple[Checked, ...]
    """The others, which a link takes."""


def link_of(text: str, members: Sequence[Checked]) -> Link:
    """See which of *members* a link would fail for.

    Kernel: kernel/trace/bpf_trace.c, bpf_uprobe_multi_link_attach.
    """
    failing = tuple(each for each in members if each.verdict.verdict == "reject")
    without = tuple(each for each in members if each.verdict.verdict != "reject")
    return Link(text, len(members), failing, without)
