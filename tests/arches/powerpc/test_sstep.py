"""arches/powerpc/uprobes_sim_powerpc/sstep.py, and the kernel's marks in the definitions."""

from pathlib import Path
from typing import Literal

import pytest

from powerpc_program import CODE, DATA, LE64, Program, load
from uprobes_sim.linker import link
from uprobes_sim.memory import VmFlags
from uprobes_sim.session import Options, configure
from uprobes_sim.version import Config
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.code import code_of
from uprobes_sim_powerpc.decode import Decoder
from uprobes_sim_powerpc.regs import MSR_PR
from uprobes_sim_powerpc.sstep import EMULATED, NOT_EMULATED, NOT_STEPPABLE, emulate_step, obstacle

GIB_ABOVE = 0x40000000


def machine(cpu: str = "power10", errata: Literal["linux", "none"] = "linux") -> Config:
    return configure(link("powerpc", LE64), Options(cpu=cpu, errata=errata))


def emulate(program: Program, insn: int, config: Config | None = None) -> int:
    config = config or machine()
    size = 8 if insn >> 32 else 4
    return emulate_step(code_of(program.mm, config.cpu), program.regs, insn, size, config)


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

    assert emulate(load(cpu=cpu, gpr5=3), modud, machine(cpu)) == result


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
    decoder, config = Decoder(64, "3.1"), machine()

    wrong = []
    for kind, insn in known_emulated():
        row = decoder.find(insn)
        if (
            row is None
            or row.kernel != kind
            or obstacle(row, insn, config, bits=64, user=False) is not None
        ):
            wrong.append(f"{insn:#x} {kind}")
    assert wrong == []


def test_nothing_else_is_emulated() -> None:
    decoder = Decoder(64, "3.1")
    known = {decoder.find(insn) for _, insn in known_emulated()}

    others = [row.name for row in isa.load() if row.kernel != "SYSCALL" and row not in known]
    assert [row.name for row in isa.load() if row.kernel and row.name in others] == []


LQ, LWARX, DCBF = 0xE0C40000, 0x7CA02028, 0x7C0020AC


@pytest.mark.parametrize("insn", [LQ, LWARX, DCBF])
@pytest.mark.parametrize(
    ("cpu", "mode", "result"),
    [
        pytest.param("power8", MSR_PR, EMULATED, id="hash MMU"),
        pytest.param("power9", MSR_PR, NOT_EMULATED, id="radix MMU"),
        pytest.param("power9", 0, EMULATED, id="radix MMU, kernel mode"),
    ],
)
def test_kuap_blocks_raw_accesses_to_user_memory(
    insn: int, cpu: str, mode: int, result: int
) -> None:
    program = load(cpu=cpu, gpr4=DATA)
    program.regs.msr = program.regs.msr & ~MSR_PR | mode

    assert emulate(program, insn, machine(cpu)) == result


BCTAR = 0x4C000460 | 20 << 21


def test_bctar_is_emulated_where_nothing_goes_wrong() -> None:
    program = load(tar=0x44440)

    assert emulate(program, BCTAR, machine(errata="none")) == EMULATED
    assert program.regs.nip == 0x44440


LINE = bytes(range(0x40, 0x50))


@pytest.mark.parametrize(
    ("insn", "errata", "length", "vsr"),
    [
        pytest.param(0x7C242A1A, "none", 5 << 56, "4443424140", id="lxvl"),
        pytest.param(0x7C242A1A, "linux", 5 << 56, "0", id="lxvl, nothing is moved"),
        pytest.param(0x7C242A1A, "linux", 5, "4443424140", id="lxvl, low byte"),
        pytest.param(0x7C242A5A, "none", 5 << 56, "4041424344" + 22 * "0", id="lxvll"),
        pytest.param(0x7C242A5A, "linux", 5, "4443424140", id="lxvll, taken for lxvl"),
    ],
)
def test_vector_loads_with_length(
    insn: int, errata: Literal["linux", "none"], length: int, vsr: str
) -> None:
    program = load(gpr4=DATA, gpr5=length, vsr1=1)
    program.mm.write(DATA, LINE)

    assert emulate(program, insn, machine(errata=errata)) == EMULATED
    assert program.regs.get("vsr1") == int(vsr, 16)


@pytest.mark.parametrize(
    ("insn", "errata", "length", "stored"),
    [
        pytest.param(0x7C242B1A, "none", 3 << 56, "4f4e4d", id="stxvl"),
        pytest.param(0x7C242B1A, "linux", 3 << 56, "", id="stxvl, nothing is moved"),
        pytest.param(0x7C242B5A, "none", 3 << 56, "404142", id="stxvll"),
        pytest.param(0x7C242B5A, "linux", 3, "4f4e4d", id="stxvll, taken for stxvl"),
    ],
)
def test_vector_stores_with_length(
    insn: int, errata: Literal["linux", "none"], length: int, stored: str
) -> None:
    program = load(gpr4=DATA, gpr5=length, vsr1=int.from_bytes(LINE, "big"))

    assert emulate(program, insn, machine(errata=errata)) == EMULATED
    assert program.mm.read(DATA, 16) == bytes.fromhex(stored).ljust(16, b"\0")


@pytest.mark.parametrize(("errata", "first"), [("linux", 2), ("none", 1)])
def test_prefixed_pairs_change_places_in_the_kernel(
    errata: Literal["linux", "none"], first: int
) -> None:
    program = load(gpr4=DATA)
    program.regs.msr &= ~MSR_PR  # KUAP would not let it come to this
    program.mm.write(DATA, b"\1".ljust(8, b"\0") + b"\2".ljust(8, b"\0"))

    assert emulate(program, 0x04000000E0C40000, machine(errata=errata)) == EMULATED
    assert program.regs.gpr[6:8] == [first, 3 - first]


LWZU_R0, LWZUX_R0, LWZU_SELF = 0x84600010, 0x7C60206E, 0x84630010


@pytest.mark.parametrize(
    ("insn", "registers", "ra", "rt"),
    [
        pytest.param(LWZU_R0, {}, (0, 0x10), (3, 7), id="lwzu r3,16(0)"),
        pytest.param(LWZUX_R0, {"gpr0": 9, "gpr4": DATA}, (0, DATA), (3, 5), id="lwzux r3,0,r4"),
        pytest.param(
            LWZU_SELF, {"gpr3": DATA}, (3, DATA + 16), (3, DATA + 16), id="lwzu r3,16(r3)"
        ),
    ],
)
def test_invalid_updates_are_emulated_by_the_kernel(
    insn: int, registers: dict[str, int], ra: tuple[int, int], rt: tuple[int, int]
) -> None:
    """bbda4b6c7d7c meant to refuse them."""
    program = load()
    for name, value in registers.items():
        program.regs.set(name, value)
    program.mm.mmap(0, 0x1000, VmFlags.READ | VmFlags.WRITE)
    for base in (0, DATA):
        program.mm.write(base, b"\5\0\0\0".ljust(16, b"\0") + b"\7\0\0\0")

    assert emulate(program, insn, machine(errata="none")) == NOT_EMULATED
    assert emulate(program, insn) == EMULATED
    assert program.regs.gpr[ra[0]] == ra[1]
    assert program.regs.gpr[rt[0]] == rt[1]


@pytest.mark.parametrize(
    ("insn", "errata", "vr1"),
    [
        pytest.param(0x7C24280E, "linux", 0x4200, id="lvebx: the rest is zero"),
        pytest.param(0x7C24280E, "none", (1 << 128) - 0x10000 | 0x42FF, id="lvebx: is kept"),
        pytest.param(0x7C24288E, "linux", 0x43424140, id="lvewx"),
    ],
)
def test_vector_elements_come_alone(insn: int, errata: Literal["linux", "none"], vr1: int) -> None:
    program = load(gpr4=DATA, gpr5=1, vr1=(1 << 128) - 1)
    program.mm.write(DATA, bytes([0x40, 0x42]) if insn == 0x7C24280E else LINE)

    assert emulate(program, insn, machine(errata=errata)) == EMULATED
    assert program.regs.get("vr1") == vr1


def test_a_vector_load_that_faults_leaves_the_register_alone() -> None:
    program = load(gpr4=GIB_ABOVE, vr1=5)

    assert emulate(program, 0x7C24280E) == NOT_EMULATED
    assert program.regs.get("vr1") == 5
