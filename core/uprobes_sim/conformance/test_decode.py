"""The instruction table agrees with itself, and no bytes whatever break a hook."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from uprobes_sim.conformance.suite import Suite
from uprobes_sim.linker import Linked
from uprobes_sim.units import Vaddr

DRAWS = 8
"""Samples of a row that must all be of it."""


def try_bytes(suite: Suite, linked: Linked, check: Callable[[bytes], None]) -> None:
    """Let *check* look at the bytes of an instruction, many times."""
    info, choice = linked.info, suite.choice
    edges = [bytes(info.max_insn_bytes), b"\xff" * info.max_insn_bytes]

    @seed(choice.seed)
    @settings(
        max_examples=choice.some(1000),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=info.max_insn_bytes, max_size=info.max_insn_bytes))
    def tried(insn: bytes) -> None:
        check(insn)

    for insn in edges:
        check(insn)
    tried()


def test_rows_have_names_of_their_own(suite: Suite, linked: Linked) -> None:
    rows = suite.bench(linked).samples.rows

    assert len({*rows}) == len(rows)


def test_what_is_drawn_of_a_row_is_of_that_row(suite: Suite, linked: Linked) -> None:
    """Or two rows overlap, and one of them is dead."""
    bench = suite.bench(linked)
    random = Random(f"{suite.choice.seed} decode")
    strangers = {
        f"{row}: {case.sample.insn.hex()} is {found}"
        for row in bench.samples.rows
        for case in bench.draw(row, DRAWS, random)
        if (found := bench.samples.find(case.sample.insn)) != row
    }

    assert not strangers, "; ".join(sorted(strangers)[:3])


def test_an_instruction_is_as_long_as_the_row_says(suite: Suite, linked: Linked) -> None:
    """What people are shown ends where the instruction does."""
    bench = suite.bench(linked)
    info = linked.info
    random = Random(f"{suite.choice.seed} length")
    for row in bench.samples.rows:
        for case in bench.draw(row, 2, random):
            insn = case.sample.insn
            padded = insn.ljust(info.max_insn_bytes, b"\xff")
            text = linked.hook.arch_format_insn(insn=padded, abi=info.abi)
            read = linked.hook.arch_parse_insn(text=text, abi=info.abi)
            assert read == insn, f"{row}: {insn.hex()} is written {text}, read {read.hex()}"
            flow = linked.hook.arch_insn_flow(insn=padded, vaddr=case.vaddr, abi=info.abi)
            known = flow.kind != "unknown"
            assert not known or flow.size == len(insn), (
                f"{row}: {insn.hex()} takes {flow.size} bytes in a flow"
            )


def test_any_bytes_can_be_looked_up(suite: Suite, linked: Linked) -> None:
    samples = suite.bench(linked).samples

    def check(insn: bytes) -> None:
        found = samples.find(insn)
        assert found is None or found in samples.rows, f"{insn.hex()} is {found}, which is no row"

    try_bytes(suite, linked, check)


def test_any_bytes_have_a_text_in_one_line(suite: Suite, linked: Linked) -> None:
    def check(insn: bytes) -> None:
        text = linked.hook.arch_insn_text(insn=insn, vaddr=Vaddr(0x1000), abi=linked.info.abi)
        assert text, f"{insn.hex()} has no text"
        assert "\n" not in text, f"{insn.hex()} has a text of several lines"

    try_bytes(suite, linked, check)


def test_any_bytes_are_a_breakpoint_or_not(suite: Suite, linked: Linked) -> None:
    info = linked.info

    def check(insn: bytes) -> None:
        opcode = insn[: info.opcode_size]
        swbp = linked.hook.is_swbp_insn(insn=opcode, abi=info.abi)
        trap = linked.hook.is_trap_insn(insn=opcode, abi=info.abi)
        assert trap or not swbp, f"{opcode.hex()} is the breakpoint, and no trap"

    try_bytes(suite, linked, check)


def test_any_bytes_can_be_written_and_read_back(suite: Suite, linked: Linked) -> None:
    abi = linked.info.abi

    def check(insn: bytes) -> None:
        text = linked.hook.arch_format_insn(insn=insn, abi=abi)
        read = linked.hook.arch_parse_insn(text=text, abi=abi)
        assert read, f"{insn.hex()} is written as nothing"
        assert insn.startswith(read), f"{insn.hex()} is written {text}, read {read.hex()}"
        linked.hook.arch_insn_fields(insn=insn, abi=abi)

    try_bytes(suite, linked, check)


def test_what_is_no_instruction_is_refused_when_it_is_typed(linked: Linked) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        linked.hook.arch_parse_insn(text="this is none", abi=linked.info.abi)
