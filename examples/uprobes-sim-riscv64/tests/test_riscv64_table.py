"""uprobes_sim_riscv64/table.py: what the kernel does with which instruction."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uprobes_sim.version import Kernel, parse_release, releases
from uprobes_sim_riscv64.behaviours import BEHAVIOURS
from uprobes_sim_riscv64.encoding import immediate
from uprobes_sim_riscv64.table import ROWS, Row, Way, find

STEP, SIMULATE, REFUSE = Way


def way(word: int, release: str = "6.18") -> Way:
    rows = releases(BEHAVIOURS)
    return find(word).way_of(Kernel(parse_release(release, rows), BEHAVIOURS))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param(0x0000006F, SIMULATE, id="j"),
        pytest.param(0x00C580E7, SIMULATE, id="jalr"),
        pytest.param(0x00000517, SIMULATE, id="auipc"),
        pytest.param(0x00B50463, SIMULATE, id="beq"),
        pytest.param(0x00B57463, SIMULATE, id="bgeu"),
        pytest.param(0xA001, SIMULATE, id="c.j"),
        pytest.param(0x8082, SIMULATE, id="c.jr ra"),
        pytest.param(0x9502, SIMULATE, id="c.jalr a0"),
        pytest.param(0xC111, SIMULATE, id="c.beqz"),
        pytest.param(0xE111, SIMULATE, id="c.bnez"),
        pytest.param(0x9002, REFUSE, id="c.ebreak"),
        pytest.param(0x00000073, REFUSE, id="ecall"),
        pytest.param(0x00100073, REFUSE, id="ebreak"),
        pytest.param(0x00302573, REFUSE, id="frcsr"),
        pytest.param(0xC0102573, REFUSE, id="rdtime"),
        pytest.param(0x0FF0000F, REFUSE, id="fence"),
        pytest.param(0x0000100F, REFUSE, id="fence.i"),
        pytest.param(0x100525AF, STEP, id="lr.w"),
        pytest.param(0x18B5352F, STEP, id="sc.d"),
        pytest.param(0x00B5352F, STEP, id="amoadd.d"),
        pytest.param(0x852E, STEP, id="c.mv a0, a1"),
        pytest.param(0x8532, STEP, id="c.mv a0, a2"),
        pytest.param(0x2505, STEP, id="c.addiw"),
        pytest.param(0x7139, STEP, id="c.addi16sp"),
        pytest.param(0x00B50533, STEP, id="add"),
        pytest.param(0x02B57553, STEP, id="fadd.d"),
        pytest.param(0x0000, STEP, id="c.unimp: SIGILL in the slot"),
    ],
)
def test_the_newest_kernel_goes_this_way(word: int, expected: Way) -> None:
    assert way(word) is expected


@pytest.mark.parametrize(
    ("word", "release", "since"),
    [
        pytest.param(0x00000517, "5.15", SIMULATE, id="auipc"),
        pytest.param(0x00B50463, "5.15", SIMULATE, id="beq"),
        pytest.param(0x8532, "6.2", STEP, id="c.mv a0, a2"),
        pytest.param(0x9532, "6.2", STEP, id="c.add a0, a2"),
        pytest.param(0x2505, "6.3", STEP, id="c.addiw"),
        pytest.param(0x8002, "6.5", STEP, id="c.jr x0"),
        pytest.param(0xA001, "6.7", SIMULATE, id="c.j"),
        pytest.param(0x8082, "6.7", SIMULATE, id="c.jr"),
        pytest.param(0x9502, "6.7", SIMULATE, id="c.jalr"),
        pytest.param(0xC111, "6.7", SIMULATE, id="c.beqz"),
        pytest.param(0xE111, "6.7", SIMULATE, id="c.bnez"),
    ],
)
def test_what_was_refused_is_not_any_more(word: int, release: str, since: Way) -> None:
    rows = releases(BEHAVIOURS)
    older = rows[rows.index(parse_release(release, rows)) - 1]

    assert way(word, ".".join(map(str, older))) is REFUSE
    assert way(word, release) is since


def test_c_mv_of_an_odd_register_was_never_taken_for_a_jump() -> None:
    assert way(0x852E, "5.12") is STEP


@given(st.integers(0, 0xFFFF_FFFF))
def test_every_word_has_a_row(word: int) -> None:
    assert word in find(word).encoding


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_row_is_dead(row: Row) -> None:
    random, bits = Random(row.name), row.encoding.bits
    free = ~row.encoding.mask & (1 << bits) - 1

    words = [row.encoding.value | random.getrandbits(bits) & free for _ in range(3000)]

    assert any(find(word) is row for word in words)
    assert (row.simulate is None) == (row.way is not SIMULATE)


@pytest.mark.parametrize("row", [row for row in ROWS if row.way is SIMULATE], ids=lambda r: r.name)
@given(value=st.integers(-(1 << 31), (1 << 31) - 1))
def test_an_immediate_comes_back_from_where_it_was_put(row: Row, value: int) -> None:
    parts = row.encoding.put_immediate(value)
    held = sum((1 << row.encoding.fields[name][1]) - 1 << _low(name) for name in parts)
    if not parts:
        return

    assert immediate(parts) & held == value & held


def _low(name: str) -> int:
    return int(name.split("_")[-1])


def test_every_behaviour_is_asked_for() -> None:
    asked = {row.needs for row in ROWS} | {"uprobes"}

    assert asked - {None} == {row.name for row in BEHAVIOURS}
