"""`struct uprobe`, and what of a kernel's release every hit asks for."""

from dataclasses import dataclass, field

from uprobes_sim.arch import ArchUprobe
from uprobes_sim.consumers import UprobeConsumer
from uprobes_sim.page_cache import Inode
from uprobes_sim.units import Offset
from uprobes_sim.version import Kernel


@dataclass(eq=False, slots=True)
class Uprobe:
    """`struct uprobe`: one per file and offset."""

    inode: Inode
    offset: Offset
    ref_ctr_offset: Offset = Offset(0)
    """Where in the file its semaphore is; 0: it has none."""
    consumers: list[UprobeConsumer] = field(default_factory=list)
    """The newest first, which is the order of calls."""
    arch: ArchUprobe | None = None
    """The instruction, copied and accepted (UPROBE_COPY_INSN); None before."""
    insn: bytes = b""
    """The instruction as it was copied last, accepted or not."""
    ref: int = 0
    """References: its consumers, the steps under way, pending returns."""
    skip_sstep: bool = True
    """UPROBE_SKIP_SSTEP of older kernels: it was always skipped so far."""


@dataclass(frozen=True, slots=True)
class Does:
    """Rows of the version table that every hit asks for, looked up once."""

    handlers_see_probe_address: bool
    handler_may_change_ip: bool
    session_consumers: bool
    skip_sstep_flag: bool
    step_hooks: bool
    hprobe_lease: bool
    uretprobes: bool
    any_file_vma: bool
    filters_install: bool


def does(kernel: Kernel) -> Does:
    """Look the rows up for *kernel*."""
    return Does(**{name: kernel.has(name) for name in Does.__slots__})
