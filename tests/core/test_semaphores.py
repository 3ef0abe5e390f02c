"""core/uprobes_sim/semaphores.py: +1 where a breakpoint is written, -1 where it is taken away."""

import pytest

from toy_arch import NOP, RW, RX, SYS, Box
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError, Refused
from uprobes_sim.memory import Mm
from uprobes_sim.task import Task
from uprobes_sim.units import Offset
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer

COUNTER = Offset(0x1000)
"""In the file, a page behind the code."""
AT = 0x40000
"""Where that page is mapped."""


def keep(task: Task) -> HandlerResult:
    return HandlerResult.KEEP


class Counted:
    """A file of two pages, code and counters, of which the task maps the first."""

    def __init__(self, release: tuple[int, ...] = (6, 18)) -> None:
        box = Box((NOP,), (NOP,), (SYS,), release=release)
        self.up, self.mm, self.inode = box.machine.uprobes, box.task.mm, box.inode
        self.inode.data = box.code.ljust(0x1000, b"\0") + bytes(0x1000)

    def map_counters(self, mm: Mm | None = None) -> None:
        (mm or self.mm).mmap(AT, 0x1000, RW, inode=self.inode, pgoff=1)

    def value(self, at: int = AT) -> int:
        return int.from_bytes(self.mm.read(at, 2), "little", signed=True)

    def register(self, offset: int = 0, counter: int = COUNTER) -> tuple[Uprobe, UprobeConsumer]:
        consumer = UprobeConsumer(handler=keep)
        uprobe = self.up.uprobe_register(self.inode, Offset(offset), consumer, Offset(counter))
        return uprobe, consumer


def test_it_is_one_while_the_probe_is_there_however_many_consumers_it_has() -> None:
    counted = Counted()
    counted.map_counters()

    first, second = counted.register(), counted.register()
    during = counted.value()
    counted.up.uprobe_unregister(*first)
    still = counted.value()
    counted.up.uprobe_unregister(*second)

    assert (during, still, counted.value()) == (1, 1, 0)


def test_two_probes_on_one_counter_add_up() -> None:
    counted = Counted()
    counted.map_counters()

    counted.register(0)
    counted.register(4)

    assert counted.value() == 2


def test_a_counter_that_is_not_mapped_is_paid_when_it_is() -> None:
    counted = Counted()
    counted.register()
    owed = len(counted.up.delayed)

    counted.map_counters()

    assert (owed, counted.value(), len(counted.up.delayed)) == (1, 1, 0)


def test_what_is_owed_is_forgotten_with_the_breakpoint() -> None:
    counted = Counted()
    mine = counted.register()

    counted.up.uprobe_unregister(*mine)
    counted.map_counters()

    assert (len(counted.up.delayed), counted.value()) == (0, 0)


def test_another_counter_for_the_same_place_is_refused() -> None:
    counted = Counted()
    mine = counted.register()

    with pytest.raises(KernelError, match="ref_ctr_offset mismatch: 0x1000 before, 0x1002 now"):
        counted.register(counter=0x1002)
    with pytest.raises(KernelError, match="mismatch"):
        counted.register(counter=0)
    assert mine[0].ref == 1


def test_a_counter_that_would_wrap_refuses_the_probe_and_leaves_memory() -> None:
    counted = Counted()
    counted.map_counters()
    counted.mm.write(AT, b"\xf0\xff")
    before = counted.mm.read(0x10000, 4)

    with pytest.raises(KernelError) as refused:
        counted.register()

    assert refused.value.errno is Errno.EINVAL
    assert (counted.value(), counted.mm.read(0x10000, 4)) == (-16, before)
    assert counted.up.find_uprobe(counted.inode, 0) is None


@pytest.mark.parametrize("release", [(5, 4), (5, 8)])
def test_an_odd_counter_is_refused_since_5_8(release: tuple[int, ...]) -> None:
    counted = Counted(release)

    if release < (5, 8):
        counted.register(counter=0x1001)
        return
    with pytest.raises(KernelError, match="is odd"):
        counted.register(counter=0x1001)


def test_there_are_no_counters_before_4_20() -> None:
    with pytest.raises(Refused, match=r"Linux 4\.18 has no reference counters"):
        Counted((4, 18)).register()


def test_unmapping_the_code_does_not_count_down() -> None:
    counted = Counted()
    counted.map_counters()
    counted.register()

    counted.mm.munmap(0x10000, 0x1000)
    counted.mm.mmap(0x10000, 0x1000, RX, inode=counted.inode)

    assert counted.value() == 2
