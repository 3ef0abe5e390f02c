"""core/uprobes_sim/emulate.py"""

import pytest

from toy_arch import ADDI, NOP, TRAP_OP, asm, linked
from uprobes_sim.arch import Abi
from uprobes_sim.emulate import MAX_MEMORY, Emulator, GivenMemory
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.linker import link
from uprobes_sim.memory import Access, PageFault
from uprobes_sim.session import Options, configure

ABI = Abi(64, "little")
ADD = bytes.fromhex("142a647c")  # add r3,r4,r5
STW = bytes.fromhex("00006490")  # stw r3,0(r4)
LFD = bytes.fromhex("000024c8")  # lfd f1,0(r4)


def emulator(arch: str = "powerpc") -> Emulator:
    machine = linked() if arch == "toy" else link(arch, ABI)
    return Emulator(machine, configure(machine, Options()))


def memory(given: dict[int, bytes]) -> GivenMemory:
    held = GivenMemory(linked().info)
    held.give(given)
    return held


def test_only_registers_that_changed_are_told() -> None:
    done = emulator().step(ADD, {"gpr4": 1, "gpr5": 2, "gpr9": 7}, {})

    assert (done.result, done.regs, done.mem) == (1, {"gpr3": 3, "nip": 4}, {})


def test_a_step_knows_nothing_of_the_one_before() -> None:
    one = emulator()
    one.step(STW, {"gpr3": 0x11, "gpr4": 0x1000}, {0x1000: bytes(4)})

    assert one.step(STW, {"gpr3": 0x11, "gpr4": 0x1000}, {}).result == 0
    assert one.step(ADD, {}, {}).regs == {"nip": 4}


def test_every_name_of_an_overlapping_register_is_told() -> None:
    done = emulator().step(LFD, {"gpr4": 8}, {8: bytes([1, *bytes(7)])})

    assert done.regs == {"nip": 4, "fpr1": 1, "vsr1": 1 << 64}


def test_a_register_that_was_given_is_no_change_under_its_other_name() -> None:
    assert emulator().step(ADD, {"vsr40": 5}, {}).regs == {"nip": 4}


def test_only_bytes_that_changed_are_told_in_runs() -> None:
    given = {0x1000: bytes.fromhex("ff00ff0000")}

    done = emulator().step(STW, {"gpr3": 0x01FF02FF, "gpr4": 0x1000}, given)

    assert done.mem == {0x1001: b"\x02", 0x1003: b"\x01"}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="none"),
        pytest.param({0x1000: bytes(3)}, id="a byte short at the end"),
        pytest.param({0x1001: bytes(8)}, id="a byte short at the start"),
        pytest.param({0x1000: bytes(2), 0x1003: bytes(2)}, id="a hole"),
    ],
)
def test_an_access_to_a_byte_that_was_not_given_is_not_emulated(given: dict[int, bytes]) -> None:
    done = emulator().step(STW, {"gpr3": 1, "gpr4": 0x1000}, given)

    assert (done.result, done.regs, done.mem) == (0, {}, {})


def test_data_has_the_byte_order_of_msr() -> None:
    big = emulator().step(STW, {"gpr3": 0x11223344, "gpr4": 16, "msr": 1 << 63}, {16: bytes(4)})

    assert big.mem == {16: bytes.fromhex("11223344")}


def test_neighbours_are_one_piece_of_memory() -> None:
    held = memory({0x1004: b"efgh", 0x1000: b"abcd", 0x1FFF: b"x", 0x3000: b""})

    assert held.read(0x1002, 4) == b"cdef"
    assert held.read(0x1FFF, 1) == b"x"
    with pytest.raises(PageFault):
        held.read(0x3000, 1)


def test_a_write_that_leaves_what_was_given_writes_nothing() -> None:
    held = memory({0x1000: b"abcd"})

    with pytest.raises(PageFault):
        held.write(0x1002, b"XYZ")
    with pytest.raises(PageFault):
        held.fault(0x1000, Access.READ)
    assert held.changes() == {}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({0: bytes(8), 7: b"x"}, "0x7 is given twice", id="overlap"),
        pytest.param({(1 << 64) - 1: b"ab"}, "beyond the last address", id="beyond"),
        pytest.param({0: bytes(MAX_MEMORY + 1)}, "give less", id="huge"),
    ],
)
def test_memory_that_cannot_be(given: dict[int, bytes], reason: str) -> None:
    with pytest.raises(UprobesSimError, match=reason):
        memory(given)


@pytest.mark.parametrize(
    ("arch", "regs", "reason"),
    [
        pytest.param("powerpc", {"ax": 1}, "powerpc has no register ax; it has gprN, ", id="name"),
        pytest.param("powerpc", {"ccr": 1 << 32}, "does not fit into ccr", id="value"),
        pytest.param("x86", {"xmm0": 1}, "xmm0 of x86 cannot be set here", id="engine's"),
    ],
)
def test_registers_that_cannot_be(arch: str, regs: dict[str, int], reason: str) -> None:
    with pytest.raises(UprobesSimError, match=reason):
        emulator(arch).step(bytes(4), regs, {})


@pytest.mark.parametrize(
    ("insn", "result", "regs"),
    [
        pytest.param(asm((NOP,)), 1, {"ip": 4}, id="emulated"),
        pytest.param(asm((ADDI, 1, 1, 1)), 0, {}, id="stepped"),
        pytest.param(asm((TRAP_OP,)), -1, {}, id="a trap"),
        pytest.param(b"\x08\0\0\0", -1, {}, id="refused"),
    ],
)
def test_a_backend_without_an_answer_of_its_own(
    insn: bytes, result: int, regs: dict[str, int]
) -> None:
    done = emulator("toy").step(insn, {}, {})

    assert (done.result, done.regs) == (result, regs)
    assert type(done.result) is int
