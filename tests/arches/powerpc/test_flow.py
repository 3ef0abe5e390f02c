"""arches/powerpc/uprobes_sim_powerpc/flow.py"""

from typing import Literal

import pytest

from uprobes_sim.arch import Abi
from uprobes_sim.flow import Flow
from uprobes_sim.units import Vaddr
from uprobes_sim_powerpc.flow import arch_insn_flow

AT = 0x10000


def flow(word: int, bits: Literal[32, 64] = 64) -> Flow:
    abi = Abi(bits, "big")
    return arch_insn_flow(insn=word.to_bytes(4, "big") + bytes(4), vaddr=Vaddr(AT), abi=abi)


@pytest.mark.parametrize(
    ("word", "size", "kind", "target", "goes_on"),
    [
        pytest.param(0x60000000, 4, "next", None, True, id="nop"),
        pytest.param(0x06000000, 8, "next", None, True, id="a prefix"),
        pytest.param(0x48000008, 4, "jump", AT + 8, False, id="b"),
        pytest.param(0x4BFFFFFC, 4, "jump", AT - 4, False, id="b backwards"),
        pytest.param(0x48000102, 4, "jump", 0x100, False, id="ba"),
        pytest.param(0x48000009, 4, "call", AT + 8, True, id="bl"),
        pytest.param(0x429F0005, 4, "next", None, True, id="bcl 20,31,$+4"),
        pytest.param(0x41820010, 4, "branch", AT + 16, True, id="beq"),
        pytest.param(0x4200FFF8, 4, "branch", AT - 8, True, id="bdnz"),
        pytest.param(0x4E800020, 4, "return", None, False, id="blr"),
        pytest.param(0x4D820020, 4, "return", None, True, id="beqlr"),
        pytest.param(0x4E800420, 4, "jump", None, False, id="bctr"),
        pytest.param(0x4E800421, 4, "call", None, True, id="bctrl"),
        pytest.param(0x7FE00008, 4, "trap", None, False, id="trap"),
        pytest.param(0x7D8C0808, 4, "next", None, True, id="a trap under a condition"),
        pytest.param(0x44000002, 4, "next", None, True, id="sc"),
        pytest.param(0, 4, "unknown", None, False, id="nothing"),
    ],
)
def test_where_an_instruction_leads(
    word: int, size: int, kind: str, target: int | None, goes_on: bool
) -> None:
    found = flow(word)

    assert (found.size, found.kind, found.target) == (size, kind, target)
    assert found.goes_on == goes_on


def test_32_bit_tasks_have_no_prefixes() -> None:
    assert flow(0x06000000, 32).size == 4


def test_half_a_word_is_none() -> None:
    found = arch_insn_flow(insn=b"\x60\0", vaddr=Vaddr(AT), abi=Abi(64, "big"))

    assert (found.size, found.kind) == (4, "unknown")
