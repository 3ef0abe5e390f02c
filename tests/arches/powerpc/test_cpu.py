"""arches/powerpc/uprobes_sim_powerpc/cpu.py"""

import pytest

from powerpc_program import CODE, DATA, Program, load
from uprobes_sim.arch import Abi
from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.fork import dup_mm
from uprobes_sim.memory import VmFlags
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.units import Vaddr
from uprobes_sim_powerpc.regs import MSR_SE

BE32 = Abi(32, "big")
ADDI_R3_1 = 0x38630001
BDNZ_BACK = 0x4200FFFC
LD_R4_R3 = 0xE8830000
LDU_R4_8_R3 = 0xE8830009
STD_R4_R3 = 0xF8830000
STW_R4_R3 = 0x90830000
BLR = 0x4E800020
SC = 0x44000002
TRAP = 0x7FE00008
NOP = 0x60000000
HOT_LOOP = 3000


def signal(exit_: Exit) -> tuple[Signal, int, int]:
    assert exit_.info is not None
    return exit_.info.signal, exit_.info.code, exit_.info.addr


@pytest.mark.parametrize("turns", [1, HOT_LOOP], ids=["cold", "hot"])
def test_a_system_call_stops_behind_itself(turns: int) -> None:
    program = load(ADDI_R3_1, BDNZ_BACK, SC, ctr=turns)

    assert program.run() == Exit(Stop.SYSCALL)
    assert program.regs.nip == CODE + 12
    assert program.regs.gpr[3] == turns
    assert program.cpu.insns == 2 * turns + 1


@pytest.mark.parametrize("budget", [0, 1, 2, 999, 2 * HOT_LOOP - 1, 2 * HOT_LOOP])
def test_the_budget_is_met_exactly(budget: int) -> None:
    program = load(ADDI_R3_1, BDNZ_BACK, TRAP, ctr=HOT_LOOP)

    assert program.run(budget).stop is Stop.BUDGET
    assert program.cpu.insns == budget
    assert program.regs.gpr[3] == (budget + 1) // 2
    done = program.run()
    assert done.stop is Stop.BREAKPOINT
    assert (program.regs.gpr[3], program.cpu.insns) == (HOT_LOOP, 2 * HOT_LOOP)


def test_a_trap_that_fires_stops_on_itself() -> None:
    program = load(NOP, TRAP)

    done = program.run()

    assert done == Exit(
        Stop.BREAKPOINT, SigInfo(Signal.SIGTRAP, SiCode.TRAP_BRKPT, Vaddr(CODE + 4)), 1
    )
    assert program.regs.nip == CODE + 4
    assert program.cpu.insns == 1


def test_a_trap_that_does_not_fire_is_passed() -> None:
    tweq_r3_r4 = 0x7C832008
    program = load(tweq_r3_r4, TRAP, gpr3=1)

    program.run()

    assert program.regs.nip == CODE + 4


@pytest.mark.parametrize("turns", [1, 1000], ids=["cold", "hot"])
def test_a_load_that_faults_changes_nothing(turns: int) -> None:
    """The last turn of the loop reads what is not there, also in translated code."""
    page_end = DATA + 0x2000
    program = load(LDU_R4_8_R3, ADDI_R3_1 - 1, BDNZ_BACK - 4, gpr3=page_end - 8 * turns, ctr=-1)
    program.regs.gpr[4] = 7

    done = program.run()

    assert done.stop is Stop.FAULT
    assert signal(done) == (Signal.SIGSEGV, SiCode.SEGV_MAPERR, page_end)
    assert done.trap_nr != 0
    assert program.regs.nip == CODE
    assert program.regs.gpr[3] == page_end - 8
    assert program.cpu.insns == 3 * (turns - 1)


def test_a_store_to_what_may_only_be_read_faults_with_accerr() -> None:
    program = load(STW_R4_R3, gpr3=DATA)
    program.mm.mprotect(DATA, 0x1000, VmFlags.READ)

    assert signal(program.run()) == (Signal.SIGSEGV, SiCode.SEGV_ACCERR, DATA)


def test_a_store_across_a_page_that_is_missing_writes_nothing() -> None:
    program = load(STD_R4_R3, gpr3=DATA + 0x1FFC, gpr4=-1)

    assert signal(program.run()) == (Signal.SIGSEGV, SiCode.SEGV_MAPERR, DATA + 0x2000)
    assert program.mm.read(DATA + 0x1FF8, 8) == bytes(8)


@pytest.mark.parametrize("offset", [0, 1, 4, 0xFF9, 0xFFC, 0xFFF])
def test_accesses_may_be_unaligned_and_cross_pages(offset: int) -> None:
    ld_r5_r3 = 0xE8A30000
    program = load(STD_R4_R3, ld_r5_r3, TRAP, gpr3=DATA + offset, gpr4=0x0102030405060708)

    program.run()

    assert program.regs.gpr[5] == 0x0102030405060708
    assert program.mm.read(DATA + offset, 8) == bytes([8, 7, 6, 5, 4, 3, 2, 1])


def test_a_fetch_from_nowhere_faults_there() -> None:
    program = load(BLR, link=0x5000)

    assert signal(program.run()) == (Signal.SIGSEGV, SiCode.SEGV_MAPERR, 0x5000)
    assert program.regs.nip == 0x5000


@pytest.mark.parametrize(
    ("words", "cpu", "code"),
    [
        pytest.param((0,), "power10", SiCode.ILL_ILLOPC, id="zero"),
        pytest.param((0x06000000, 0x38600001), "power9", SiCode.ILL_ILLOPC, id="prefix on POWER9"),
        pytest.param((0x7C632A12,), "power8", SiCode.ILL_ILLOPC, id="modud on POWER8"),
        pytest.param((0x84000000,), "power10", SiCode.ILL_ILLOPC, id="lwzu r0,0(r0)"),
        pytest.param((0x7C6000A6,), "power10", SiCode.ILL_PRVOPC, id="mfmsr"),
    ],
)
def test_what_the_processor_does_not_take_is_sigill(
    words: tuple[int, ...], cpu: str, code: SiCode
) -> None:
    program = load(*words, cpu=cpu)

    assert signal(program.run()) == (Signal.SIGILL, code, CODE)
    assert program.regs.nip == CODE


def test_what_the_engine_lacks_is_named() -> None:
    dadd = 0xEC221804
    program = load(NOP, dadd)

    with pytest.raises(EngineError, match=r"0xec221804.*0x10004"):
        program.run()


def test_a_prefixed_instruction_may_not_cross_64_bytes() -> None:
    program = load(*[NOP] * 15, 0x06000000, 0x38600001)

    assert signal(program.run()) == (Signal.SIGBUS, SiCode.BUS_ADRALN, CODE + 60)


def test_a_single_step_executes_one_instruction() -> None:
    program = load(ADDI_R3_1, ADDI_R3_1)

    done = program.step()

    assert done.stop is Stop.SINGLE_STEP
    assert signal(done) == (Signal.SIGTRAP, SiCode.TRAP_TRACE, CODE + 4)
    assert (program.regs.gpr[3], program.regs.nip, program.cpu.insns) == (1, CODE + 4, 1)


def test_the_step_bit_makes_a_run_a_single_step() -> None:
    program = load(ADDI_R3_1, ADDI_R3_1)
    program.regs.msr |= MSR_SE

    assert program.run().stop is Stop.SINGLE_STEP
    assert program.regs.nip == CODE + 4


@pytest.mark.parametrize("turns", [1, HOT_LOOP], ids=["cold", "hot"])
def test_code_that_the_kernel_changes_is_executed_as_changed(turns: int) -> None:
    """A breakpoint goes into a loop that has been executed, and translated."""
    program = load(ADDI_R3_1, BDNZ_BACK, SC, ctr=turns)
    program.run()
    program.mm.write(CODE, TRAP.to_bytes(4, "little"))
    program.regs.nip = CODE

    assert program.run().stop is Stop.BREAKPOINT
    assert program.regs.nip == CODE


def test_code_that_the_program_changes_is_executed_as_changed() -> None:
    """It stores a trap over the instruction before, and goes there."""
    program = load(NOP, STW_R4_R3, BLR, gpr3=CODE, gpr4=TRAP, link=CODE)

    assert program.run().stop is Stop.BREAKPOINT
    assert program.regs.nip == CODE


def test_code_that_the_program_changes_twice_is_executed_as_changed() -> None:
    """The second store must be noticed as the first one was: code lies there again."""
    mr_r4_r6, addi_r7_1 = 0x7CC43378, 0x38E70001
    program = load(
        NOP, STW_R4_R3, mr_r4_r6, BDNZ_BACK - 8, gpr3=CODE, gpr4=addi_r7_1, gpr6=TRAP, ctr=9
    )

    assert program.run().stop is Stop.BREAKPOINT
    assert (program.regs.nip, program.regs.gpr[7]) == (CODE, 1)


def reserve(program: Program) -> int:
    """Run to the trap; answers CR0.EQ of the store."""
    assert program.run().stop is Stop.BREAKPOINT
    return program.regs.cr[0] >> 1 & 1


LWARX = 0x7CA01828  # lwarx r5, 0, r3
STWCX = 0x7C80192D  # stwcx. r4, 0, r3


def test_a_reservation_lets_the_store_through() -> None:
    program = load(LWARX, STWCX, TRAP, gpr3=DATA, gpr4=9)

    assert reserve(program) == 1
    assert program.mm.read(DATA, 4) == bytes([9, 0, 0, 0])


def test_a_reservation_does_not_outlive_a_visit_to_the_kernel() -> None:
    program = load(LWARX, TRAP, STWCX, TRAP, gpr3=DATA, gpr4=9)
    program.run()
    program.regs.nip += 4

    assert reserve(program) == 0
    assert program.mm.read(DATA, 4) == bytes(4)


def test_a_misaligned_reservation_is_sigbus() -> None:
    program = load(LWARX, gpr3=DATA + 2)

    assert signal(program.run()) == (Signal.SIGBUS, SiCode.BUS_ADRALN, DATA + 2)


def test_32_bit_registers_wrap_at_32_bits() -> None:
    program = load(ADDI_R3_1, TRAP, abi=BE32, gpr3=0xFFFFFFFF)

    program.run()

    assert program.regs.gpr[3] == 0


def test_64_bit_instructions_are_not_there_on_32_bits() -> None:
    program = load(LD_R4_R3, abi=BE32)

    with pytest.raises(EngineError):
        program.run()


@pytest.mark.parametrize("turns", [1, 200], ids=["called", "translated"])
def test_after_a_fork_a_store_of_the_parent_is_not_seen_by_the_child(turns: int) -> None:
    program = load(0x90640000, 0x4BFFFFFC, gpr3=0x11, gpr4=DATA)  # stw r3,0(r4); b -4
    program.run(2 * turns)
    child = dup_mm(program.mm)

    program.regs.set("gpr3", 0x22)
    program.run(2 * turns)

    order = program.abi.byteorder
    assert int.from_bytes(program.mm.read(DATA, 4), order) == 0x22
    assert int.from_bytes(child.read(DATA, 4), order) == 0x11
