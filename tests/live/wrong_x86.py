"""The x86 backend with one mistake: it refuses nop, or says that push is stepped."""

from types import SimpleNamespace

import uprobes_sim_x86.uprobes as right
from uprobes_sim import hookimpl
from uprobes_sim.arch import Abi, ArchUprobe
from uprobes_sim.errno import Errno
from uprobes_sim.errors import Refused
from uprobes_sim.memory import Mm
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Mechanism
from uprobes_sim.version import Config


@hookimpl
def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    if insn[:1] == b"\x90":
        raise Refused(Errno.EINVAL, "wrong.nop", "nop is refused")
    return right.arch_uprobe_analyze_insn(insn, mm, vaddr, config)


@hookimpl
def arch_uprobe_mechanism(auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
    said = right.arch_uprobe_mechanism(auprobe, abi, config)
    return said._replace(how="xol") if auprobe.insn[:1] == b"\x50" else said


refuses_nop, steps_push = (
    SimpleNamespace(**vars(right) | {hook.__name__: hook})
    for hook in (arch_uprobe_analyze_insn, arch_uprobe_mechanism)
)
