"""arches/x86/uprobes_sim_x86/flow.py"""

from typing import Literal

import pytest

from uprobes_sim.arch import Abi
from uprobes_sim.flow import Flow
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.flow import arch_insn_flow

AT = 0x1000


def flow(code: str, bits: Literal[32, 64] = 64, at: int = AT) -> Flow:
    return arch_insn_flow(insn=bytes.fromhex(code), vaddr=Vaddr(at), abi=Abi(bits, "little"))


@pytest.mark.parametrize(
    ("code", "size", "kind", "target"),
    [
        pytest.param("90", 1, "next", None, id="nop"),
        pytest.param("488b05f9ffffff", 7, "next", None, id="load"),
        pytest.param("e8fbffffff", 5, "call", AT, id="call"),
        pytest.param("66e8fbffffff", 6, "call", AT + 1, id="call, with the prefix of AMD's"),
        pytest.param("ebfe", 2, "jump", AT, id="jmp"),
        pytest.param("e900010000", 5, "jump", AT + 0x105, id="near jmp"),
        pytest.param("7402", 2, "branch", AT + 4, id="je"),
        pytest.param("0f8400000000", 6, "branch", AT + 6, id="near je"),
        pytest.param("e2fe", 2, "branch", AT, id="loop"),
        pytest.param("c3", 1, "return", None, id="ret"),
        pytest.param("f3c3", 2, "return", None, id="rep ret"),
        pytest.param("c20800", 3, "return", None, id="ret $8"),
        pytest.param("ffe0", 2, "jump", None, id="jmp *%rax"),
        pytest.param("ff2500000000", 6, "jump", None, id="jmp *0(%rip)"),
        pytest.param("ffd0", 2, "call", None, id="call *%rax"),
        pytest.param("ff30", 2, "next", None, id="push (%rax)"),
        pytest.param("0f0b", 2, "trap", None, id="ud2"),
        pytest.param("cc", 1, "trap", None, id="int3"),
        pytest.param("f4", 1, "trap", None, id="hlt"),
        pytest.param("c5f877", 3, "next", None, id="vzeroupper is no jump"),
        pytest.param("c5f8c2c101", 5, "next", None, id="vcmpps is no return"),
        pytest.param("06", 1, "unknown", None, id="none in 64-bit tasks"),
        pytest.param("e8fb", 1, "unknown", None, id="cut off"),
        pytest.param("", 1, "unknown", None, id="nothing"),
    ],
)
def test_where_an_instruction_leads(code: str, size: int, kind: str, target: int | None) -> None:
    found = flow(code)

    assert (found.size, found.kind, found.target) == (size, kind, target)


def test_32_bit_tasks_wrap_around_at_4_gib() -> None:
    assert flow("e900000080", 32, at=0x9000_0000).target == 0x1000_0005


@pytest.mark.parametrize(
    ("code", "goes_on"), [("90", True), ("7402", True), ("e800000000", True), ("c3", False)]
)
def test_what_comes_next_may_be_reached(code: str, goes_on: bool) -> None:
    assert flow(code).goes_on == goes_on
