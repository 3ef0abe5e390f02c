"""core/uprobes_sim/uprobes.py and write.py: where breakpoints are, and are not."""

import pytest

from toy_arch import ADDI, NOP, RW, RX, SYS, TEXT, TRAP, TRAP_OP, TRAPIF, Box
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError, Refused
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.task import Task
from uprobes_sim.units import Offset
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer, valid_vma


def keep(task: Task) -> HandlerResult:
    return HandlerResult.KEEP


def consumer() -> UprobeConsumer:
    return UprobeConsumer(handler=keep)


def test_registering_writes_a_private_copy_and_leaves_the_file_alone() -> None:
    box = Box((NOP,), (ADDI, 1, 1, 1), (SYS,))

    box.machine.uprobes.uprobe_register(box.inode, Offset(4), consumer())

    assert box.word(1) == TRAP
    assert box.inode.page(0).data[4:8] == box.code[4:8]  # type: ignore[union-attr]
    assert box.task.mm.pgtable[TEXT >> 12].anon


def test_unregistering_gives_the_bytes_and_the_files_page_back() -> None:
    box = Box((NOP,), (ADDI, 1, 1, 1), (SYS,), release=(6, 12))
    one, two = consumer(), consumer()
    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(4), one)
    box.machine.uprobes.uprobe_register(box.inode, Offset(4), two)

    box.machine.uprobes.uprobe_unregister(uprobe, one)
    still = box.word(1)
    box.machine.uprobes.uprobe_unregister(uprobe, two)

    assert (still, box.word(1)) == (TRAP, box.code[4:8])
    assert not box.task.mm.pgtable[TEXT >> 12].anon
    assert box.machine.uprobes.find_uprobe(box.inode, 4) is None


@pytest.mark.parametrize("release", [(4, 20), (6, 16)])
def test_before_5_4_and_since_6_16_the_page_stays_private(release: tuple[int, ...]) -> None:
    box = Box((NOP,), (SYS,), release=release)
    mine = consumer()
    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(0), mine)

    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    assert box.word(0) == box.code[:4]
    assert box.task.mm.pgtable[TEXT >> 12].anon


def test_a_consumer_cannot_leave_twice() -> None:
    box = Box((NOP,), (SYS,))
    mine = consumer()
    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(0), mine)
    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    with pytest.raises(KernelError, match="ENOENT"):
        box.machine.uprobes.uprobe_unregister(uprobe, mine)


def test_a_mapping_made_later_gets_the_breakpoint() -> None:
    box = Box((NOP,), (SYS,))
    box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer())

    box.task.mm.mmap(0x50000, len(box.code), RX, inode=box.inode)

    assert box.task.mm.read(0x50000, 4) == TRAP


def test_a_refused_word_is_refused_only_where_it_is_mapped() -> None:
    """Registered on a file that nobody maps it is accepted, and never installed."""
    box = Box((TRAPIF, 1), (SYS,))
    box.task.mm.munmap(TEXT, 0x1000)

    box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer())
    box.task.mm.mmap(TEXT, len(box.code), RX, inode=box.inode)

    assert box.word(0) == box.code[:4]


@pytest.mark.parametrize(
    ("offset", "errno"),
    [
        pytest.param(0, Errno.ENOTSUPP, id="the breakpoint itself"),
        pytest.param(4, Errno.ENOTSUPP, id="another trap"),
        pytest.param(8, Errno.ENOTSUPP, id="refused by the architecture"),
        pytest.param(1, Errno.EINVAL, id="misaligned"),
        pytest.param(12, Errno.EIO, id="at the end of the file"),
        pytest.param(16, Errno.EINVAL, id="beyond the end"),
    ],
)
def test_a_bad_place_is_refused_and_leaves_nothing(offset: int, errno: Errno) -> None:
    box = Box((TRAP_OP,), (TRAPIF, 1), (SYS,))

    with pytest.raises(KernelError) as refused:
        box.machine.uprobes.uprobe_register(box.inode, Offset(offset), consumer())

    assert refused.value.errno is errno
    assert box.task.mm.read(TEXT, 12) == box.code
    assert box.machine.uprobes.find_uprobe(box.inode, offset) is None


def test_a_refusal_names_its_rule() -> None:
    box = Box((TRAP_OP,), (SYS,))

    with pytest.raises(Refused) as refused:
        box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer())

    assert refused.value.rule == "toy.trap"
    assert "ENOTSUPP (524)" in str(refused.value)


def test_before_3_10_only_the_breakpoint_itself_is_a_trap() -> None:
    """0908ad6e56b5 brought is_trap_insn."""
    box = Box((TRAPIF, 1), (SYS,), release=(3, 9))

    box.machine.uprobes.uprobe_register(box.inode, Offset(0), consumer())

    assert box.word(0) == TRAP


def test_before_5_8_alignment_is_the_architectures_business() -> None:
    box = Box((NOP,), (ADDI, 1, 1, 1), (SYS,), release=(5, 4))

    box.machine.uprobes.uprobe_register(box.inode, Offset(2), consumer())

    assert box.task.mm.read(TEXT + 2, 4) == TRAP


def test_a_consumer_without_handler_is_refused() -> None:
    box = Box((NOP,), (SYS,))

    with pytest.raises(KernelError, match="EINVAL"):
        box.machine.uprobes.uprobe_register(box.inode, Offset(0), UprobeConsumer())


def test_a_filter_keeps_a_process_out() -> None:
    box = Box((NOP,), (SYS,))

    def nobody(mm: Mm) -> bool:
        return False

    box.machine.uprobes.uprobe_register(
        box.inode, Offset(0), UprobeConsumer(handler=keep, filter=nobody)
    )

    assert box.word(0) == box.code[:4]


def test_a_foreign_breakpoint_is_adopted_and_lost() -> None:
    """A debugger's breakpoint that equals ours: uprobes win, and restore the file's bytes."""
    box = Box((NOP,), (SYS,))
    box.task.mm.write(TEXT, TRAP, force=True)
    mine = consumer()

    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(0), mine)
    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    assert box.word(0) == box.code[:4]


def test_what_somebody_wrote_over_a_breakpoint_stays() -> None:
    box = Box((NOP,), (SYS,))
    mine = consumer()
    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(0), mine)
    box.task.mm.write(TEXT, box.code[4:8], force=True)

    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    assert box.word(0) == box.code[4:8]


@pytest.mark.parametrize(
    ("flags", "register", "unregister"),
    [
        pytest.param(RX, True, True, id="private, executable"),
        pytest.param(RX & ~VmFlags.EXEC, True, True, id="read only, may be made executable"),
        pytest.param(RX | VmFlags.WRITE, False, True, id="writable"),
        pytest.param(RX | VmFlags.SHARED | VmFlags.MAYSHARE, False, False, id="shared"),
        pytest.param(RX & ~VmFlags.MAYEXEC, False, False, id="may never be executed"),
        pytest.param(RX | VmFlags.HUGETLB, False, False, id="huge pages"),
    ],
)
def test_which_mappings_count(flags: VmFlags, register: bool, unregister: bool) -> None:
    """kernel/events/uprobes.c, valid_vma."""
    box = Box((NOP,))
    vma = box.task.mm.mmap(0x50000, 0x1000, flags, inode=box.inode)

    assert valid_vma(vma, is_register=True) is register
    assert valid_vma(vma, is_register=False) is unregister


def test_an_anonymous_mapping_never_counts() -> None:
    box = Box((NOP,))

    assert not valid_vma(box.task.mm.mmap(0x50000, 0x1000, RW), is_register=False)


def test_the_flag_goes_when_the_last_probe_has_gone() -> None:
    """MMF_HAS_UPROBES is cleared lazily, by the first trap that finds no probe."""
    box = Box((NOP,), (TRAP_OP,))
    mine = consumer()
    uprobe = box.machine.uprobes.uprobe_register(box.inode, Offset(0), mine)
    box.machine.uprobes.uprobe_unregister(uprobe, mine)
    before = box.task.mm.has_uprobes

    box.run()

    assert (before, box.task.mm.has_uprobes) == (True, False)
