"""uprobes_sim_riscv64/uprobes.py and its engine, on a few instructions."""

from dataclasses import replace

import pytest

from riscv64_box import DATA, TEXT, Box, ExitOnly
from uprobes_sim.arch import Abi
from uprobes_sim.errno import Errno
from uprobes_sim.errors import LinkError, Refused, UnknownKernelError
from uprobes_sim.linker import link
from uprobes_sim.signals import Signal
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim.version import Kernel
from uprobes_sim.xol import uprobes_state
from uprobes_sim_riscv64.behaviours import BEHAVIOURS

ECALL, EBREAK, C_EBREAK, C_NOP, RET = 0x73, 0x00100073, 0x9002, 0x0001, 0x8082
LI_42 = 0x02A00513  # addi a0, zero, 42
C_LI_7 = 0x451D  # c.li a0, 7
LD_A0_A1 = 0x0005B503
BEQ_RESERVED = 0x00B52463


@pytest.mark.parametrize(("bits", "byteorder"), [(32, "little"), (64, "big"), (32, "big")])
def test_only_64_bit_little_endian_tasks_are_served(bits: int, byteorder: str) -> None:
    with pytest.raises(LinkError, match=f"riscv64 has no {bits}-bit {byteorder}"):
        link("riscv64", Abi(bits, byteorder))  # type: ignore[arg-type]


def refused(box: Box, offset: int) -> tuple[Errno, str]:
    with pytest.raises(Refused) as caught:
        box.probe(offset)
    return caught.value.errno, caught.value.rule


def test_both_breakpoints_are_traps_and_what_is_left_of_system_is_einval() -> None:
    box = Box(EBREAK, C_EBREAK, C_NOP, ECALL, 0x0FF0000F)

    assert refused(box, 0) == (Errno.ENOTSUPP, "riscv64.trap")
    assert refused(box, 4) == (Errno.ENOTSUPP, "riscv64.trap")
    assert refused(box, 8) == (Errno.EINVAL, "riscv64.system")
    assert refused(box, 12) == (Errno.EINVAL, "riscv64.fence")


def test_an_odd_offset_is_einval() -> None:
    assert refused(Box(C_NOP), 1) == (Errno.EINVAL, "riscv64.alignment")


@pytest.mark.parametrize(
    ("insn", "is_swbp", "is_trap"),
    [
        pytest.param("02900000", True, True, id="c.ebreak"),
        pytest.param("0290ffff", True, True, id="c.ebreak, whatever lies behind it"),
        pytest.param("0290", True, True, id="c.ebreak at the end of a page"),
        pytest.param("73001000", False, True, id="ebreak"),
        pytest.param("7300", False, False, id="half of it"),
        pytest.param("73000000", False, False, id="ecall"),
    ],
)
def test_breakpoints_are_told_by_as_much_as_they_have(
    insn: str, is_swbp: bool, is_trap: bool
) -> None:
    box, data = Box(C_NOP), bytes.fromhex(insn)

    assert box.hook.is_swbp_insn(insn=data, abi=box.mm.abi) is is_swbp
    assert box.hook.is_trap_insn(insn=data, abi=box.mm.abi) is is_trap


def test_kernels_before_5_12_have_no_uprobes() -> None:
    box = Box(C_NOP)
    with pytest.raises(Refused) as caught:
        box.hook.arch_uprobe_analyze_insn(
            insn=bytes(8),
            mm=box.mm,
            vaddr=TEXT,
            config=replace(box.config, kernel=Kernel((5, 11), BEHAVIOURS)),
        )

    assert caught.value.errno is Errno.ENOSYS
    with pytest.raises(UnknownKernelError, match=r"no uprobes on riscv64; 5\.12 is the first"):
        Box(C_NOP, kernel="5.11")


@pytest.mark.parametrize(("word", "size", "result"), [(LI_42, 4, 42), (C_LI_7, 2, 7)])
def test_a_copy_runs_into_the_breakpoint_behind_it(word: int, size: int, result: int) -> None:
    box = Box(C_NOP, word, ECALL)
    box.probe(2)
    box.run()

    assert box.hits == [TEXT + 2]
    assert box.task.exit_status == result
    area = uprobes_state(box.mm).xol_area
    assert area is not None
    slot = box.mm.read(area.vaddr + 8, 8, force=True)
    behind = bytes(box.file.data[2 + size + 4 : 2 + 8])
    assert slot == word.to_bytes(size, "little") + bytes.fromhex("73001000") + behind


def test_a_programs_own_breakpoint_is_sigtrap_beside_probes() -> None:
    for trap in (EBREAK, C_EBREAK):
        box = Box(C_NOP, trap, ECALL)
        box.probe(0)
        box.run()

        assert box.hits == [TEXT]
        assert box.task.killed_by is Signal.SIGTRAP
        assert box.regs.ip == TEXT + 2


def test_a_breakpoint_in_the_last_two_bytes_of_memory_is_found() -> None:
    box = Box(C_NOP, C_EBREAK, at=PAGE_SIZE - 4)
    box.probe(PAGE_SIZE - 4)
    box.run()

    assert box.task.killed_by is Signal.SIGTRAP


def test_a_return_probe_goes_by_ra() -> None:
    box = Box(0x008000EF, ECALL, LI_42, RET)  # jal ra, 8
    box.probe(8, returns=True)
    box.run()

    assert (box.hits, box.returns) == ([TEXT + 8], [42])
    assert box.task.exit_status == 42


@pytest.mark.parametrize(
    ("word", "link"), [pytest.param(0x000080E7, 4, id="jalr ra"), pytest.param(0x9082, 2, id="c")]
)
def test_a_call_by_ra_reads_ra_before_it_is_overwritten(word: int, link: int) -> None:
    box = Box(word, EBREAK, ECALL)
    box.regs.set("ra", TEXT + link + 4)
    box.probe(0)
    box.run()

    assert box.hits == [TEXT]
    assert box.task.exit_status == 0
    assert box.regs.get("ra") == TEXT + link


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize(
    ("word", "signal"),
    [
        pytest.param(LD_A0_A1, Signal.SIGSEGV, id="fault"),
        pytest.param(0x6188, Signal.SIGSEGV, id="c.ld"),
        pytest.param(0x0000, Signal.SIGILL, id="c.unimp"),
        pytest.param(0x00A5B52F, Signal.SIGBUS, id="misaligned amoadd.d"),
        pytest.param(0xFFFFFFFF, Signal.SIGILL, id="longer than 4 bytes"),
    ],
)
def test_an_instruction_in_the_slot_dies_as_in_its_place(
    word: int, signal: Signal, probed: bool
) -> None:
    box = Box(C_NOP, word, ECALL)
    box.regs.set("a1", DATA + 3 if signal is Signal.SIGBUS else 0x1234)
    if probed:
        box.probe(2)
    box.run()

    assert box.task.killed_by is signal
    assert box.regs.ip == TEXT + 2


@pytest.mark.parametrize("errata", ["linux", "none"])
def test_the_address_of_a_misaligned_atomic_is_that_of_the_slot(errata: str) -> None:
    box = Box(0x00A5B52F, ECALL, errata=errata)  # amoadd.d
    box.regs.set("a1", DATA + 3)
    caught = list[int]()
    box.task.tracer = lambda info: caught.append(info.addr)
    box.probe(0)
    box.machine.run(box.task, ExitOnly(), until=3)

    assert (caught[0] == TEXT) is (errata == "none")


INCREMENT = (0x1005A52F, 0x2505, 0x18A5A62F, 0xFE061BE3, ECALL)
"""lr.w a0, (a1); c.addiw a0, 1; sc.w a2, a0, (a1); bnez a2, .-10; ecall"""


@pytest.mark.parametrize("errata", ["linux", "none"])
@pytest.mark.parametrize("probed", [None, 0, 4, 6, 10])
def test_a_probe_on_a_reservation_keeps_the_program_in_its_loop(
    probed: int | None, errata: str
) -> None:
    box = Box(*INCREMENT, errata=errata)
    box.regs.set("a1", DATA + 8)
    if probed is not None:
        box.probe(probed)
    box.run()

    ends = errata == "none" or probed in (None, 10)
    assert box.task.dead is ends
    assert box.mm.read(DATA + 8, 8) == int(ends).to_bytes(8, "little")


@pytest.mark.parametrize(("lr", "sc"), [(0x1005A52F, 0x18A5A62F), (0x1005B52F, 0x18A5B62F)])
def test_lr_and_sc_are_as_wide_as_they_say(lr: int, sc: int) -> None:
    box = Box(lr, sc, ECALL)
    box.regs.set("a1", DATA + 8)
    box.mm.write(DATA + 8, b"\xff" * 16)
    box.run()

    assert box.regs.get("a2") == 0
    assert box.regs.get("a0") == (1 << 64) - 1
    assert box.mm.read(DATA + 8, 16) == b"\xff" * 16


@pytest.mark.parametrize("word", [0x30002573, 0x00002573, 0xC0302573, 0x00200073, 0xC0101573])
def test_what_is_not_for_user_mode_is_sigill(word: int) -> None:
    """mstatus, ustatus, a counter that is not shared, uret, a write of time."""
    box = Box(word, ECALL)
    box.run()

    assert (box.task.killed_by, box.regs.ip) == (Signal.SIGILL, TEXT)


@pytest.mark.parametrize("errata", ["linux", "none"])
@pytest.mark.parametrize(("kernel", "hangs"), [("6.1", True), ("6.18", False)])
def test_a_simulated_jump_that_leaves_nothing_hung(kernel: str, hangs: bool, errata: str) -> None:
    box = Box(0x0040006F, ECALL, kernel=kernel, errata=errata)  # j 4
    box.probe(0)
    box.run()

    assert (len(box.hits) > 10) is (hangs and errata == "linux")
    assert box.task.dead is not (hangs and errata == "linux")


@pytest.mark.parametrize("errata", ["linux", "none"])
def test_a_branch_of_no_condition_hangs_unless_told_otherwise(errata: str) -> None:
    box = Box(BEQ_RESERVED, ECALL, errata=errata)
    box.probe(0)
    box.run()

    assert (len(box.hits) > 10) is (errata == "linux")
    assert (box.task.killed_by is Signal.SIGILL) is (errata == "none")


def test_two_looks_at_the_time_are_the_same_in_every_run() -> None:
    first, second = (Box(0xC0102573, 0xC01025F3, ECALL) for _ in range(2))
    first.run()
    second.run()

    assert first.regs.get("a0") == second.regs.get("a0") < first.regs.get("a1")


def test_floating_point_set_before_the_first_run_is_there() -> None:
    box = Box(0x02A50553, ECALL)  # fadd.d fa0, fa0, fa0
    box.regs.set("f10", 0x3FF8000000000000)
    box.run()

    assert box.regs.get("f10") == 0x4008000000000000


def test_a_jump_to_an_odd_address_forgets_the_last_bit() -> None:
    plain, probed = (Box(0x8582, ECALL) for _ in range(2))  # c.jr a1
    for box in (plain, probed):
        box.regs.set("a1", TEXT + 3)
    probed.probe(0)
    plain.run()
    probed.run()

    assert plain.task.exit_status == probed.task.exit_status == 0
    assert probed.regs.ip == plain.regs.ip == Vaddr(TEXT + 6)
