"""Vector instructions of the powerpc engine: what QEMU is not asked, or cannot answer."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpc_program import DATA, load
from uprobes_sim.arch import Abi
from uprobes_sim_powerpc.fpu.number import DEFAULT_NAN, bits
from uprobes_sim_powerpc.isa.lanes import join, pairwise, split
from uprobes_sim_powerpc.isa.vmx_crypto import INVERSE_S_BOX, S_BOX
from uprobes_sim_powerpc.isa.vmx_integer import adder, equals, subtracter
from uprobes_sim_powerpc.isa.vmx_multiply import carryless

BE64 = Abi(64, "big")
BYTES = bytes(range(0x40, 0x60))
MASK = 0xFFFFFFFFFFFFFFFF

vectors = st.one_of(
    st.integers(0, (1 << 128) - 1),
    st.lists(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]), min_size=16, max_size=16).map(
        lambda elements: join(elements, 8)
    ),
)
AT_ONCE = [
    pytest.param(adder, lambda a, b: a + b, id="add"),
    pytest.param(subtracter, lambda a, b: a - b, id="subtract"),
    pytest.param(equals, lambda a, b: -(a == b), id="equal"),
]


@pytest.mark.parametrize("width", [8, 16, 32, 64])
@pytest.mark.parametrize(("at_once", "single"), AT_ONCE)
@given(a=vectors, b=vectors)
def test_all_elements_at_once_is_each_element_alone(
    at_once: Callable[[int], Callable[[int, int], int]],
    single: Callable[[int, int], int],
    width: int,
    a: int,
    b: int,
) -> None:
    assert at_once(width)(a, b) & (1 << 128) - 1 == pairwise(width, single)(a, b)


@given(vectors, st.sampled_from([8, 16, 32, 64]))
def test_a_vector_is_put_together_as_it_was_taken_apart(value: int, width: int) -> None:
    assert join(list(split(value, width, signed=True)), width) == value


def test_the_s_box_is_that_of_fips_197() -> None:
    assert S_BOX[:4] + S_BOX[0x53:0x54] == bytes.fromhex("637c777b ed")
    assert bytes(INVERSE_S_BOX[n] for n in S_BOX) == bytes(range(256))


def test_carryless_products_do_not_carry() -> None:
    assert carryless(0b11, 0b11) == 0b101


LOADS = [
    # lxvd2x, lxvw4x, lxvx (3.0), lvx, lxvb16x: r4 + r5 into VSR 34
    (0x7C442E99, "little", 0x47464544434241404F4E4D4C4B4A4948),
    (0x7C442E19, "little", 0x43424140474645444B4A49484F4E4D4C),
    (0x7C442A19, "little", 0x4F4E4D4C4B4A49484746454443424140),
    (0x7C4428CE, "little", 0x4F4E4D4C4B4A49484746454443424140),
    (0x7C442ED9, "little", 0x404142434445464748494A4B4C4D4E4F),
    (0x7C442E99, "big", 0x404142434445464748494A4B4C4D4E4F),
    (0x7C442E19, "big", 0x404142434445464748494A4B4C4D4E4F),
    (0x7C442A19, "big", 0x404142434445464748494A4B4C4D4E4F),
    (0x7C4428CE, "big", 0x404142434445464748494A4B4C4D4E4F),
]


@pytest.mark.parametrize(("word", "order", "expected"), LOADS)
def test_a_vector_load_orders_bytes_by_its_elements(word: int, order: str, expected: int) -> None:
    abi = BE64 if order == "big" else Abi(64, "little")
    program = load(word, abi=abi, gpr4=DATA, gpr5=0)
    program.mm.write(DATA, BYTES)

    program.step()

    assert program.regs.get("vsr34") == expected


@pytest.mark.parametrize(("order", "expected"), [("little", 0x40), ("big", 0x80)])
def test_an_element_is_stored_where_its_address_says(order: str, expected: int) -> None:
    abi = BE64 if order == "big" else Abi(64, "little")
    vector = 0x80 << 120 - 8 * 3 | 0x40 << 8 * 3
    program = load(0x7C44290E, abi=abi, gpr4=DATA, gpr5=3, vr2=vector)  # stvebx

    program.step()

    assert program.mm.read(DATA, 5) == bytes([0, 0, 0, expected, 0])


def test_a_fault_in_a_vector_store_stores_nothing() -> None:
    end = DATA + 0x2000
    program = load(0x7C442F99, gpr4=end - 8, gpr5=0, vsr34=(1 << 128) - 1)  # stxvd2x

    program.run()

    assert program.mm.read(end - 8, 8) == bytes(8)


def test_an_invalid_element_spoils_no_other() -> None:
    both = DEFAULT_NAN << 64 | bits(7.0)
    program = load(0xF0401760, vsr2=both)  # xvcvdpsxds vs2, vs2

    program.step()

    assert program.regs.get("vsr2") == 1 << 127 | 7


def test_vrldmi_keeps_what_lies_outside_the_mask() -> None:
    control = 8 << 16 | 15 << 8  # bits 8 to 15, not rotated
    ones = MASK << 64 | MASK
    program = load(0x104320C5, vr2=ones, vr3=0, vr4=control << 64 | control)

    program.step()

    kept = 0xFF00FFFFFFFFFFFF
    assert program.regs.get("vr2") == kept << 64 | kept


def test_a_pair_of_fprs_lies_in_memory_as_it_is_numbered() -> None:
    program = load(0xE4440000, gpr4=DATA)  # lfdp f2
    program.mm.write(DATA, (1).to_bytes(8, "little") + (2).to_bytes(8, "little"))

    program.step()

    assert (program.regs.get("fpr2"), program.regs.get("fpr3")) == (1, 2)
