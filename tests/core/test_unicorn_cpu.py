"""core/uprobes_sim/unicorn_cpu.py, with x86 as the guest."""

import pytest

from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.fork import dup_mm
from uprobes_sim.memory import VmFlags
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim_x86.regs import PtRegs
from x86_box import DATA, RW, RX, TEXT, Bits, Box, fault


@pytest.fixture(params=[64, 32])
def bits(request: pytest.FixtureRequest) -> Bits:
    found: Bits = request.param
    return found


def test_a_breakpoint_leaves_ip_behind_itself(bits: Bits) -> None:
    box = Box("50 58 cc", bits)

    assert box.run() == Exit(Stop.BREAKPOINT, SigInfo(Signal.SIGTRAP, SiCode.SI_KERNEL), 3)
    assert (box.regs.ip, box.cpu.insns) == (TEXT + 3, 2)


@pytest.mark.parametrize(
    ("code", "registers", "expected"),
    [
        pytest.param("8b03", {"bx": 0x12345}, ("SIGSEGV", 1, 0x12345, 14, 4), id="load"),
        pytest.param("8803", {"bx": TEXT + 5}, ("SIGSEGV", 2, TEXT + 5, 14, 7), id="store"),
        pytest.param("50", {"sp": 0x2340}, ("SIGSEGV", 1, None, 14, 6), id="push"),
        pytest.param(
            "8903",
            {"bx": DATA + 16 * PAGE_SIZE - 2},
            ("SIGSEGV", 1, DATA + 16 * PAGE_SIZE, 14, 6),
            id="store over the end",
        ),
        pytest.param("0f0b", {}, ("SIGILL", 2, TEXT + 1, 6, 0), id="ud2"),
        pytest.param("f7f1", {}, ("SIGFPE", 1, TEXT + 1, 0, 0), id="division by zero"),
        pytest.param("f4", {}, ("SIGSEGV", 0x80, 0, 13, 0), id="hlt"),
        pytest.param("e410", {}, ("SIGSEGV", 0x80, 0, 13, 0), id="in"),
        pytest.param("cd01", {}, ("SIGSEGV", 0x80, 0, 13, 0), id="int 1"),
    ],
)
def test_a_fault_leaves_ip_on_the_instruction(
    bits: Bits,
    code: str,
    registers: dict[str, int],
    expected: tuple[str, int, int | None, int, int],
) -> None:
    box = Box("90" + code, bits, registers=registers)
    signal, si_code, addr, trap_nr, error = expected
    if addr is None:
        addr = registers["sp"] - bits // 8
    before = [box.regs.get(name) for name in ("ax", "bx", "sp", "flags")]

    found = box.run()

    assert found == fault(Signal[signal], si_code, addr, trap_nr, error)
    assert (box.regs.ip, box.cpu.insns) == (TEXT + 1, 1)
    assert [box.regs.get(name) for name in ("ax", "bx", "sp", "flags")] == before


@pytest.mark.parametrize(
    ("target", "si_code"), [(0, 1), (0x12345, 1), (DATA + 5, 2)], ids=["null", "nowhere", "data"]
)
def test_a_jump_to_what_is_no_code_faults_there(bits: Bits, target: int, si_code: int) -> None:
    box = Box("ffe0", bits, ax=target)

    assert box.run() == fault(Signal.SIGSEGV, si_code, target, 14, 0x14)
    assert (box.regs.ip, box.cpu.insns) == (target, 1)


def test_an_address_that_is_not_canonical_has_no_address() -> None:
    box = Box("8b03", bx=0x1234_5678_1234_5678)

    assert box.run() == fault(Signal.SIGSEGV, SiCode.SI_KERNEL, 0, 13)


def test_the_program_goes_on_after_faults(bits: Bits) -> None:
    """Unicorn would take the second for a fault in a fault handler."""
    box = Box("0f57c0 f4 f4 f4", bits)
    box.run()
    box.regs.set("xmm3", 0x1122334455667788_99AABBCCDDEEFF00)

    found = []
    for at in (3, 4, 5):
        box.regs.ip = Vaddr(TEXT + at)
        found.append(box.run().trap_nr)

    assert found == [13, 13, 13]
    assert box.regs.get("xmm3") == 0x1122334455667788_99AABBCCDDEEFF00


def test_syscall_clobbers_what_the_processor_clobbers() -> None:
    box = Box("90 0f05", ax=39)

    assert box.run() == Exit(Stop.SYSCALL)
    assert (box.regs.ip, box.regs.orig_ax) == (TEXT + 3, 39)
    assert (box.regs.get("cx"), box.regs.get("r11")) == (TEXT + 3, 0x202)


def test_int_80_is_a_system_call_of_32_bit_tasks() -> None:
    box = Box("cd80", 32, ax=20)

    assert box.run() == Exit(Stop.SYSCALL)
    assert (box.regs.ip, box.regs.orig_ax) == (TEXT + 2, 20)


def test_tf_stops_after_one_instruction(bits: Bits) -> None:
    box = Box("90 90 cc", bits)
    box.regs.flags |= 0x100

    assert box.run().stop is Stop.SINGLE_STEP
    assert (box.regs.ip, box.regs.flags, box.cpu.insns) == (TEXT + 1, 0x302, 1)


@pytest.mark.parametrize(
    ("code", "ip"),
    [("90 cc", TEXT + 1), ("eb10", TEXT + 18), ("c3", 0x1234), ("0f31", TEXT + 2)],
    ids=["nop", "jmp", "ret", "rdtsc"],
)
def test_a_step_is_one_instruction(bits: Bits, code: str, ip: int) -> None:
    box = Box(code, bits)
    box.mm.write(box.regs.sp, (0x1234).to_bytes(8, "little"))

    assert box.step().stop is Stop.SINGLE_STEP
    assert (box.regs.ip, box.regs.flags, box.cpu.insns) == (ip, 0x202, 1)


def test_a_repeated_string_instruction_steps_by_iteration() -> None:
    box = Box("f3aa cc", cx=3, di=DATA)

    ips = [box.step() and box.regs.ip for _ in range(3)]

    assert ips == [TEXT, TEXT, TEXT + 2]


def test_the_budget_is_exact(bits: Bits) -> None:
    box = Box("40 40 40 40 40 ebf9" if bits == 32 else "fc fc fc fc fc ebf9", bits)

    found = [box.run(budget).stop for budget in (1, 2, 6, 1000)]

    assert found == [Stop.BUDGET] * 4
    assert box.cpu.insns == 1009
    assert box.regs.ip == TEXT + 1009 % 6


def test_the_budget_is_exact_among_instructions_that_unicorn_does_not_get() -> None:
    """A nop, vpor, a nop, pause, two nops, and on the spot."""
    box = Box("90 c5f9ebc0 90 f390 90 90 ebfe")

    executed = [(box.run(budget).stop, box.cpu.insns) for budget in (1, 1, 2, 3, 13)]

    assert executed == [(Stop.BUDGET, count) for count in (1, 2, 4, 7, 20)]


def test_an_instruction_may_become_another() -> None:
    """vpor, then four nops in its place, then vpor."""
    box, counts = Box("90 c5f9ebc0 90 cc"), list[int]()

    for code in ("c5f9ebc0", "90909090", "c5f9ebc0"):
        box.mm.write(TEXT + 1, bytes.fromhex(code), force=True)
        box.regs.ip, before = Vaddr(TEXT), box.cpu.insns
        assert box.run().stop is Stop.BREAKPOINT
        counts.append(box.cpu.insns - before)

    assert counts == [3, 6, 3]


def test_a_vector_word_that_nobody_executes_is_named() -> None:
    """XOP went with AMD's Zen."""
    box = Box("90 90 8fe97881c0 cc")

    with pytest.raises(
        EngineError, match=r"8f e9 78 81 c0 at 0x401002, vfrczpd xmm0, xmm0: no AVX"
    ):
        box.run()
    assert box.regs.ip == TEXT + 2


def test_a_vector_word_that_is_not_reached_does_no_harm() -> None:
    box = Box("eb05 8fe97881c0 cc")

    assert box.run().stop is Stop.BREAKPOINT


def test_time_is_the_same_in_every_run() -> None:
    readings = []
    for _ in range(2):
        box = Box("0f31 89c3 0f31 cc")
        box.run()
        readings.append((box.regs.get("bx"), box.regs.ax))

    assert readings == [(1000, 2000), (1000, 2000)]


def test_the_processor_offers_no_avx() -> None:
    box = Box("b801000000 0fa2 cc")
    box.run()

    assert not box.regs.get("cx") & 1 << 28


def test_a_write_makes_a_private_page(bits: Bits) -> None:
    """A file page is read, then written, then read again: each by the program."""
    box = Box("8b03 c60377 8a0b cc", bits)
    box.mm.mmap(DATA, PAGE_SIZE, RW, inode=box.file)
    box.regs.set("bx", DATA)

    assert box.run().stop is Stop.BREAKPOINT
    assert box.regs.get("cx") & 0xFF == 0x77
    assert bytes(box.mm.read(DATA, 2)) == b"\x77\x03"
    page = box.file.page(0)
    assert page is not None
    assert bytes(page.data[:2]) == b"\x8b\x03"


def test_a_breakpoint_written_by_the_kernel_is_met(bits: Bits) -> None:
    box = Box("90 90 ebfc", bits)
    box.run(100)

    box.mm.write(TEXT + 1, b"\xcc", force=True)
    met = box.run().stop
    box.mm.write(TEXT + 1, b"\x90", force=True)
    box.regs.ip = Vaddr(TEXT + 1)

    assert met is Stop.BREAKPOINT
    assert box.run(100).stop is Stop.BUDGET


def test_a_mapping_that_has_gone_is_gone(bits: Bits) -> None:
    box = Box("8b03 cc", bits, bx=DATA)
    box.run()

    box.mm.munmap(DATA, PAGE_SIZE)
    box.regs.ip = Vaddr(TEXT)

    assert box.run() == fault(Signal.SIGSEGV, SiCode.SEGV_MAPERR, DATA, 14, 4)


def test_rights_that_have_gone_are_gone(bits: Bits) -> None:
    box = Box("8803 cc", bits, bx=DATA)
    box.run()

    box.mm.mprotect(DATA, PAGE_SIZE, VmFlags.READ)
    box.regs.ip = Vaddr(TEXT)

    assert box.run() == fault(Signal.SIGSEGV, SiCode.SEGV_ACCERR, DATA, 14, 7)


def test_a_program_may_change_its_own_code(bits: Bits) -> None:
    """The byte behind the store becomes a breakpoint; before, it is a nop."""
    box = Box("c603cc 90 90 ebf9", bits, text=RX | VmFlags.WRITE, bx=TEXT + 4)

    assert box.run(1000).stop is Stop.BREAKPOINT
    assert box.regs.ip == TEXT + 5
    page = box.file.page(0)
    assert page is not None
    assert page.data[4] == 0x90


def test_a_new_vector_word_in_changed_code_is_found() -> None:
    box = Box("9090909090 48893b ebf6", text=RX | VmFlags.WRITE, bx=TEXT, di=0x488B48C08178E98F)

    with pytest.raises(EngineError, match="vfrczpd"):
        box.run(1000)


def test_a_32_bit_task_has_thread_local_memory() -> None:
    box = Box("8ee8 65a104000000 cc", 32, ax=12 << 3 | 3)
    box.regs.tls[12] = DATA
    box.mm.write(DATA + 4, b"abcd")

    assert box.run().stop is Stop.BREAKPOINT
    assert box.regs.ax.to_bytes(4, "little") == b"abcd"


def test_two_tasks_have_their_own_vectors() -> None:
    box = Box("660f6ec0 cc", ax=5)
    other = PtRegs(64)
    other.ip, other.sp = Vaddr(TEXT), box.regs.sp
    other.set("ax", 7)

    box.run()
    box.cpu.run(other, box.mm, 100)

    assert (box.regs.get("xmm0"), other.get("xmm0")) == (5, 7)


def test_after_a_fork_a_store_of_the_parent_is_not_seen_by_the_child(bits: Bits) -> None:
    """The page was writable in Unicorn's TLB; it must not stay so."""
    box = Box("8803 8803 cc", bits, ax=0x11, bx=DATA)
    box.run(1)
    child = dup_mm(box.mm)

    box.regs.ax = 0x22
    box.run(1)

    assert (box.mm.read(DATA, 1), child.read(DATA, 1)) == (b"\x22", b"\x11")


def test_one_engine_runs_two_address_spaces_in_turn(bits: Bits) -> None:
    box = Box("8803 8a03 8803 cc", bits, ax=0x11, bx=DATA)
    box.run(1)
    mm, other = dup_mm(box.mm), box.regs.copy()
    other.ax = 0x22

    for _ in range(2):
        box.run(1)
        box.cpu.run(other, mm, 1)

    assert (box.mm.read(DATA, 1), mm.read(DATA, 1)) == (b"\x11", b"\x11")
    assert (box.regs.ax & 0xFF, other.ax & 0xFF) == (0x11, 0x11)


def test_tasks_have_their_own_vectors(bits: Bits) -> None:
    box = Box("0f57c0 660f76c0 90 90 cc", bits)  # xorps; pcmpeqd
    box.run(2)
    child = box.regs.copy()

    box.regs.set("xmm0", 5)
    box.run(1)

    assert (box.regs.get("xmm0"), child.get("xmm0")) == (5, (1 << 128) - 1)
