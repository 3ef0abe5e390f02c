"""core/uprobes_sim/memory.py"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uprobes_sim.arch import Abi
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import Access, Fault, Mm, PageFault, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.units import PAGE_SIZE, Vaddr

MAY = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
R = VmFlags.READ | MAY
RW = R | VmFlags.WRITE
RX = R | VmFlags.EXEC
BASE = 0x10000


def new_mm(*, exec_readable: bool = True) -> Mm:
    return Mm(Abi(64, "little"), task_size=1 << 30, mmap_base=1 << 29, exec_readable=exec_readable)


def file_of(*pages: bytes) -> Inode:
    return Inode(1, "file", b"".join(page.ljust(PAGE_SIZE, b"\0") for page in pages))


def test_a_private_write_stays_out_of_the_file() -> None:
    inode, mm, other = file_of(b"old"), new_mm(), new_mm()
    for each in (mm, other):
        each.mmap(BASE, PAGE_SIZE, RW, inode=inode)

    mm.write(BASE, b"new")

    assert (mm.read(BASE, 3), other.read(BASE, 3)) == (b"new", b"old")
    assert bytes(inode.page(0).data[:3]) == b"old"  # type: ignore[union-attr]


def test_a_shared_write_is_seen_by_all() -> None:
    inode, mm, other = file_of(b"old"), new_mm(), new_mm()
    for each in (mm, other):
        each.mmap(BASE, PAGE_SIZE, RW | VmFlags.SHARED, inode=inode)

    mm.write(BASE, b"new")

    assert other.read(BASE, 3) == b"new"


def test_a_forgotten_private_page_is_the_files_again() -> None:
    inode, mm = file_of(b"old"), new_mm()
    mm.mmap(BASE, PAGE_SIZE, RW, inode=inode)
    mm.write(BASE, b"new")

    mm.drop_private(BASE)

    assert mm.read(BASE, 3) == b"old"


def test_a_page_beyond_the_end_of_the_file_faults() -> None:
    mm = new_mm()
    mm.mmap(BASE, 2 * PAGE_SIZE, R, inode=Inode(1, "file", b"short"))

    assert mm.read(BASE, 8) == b"short\0\0\0"
    with pytest.raises(PageFault) as fault:
        mm.read(BASE + PAGE_SIZE, 1)
    assert fault.value.info == SigInfo(Signal.SIGBUS, SiCode.BUS_ADRERR, Vaddr(BASE + PAGE_SIZE))


@pytest.mark.parametrize(
    ("flags", "access", "exec_readable", "fine"),
    [
        pytest.param(R, Access.READ, True, True, id="read"),
        pytest.param(R, Access.WRITE, True, False, id="write where only reading is allowed"),
        pytest.param(R, Access.EXEC, True, False, id="execute where only reading is allowed"),
        pytest.param(RX, Access.EXEC, True, True, id="execute"),
        pytest.param(MAY | VmFlags.WRITE, Access.READ, True, True, id="writable is readable"),
        pytest.param(MAY | VmFlags.EXEC, Access.READ, True, True, id="execute only, x86"),
        pytest.param(MAY | VmFlags.EXEC, Access.READ, False, False, id="execute only, radix"),
        pytest.param(MAY, Access.READ, True, False, id="nothing"),
    ],
)
def test_rights(flags: VmFlags, access: Access, exec_readable: bool, fine: bool) -> None:
    mm = new_mm(exec_readable=exec_readable)
    mm.mmap(BASE, PAGE_SIZE, flags)

    if fine:
        mm.fault(BASE, access)
    else:
        with pytest.raises(PageFault) as fault:
            mm.fault(BASE, access)
        assert fault.value.fault is Fault.FORBIDDEN


def test_force_goes_by_what_a_mapping_may_become() -> None:
    mm = new_mm()
    mm.mmap(BASE, PAGE_SIZE, RX, inode=file_of(b"code"))
    mm.mmap(BASE + PAGE_SIZE, PAGE_SIZE, VmFlags.EXEC | VmFlags.MAYEXEC)

    mm.write(BASE, b"trap", force=True)

    assert mm.read(BASE, 4) == b"trap"
    with pytest.raises(PageFault):
        mm.write(BASE + PAGE_SIZE, b"x", force=True)


def test_unmapping_the_middle_leaves_both_ends() -> None:
    mm = new_mm()
    mm.mmap(BASE, 3 * PAGE_SIZE, R, inode=file_of(b"a", b"b", b"c"))

    mm.munmap(BASE + PAGE_SIZE, PAGE_SIZE)

    assert (mm.read(BASE, 1), mm.read(BASE + 2 * PAGE_SIZE, 1)) == (b"a", b"c")
    with pytest.raises(PageFault) as fault:
        mm.read(BASE + PAGE_SIZE, 1)
    assert fault.value.fault is Fault.UNMAPPED


def test_mprotect_cuts_and_keeps_the_bytes() -> None:
    mm = new_mm()
    mm.mmap(BASE, 2 * PAGE_SIZE, RW)
    mm.write(BASE + PAGE_SIZE, b"kept")

    mm.mprotect(BASE + PAGE_SIZE, PAGE_SIZE, VmFlags.READ)

    mm.write(BASE, b"fine")
    assert mm.read(BASE + PAGE_SIZE, 4) == b"kept"
    with pytest.raises(PageFault):
        mm.write(BASE + PAGE_SIZE, b"no")


def test_mprotect_of_a_hole_is_enomem_and_of_a_forbidden_right_eacces() -> None:
    mm = new_mm()
    mm.mmap(BASE, PAGE_SIZE, VmFlags.READ | VmFlags.MAYREAD)

    with pytest.raises(KernelError) as hole:
        mm.mprotect(BASE, 2 * PAGE_SIZE, VmFlags.READ)
    with pytest.raises(KernelError) as right:
        mm.mprotect(BASE, PAGE_SIZE, VmFlags.WRITE)

    assert (hole.value.errno, right.value.errno) == (Errno.ENOMEM, Errno.EACCES)


def test_notifiers_hear_of_every_change_of_a_page() -> None:
    mm = new_mm()
    heard: list[tuple[int, int]] = []
    mm.notifiers.append(lambda start, end: heard.append((start, end)))
    mm.mmap(BASE, PAGE_SIZE, RX, inode=file_of(b"code"))
    mm.read(BASE, 4)
    heard.clear()

    mm.write(BASE, b"trap", force=True)  # the private copy, then the bytes
    mm.mprotect(BASE, PAGE_SIZE, VmFlags.READ)
    mm.munmap(BASE, PAGE_SIZE)

    page = (BASE, BASE + PAGE_SIZE)
    assert heard == [page, (BASE, BASE + 4), page, page]


def test_strings_end_at_their_nul_even_over_a_border() -> None:
    mm = new_mm()
    mm.mmap(BASE, 2 * PAGE_SIZE, RW)
    mm.write(BASE + PAGE_SIZE - 3, b"border\0rest")

    assert mm.read_cstring(BASE + PAGE_SIZE - 3) == b"border"


def test_a_string_without_end_is_too_long() -> None:
    mm = new_mm()
    mm.mmap(BASE, PAGE_SIZE, RW)
    mm.write(BASE, b"x" * 64)

    with pytest.raises(KernelError, match="ENAMETOOLONG"):
        mm.read_cstring(BASE, 64)


def test_room_is_found_below_what_is_there() -> None:
    mm = new_mm()
    first = mm.get_unmapped_area(PAGE_SIZE)
    mm.mmap(first, PAGE_SIZE, RW)

    second = mm.get_unmapped_area(3 * PAGE_SIZE)

    assert (first, second) == ((1 << 29) - PAGE_SIZE, (1 << 29) - 4 * PAGE_SIZE)
    assert mm.get_unmapped_area(PAGE_SIZE, hint=BASE) == BASE


def test_no_room_is_enomem() -> None:
    with pytest.raises(KernelError, match="ENOMEM"):
        new_mm().get_unmapped_area(1 << 40)


PAGES = 8


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["map", "unmap", "protect", "write"]),
            st.integers(0, PAGES - 1),
            st.integers(1, PAGES),
        ),
        max_size=24,
    )
)
def test_any_order_of_operations_leaves_what_a_plain_array_would(
    operations: list[tuple[str, int, int]],
) -> None:
    """A model of eight pages: unmapped (None), or its first byte and whether writable."""
    mm = new_mm()
    model: list[tuple[int, bool] | None] = [None] * PAGES
    for serial, (what, first, count) in enumerate(operations):
        pages = range(first, min(first + count, PAGES))
        start, size = BASE + first * PAGE_SIZE, len(pages) * PAGE_SIZE
        if what == "map":
            mm.mmap(start, size, RW)
            model[first : pages.stop] = [(0, True)] * len(pages)
        elif what == "unmap":
            mm.munmap(start, size)
            model[first : pages.stop] = [None] * len(pages)
        elif what == "protect":
            if all(model[page] for page in pages):
                mm.mprotect(start, size, VmFlags.READ)
                model[first : pages.stop] = [
                    (old[0], False) for old in model[first : pages.stop] if old
                ]
        elif (old := model[first]) is not None and old[1]:
            mm.write(start, bytes([serial + 1]))
            model[first] = (serial + 1, True)

    for page, expected in enumerate(model):
        vaddr = BASE + page * PAGE_SIZE
        if expected is None:
            assert mm.find_vma(vaddr) is None
            assert vaddr >> 12 not in mm.pgtable
        else:
            assert mm.read(vaddr, 1)[0] == expected[0]
            vma = mm.find_vma(vaddr)
            assert vma is not None
            assert bool(vma.flags & VmFlags.WRITE) is expected[1]
