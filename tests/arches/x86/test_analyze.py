"""arches/x86/uprobes_sim_x86/analyze.py and insn.py, against a live kernel's answers."""

from pathlib import Path
from random import Random
from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uprobes_sim.errors import Refused
from uprobes_sim.version import RELEASES, Config, Kernel, parse_release, releases
from uprobes_sim_x86.analyze import analyze
from uprobes_sim_x86.behaviours import BEHAVIOURS
from uprobes_sim_x86.errata import ROWS
from uprobes_sim_x86.insn import MAX_INSN_SIZE, Undecodable, decode
from uprobes_sim_x86.probe import BranchOps, DefaultOps, Fixup, PushOps
from x86_verdicts import executed, lead, recorded, sampled

HERE = Path(__file__).parent
LETTERS = {"ENOTSUPP": "N", "ENOEXEC": "X"}
MANDATORY = {"66": b"\x66", "f2": b"\xf2", "f3": b"\xf3", "66f2": b"\x66\xf2"}
Bits = Literal[32, 64]


def machine(release: tuple[int, ...]) -> Config:
    in_force = frozenset(row.erratum.id for row in ROWS if row.erratum.in_force(release, "generic"))
    return Config(Kernel(release, BEHAVIOURS), "generic", "linux", in_force)


NEWEST = machine(RELEASES[-1])


def verdict(code: bytes, bits: Bits = 64, config: Config = NEWEST) -> str:
    if code.startswith(b"\xcc"):
        return "N"  # the core's answer, before the architecture is asked
    try:
        analyze(code[:16].ljust(16, b"\0"), bits, config)
    except Refused as exc:
        return LETTERS[exc.errno.name]
    return "."


@pytest.mark.parametrize(
    ("release", "bits", "table", "letters"),
    [
        pytest.param(release, *row, id=f"{release} {row[0]}-bit {row[1]}")
        for release in ("6.1", "6.18")
        for row in recorded(release)
    ],
)
def test_every_opcode_gets_the_verdict_of_the_kernel(
    release: str, bits: Bits, table: str, letters: str
) -> None:
    config, found = machine(parse_release(release, releases(BEHAVIOURS))), ""
    for opcode in range(256):
        codes = (lead(table) + bytes([opcode, modrm]) for modrm in (0xC0, 0x05))
        both = {verdict(code, bits, config) for code in codes}
        found += both.pop() if len(both) == 1 else "m"

    assert found == letters


@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_encodings_by_rule_get_the_verdict_of_the_kernel(release: str) -> None:
    config = machine(parse_release(release, releases(BEHAVIOURS)))
    rows = sampled(release)

    wrong = [row for row in rows if verdict(row[2], row[0], config) != row[1]]

    assert len(rows) > 1_500
    assert wrong == []


@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_what_is_probed_is_executed_as_the_kernel_does(release: str) -> None:
    config = machine(parse_release(release, releases(BEHAVIOURS)))
    wrong = [
        (bits, code.hex(), how, found)
        for bits, code, how in executed(release)
        if (found := execution(code, bits, config)) != how
    ]

    assert wrong == []


def execution(code: bytes, bits: Bits, config: Config) -> str:
    """Say how it is executed, in the words of the record."""
    letter = verdict(code, bits, config)
    if letter != ".":
        return letter
    probe = analyze(code.ljust(16, b"\0"), bits, config)
    stepped = isinstance(probe.ops, DefaultOps)
    return f"xol {probe.ixol[: len(code)].hex()}" if stepped else "emulate"


def test_random_bytes_get_the_live_kernels_verdict() -> None:
    lines = (HERE / "random_verdicts.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]

    wrong = [
        (bits, letter, code)
        for bits, letter, code in rows
        if verdict(bytes.fromhex(code), cast(Bits, int(bits))) != letter
    ]

    assert len(rows) == 1399
    assert wrong == []


@given(st.binary(min_size=16, max_size=16), st.sampled_from([32, 64]), st.sampled_from(RELEASES))
def test_random_bytes_raise_nothing_but_refusals(
    code: bytes, bits: Bits, release: tuple[int, ...]
) -> None:
    assert verdict(code, bits, machine(release)) in {".", "N", "X"}


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 32])
def test_half_a_million_random_strings_raise_nothing_but_refusals(bits: Bits) -> None:
    random, refused = Random(2026), 0

    for _ in range(500_000):
        code = random.randbytes(random.randrange(1, 17))
        try:
            assert 0 < decode(code, bits).length <= min(len(code), MAX_INSN_SIZE)
        except Undecodable:
            refused += 1

    assert 50_000 < refused < 450_000


@pytest.mark.parametrize(
    ("code", "slot", "scratch"),
    [
        pytest.param("488b0578563412", "488b8678563412", "si", id="mov: rsi"),
        pytest.param("488b3578563412", "488bb778563412", "di", id="reg is rsi: rdi"),
        pytest.param("4d8b0578563412", "4c8b8678563412", "si", id="REX.B is cleared"),
        pytest.param("c4e149580578563412", "c4e149588778563412", "di", id="vvvv is rsi: rdi"),
        pytest.param("c4e2c3f63578563412", "c4e2c3f6b378563412", "bx", id="both taken: rbx"),
        pytest.param("c5f8280578563412", "c5f8288678563412", "si", id="VEX of two bytes"),
        pytest.param("ff1578563412", "ff9678563412", "si", id="indirect call"),
    ],
)
def test_ip_relative_memory_is_addressed_by_a_scratch_register(
    code: str, slot: str, scratch: str
) -> None:
    data = bytes.fromhex(code)

    probe = analyze(data.ljust(16, b"\0"), 64, NEWEST)

    assert isinstance(probe.ops, DefaultOps)
    assert (probe.ixol[: len(data)].hex(), probe.ops.scratch) == (slot, scratch)


def test_32_bit_tasks_have_no_ip_relative_memory() -> None:
    data = bytes.fromhex("8b0578563412").ljust(16, b"\0")

    probe = analyze(data, 32, NEWEST)

    assert probe.ixol == data


@pytest.mark.parametrize(
    ("code", "ops"),
    [
        pytest.param("eb05", BranchOps(0xEB, 2, 5), id="jmp short"),
        pytest.param("e9fbffffff", BranchOps(0xE9, 5, -5), id="jmp near"),
        pytest.param("e844332211", BranchOps(0xE8, 5, 0x11223344), id="call"),
        pytest.param("7405", BranchOps(0x74, 2, 5), id="je short"),
        pytest.param("0f8505000000", BranchOps(0x75, 6, 5), id="jne near"),
        pytest.param("90", BranchOps(0x90, 1, 0), id="nop"),
        pytest.param("f390", BranchOps(0x90, 2, 0), id="pause"),
        pytest.param("0f1f440000", BranchOps(0x90, 5, 0), id="nop of five bytes"),
        pytest.param("0f1f840001000000", DefaultOps(8, Fixup.IP), id="not quite a known nop"),
        pytest.param("55", PushOps("bp", 1), id="push rbp"),
        pytest.param("4154", PushOps("r12", 2), id="push r12"),
        pytest.param("4855", DefaultOps(2, Fixup.IP), id="push with REX.W"),
        pytest.param("c3", DefaultOps(1, Fixup(0)), id="ret"),
        pytest.param("ffd0", DefaultOps(2, Fixup.CALL), id="call rax"),
        pytest.param("ffe0", DefaultOps(2, Fixup(0)), id="jmp rax"),
        pytest.param("9d", DefaultOps(1, Fixup.IP | Fixup.SETF), id="popf"),
        pytest.param("0ffbc0", DefaultOps(3, Fixup.IP), id="psubq, ten above a jump"),
        pytest.param("c5f9ebc0", BranchOps(0xEB, 4, 0), id="vpor is taken for a jump"),
        pytest.param("4190", BranchOps(0x90, 2, 0), id="xchg r8 is taken for a nop"),
    ],
)
def test_the_mechanism(code: str, ops: object) -> None:
    probe = analyze(bytes.fromhex(code).ljust(16, b"\0"), 64, NEWEST)

    assert probe.ops == ops


def test_the_copy_of_a_call_goes_nowhere() -> None:
    probe = analyze(bytes.fromhex("e844332211").ljust(16, b"\x90"), 64, NEWEST)

    assert probe.ixol == bytes.fromhex("e800000000").ljust(16, b"\x90")


@pytest.mark.parametrize(
    ("code", "release", "before", "since"),
    [
        pytest.param("0f05", (4, 1), "N", ".", id="syscall"),
        pytest.param("8ed0", (4, 18), ".", "N", id="mov ss"),
        pytest.param("6690", (6, 1), "N", ".", id="66 nop"),
        pytest.param("66eb00", (3, 16), ".", "N", id="16-bit jmp"),
    ],
)
def test_verdicts_change_with_the_release(
    code: str, release: tuple[int, ...], before: str, since: str
) -> None:
    older = RELEASES[RELEASES.index(release) - 1]
    data = bytes.fromhex(code)

    verdicts = [verdict(data, 64, machine(at)) for at in (older, release)]

    assert verdicts == [before, since]


@pytest.mark.parametrize(
    ("code", "release", "ops"),
    [
        pytest.param("55", (4, 16), PushOps, id="push"),
        pytest.param("eb00", (3, 16), BranchOps, id="jmp"),
        pytest.param("0f1f00", (6, 18), BranchOps, id="nop of three bytes"),
    ],
)
def test_emulation_came_with_a_release(
    code: str, release: tuple[int, ...], ops: type[object]
) -> None:
    older = RELEASES[RELEASES.index(release) - 1]
    data = bytes.fromhex(code).ljust(16, b"\0")

    found = [type(analyze(data, 64, machine(at)).ops) for at in (older, release)]

    assert found == [DefaultOps, ops]


def test_unregistering_writes_back_what_the_slot_got() -> None:
    """Live on 6.18: after a probe on 49 8b 05 .. the program has 48 8b 05 .. in memory."""
    probe = analyze(bytes.fromhex("498b0578563412").ljust(16, b"\0"), 64, NEWEST)

    assert probe.insn[:1] == b"\x48"
