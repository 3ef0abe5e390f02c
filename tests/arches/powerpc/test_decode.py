"""arches/powerpc/uprobes_sim_powerpc/decode.py and the table behind it."""

import random

import pytest

from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.decode import Decoder, operands
from uprobes_sim_powerpc.isa.define import Insn


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(64, "3.1")


@pytest.mark.parametrize("row", isa.load(), ids=lambda row: row.name)
def test_every_row_is_found_whatever_its_fields(decoder: Decoder, row: Insn) -> None:
    rng = random.Random(row.name)
    width = 64 if row.prefixed else 32

    for _ in range(50):
        insn = row.form.value | rng.getrandbits(width) & ~row.form.mask
        found = decoder.find(insn)
        assert found is not None
        narrower = found.form.mask & row.form.mask == row.form.mask
        assert found is row or narrower, f"{insn:#x} is {found.name}"


def test_no_two_rows_are_one_instruction() -> None:
    forms = [(row.form, row.bits) for row in isa.load()]

    assert len(set(forms)) == len(forms)


@pytest.mark.parametrize(
    ("insn", "name", "fields"),
    [
        pytest.param(0x38600001, "addi", {"RT": 3, "RA": 0, "SI": 1}, id="li"),
        pytest.param(0xF821FF91, "stdu", {"RS": 1, "RA": 1, "DS": -112}, id="stdu"),
        pytest.param(0x7C0802A6, "mfspr", {"RT": 0, "SPR": 8}, id="mflr"),
        pytest.param(0x4082FFF8, "bc[l][a]", {"BO": 4, "BI": 2, "BD": -8}, id="bne"),
        pytest.param(0x78631F24, "rldicr[.]", {"RS": 3, "sh": 3, "mb": 60}, id="sldi"),
        pytest.param(0x7C63FE76, "sradi[.]", {"RS": 3, "sh": 63}, id="sradi"),
        pytest.param(0x4C60FFC5, "addpcis", {"RT": 3, "DX": -63}, id="addpcis"),
        pytest.param(0x060123453860_4567, "paddi", {"D34": 0x123454567, "R": 0}, id="paddi"),
        pytest.param(0x0613FFFF_3860FFFF, "paddi", {"D34": -1, "R": 1}, id="paddi pc"),
    ],
)
def test_fields_lie_where_the_isa_says(
    decoder: Decoder, insn: int, name: str, fields: dict[str, int]
) -> None:
    row = decoder.find(insn)

    assert row is not None
    assert row.name == name
    assert fields.items() <= operands(row, insn).items()


def test_what_is_for_64_bits_is_not_there_on_32() -> None:
    ld, lwz = 0xE8610000, 0x80610000

    assert Decoder(32, "2.07").find(ld) is None
    assert Decoder(32, "2.07").find(lwz) is not None
