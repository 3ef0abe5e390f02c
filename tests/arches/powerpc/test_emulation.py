"""arches/powerpc/uprobes_sim_powerpc/emulation.py"""

from typing import Literal

import pytest

from uprobes_sim.arch import Abi
from uprobes_sim.emulate import Emulator, Stepped
from uprobes_sim.linker import link
from uprobes_sim.session import Options, configure

LE64 = Abi(64, "little")
NARROW = 0x4000 | 1
"""MSR of a little-endian user task in 32-bit mode: PR and LE, not SF."""
CA, CA32 = 1 << 29, 1 << 18
LT, GT, EQ = 8 << 28, 4 << 28, 2 << 28


def step(
    word: int,
    *,
    cpu: str | None = None,
    errata: Literal["linux", "none"] = "linux",
    mem: dict[int, bytes] | None = None,
    **regs: int,
) -> Stepped:
    linked = link("powerpc", LE64)
    emulator = Emulator(linked, configure(linked, Options(cpu=cpu, errata=errata)))
    return emulator.step(word.to_bytes(4, "little"), {"msr": NARROW, **regs}, mem or {})


@pytest.mark.parametrize(
    ("word", "gpr4", "gpr5", "changed"),
    [
        pytest.param(
            0x7C642A15, 0x7FFFFFFF, 1, {"gpr3": 0x80000000, "ccr": LT}, id="add. overflows"
        ),
        pytest.param(
            0x7C642A15, 0xFFFFFFFF, 1, {"gpr3": 1 << 32, "ccr": EQ}, id="add. leaves the word"
        ),
        pytest.param(
            0x7C642814, 0xFFFFFFFF, 1, {"gpr3": 1 << 32, "xer": CA | CA32}, id="addc carries"
        ),
        pytest.param(
            0x7C642814, (1 << 64) - (1 << 32), 1 << 32, {}, id="addc carries in 64 bits only"
        ),
        pytest.param(0x7083FFFF, 0, 0, {"ccr": EQ}, id="andi."),
        pytest.param(
            0x7CA32B79, 0, 0x100000000, {"gpr3": 0x100000000, "ccr": EQ}, id="or. of an upper half"
        ),
        pytest.param(0x7C842800, 1 << 32, 1, {"ccr": LT >> 4}, id="cmpw"),
        pytest.param(0x7C842800 | 1 << 21, 1 << 32, 1, {"ccr": GT >> 4}, id="cmpd"),
    ],
)
def test_flags_look_at_the_lower_half(
    word: int, gpr4: int, gpr5: int, changed: dict[str, int]
) -> None:
    done = step(word, gpr4=gpr4, gpr5=gpr5)

    assert (done.result, done.regs) == (1, {"nip": 4, **changed})


def test_a_processor_without_ca32_keeps_that_bit() -> None:
    assert step(0x7C642814, cpu="power8", gpr4=0xFFFFFFFF, gpr5=1).regs["xer"] == CA


def test_addresses_have_32_bits_and_registers_64() -> None:
    """d120cdbce68c: update forms once cut the register as well."""
    lwzu = 0x84640004

    done = step(lwzu, gpr4=0x500001000, mem={0x1004: bytes.fromhex("44332211")})

    assert done.regs == {"gpr3": 0x11223344, "gpr4": 0x500001004, "nip": 4}


def test_a_branch_stays_in_32_bits() -> None:
    assert step(0x4E800020, link=0x700001000).regs == {"nip": 0x1000}


USER = 1 << 63 | NARROW


@pytest.mark.parametrize(
    ("word", "errata", "nip"),
    [
        pytest.param(0x4E800020, "linux", 0x10003, id="blr"),
        pytest.param(0x4E800020, "none", 0x10000, id="blr, as the processor does it"),
        pytest.param(0x4E800420, "linux", 0x20002, id="bctr"),
        pytest.param(0x4D820020, "linux", 4, id="beqlr, not taken"),
    ],
)
def test_the_kernel_keeps_the_low_bits_of_a_target(
    word: int, errata: Literal["linux", "none"], nip: int
) -> None:
    done = step(word, errata=errata, msr=USER, link=0x10003, ctr=0x20002)

    assert done.regs == {"nip": nip}


def test_the_kernel_counts_down_the_target_of_bcctr() -> None:
    bdnzctr = 0x4E000420

    assert step(bdnzctr, msr=USER, ctr=0x20000).regs == {"nip": 0x20000, "ctr": 0x1FFFF}
    assert step(bdnzctr, msr=USER, ctr=0x20000, errata="none").result == 0


def test_the_kernel_takes_an_odd_register_for_a_pair() -> None:
    stfdp, lfdpx = 0xF4240000, 0x7C24062E
    memory = {0x10: bytes([1, *bytes(7), 2, *bytes(7)])}

    stored = step(stfdp, msr=USER, gpr4=0x20, fpr1=3, mem={0x20: bytes(16)})
    loaded = step(lfdpx, msr=USER, gpr4=0x10, mem=memory)

    assert stored.mem == {0x20: b"\3", 0x28: b"\3"}
    assert loaded.regs["fpr1"] == 2
