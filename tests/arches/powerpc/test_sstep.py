"""arches/powerpc/uprobes_sim_powerpc/sstep.py, and the kernel's marks in the definitions."""

from pathlib import Path

import pytest

from powerpc_program import CODE, DATA, Program, load
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.code import code_of
from uprobes_sim_powerpc.decode import Decoder
from uprobes_sim_powerpc.sstep import EMULATED, NOT_EMULATED, NOT_STEPPABLE, emulate_step, emulates

GIB_ABOVE = 0x40000000


def emulate(program: Program, insn: int, cpu: str = "power10") -> int:
    size = 8 if insn >> 32 else 4
    return emulate_step(code_of(program.mm, cpu), program.regs, insn, size)


@pytest.mark.parametrize(
    ("insn", "nip"),
    [
        pytest.param(0x38630001, CODE + 4, id="addi"),
        pytest.param(0x7C0802A6, CODE + 4, id="mflr"),
        pytest.param(0x7C0004AC, CODE + 4, id="sync"),
        pytest.param(0x48000101, CODE + 0x100, id="bl"),
        pytest.param(0x4E800020, 0x44440, id="blr"),
        pytest.param(0x41820010, CODE + 4, id="beq, not taken"),
        pytest.param(0x80A40000, CODE + 4, id="lwz"),
        pytest.param(0x7C832008, CODE + 4, id="tweq, not taken"),
        pytest.param(0x0600000038600001, CODE + 8, id="paddi"),
    ],
)
def test_emulation_moves_on(insn: int, nip: int) -> None:
    program = load(gpr3=1, gpr4=DATA, link=0x44440)

    assert emulate(program, insn) == EMULATED
    assert program.regs.nip == nip


@pytest.mark.parametrize(
    ("insn", "result"),
    [
        pytest.param(0x7C632614, NOT_EMULATED, id="addo: OE is never emulated"),
        pytest.param(0x4C000460 | 20 << 21, NOT_EMULATED, id="bctar"),
        pytest.param(0x7C6C42A6, NOT_EMULATED, id="mftb"),
        pytest.param(0x7C6000A6, NOT_EMULATED, id="mfmsr"),
        pytest.param(0x7FE00008, NOT_EMULATED, id="trap, taken"),
        pytest.param(0x7C6301B6, NOT_EMULATED, id="brh"),
        pytest.param(0x00000000, NOT_EMULATED, id="no instruction"),
        pytest.param(0x07000000 << 32, NOT_EMULATED, id="pnop"),
        pytest.param(0x80A50000, NOT_EMULATED, id="lwz that faults"),
        pytest.param(0x7CA02028 | 6 << 11, NOT_EMULATED, id="lwarx, misaligned"),
        pytest.param(0x44000002, NOT_STEPPABLE, id="sc"),
    ],
)
def test_what_is_not_emulated_leaves_all_as_it_was(insn: int, result: int) -> None:
    program = load(gpr3=1, gpr4=DATA, gpr5=GIB_ABOVE, gpr6=2)
    before = {name: program.regs.get(name) for name in program.regs.names()}

    assert emulate(program, insn) == result
    assert {name: program.regs.get(name) for name in program.regs.names()} == before


@pytest.mark.parametrize(("cpu", "result"), [("power8", NOT_EMULATED), ("power9", EMULATED)])
def test_newer_instructions_are_emulated_on_newer_processors_only(cpu: str, result: int) -> None:
    """8813ff49607e: emulating them elsewhere executed an illegal instruction in the kernel."""
    modud = 0x7C632A12

    assert emulate(load(cpu=cpu, gpr5=3), modud, cpu) == result


def test_a_store_conditional_after_a_breakpoint_fails() -> None:
    program = load(0x7CA01828, 0x7FE00008, gpr3=DATA)
    program.run()

    assert emulate(program, 0x7C80192D) == EMULATED
    assert program.regs.cr[0] & 2 == 0


def known_emulated() -> list[tuple[str, int]]:
    lines = Path(__file__).with_name("emulated.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [(kind, int(word, 16)) for kind, word, *_ in rows]


def test_what_the_kernel_emulates_is_emulated_and_in_its_class() -> None:
    decoder = Decoder(64, "3.1")

    wrong = []
    for kind, insn in known_emulated():
        row = decoder.find(insn)
        if row is None or row.kernel != kind or not emulates(row, insn, "3.1"):
            wrong.append(f"{insn:#x} {kind}")
    assert wrong == []


def test_nothing_else_is_emulated() -> None:
    decoder = Decoder(64, "3.1")
    known = {decoder.find(insn) for _, insn in known_emulated()}

    others = [row.name for row in isa.load() if row.kernel != "SYSCALL" and row not in known]
    assert [row.name for row in isa.load() if row.kernel and row.name in others] == []
