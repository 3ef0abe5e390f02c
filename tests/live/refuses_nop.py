"""The x86 backend with one wrong verdict: it refuses nop."""

from types import SimpleNamespace

import uprobes_sim_x86.uprobes as right
from uprobes_sim import hookimpl
from uprobes_sim.arch import ArchUprobe
from uprobes_sim.errno import Errno
from uprobes_sim.errors import Refused
from uprobes_sim.memory import Mm
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config


@hookimpl
def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    if insn[:1] == b"\x90":
        raise Refused(Errno.EINVAL, "wrong.nop", "nop is refused")
    return right.arch_uprobe_analyze_insn(insn, mm, vaddr, config)


plugin = SimpleNamespace(**vars(right) | {"arch_uprobe_analyze_insn": arch_uprobe_analyze_insn})
