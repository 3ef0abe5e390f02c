"""uprobes_sim_arm64/uprobes.py and its engine, on a few instructions."""

from dataclasses import replace

import pytest

from arm64_box import DATA, MAY, TEXT, Box
from uprobes_sim.arch import Abi
from uprobes_sim.errno import Errno
from uprobes_sim.errors import LinkError, Refused, UnknownKernelError
from uprobes_sim.linker import link
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.signals import Signal
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim.version import Kernel
from uprobes_sim_arm64.behaviours import BEHAVIOURS
from uprobes_sim_arm64.regs import PSR_C_BIT

NOP, SVC, BRK5, BRK0, UDF, RET = 0xD503201F, 0xD4000001, 0xD42000A0, 0xD4200000, 0, 0xD65F03C0
LDR_X0_X1 = 0xF9400020
BL_2, BLR_X30, ADR_X0 = 0x94000002, 0xD63F03C0, 0x10000040


@pytest.mark.parametrize(("bits", "byteorder"), [(32, "little"), (64, "big"), (32, "big")])
def test_only_64_bit_little_endian_tasks_are_served(bits: int, byteorder: str) -> None:
    with pytest.raises(LinkError, match=f"arm64 has no uprobes in {bits}-bit {byteorder}"):
        link("arm64", Abi(bits, byteorder))  # type: ignore[arg-type]


def analyse(box: Box, word: int, mm: Mm | None = None, vaddr: int = TEXT) -> Refused:
    with pytest.raises(Refused) as caught:
        box.hook.arch_uprobe_analyze_insn(
            insn=word.to_bytes(4, "little"),
            mm=mm or box.mm,
            vaddr=Vaddr(vaddr),
            config=box.config,
        )
    return caught.value


def test_an_aarch32_task_is_eopnotsupp() -> None:
    box = Box(NOP)

    refused = analyse(box, NOP, Mm(Abi(32, "little"), task_size=1 << 32, mmap_base=1 << 30))

    assert (refused.errno, refused.rule) == (Errno.EOPNOTSUPP, "arm64.aarch32")


@pytest.mark.parametrize("vaddr", [TEXT + 1, TEXT + 2, TEXT + 3])
def test_a_misaligned_address_is_einval(vaddr: int) -> None:
    refused = analyse(Box(NOP), NOP, vaddr=vaddr)

    assert (refused.errno, refused.rule) == (Errno.EINVAL, "arm64.alignment")


def test_a_refused_instruction_is_einval_and_a_breakpoint_enotsupp() -> None:
    box = Box(SVC, BRK5, BRK0)

    answers = []
    for index in range(3):
        with pytest.raises(Refused) as caught:
            box.probe(index)
        answers.append((caught.value.errno, caught.value.rule))

    assert answers == [
        (Errno.EINVAL, "arm64.exception"),
        (Errno.ENOTSUPP, "arm64.trap"),
        (Errno.EINVAL, "arm64.exception"),
    ]


def test_kernels_before_4_10_have_no_uprobes() -> None:
    box = Box(NOP)
    box.config = replace(box.config, kernel=Kernel((4, 9), BEHAVIOURS))

    assert analyse(box, NOP).errno is Errno.ENOSYS
    with pytest.raises(UnknownKernelError, match=r"no uprobes on arm64; 4\.10 is the first"):
        Box(NOP, kernel="4.9")


def test_ip_is_on_the_breakpoint_when_a_probe_is_hit() -> None:
    box = Box(NOP, LDR_X0_X1, SVC)
    box.regs.set("x1", DATA)
    box.mm.write(DATA, (77).to_bytes(8, "little"))
    box.probe(1)
    box.run()

    assert box.hits == [TEXT + 4]
    assert box.task.exit_status == 77


def test_a_return_probe_goes_by_x30() -> None:
    box = Box(BL_2, SVC, 0xD2800540, RET)  # mov x0, #42
    box.probe(2, returns=True)
    box.run()

    assert (box.hits, box.returns) == ([TEXT + 8], [42])
    assert box.task.exit_status == 42


def test_blr_x30_reads_x30_before_it_is_overwritten() -> None:
    box = Box(BLR_X30, UDF, SVC)
    box.regs.set("x30", TEXT + 8)
    box.probe(0)
    box.run()

    assert box.hits == [TEXT]
    assert box.task.exit_status == 0
    assert box.regs.get("x30") == TEXT + 4


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize(
    ("word", "signal"),
    [
        pytest.param(LDR_X0_X1, Signal.SIGSEGV, id="fault"),
        pytest.param(UDF, Signal.SIGILL, id="udf"),
        pytest.param(0xD5380000 | 1 << 12, Signal.SIGILL, id="mrs sctlr_el1"),
        pytest.param(0xD508871F, Signal.SIGILL, id="tlbi vmalle1"),
        pytest.param(0x885FFC20, Signal.SIGBUS, id="misaligned ldaxr"),
        pytest.param(0xB8A10020, Signal.SIGBUS, id="misaligned ldadda"),
    ],
)
def test_an_instruction_in_the_slot_dies_as_in_its_place(
    word: int, signal: Signal, probed: bool
) -> None:
    box = Box(NOP, word, SVC)
    box.regs.set("x1", DATA + 3 if signal is Signal.SIGBUS else 0x1234)
    if probed and word != 0x885FFC20:  # an exclusive is refused
        box.probe(1)
    box.run()

    assert box.task.killed_by is signal
    assert box.regs.ip == TEXT + 4


@pytest.mark.parametrize("number", [0, 1, 4, 6, 1000])
def test_a_breakpoint_of_others_is_sigtrap_beside_probes(number: int) -> None:
    box = Box(NOP, BRK0 | number << 5, SVC)
    box.probe(0)
    box.run()

    assert (box.task.killed_by, box.regs.ip) == (Signal.SIGTRAP, TEXT + 4)


@pytest.mark.parametrize("errata", ["linux", "none"])
def test_a_vector_literal_is_loaded_from_near_the_slot_unless_told_otherwise(errata: str) -> None:
    box = Box(0x5C000040, SVC, 0x89ABCDEF, 0x01234567, errata=errata)  # ldr d0, #8
    box.probe(0)
    box.run()

    right = box.task.exit_status == 0 and box.regs.get("v0") == 0x0123_4567_89AB_CDEF
    assert right is (errata == "none")


def test_a_simulated_literal_that_is_not_there_is_sigsegv_at_the_instruction() -> None:
    box = Box(0x58100000, SVC, kernel="6.1")  # ldr x0, far beyond
    box.probe(0)
    box.run()

    assert (box.task.killed_by, box.regs.ip) == (Signal.SIGSEGV, TEXT)


@pytest.mark.parametrize(
    ("kernel", "word"), [("6.1", 0x58000040), ("6.1", 0x98000040), ("6.1", NOP), ("6.18", NOP)]
)
def test_what_an_older_kernel_simulates_is_right(kernel: str, word: int) -> None:
    plain, probed = (Box(word, SVC, 0x89ABCDEF, 0x01234567, kernel=kernel) for _ in range(2))
    probed.probe(0)
    plain.run()
    probed.run()

    assert probed.hits
    assert probed.task.exit_status == plain.task.exit_status is not None


INCREMENT = (0xC85F7C20, 0x91000400, 0xC8027C20, 0x35FFFFA2, SVC)
"""ldxr x0, [x1]; add x0, x0, #1; stxr w2, x0, [x1]; cbnz w2, .-12; svc"""


@pytest.mark.parametrize("errata", ["linux", "none"])
@pytest.mark.parametrize("probed", [None, 1, 3])
def test_a_probe_between_exclusives_keeps_the_program_in_its_loop(
    probed: int | None, errata: str
) -> None:
    box = Box(*INCREMENT, errata=errata)
    box.regs.set("x1", DATA + 8)
    if probed is not None:
        box.probe(probed)
    box.run()

    ends = errata == "none" or probed != 1
    assert box.task.dead is ends
    assert box.mm.read(DATA + 8, 8) == int(ends).to_bytes(8, "little")
    assert probed is None or (len(box.hits) == 1) is ends


@pytest.mark.parametrize(
    ("load", "store", "width"),
    [
        pytest.param(0x085F7C20, 0x08027C20, 1, id="byte"),
        pytest.param(0x485FFC20, 0x4802FC20, 2, id="halfword, ordered"),
        pytest.param(0x885F7C20, 0x88027C20, 4, id="word"),
        pytest.param(0xC87F0C20, 0xC8220C20, 8, id="pair"),
        pytest.param(0x887F0C20, 0x88220C20, 4, id="pair of words"),
    ],
)
def test_an_exclusive_loads_and_stores_as_much_as_it_says(
    load: int, store: int, width: int
) -> None:
    held = bytes(range(1, 33))
    box = Box(load, store, SVC)
    box.regs.set("x1", DATA + 16)
    box.mm.write(DATA + 16, held)
    box.run()

    assert box.regs.get("x2") == 0
    assert box.regs.get("x0") == int.from_bytes(held[:width], "little")
    assert box.mm.read(DATA + 16, 32) == held


@pytest.mark.parametrize("between", [0xD5033F5F, 0x91002021], ids=["clrex", "another address"])
def test_a_store_exclusive_fails_where_nothing_is_watched(between: int) -> None:
    box = Box(0xC85F7C20, between, 0xC8027C20, SVC)
    box.regs.set("x1", DATA + 8)
    box.run()

    assert box.regs.get("x2") == 1


def test_dc_zva_clears_its_block_and_faults_as_a_store() -> None:
    box = Box(0xD50B7421, SVC)  # dc zva, x1
    box.regs.set("x1", DATA + 70)
    box.mm.write(DATA, b"\xff" * 192)
    box.run()
    lost = Box(0xD50B7421, SVC)
    lost.run()

    assert box.mm.read(DATA, 192) == b"\xff" * 64 + bytes(64) + b"\xff" * 64
    assert lost.task.killed_by is Signal.SIGSEGV


def test_what_user_mode_may_do_to_its_flags_it_may() -> None:
    box = Box(0xD500401F, SVC)  # cfinv
    box.run()

    assert box.task.killed_by is None
    assert box.regs.pstate == PSR_C_BIT


def test_two_looks_at_the_counter_are_the_same_in_every_run() -> None:
    first, second = Box(0xD53BE040, 0xD53BE041, SVC), Box(0xD53BE040, 0xD53BE041, SVC)
    first.run()
    second.run()

    assert first.regs.get("x0") == second.regs.get("x0") < first.regs.get("x1")


def test_pages_of_one_kibibyte_of_the_engine_do_not_shift_code() -> None:
    """Unicorn's own pages are smaller than Linux's on arm64."""
    words = [NOP] * (PAGE_SIZE // 4)
    words[0xB08 // 4 : 0xB10 // 4] = [0xD2800540, SVC]
    box = Box(*words)
    box.regs.ip = Vaddr(TEXT + 0xB08)
    box.run()

    assert box.task.exit_status == 42


def test_an_execute_only_page_may_be_executed() -> None:
    box = Box(NOP)
    box.mm.mmap(0x60_0000, PAGE_SIZE, VmFlags.EXEC | MAY, inode=box.file)
    box.regs.ip = Vaddr(0x60_0000)
    box.run()

    assert box.regs.ip == 0x60_0004


def test_a_vector_register_set_before_the_first_run_is_there() -> None:
    box = Box(0x4EA01C01, SVC)  # mov v1.16b, v0.16b
    box.regs.set("v0", 1 << 127 | 5)
    box.run()

    assert box.regs.get("v1") == 1 << 127 | 5
