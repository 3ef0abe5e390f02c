"""One instruction before the kernels: where a scan asks what it does not know yet."""

from collections.abc import Sequence
from typing import Final

from uprobes_sim.explain import judge
from uprobes_sim.linker import Linked
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.scan.memory import Answers
from uprobes_sim.sched import Scheduler
from uprobes_sim.units import PAGE_MASK, PAGE_SIZE, Vaddr
from uprobes_sim.uprobes import Uprobes
from uprobes_sim.version import Config

_CODE: Final = VmFlags.READ | VmFlags.EXEC | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC


class Bench:
    """The kernels that one backend runs on."""

    def __init__(self, linked: Linked, configs: Sequence[Config]) -> None:
        """Seat a kernel for each of *configs*."""
        self._info = linked.info
        self._all = [Uprobes(linked, config, Scheduler()) for config in configs]

    def answers(self, insn: bytes, vaddr: Vaddr, before: bytes) -> Answers:
        """Judge *insn* at *vaddr*, behind the bytes *before*, as each kernel does."""
        mm = self._map(before, insn, vaddr)
        return tuple(judge(up, insn, mm, vaddr) for up in self._all)

    def _map(self, before: bytes, insn: bytes, vaddr: Vaddr) -> Mm:
        """Map *insn* at *vaddr*, for backends that look around."""
        info = self._info
        mm = Mm(info.abi, task_size=info.task_size, mmap_base=info.mmap_base)
        start = vaddr - len(before)
        first = start & ~PAGE_MASK
        if first + 2 * PAGE_SIZE <= info.task_size:
            inode = Inode(1, "", bytes(start - first) + before + insn)
            mm.mmap(first, 2 * PAGE_SIZE, _CODE, inode=inode)
        return mm
