"""uprobes_sim_arm64/table.py: what the kernel does with which instruction."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uprobes_sim.version import Kernel, parse_release, releases
from uprobes_sim_arm64.behaviours import BEHAVIOURS
from uprobes_sim_arm64.table import ROWS, Row, Way, find

STEP, SIMULATE, REFUSE = Way


def way(word: int, release: str = "6.18") -> Way:
    rows = releases(BEHAVIOURS)
    return find(word).way_of(Kernel(parse_release(release, rows), BEHAVIOURS))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param(0x14000001, SIMULATE, id="b"),
        pytest.param(0x97FFFFFF, SIMULATE, id="bl"),
        pytest.param(0x54000041, SIMULATE, id="b.ne"),
        pytest.param(0xB4000040, SIMULATE, id="cbz"),
        pytest.param(0x35000040, SIMULATE, id="cbnz w"),
        pytest.param(0x36000040, SIMULATE, id="tbz"),
        pytest.param(0xB7F80040, SIMULATE, id="tbnz"),
        pytest.param(0xD61F0200, SIMULATE, id="br"),
        pytest.param(0xD63F0200, SIMULATE, id="blr"),
        pytest.param(0xD65F03C0, SIMULATE, id="ret"),
        pytest.param(0x10000040, SIMULATE, id="adr"),
        pytest.param(0xB0000040, SIMULATE, id="adrp"),
        pytest.param(0xD503201F, SIMULATE, id="nop"),
        pytest.param(0x58000040, REFUSE, id="ldr x literal"),
        pytest.param(0x18000040, REFUSE, id="ldr w literal"),
        pytest.param(0x98000040, REFUSE, id="ldrsw literal"),
        pytest.param(0xD8000040, REFUSE, id="prfm literal"),
        pytest.param(0x1C000040, STEP, id="ldr s literal: the kernel's mistake"),
        pytest.param(0xC85F7C01, REFUSE, id="ldxr"),
        pytest.param(0xC802FC01, REFUSE, id="stlxr"),
        pytest.param(0x48207C82, REFUSE, id="casp"),
        pytest.param(0xC8DFFC01, STEP, id="ldar"),
        pytest.param(0xC8E0FC01, STEP, id="casal"),
        pytest.param(0xF8E10001, STEP, id="ldaddal"),
        pytest.param(0xD4000001, REFUSE, id="svc"),
        pytest.param(0xD4000002, REFUSE, id="hvc"),
        pytest.param(0xD4200000, REFUSE, id="brk"),
        pytest.param(0xD4400000, REFUSE, id="hlt"),
        pytest.param(0xD69F03E0, REFUSE, id="eret"),
        pytest.param(0xD65F0BFF, REFUSE, id="retaa"),
        pytest.param(0xD71F0811, REFUSE, id="braa"),
        pytest.param(0xD63F081F, REFUSE, id="blraaz"),
        pytest.param(0xD50342DF, REFUSE, id="msr daifset"),
        pytest.param(0xD51BD040, REFUSE, id="msr tpidr_el0"),
        pytest.param(0xD53B4220, REFUSE, id="mrs daif"),
        pytest.param(0xD53BD040, STEP, id="mrs tpidr_el0"),
        pytest.param(0xD5380000, STEP, id="mrs midr_el1, and SIGILL or what Linux makes of it"),
        pytest.param(0xD503203F, REFUSE, id="yield"),
        pytest.param(0xD503233F, STEP, id="paciasp"),
        pytest.param(0xD50323BF, REFUSE, id="autiasp"),
        pytest.param(0xD503245F, STEP, id="bti c"),
        pytest.param(0xD503229F, REFUSE, id="csdb"),
        pytest.param(0xD5033BBF, STEP, id="dmb ish"),
        pytest.param(0xD50B7520, STEP, id="ic ivau"),
        pytest.param(0x19000400, REFUSE, id="cpyfp"),
        pytest.param(0x910003FD, STEP, id="mov x29, sp"),
        pytest.param(0xA9BF7BFD, STEP, id="stp"),
        pytest.param(0x00000000, STEP, id="udf: SIGILL in the slot"),
    ],
)
def test_the_newest_kernel_goes_this_way(word: int, expected: Way) -> None:
    assert way(word) is expected


@pytest.mark.parametrize(
    ("word", "release", "before", "since"),
    [
        pytest.param(0xD503201F, "6.13", STEP, SIMULATE, id="nop"),
        pytest.param(0x58000040, "6.12", SIMULATE, REFUSE, id="ldr literal"),
        pytest.param(0x98000040, "6.12", SIMULATE, REFUSE, id="ldrsw literal"),
        pytest.param(0x19000400, "6.13", STEP, REFUSE, id="cpyfp"),
        pytest.param(0xD503229F, "5.8", STEP, REFUSE, id="csdb"),
        pytest.param(0xD50323BF, "5.10", STEP, REFUSE, id="autiasp"),
        pytest.param(0xD65F0BFF, "5.10", STEP, REFUSE, id="retaa"),
    ],
)
def test_the_way_has_changed(word: int, release: str, before: Way, since: Way) -> None:
    rows = releases(BEHAVIOURS)
    older = rows[rows.index(parse_release(release, rows)) - 1]

    assert way(word, ".".join(map(str, older))) is before
    assert way(word, release) is since


@given(st.integers(0, 0xFFFF_FFFF))
def test_every_word_has_a_row(word: int) -> None:
    assert word in find(word).encoding


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_row_is_dead(row: Row) -> None:
    random, free = Random(row.name), ~row.encoding.mask & 0xFFFF_FFFF

    words = [row.encoding.value | random.getrandbits(32) & free for _ in range(1000)]

    assert any(find(word) is row for word in words)
    assert (row.simulate is None) == (SIMULATE not in (row.way, row.otherwise))


def test_every_behaviour_is_asked_for() -> None:
    asked = {row.needs for row in ROWS} | {"uprobes"}

    assert asked - {None} == {row.name for row in BEHAVIOURS}
