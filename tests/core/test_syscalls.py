"""core/uprobes_sim/syscalls: what static programs need of the kernel, files aside."""

import struct
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_box import BUF, NUMBERS, SCRATCH, KernelBox
from uprobes_sim.arch import Abi
from uprobes_sim.clock import START, TICK
from uprobes_sim.errno import Errno
from uprobes_sim.errors import EngineError
from uprobes_sim.memory import PageFault
from uprobes_sim.syscalls.registry import SYSCALLS, decode, plan, signed
from uprobes_sim.uapi import Layout
from uprobes_sim.vfs.nodes import GID, UID
from uprobes_sim_powerpc.uapi import POWERPC32, POWERPC64
from uprobes_sim_x86.uapi import I386, X86_64

LE64, LE32, BE32, BE64 = Abi(64, "little"), Abi(32, "little"), Abi(32, "big"), Abi(64, "big")
ANONYMOUS, PRIVATE, SHARED, FIXED, NOREPLACE = 0x20, 2, 1, 0x10, 0x100000
READ, WRITE, EXEC = 1, 2, 4
PAGE = 0x1000

BOXES: dict[str, dict[str, Any]] = {
    "powerpc": {"abi": BE32, "uapi": POWERPC32, "table": "powerpc"},
    "powerpc64": {"abi": BE64, "uapi": POWERPC64, "table": "powerpc64"},
    "powerpc64le": {"abi": LE64, "uapi": POWERPC64, "table": "powerpc64"},
    "i386": {"abi": LE32, "uapi": I386, "table": "i386"},
    "x86_64": {"abi": LE64, "uapi": X86_64, "table": "x86_64"},
}


@pytest.fixture
def box(tmp_path: Path) -> KernelBox:
    return KernelBox(tmp_path)


@pytest.fixture(params=BOXES)
def any_box(request: pytest.FixtureRequest, tmp_path: Path) -> KernelBox:
    return KernelBox(tmp_path, **BOXES[request.param])


# --- arguments ----------------------------------------------------------------


@given(st.integers(0, (1 << 64) - 1))
def test_an_int_is_the_low_half_of_its_register(register: int) -> None:
    arguments = plan(SYSCALLS["close"], LE64, aligned_pairs=False)
    seek = plan(SYSCALLS["lseek"], LE64, aligned_pairs=False)

    assert decode(arguments, [register], LE64) == [register % (1 << 32)]
    fd, offset, whence = decode(seek, [register] * 3, LE64)
    assert fd == whence == signed(register, 32)
    assert offset == struct.unpack("<q", struct.pack("<Q", register))[0]


@pytest.mark.parametrize(
    ("abi", "aligned", "registers"),
    [
        pytest.param(LE64, False, [3, 8, 9, 0xFEDCBA9876543210], id="64 bits"),
        pytest.param(LE32, False, [3, 8, 9, 0x76543210, 0xFEDCBA98], id="i386"),
        pytest.param(BE32, True, [3, 8, 9, 99, 0xFEDCBA98, 0x76543210], id="powerpc"),
    ],
)
def test_a_64_bit_argument_comes_in_two_registers_of_32_bits(
    abi: Abi, aligned: bool, registers: list[int]
) -> None:
    arguments = plan(SYSCALLS["pread64"], abi, aligned_pairs=aligned)

    assert decode(arguments, registers, abi) == [3, 8, 9, signed(0xFEDCBA9876543210, 64)]


def test_no_call_has_more_arguments_than_registers() -> None:
    for handler in SYSCALLS.values():
        for abi, aligned in ((LE64, False), (LE32, False), (BE32, True)):
            plan(handler, abi, aligned_pairs=aligned)


def test_a_file_beyond_4_gib_is_addressed(tmp_path: Path) -> None:
    box = KernelBox(tmp_path, **BOXES["powerpc"])
    fd = box("open", "file", 0o102, 0o644)

    assert box("_llseek", fd, 1, 0x10, BUF, 0) == 0
    assert box.word(BUF, 8) == 0x1_0000_0010
    assert box("ftruncate64", fd, 0, 1, 0) == -Errno.EFBIG, "registers 4 and 5 hold the length"
    assert box("ftruncate64", fd, 1, 0, 5) == 0
    assert box("_llseek", fd, 0, 0, BUF, 2) == 0
    assert box.word(BUF, 8) == 5


# --- unknown calls --------------------------------------------------------------


def test_an_unknown_call_is_named_once(box: KernelBox) -> None:
    assert [box("inotify_init"), box("inotify_init"), box("epoll_create")] == [-Errno.ENOSYS] * 3
    assert box.unknown == [("inotify_init", 253), ("epoll_create", 213)]


def test_what_libraries_only_try_is_not_named(box: KernelBox) -> None:
    assert box("rseq", BUF, 32, 0, 0) == -Errno.ENOSYS
    assert box.unknown == []


def test_a_number_beyond_the_table_is_unknown_too(box: KernelBox) -> None:
    box.regs.r[0] = 99999
    box.dispatch(box.task)

    assert (box.regs.r[0], box.unknown) == (-Errno.ENOSYS, [("syscall_99999", 99999)])


def test_a_bad_pointer_is_an_errno_and_no_crash(any_box: KernelBox) -> None:
    calls: dict[str, tuple[int, ...]] = {
        "read": (0, 8, 5),
        "write": (1, 8, 5),
        "uname": (8,),
        "clock_gettime": (1, 8),
        "getrandom": (8, 5, 0),
        "rt_sigaction": (2, 8, 0, 8),
        "sysinfo": (8,),
        "pipe": (8,),
        "readlink": (8, BUF, 9),
        "nanosleep": (8, 0),
    }

    assert {name: any_box(name, *args) for name, args in calls.items()} == {
        name: 0 if name == "read" else -Errno.EFAULT for name in calls
    }, "at the end of its input a read touches no memory"


@settings(max_examples=15, deadline=None)
@given(random=st.randoms(use_true_random=False), arch=st.sampled_from(sorted(BOXES)))
def test_no_arguments_make_a_call_crash(
    tmp_path_factory: pytest.TempPathFactory, random: Random, arch: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "file").write_bytes(bytes(5000))
    box = KernelBox(folder, **BOXES[arch])
    words = [box.put(text) for text in ("file", "dir", "dir/x", ".", "/dev/zero", "new", "")]
    words += [0, 1, 2, 3, 4, 8, -1, -100, BUF, SCRATCH + 0x100000 - 3, 0x1000, 0x2000, 0x32]
    words += [0o102, 1 << 31, 0x7FFFF000, 1 << 63]
    table = NUMBERS.load_arch_table(box.table)
    names = sorted(name for name in SYSCALLS if name in table and not name.startswith("exit"))

    for name in random.choices(names, k=100):
        try:
            result = box(name, *random.choices(words, k=6))
        except EngineError:  # it would wait for ever
            continue
        assert -4096 < result < 1 << box.abi.bits, name

    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_bytes() == bytes(5000)


# --- the process ------------------------------------------------------------------


def test_exit_keeps_the_low_byte(box: KernelBox) -> None:
    box("exit_group", 0x1_0000_0105)

    assert box.task.exit_status == 5


def test_the_process_is_always_the_same(any_box: KernelBox) -> None:
    assert [any_box(name) for name in ("getpid", "gettid")] == [1000] * 2
    assert [any_box(name) for name in ("getuid", "getegid")] == [UID, GID]
    assert any_box("set_tid_address", BUF) == 1000


@pytest.mark.parametrize(("release", "text"), [((6, 18), b"6.18.0"), ((4, 1), b"4.1.0")])
def test_uname_tells_the_simulated_release(
    tmp_path: Path, release: tuple[int, ...], text: bytes
) -> None:
    box = KernelBox(tmp_path, release=release)

    assert box("uname", BUF) == 0
    fields = [box.got(65, BUF + 65 * i).rstrip(b"\0") for i in range(6)]

    assert (fields[0], fields[4]) == (b"Linux", b"toy")
    assert fields[2] == text


def test_a_task_can_name_itself(box: KernelBox) -> None:
    assert box("prctl", 15, "a name that is too long") == 0
    assert box.task.comm == "a name that is "
    assert box("prctl", 16, BUF) == 0
    assert box.got(16) == b"a name that is \0"
    assert box("prctl", 12345) == -Errno.EINVAL


def test_random_bytes_are_the_same_in_every_run(tmp_path: Path) -> None:
    def random() -> bytes:
        box = KernelBox(tmp_path)
        assert box("getrandom", BUF, 32, 0) == 32
        return box.got(32)

    assert random() == random() != bytes(32)


def test_limits(any_box: KernelBox) -> None:
    assert any_box("prlimit64", 0, 3, 0, BUF) == 0
    assert any_box.word(BUF, 8) == 8 << 20
    assert any_box("prlimit64", 0, 9, 0, BUF) == 0
    assert any_box.word(BUF, 8) == (1 << 64) - 1
    assert any_box("prlimit64", 0, 16, 0, BUF) == -Errno.EINVAL


# --- time -------------------------------------------------------------------------


def test_time_moves_by_looking_at_it(box: KernelBox) -> None:
    times = []
    for _ in range(3):
        assert box("clock_gettime", 0, BUF) == 0
        times.append(box.word(BUF) * 10**9 + box.word(BUF + 8) - START)

    assert times == [TICK, 2 * TICK, 3 * TICK]


def test_sleeping_takes_its_time(box: KernelBox) -> None:
    assert box("nanosleep", struct.pack("<qq", 2, 5), 0) == 0
    assert box.vfs.clock.uptime == 2_000_000_005 + TICK
    until = struct.pack("<qq", 10, 0)
    assert box("clock_nanosleep", 1, 1, until, 0) == 0
    assert box.vfs.clock.uptime == 10 * 10**9
    assert box("nanosleep", struct.pack("<qq", 0, 10**9), 0) == -Errno.EINVAL
    assert box("clock_gettime", 77, BUF) == -Errno.EINVAL


def test_32_bit_tasks_have_two_widths_of_time(tmp_path: Path) -> None:
    box = KernelBox(tmp_path, **BOXES["powerpc"])

    assert box("clock_gettime", 0, BUF) == 0
    assert (box.word(BUF, 4), box.word(BUF + 4, 4)) == (START // 10**9, TICK)
    assert box("clock_gettime64", 0, BUF) == 0
    assert (box.word(BUF, 8), box.word(BUF + 8, 8)) == (START // 10**9, 2 * TICK)


def test_beside_the_nanoseconds_of_a_32_bit_task_may_stand_anything(tmp_path: Path) -> None:
    box = KernelBox(tmp_path, **BOXES["powerpc"])
    rubbish = struct.pack(">qIi", 2, 0xDEADBEEF, 5)
    every_2_s = rubbish + rubbish

    assert box("clock_nanosleep_time64", 1, 0, rubbish, 0) == 0
    assert box.vfs.clock.uptime >= 2 * 10**9
    assert box("timer_create", 1, 0, BUF) == 0
    assert box("timer_settime64", 0, 0, every_2_s, 0) == 0


# --- memory -----------------------------------------------------------------------


def test_brk_gives_and_takes(box: KernelBox) -> None:
    start = box("brk", 0)

    assert box("brk", start + 0x2345) == start + 0x2345
    assert box("brk", start + 0x5000) == start + 0x5000
    box.mm.write(start + 0x4FFF, b"x")
    heap = box.mm.find_vma(start)
    assert heap is not None
    assert (heap.name, heap.start, heap.end) == ("[heap]", start, start + 0x5000)
    assert box("brk", start + 0x1000) == start + 0x1000
    with pytest.raises(PageFault):
        box.mm.read(start + 0x1000, 1)
    assert box("brk", start - 1) == start + 0x1000
    assert box("brk", 1 << 60) == start + 0x1000


def test_brk_stops_at_a_mapping(box: KernelBox) -> None:
    start = box("brk", 0)
    box("mmap", start + 0x3000, PAGE, READ, PRIVATE | ANONYMOUS | FIXED, -1, 0)

    assert box("brk", start + 0x3000) == start + 0x3000
    assert box("brk", start + 0x3001) == start + 0x3000


def anonymous(box: KernelBox, length: int, prot: int = READ | WRITE, addr: int = 0) -> int:
    return box("mmap", addr, length, prot, PRIVATE | ANONYMOUS, -1, 0)


def test_mappings_go_down_from_the_top_and_are_zero(box: KernelBox) -> None:
    first, second = anonymous(box, 5), anonymous(box, 2 * PAGE)

    assert (first, second) == (box.mm.mmap_base - PAGE, first - 2 * PAGE)
    assert box.mm.read(second, 2 * PAGE) == bytes(2 * PAGE)
    assert box("munmap", second, 2 * PAGE) == 0
    assert anonymous(box, PAGE, addr=0x50_0000) == 0x50_0000, "a hint is taken"


@pytest.mark.parametrize(
    ("args", "errno"),
    [
        pytest.param((0, 0, READ, PRIVATE | ANONYMOUS, -1, 0), Errno.EINVAL, id="no length"),
        pytest.param((0, PAGE, READ, ANONYMOUS, -1, 0), Errno.EINVAL, id="no type"),
        pytest.param((0, PAGE, READ, PRIVATE, 99, 0), Errno.EBADF, id="no file"),
        pytest.param((0, PAGE, READ, PRIVATE, 0, 0), Errno.ENODEV, id="stdin"),
        pytest.param((0, PAGE, READ, PRIVATE | ANONYMOUS, -1, 1), Errno.EINVAL, id="offset"),
        pytest.param(
            (1, PAGE, READ, PRIVATE | ANONYMOUS | FIXED, -1, 0), Errno.EINVAL, id="inside a page"
        ),
        pytest.param(
            (SCRATCH, PAGE, READ, PRIVATE | ANONYMOUS | NOREPLACE, -1, 0), Errno.EEXIST, id="there"
        ),
        pytest.param(
            (1 << 40, PAGE, READ, PRIVATE | ANONYMOUS | FIXED, -1, 0), Errno.ENOMEM, id="beyond"
        ),
        pytest.param((0, 1 << 60, READ, PRIVATE | ANONYMOUS, -1, 0), Errno.ENOMEM, id="huge"),
    ],
)
def test_what_cannot_be_mapped(box: KernelBox, args: tuple[int, ...], errno: Errno) -> None:
    assert box("mmap", *args) == -errno


def test_a_shared_mapping_of_a_file_is_the_file(box: KernelBox) -> None:
    fd = box("open", "file", 0o102, 0o644)
    box("write", fd, b"hello", 5)

    at = box("mmap", 0, 5, READ | WRITE, SHARED, fd, 0)
    box.mm.write(at, b"J")
    box("pwrite64", fd, b"p", 1, 4)

    assert box("pread64", fd, BUF, 9, 0) == 5
    assert (box.got(5), box.mm.read(at, 5)) == (b"Jellp", b"Jellp")
    private = box("mmap", 0, 5, READ | WRITE, PRIVATE, fd, 0)
    box.mm.write(private, b"X")
    assert box.mm.read(at, 1) == b"J"


def test_a_shared_mapping_needs_the_rights_of_the_descriptor(box: KernelBox) -> None:
    box("close", box("open", "file", 0o102, 0o644))
    fd = box("open", "file", 0)

    assert box("mmap", 0, PAGE, READ | WRITE, SHARED, fd, 0) == -Errno.EACCES
    at = box("mmap", 0, PAGE, READ, SHARED, fd, 0)
    assert box("mprotect", at, PAGE, READ | WRITE) == -Errno.EACCES


def test_mprotect_is_obeyed(box: KernelBox) -> None:
    at = anonymous(box, 3 * PAGE)

    assert box("mprotect", at + PAGE, PAGE, READ) == 0
    box.mm.write(at + 2 * PAGE, b"x")
    with pytest.raises(PageFault):
        box.mm.write(at + PAGE, b"x")
    assert box("mprotect", at - PAGE, PAGE, READ) == -Errno.ENOMEM
    assert box("mprotect", at + 1, PAGE, READ) == -Errno.EINVAL


def test_mremap_moves_the_bytes(box: KernelBox) -> None:
    anonymous(box, PAGE)
    at = anonymous(box, 2 * PAGE)  # right below, so it cannot grow
    box.mm.write(at, b"first")
    box.mm.write(at + PAGE, b"second")

    assert box("mremap", at, 2 * PAGE, 4 * PAGE, 0) == -Errno.ENOMEM
    moved = box("mremap", at, 2 * PAGE, 4 * PAGE, 1)

    assert moved not in (at, -Errno.ENOMEM)
    assert (box.mm.read(moved, 5), box.mm.read(moved + PAGE, 6)) == (b"first", b"second")
    assert box.mm.read(moved + 3 * PAGE, 4) == bytes(4)
    with pytest.raises(PageFault):
        box.mm.read(at, 1)
    assert box("mremap", moved, 4 * PAGE, PAGE, 0) == moved
    with pytest.raises(PageFault):
        box.mm.read(moved + PAGE, 1)
    assert box("munmap", at, 2 * PAGE) == 0
    assert box("mremap", moved, PAGE, 2 * PAGE, 0) == moved, "it grows where there is room"


def test_memory_that_is_not_needed_is_zero_again(box: KernelBox) -> None:
    at = anonymous(box, 2 * PAGE)
    box.mm.write(at, b"x")

    assert box("madvise", at, 1 << 40, 4) == 0
    assert box.mm.read(at, 1) == b"\0"


# --- signals ----------------------------------------------------------------------


def sigset(abi: Abi, mask: int) -> bytes:
    """A sigset_t is an array of longs, signal 1 in the first."""
    size = abi.bits // 8
    words = [mask >> abi.bits * i & (1 << abi.bits) - 1 for i in range(8 // size)]
    return b"".join(word.to_bytes(size, abi.byteorder) for word in words)


def test_a_signal_mask_is_kept_and_given_back(any_box: KernelBox) -> None:
    abi, mask = any_box.abi, 1 << 14 | 1 << 33

    assert any_box("rt_sigprocmask", 0, sigset(abi, mask | 1 << 8), 0, 8) == 0
    assert any_box.task.blocked == mask, "SIGKILL cannot be blocked"
    assert any_box("rt_sigprocmask", 1, sigset(abi, 1 << 33), BUF, 8) == 0
    assert any_box.got(8) == sigset(abi, mask)
    assert any_box.task.blocked == 1 << 14
    assert any_box("rt_sigprocmask", 0, 0, 0, 4) == -Errno.EINVAL


def test_an_action_is_kept_and_given_back(any_box: KernelBox) -> None:
    abi = any_box.abi
    words = [0x1234, 0x14000000, 0x5678]
    long = abi.bits // 8
    action = b"".join(word.to_bytes(long, abi.byteorder) for word in words) + sigset(abi, 6)

    assert any_box("rt_sigaction", 10, action, 0, 8) == 0
    assert any_box("rt_sigaction", 10, 0, BUF, 8) == 0
    assert any_box.got(len(action)) == action
    (kept,) = any_box.task.sigactions.values()
    assert (kept.handler, kept.flags, kept.mask) == (0x1234, 0x14000000, 6)
    assert any_box("rt_sigaction", 9, action, 0, 8) == -Errno.EINVAL
    assert any_box("rt_sigaction", 65, action, 0, 8) == -Errno.EINVAL


@pytest.mark.parametrize(
    "call", [("kill", 1000, 15), ("tkill", 1000, 15), ("tgkill", 1000, 1000, 15)]
)
def test_a_task_can_kill_itself(box: KernelBox, call: tuple[str, *tuple[int, ...]]) -> None:
    assert box(*call) == 0
    waiting = [*box.task.pending, *box.task.group.pending]
    assert [info.signal.name for info in waiting] == ["SIGTERM"]


def test_nobody_else_can_be_killed(box: KernelBox) -> None:
    assert box("kill", 4242, 15) == -Errno.ESRCH
    assert box("kill", 1, 15) == -Errno.EPERM
    assert box("kill", 1000, 0) == 0
    assert box("kill", 1000, 65) == -Errno.EINVAL
    assert box.task.pending == []


# --- structures ---------------------------------------------------------------------


STAT_OFFSETS = {
    "x86_64": ("newfstatat", 144, {"ino": (8, 8), "mode": (24, 4), "size": (48, 8)}),
    "powerpc64": ("newfstatat", 144, {"ino": (8, 8), "mode": (24, 4), "size": (48, 8)}),
    "powerpc64le": ("newfstatat", 144, {"ino": (8, 8), "mode": (24, 4), "size": (48, 8)}),
    "i386": ("fstatat64", 96, {"ino": (88, 8), "mode": (16, 4), "size": (44, 8)}),
    "powerpc": ("fstatat64", 104, {"ino": (8, 8), "mode": (16, 4), "size": (48, 8)}),
}


@pytest.mark.parametrize("arch", STAT_OFFSETS)
def test_stat_is_laid_out_as_the_architecture_has_it(tmp_path: Path, arch: str) -> None:
    """Offsets as compilers for these architectures have them."""
    name, length, offsets = STAT_OFFSETS[arch]
    box = KernelBox(tmp_path, **BOXES[arch])
    (tmp_path / "file").write_bytes(b"seven b")
    (tmp_path / "file").chmod(0o640)
    box.mm.write(BUF, b"\xaa" * 160)

    assert box(name, -100, "file", BUF, 0) == 0

    found = {key: box.word(BUF + at, size) for key, (at, size) in offsets.items()}
    assert found == {"ino": (tmp_path / "file").stat().st_ino, "mode": 0o100640, "size": 7}
    assert box.got(1, BUF + length - 1) != b"\xaa"
    assert box.got(1, BUF + length) == b"\xaa"
    assert box(name, -100, "nothing", BUF, 0) == -Errno.ENOENT
    assert box(name, 1, "", BUF, 0x1000) == 0, "AT_EMPTY_PATH"
    assert box.word(BUF + offsets["mode"][0], 4) == 0o10600


def test_statx_is_the_same_everywhere(any_box: KernelBox, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"seven b")

    assert any_box("statx", -100, "file", 0, 0x7FF, BUF) == 0

    assert any_box.word(BUF, 4) == 0x7FF
    assert any_box.word(BUF + 28, 2) == (tmp_path / "file").stat().st_mode
    assert any_box.word(BUF + 40, 8) == 7
    seconds = (tmp_path / "file").stat().st_mtime_ns // 10**9
    assert any_box.word(BUF + 112, 8) == seconds


def test_open_flags_are_the_architectures(tmp_path: Path) -> None:
    """O_DIRECTORY of powerpc is O_DIRECT of x86."""
    (tmp_path / "file").touch()
    powerpc, x86 = (KernelBox(tmp_path, **BOXES[name]) for name in ("powerpc64le", "x86_64"))

    assert powerpc("open", "file", 0o40000) == -Errno.ENOTDIR
    assert x86("open", "file", 0o40000) == 3
    assert x86("open", "file", 0o200000) == -Errno.ENOTDIR


@pytest.mark.parametrize(
    ("layout", "bits", "packed"),
    [
        ("B:a 3x L:b", 32, "01 000000 00000002"),
        ("B:a 7x L:b", 64, "01 00000000000000 0000000000000002"),
        ("H L:b i:c", 32, "0000 00000002 ffffffff"),
    ],
)
def test_a_layout_is_packed_and_read(layout: str, bits: Any, packed: str) -> None:
    data = Layout(layout).pack(bits, "big", {"a": 0x101, "b": 2, "c": 0xFFFFFFFF})

    assert data == bytes.fromhex(packed)
    assert len(data) == Layout(layout).size(bits)
    assert Layout(layout).unpack(bits, "big", data)["b"] == 2


# --- reading and writing ----------------------------------------------------------------


def test_pieces_are_read_and_written_in_order(box: KernelBox) -> None:
    one, two = box.put(b"one "), box.put(b"two")
    vec = struct.pack("<QQQQQQ", one, 4, 0, 0, two, 3)

    assert box("writev", 1, vec, 3) == 7
    assert b"".join(data for _, data in box.output) == b"one two"
    assert box("writev", 1, vec, 5000) == -Errno.EINVAL
    assert box("writev", 1, struct.pack("<QQ", one, 1 << 63), 1) == -Errno.EINVAL


def test_an_absurd_count_reads_what_fits(box: KernelBox) -> None:
    """2 GiB of zeros are not made to be thrown away."""
    fd = box("open", "/dev/zero", 0)

    assert box("read", fd, BUF, (1 << 63) - 1) == SCRATCH + 0x100000 - BUF


def test_half_a_write_is_answered_before_the_fault(box: KernelBox) -> None:
    fd = box("open", "file", 0o101, 0o644)
    base = SCRATCH + 0x100000 - (1 << 16)

    assert box("write", fd, base, 1 << 17) == 1 << 16
    assert box("lseek", fd, 0, 1) == 1 << 16
    assert box("write", fd, base + (1 << 16), 1) == -Errno.EFAULT


def test_what_could_not_be_put_into_memory_is_read_again(box: KernelBox) -> None:
    fd = box("open", "file", 0o102, 0o644)
    box("write", fd, bytes(range(16)), 16)
    box("lseek", fd, 0, 0)
    end = SCRATCH + 0x100000

    assert box("read", fd, end - 4, 16) == 4
    assert box("read", fd, end, 16) == -Errno.EFAULT
    assert box("read", fd, BUF, 16) == 12
    assert box.got(12) == bytes(range(4, 16))


def test_poll_tells_what_is_ready(box: KernelBox) -> None:
    box("pipe", BUF)
    reading, writing = box.word(BUF, 4), box.word(BUF + 4, 4)
    fds = box.put(struct.pack("<ihhihhihh", reading, 1, 0, writing, 4, 0, 99, 1, 0))

    assert box("poll", fds, 3, 0) == 2
    assert struct.unpack("<ihhihhihh", box.got(24, fds))[2::3] == (0, 4, 32)
    box("write", writing, b"x", 1)
    box("close", writing)
    assert box("poll", fds, 1, -1) == 1
    assert struct.unpack("<ihh", box.got(8, fds))[2] == 0x11


def test_poll_lets_time_pass(box: KernelBox) -> None:
    assert box("poll", 0, 0, 250) == 0
    assert box.vfs.clock.uptime == 250 * 10**6
    with pytest.raises(EngineError, match="waits for ever"):
        box("poll", 0, 0, -1)


def test_a_futex_that_has_changed_is_not_waited_for(box: KernelBox) -> None:
    box.mm.write(BUF, struct.pack("<I", 5))

    assert box("futex", BUF, 128, 4, 0) == -Errno.EAGAIN
    assert box("futex", BUF, 129, 1, 0) == 0
    assert box("futex", BUF, 128, 5, struct.pack("<qq", 1, 0)) == -Errno.ETIMEDOUT
    with pytest.raises(EngineError, match="futex"):
        box("futex", BUF, 128, 5, 0)


def test_descriptors_are_duplicated(box: KernelBox) -> None:
    assert [box("dup", 1), box("dup2", 1, 9), box("dup3", 1, 9, 0o2000000)] == [3, 9, 9]
    assert [box("fcntl", 9, 1), box("fcntl", 3, 1)] == [1, 0]
    assert box("fcntl", 1, 0, 5) == 5
    assert [box("close", 9), box("close", 9)] == [0, -Errno.EBADF]
    assert box("dup2", 1, 5000) == -Errno.EBADF
    assert box("dup3", 1, 1, 0) == -Errno.EINVAL


def test_i386_gives_the_arguments_of_mmap_in_memory(tmp_path: Path) -> None:
    box = KernelBox(tmp_path, **BOXES["i386"])
    args = struct.pack("<6I", 0, PAGE, READ, PRIVATE | ANONYMOUS, 0xFFFFFFFF, 0)

    assert box("mmap", args) == box.mm.mmap_base - PAGE
    assert box("mmap2", 0, PAGE, READ, PRIVATE | ANONYMOUS, -1, 0) == box.mm.mmap_base - 2 * PAGE
