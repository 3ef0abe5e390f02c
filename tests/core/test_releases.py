"""What older kernels did: one test a row of the version table, both sides of its release."""

from contextlib import nullcontext

import pytest

from toy_arch import ADDI, CALL, JMP, LI, NOP, RET, RX, SYS, TEXT, TRAP, TRAPIF, Box, ExitOnly
from uprobes_sim.consumers import Cookie, FilterCtx
from uprobes_sim.cpu import Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.signals import SIG_IGN, SigAction, Signal
from uprobes_sim.task import Task, UprobeTaskState
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer
from uprobes_sim.uretprobes import fixup_uretprobe_trampoline_entries, hprobe_expire
from uprobes_sim.xol import uprobes_state

Release = tuple[int, ...]


def keep(task: Task) -> HandlerResult:
    return HandlerResult.KEEP


def consumer() -> UprobeConsumer:
    return UprobeConsumer(handler=keep)


def register(box: Box, index: int, mine: UprobeConsumer | None = None) -> Uprobe:
    box.machine.uprobes.log = box.machine.uprobes.log or []
    return box.machine.uprobes.uprobe_register(box.inode, Offset(4 * index), mine or consumer())


def acts(box: Box) -> list[Act]:
    return [each.act for each in box.machine.uprobes.log or []]


@pytest.mark.parametrize(
    ("release", "errnos", "live"),
    [((3, 5), [Errno.EEXIST], False), ((3, 6), [Errno.EEXIST], False), ((3, 7), [None], True)],
)
def test_a_breakpoint_that_is_there_is_eexist_up_to_3_6(
    release: Release, errnos: list[Errno | None], live: bool
) -> None:
    """... which is taken for success, and not counted: the trap stays the debugger's."""
    box = Box((NOP,), (SYS,), release=release)
    box.task.mm.write(TEXT, TRAP, force=True)

    register(box, 0)

    log = box.machine.uprobes.log or []
    assert [each.errno for each in log if each.act is Act.PRESENT] == errnos
    assert box.task.mm.has_uprobes is live


@pytest.mark.parametrize(("release", "mapped"), [((3, 6), False), ((3, 7), True)])
def test_a_probe_that_cannot_be_installed_fails_the_mapping_up_to_3_6(
    release: Release, mapped: bool
) -> None:
    box = Box((TRAPIF, 1), (SYS,), release=release)
    box.task.mm.munmap(TEXT, 0x1000)
    box.code = box.inode.data = TRAP + box.code[4:]
    box.inode.pages.clear()
    register(box, 0)

    with nullcontext() if mapped else pytest.raises(KernelError, match="ENOTSUPP"):
        box.task.mm.mmap(TEXT, 0x1000, RX, inode=box.inode)

    assert (box.task.mm.find_vma(TEXT) is not None) is mapped


@pytest.mark.parametrize(("release", "lost"), [((3, 7), True), ((3, 8), False)])
def test_a_hit_during_a_step_loses_the_step_up_to_3_7(release: Release, lost: bool) -> None:
    box = Box((ADDI, 1, 1, 1), (ADDI, 1, 1, 2), (SYS,), release=release)
    register(box, 0)
    register(box, 1)
    machine, task = box.machine, box.task
    machine._enter_kernel(task, machine._execute(task), ExitOnly())
    machine._exit_to_user_mode(task)
    assert task.utask is not None
    assert task.utask.state is UprobeTaskState.UTASK_SSTEP

    task.regs.ip = Vaddr(TEXT + 4)  # nobody knows how: the question is what the core does then
    machine.hook.arch_uprobe_exception_notify(task=task, stop=Stop.BREAKPOINT)
    machine._exit_to_user_mode(task)

    taken = 3 - uprobes_state(task.mm).get_xol_area().free_slots + (release < (3, 10))
    assert (Act.FORGET in acts(box)) is lost
    assert taken == (2 if lost else 0)


@pytest.mark.parametrize(("release", "hooks"), [((3, 6), 0), ((3, 7), 2), ((3, 8), 0)])
def test_the_step_hooks_are_those_of_3_7(release: Release, hooks: int) -> None:
    box = Box((ADDI, 1, 1, 1), (SYS,), release=release)
    register(box, 0)

    box.run()

    assert acts(box).count(Act.HOOK) == hooks


@pytest.mark.parametrize(("release", "count"), [((3, 6), True), ((3, 7), False)])
def test_the_last_probe_takes_the_flag_along_only_where_it_is_a_count(
    release: Release, count: bool
) -> None:
    box = Box((NOP,), (SYS,), release=release)
    mine = consumer()
    uprobe = register(box, 0, mine)

    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    assert box.task.mm.has_uprobes is not count


def test_unmapping_counts_down_in_3_6_and_what_cannot_be_read_does_not_count() -> None:
    box = Box((NOP,), (SYS,), release=(3, 6))
    register(box, 0)
    box.task.mm.mmap(0x50000, 0x1000, RX, inode=box.inode)
    both = uprobes_state(box.task.mm).count
    box.task.mm.munmap(0x50000, 0x1000)
    one = uprobes_state(box.task.mm).count
    box.task.mm.drop_private(TEXT)
    box.inode.data = b""
    box.inode.pages.clear()

    box.task.mm.munmap(TEXT, 0x1000)

    assert (both, one, uprobes_state(box.task.mm).count) == (2, 1, 1)


@pytest.mark.parametrize(("release", "written"), [((3, 7), False), ((3, 8), True)])
def test_a_mapping_that_cannot_be_executed_yet_counts_since_3_8(
    release: Release, written: bool
) -> None:
    box = Box((NOP,), (SYS,), release=release)
    box.task.mm.mmap(0x50000, 0x1000, RX & ~VmFlags.EXEC, inode=box.inode)

    register(box, 0)

    assert (box.task.mm.read(0x50000, 4) == TRAP) is written


@pytest.mark.parametrize(("release", "installed"), [((3, 8), True), ((3, 9), False)])
def test_filters_decide_where_breakpoints_are_since_3_9(release: Release, installed: bool) -> None:
    """Before, they decide whom a hit is shown to."""
    hits: list[int] = []

    def handler(task: Task) -> HandlerResult:
        hits.append(task.regs.ip)
        return HandlerResult.KEEP

    def nobody(mm: Mm) -> bool:
        return False

    box = Box((NOP,), (SYS,), release=release)
    register(box, 0, UprobeConsumer(handler=handler, filter=nobody))
    there = box.word(0) == TRAP
    box.run()

    assert (there, hits) == (installed, [])


@pytest.mark.parametrize(("release", "told"), [((6, 11), True), ((6, 12), False)])
def test_filters_are_told_what_for_up_to_6_11(release: Release, told: bool) -> None:
    asked: list[FilterCtx] = []

    def filter_ctx(ctx: FilterCtx, mm: Mm) -> bool:
        asked.append(ctx)
        return True

    box = Box((NOP,), (SYS,), release=release)
    first, second = (UprobeConsumer(handler=keep, filter_ctx=filter_ctx) for _ in range(2))
    uprobe = register(box, 0, first)
    register(box, 0, second)
    box.task.mm.mmap(0x50000, 0x1000, RX, inode=box.inode)
    box.machine.uprobes.uprobe_unregister(uprobe, second)

    register_, mmap = FilterCtx.UPROBE_FILTER_REGISTER, FilterCtx.UPROBE_FILTER_MMAP
    unregister = FilterCtx.UPROBE_FILTER_UNREGISTER
    expected = [register_, register_, mmap, unregister, unregister] if told else []
    assert asked == expected


@pytest.mark.parametrize(("release", "again"), [((3, 8), False), ((3, 9), True)])
def test_a_second_consumer_mends_what_was_written_over_since_3_9(
    release: Release, again: bool
) -> None:
    box = Box((NOP,), (SYS,), release=release)
    register(box, 0)
    box.task.mm.write(TEXT, box.code[:4], force=True)

    register(box, 0)

    assert (box.word(0) == TRAP) is again


@pytest.mark.parametrize(("release", "errno"), [((3, 8), Errno.EINVAL), ((3, 9), None)])
def test_a_consumer_on_a_list_is_refused_up_to_3_8(release: Release, errno: Errno | None) -> None:
    box = Box((NOP,), (NOP,), (SYS,), release=release)
    mine = consumer()
    register(box, 0)
    register(box, 0, mine)
    found = None

    try:
        register(box, 1, mine)
    except KernelError as exc:
        found = exc.errno

    assert found is errno


@pytest.mark.parametrize(("release", "errno"), [((3, 8), Errno.ENOSYS), ((3, 9), None)])
def test_a_filters_answer_may_change_since_3_9(release: Release, errno: Errno | None) -> None:
    box, wanted, found = Box((NOP,), (SYS,), release=release), [False], None
    mine = UprobeConsumer(handler=keep, filter=lambda mm: wanted[0])
    uprobe = register(box, 0, mine)
    wanted[0] = True

    try:
        box.machine.uprobes.uprobe_apply(uprobe, mine, add=True)
    except KernelError as exc:
        found = exc.errno

    assert found is errno
    assert box.word(0) == TRAP  # since 3.9 by the apply, before from the start


def test_a_filter_that_lets_go_takes_the_breakpoint_along() -> None:
    box, wanted = Box((NOP,), (SYS,)), [True]
    mine = UprobeConsumer(handler=keep, filter=lambda mm: wanted[0])
    uprobe = register(box, 0, mine)
    wanted[0] = False

    box.machine.uprobes.uprobe_apply(uprobe, mine, add=False)

    assert box.word(0) == box.code[:4]
    with pytest.raises(KernelError, match="ENOENT"):
        box.machine.uprobes.uprobe_apply(uprobe, consumer(), add=True)


@pytest.mark.parametrize(("release", "there"), [((3, 8), True), ((3, 9), False)])
def test_handlers_can_remove_since_3_9(release: Release, there: bool) -> None:
    box = Box((NOP,), (SYS,), release=release)
    register(box, 0, UprobeConsumer(handler=lambda task: HandlerResult.UPROBE_HANDLER_REMOVE))

    box.run()

    assert (box.word(0) == TRAP) is there


@pytest.mark.parametrize(("release", "asked"), [((3, 15), 1), ((3, 16), 3)])
def test_what_was_once_stepped_is_always_stepped_up_to_3_15(release: Release, asked: int) -> None:
    box = Box((ADDI, 1, 1, 1), (JMP, 0, 0, -1), release=release)
    questions: list[int] = []
    ask = box.machine.hook.arch_uprobe_skip_sstep

    def skip(**question: object) -> bool:
        questions.append(1)
        return ask(**question)  # type: ignore[arg-type]

    box.machine.hook.arch_uprobe_skip_sstep = skip  # type: ignore[method-assign, assignment]
    register(box, 0)

    while acts(box).count(Act.DONE) < 3:
        box.machine.run(box.task, ExitOnly(), box.machine.work + 1)

    assert len(questions) == asked


@pytest.mark.parametrize(("release", "errno"), [((3, 15), None), ((3, 16), Errno.EIO)])
def test_a_file_without_pages_is_refused_at_once_since_3_16(
    release: Release, errno: Errno | None
) -> None:
    box, found = Box((NOP,), (SYS,), release=release), None
    box.task.mm.munmap(TEXT, 0x1000)
    box.inode.has_read_folio = False

    try:
        register(box, 0)
    except KernelError as exc:
        found = exc.errno

    assert found is errno


@pytest.mark.parametrize(("release", "errno"), [((3, 16), Errno.EIO), ((3, 17), None)])
def test_files_of_tmpfs_can_be_probed_since_3_17(release: Release, errno: Errno | None) -> None:
    box, found = Box((NOP,), (SYS,), release=release), None
    box.inode.is_shmem = True

    try:
        register(box, 0)
    except KernelError as exc:
        found = exc.errno

    assert found is errno


@pytest.mark.parametrize(("release", "errno"), [((3, 15), None), ((3, 16), Errno.EIO)])
def test_the_end_of_the_file_holds_zeros_up_to_3_15(release: Release, errno: Errno | None) -> None:
    box, found = Box((SYS,), release=release), None

    try:
        register(box, 1)
    except KernelError as exc:
        found = exc.errno

    assert found is errno


@pytest.mark.parametrize(("release", "killed"), [((5, 19), None), ((6, 1), Signal.SIGTRAP)])
def test_a_foreign_trap_that_is_ignored_kills_since_it_is_forced(
    release: Release, killed: Signal | None
) -> None:
    box = Box((NOP,), (TRAPIF, 14), (JMP, 0, 0, 0), release=release)
    box.task.sigactions[Signal.SIGTRAP] = SigAction(SIG_IGN)
    register(box, 0)

    box.machine.run(box.task, ExitOnly(), until=20)

    assert box.task.killed_by is killed


@pytest.mark.parametrize(("release", "signal"), [((6, 12), Signal.SIGTRAP), ((6, 13), None)])
def test_a_breakpoint_in_a_shared_mapping_is_a_hit_since_6_13(
    release: Release, signal: Signal | None
) -> None:
    box = Box((NOP,), (LI, 1, 0, 7), (SYS,), release=release)
    register(box, 0)
    mm = box.task.mm
    mm.mmap(0x50000, 0x1000, RX | VmFlags.SHARED | VmFlags.MAYSHARE, inode=box.inode)
    frame = box.inode.page(0)
    assert frame is not None
    frame.data[:4] = TRAP  # somebody wrote the breakpoint into the file
    box.task.regs.ip = Vaddr(0x50000)

    box.run()

    assert box.task.killed_by is signal


# --- return probes ------------------------------------------------------------

CALLS = ((CALL, 0, 0, 2), (SYS,), (NOP,), (NOP,), (RET,))


@pytest.mark.parametrize(("release", "called"), [((6, 12), 1), ((6, 13), 0)])
def test_a_session_sees_only_returns_whose_entry_it_saw(release: Release, called: int) -> None:
    """Before 6.13 a consumer with both callbacks is called for any return."""
    box, returns = Box(*CALLS, release=release), []
    session = UprobeConsumer(handler=keep, ret_handler=lambda task, func: returns.append(func))
    register(box, 2, UprobeConsumer(ret_handler=lambda task, func: None))

    def join(task: Task) -> HandlerResult:
        register(box, 2, session)
        return HandlerResult.KEEP

    register(box, 3, UprobeConsumer(handler=join))
    box.run()

    assert len(returns) == called


def test_a_session_reads_at_the_return_what_it_wrote_at_the_entry() -> None:
    box, read = Box(*CALLS), []
    up = box.machine.uprobes

    def session(value: int) -> UprobeConsumer:
        def enter(task: Task) -> HandlerResult:
            assert up.cookie == Cookie(0)
            up.cookie.value = value
            return HandlerResult.KEEP

        return UprobeConsumer(enter, lambda task, func: read.append((value, up.cookie.value)))

    register(box, 2, session(5))
    register(box, 2, session(6))
    box.run()

    assert read == [(6, 6), (5, 5)]


@pytest.mark.parametrize(("release", "returns"), [((6, 12), 1), ((6, 13), 0)])
def test_ignore_keeps_a_session_from_the_return_since_6_13(release: Release, returns: int) -> None:
    box, seen = Box(*CALLS, release=release), []
    register(
        box,
        2,
        UprobeConsumer(
            lambda task: HandlerResult.UPROBE_HANDLER_IGNORE,
            lambda task, func: seen.append(func),
        ),
    )

    box.run()

    assert len(seen) == returns
    assert (Act.WARN in acts(box)) is (release < (6, 13))


def test_an_answer_that_is_none_is_warned_of_and_kept() -> None:
    box = Box((NOP,), (SYS,))
    box.machine.uprobes.log = []
    register(box, 0, UprobeConsumer(handler=lambda task: 7))

    box.run()

    assert Act.WARN in acts(box)
    assert box.word(0) == TRAP


@pytest.mark.parametrize(("release", "returns"), [((6, 11), 0), ((6, 12), 1), ((6, 13), 0)])
def test_a_pending_return_keeps_its_probe_only_in_6_12(release: Release, returns: int) -> None:
    """Unregistered and registered again while the function runs: is it the same probe?"""
    box, seen = Box(*CALLS, release=release), []
    mine = UprobeConsumer(ret_handler=lambda task, func: None)
    uprobe = register(box, 2, mine)

    def again(task: Task) -> HandlerResult:
        box.machine.uprobes.uprobe_unregister(uprobe, mine)
        register(box, 2, UprobeConsumer(ret_handler=lambda task, func: seen.append(func)))
        return HandlerResult.KEEP

    register(box, 3, UprobeConsumer(handler=again))
    box.run()

    assert len(seen) == returns
    assert box.task.exit_status == 0


def test_a_lease_that_expires_after_the_probe_has_gone_leaves_nothing() -> None:
    box, seen = Box(*CALLS), []
    mine = UprobeConsumer(ret_handler=lambda task, func: seen.append(func))
    uprobe = register(box, 2, mine)

    def expire(task: Task) -> HandlerResult:
        assert task.utask is not None
        box.machine.uprobes.uprobe_unregister(uprobe, mine)
        hprobe_expire(box.machine.uprobes, task.utask.return_instances[-1])
        return HandlerResult.KEEP

    register(box, 3, UprobeConsumer(handler=expire))
    box.run()

    assert (seen, box.task.exit_status, uprobe.ref) == ([], 0, 0)


@pytest.mark.parametrize(("release", "shown"), [((6, 1), False), ((6, 11), True)])
def test_call_chains_show_real_addresses_since_6_11(release: Release, shown: bool) -> None:
    box, chains = Box(*CALLS, release=release), []
    register(box, 2, UprobeConsumer(ret_handler=lambda task, func: None))

    def look(task: Task) -> HandlerResult:
        raw = [task.regs.ip, Vaddr(task.regs.get("r15"))]
        chains.append(fixup_uretprobe_trampoline_entries(box.machine.uprobes, task, raw))
        return HandlerResult.KEEP

    register(box, 3, UprobeConsumer(handler=look))
    box.run()

    area = uprobes_state(box.task.mm).get_xol_area()
    assert chains == [[TEXT + 12, TEXT + 4 if shown else area.vaddr]]


def test_before_3_10_slot_0_is_like_any_other() -> None:
    box = Box((ADDI, 1, 1, 1), (SYS,), release=(3, 9))
    register(box, 0)

    box.run()

    area = uprobes_state(box.task.mm).get_xol_area()
    assert box.task.mm.read(area.vaddr, 4) == box.code[:4]
    assert uprobes_state(box.task.mm).trampoline_vaddr is None
    assert area.free_slots == 4


def test_a_writable_private_mapping_is_never_written_but_cleaned() -> None:
    box = Box((NOP,), (SYS,))
    mine = consumer()
    uprobe = register(box, 0, mine)
    box.task.mm.mprotect(TEXT, 0x1000, VmFlags.READ | VmFlags.WRITE | VmFlags.EXEC)
    was = box.word(0)

    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    assert (was, box.word(0)) == (TRAP, box.code[:4])


def test_a_breakpoint_that_cannot_be_taken_away_leaks_its_probe() -> None:
    box = Box((NOP,), (SYS,))
    mine = consumer()
    uprobe = register(box, 0, mine)
    box.task.mm.drop_private(TEXT)
    box.inode.data = b""  # truncated: the page cannot be had any more
    box.inode.pages.clear()

    box.machine.uprobes.uprobe_unregister(uprobe, mine)

    assert Act.LEAK in acts(box)
    assert box.machine.uprobes.find_uprobe(box.inode, 0) is uprobe
