"""Every floating-point and vector instruction against QEMU, on edges and random operands."""

import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from powerpc_program import DATA, LE64, load
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS, IMPLIED
from uprobes_sim_powerpc.regs import MSR_LE, MSR_SF, MSR_USER, PtRegs

RECORD = struct.Struct("<2IQ2I3Q16x16Q64s")
"""`struct record` of powerpc_vector.c."""
Record = tuple[Any, ...]
"""Its members: numbers, and memory at the end."""
NOP = 0x60000000
MASK = 0xFFFFFFFFFFFFFFFF
NUMBERS = (0, 1, 2, 3, 32, 33, 34, 35)
"""VSRs that a record holds."""
FIRST_GPR = 28
PER_ROW = 30

PLACES = {
    **dict.fromkeys(("FRT", "FRS", "VRT", "VRS", "RT"), 21),
    **dict.fromkeys(("FRA", "VRA", "RA"), 16),
    **dict.fromkeys(("FRB", "VRB", "RB"), 11),
    **dict.fromkeys(("FRC", "VRC"), 6),
}
SPLIT_PLACES = {
    "XT": (21, 0),
    "XS": (21, 0),
    "XA": (16, 2),
    "XB": (11, 1),
    "XC": (6, 3),
    "XT_DQ": (21, 3),
    "XT_8LS": (21, 26),
    "XT_8RR": (21, 16),
}
DOUBLES = (
    0x0000000000000000,
    0x0000000000000001,
    0x000FFFFFFFFFFFFF,
    0x0010000000000000,
    0x3690000000000000,
    0x36A0000000000000,
    0x380FFFFFE0000000,
    0x3810000000000000,
    0x3FE0000000000000,
    0x3FF0000000000000,
    0x3FF0000000000001,
    0x3FF0000010000000,
    0x3FF0000030000000,
    0x3FF8000000000000,
    0x4004000000000000,
    0x41DFFFFFFFC00000,
    0x41E0000000000000,
    0x41EFFFFFFFE00000,
    0x43E0000000000000,
    0x43F0000000000000,
    0x47EFFFFFE0000000,
    0x47EFFFFFF0000000,
    0x7FEFFFFFFFFFFFFF,
    0x7FF0000000000000,
    0x7FF0000000000001,
    0x7FF4000020000000,
    0x7FF8000000000000,
    0x7FF8123440000000,
)
SINGLES = (
    0x00000000,
    0x00000001,
    0x007FFFFF,
    0x00800000,
    0x3F000000,
    0x3F800000,
    0x3FC00000,
    0x4EFFFFFF,
    0x4F000000,
    0x4F800000,
    0x5F000000,
    0x7F7FFFFF,
    0x7F800000,
    0x7F800001,
    0x7FC00000,
    0x7FC12345,
)

FPRF = 0x1F000
FR = 0x40000
QEMU_IS_WRONG = {
    "lfdp": "swaps the pair in little-endian order",
    "lfdpx": "swaps the pair in little-endian order",
    "stfdp": "swaps the pair in little-endian order",
    "stfdpx": "swaps the pair in little-endian order",
    "vrldmi": "inserts into zeros",
    "mtvscr": "keeps reserved bits",
    "mtfsb1[.]": "does not set FX for a new exception",
}
UNDEFINED = {
    "fre[.]", "fres[.]", "frsqrte[.]", "frsqrtes[.]", "xsredp", "xsresp", "xsrsqrtedp",
    "xsrsqrtesp", "xvredp", "xvresp", "xvrsqrtedp", "xvrsqrtesp", "vrefp", "vrsqrtefp",
    "vexptefp", "vlogefp", "vextuhlx", "vextuhrx", "vextuwlx", "vextuwrx", "xxextractuw",
    "mtfsf[.]", "mtfsfi[.]",
}  # fmt: skip
"""Estimates, elements that lie half outside, and what may enable exceptions, which QEMU raises."""
STATUS_IS_WRONG = ("xvmul", "xvdiv", "xvmadd", "xvmsub", "xvnm", "xvcv", "xvadd", "xvsub")
"""QEMU loses UX of one element when another one overflows."""

ONE_INVALID_ALL_INVALID = ("xvcvdps", "xvcvdpu", "xvcvsps", "xvcvspu")
"""Conversions of which QEMU spoils all elements behind an invalid one: here all are alike."""


def rows() -> list[Insn]:
    files = ("fp_", "vsx_", "vmx_", "lanes", "prefixed_fp")
    return [
        row
        for row in sorted(isa.load(), key=lambda row: (row.form, row.name))
        if row.meaning.__module__.rpartition(".")[2].startswith(files)
        and row.name not in UNDEFINED | QEMU_IS_WRONG.keys()
    ]


def draw_double(rng: random.Random) -> int:
    match rng.randrange(5):
        case 0 | 1:
            return rng.choice(DOUBLES) | rng.randrange(2) << 63
        case 2:
            number = rng.randrange(1 << rng.randrange(1, 40)) / (1 << rng.randrange(12))
            return int.from_bytes(struct.pack(">d", rng.choice((-1, 1)) * number), "big")
        case 3:
            exponent = 1023 + rng.randrange(-40, 40)
            return rng.randrange(2) << 63 | exponent << 52 | rng.getrandbits(23) << 29
    return rng.randrange(2) << 63 | 1023 + rng.randrange(-60, 70) << 52 | rng.getrandbits(52)


def draw_short_double(rng: random.Random) -> int:
    """Draw a double that a single can hold: others are no operands of single arithmetic."""
    while True:
        x = draw_double(rng)
        exponent = x >> 52 & 0x7FF
        if not x & 0x1FFFFFFF and (
            897 <= exponent < 1151 or exponent == 0x7FF or not x << 1 & MASK
        ):
            return x


def draw_single(rng: random.Random) -> int:
    if rng.random() < 0.4:
        return rng.choice(SINGLES) | rng.randrange(2) << 31
    return rng.randrange(2) << 31 | 127 + rng.randrange(-30, 35) << 23 | rng.getrandbits(23)


def draw_doubleword(rng: random.Random, row: Insn) -> int:
    name = row.name.removesuffix("[.]")
    if (name.startswith("xv") and name.endswith("sp")) or name.endswith("fp"):
        return draw_single(rng) << 32 | draw_single(rng)
    if (name.startswith("xs") and name.endswith("sp")) or row.form.value >> 26 == 59:
        return draw_short_double(rng)
    if name[0] in "fx":
        return draw_double(rng)
    if rng.random() < 0.3:
        return rng.getrandbits(64)
    return int.from_bytes(rng.choices((0, 1, 2, 0x7F, 0x80, 0x81, 0xFF), k=8), "big")


def draw_word(rng: random.Random, row: Insn) -> int:
    """Make a word: registers that the record holds, other fields at random, reserved bits 0."""
    word = 0
    for bit in range(64 if row.prefixed else 32):
        fields = (name for name in row.fields if name not in IMPLIED)
        if any(FIELDS[name](0) != FIELDS[name](1 << bit) for name in fields):
            word |= rng.randrange(2) << bit
    for name in row.fields:
        if name in SPLIT_PLACES:
            at, top = SPLIT_PLACES[name]
            word = word & ~(31 << at | 1 << top) | rng.randrange(4) << at | rng.randrange(2) << top
        elif name in PLACES:
            at = PLACES[name]
            number = rng.randrange(4) + (0 if name[0] in "FV" else FIRST_GPR)
            word = word & ~(31 << at) | min(number, 30) << at
        elif name == "XTp":
            word = word & ~(31 << 21) | rng.randrange(4) << 21
    if "m" in row.fields:
        word = word & ~(31 << 16) | 31 << 16
        if "RB" in row.fields:
            word = word & ~(31 << 11) | 30 << 11
        else:
            word &= ~0xFFD0
        if row.prefixed:
            word &= ~(0x13FFFF << 32 | 0x30)  # a short displacement, and not from the instruction
    return word & ~row.form.mask | row.form.value


def draw(rng: random.Random, row: Insn) -> Record:
    word = draw_word(rng, row)
    while not row.is_valid(word):
        word = draw_word(rng, row)
    mode = 0 if "nm" in row.name else rng.choice((0, 0, 0, 1, 2, 3))
    fpscr = mode | rng.choice((0, 0x82000000, 0x1F000, 0xA0000100))
    length = rng.choice((0, 1, 5, 8, 16, 17, 200)) << 56
    offset = length if row.name in ("lxvl", "lxvll", "stxvl", "stxvll") else rng.randrange(32)
    gprs = (draw_double(rng), rng.getrandbits(64), offset)
    vsrs = [draw_doubleword(rng, row) for _ in range(16)]
    if row.name.startswith(("vdiv", "vmod")):
        vsrs = [half | 0x100000001 for half in vsrs]  # else a quotient may be undefined
    if row.name.startswith(ONE_INVALID_ALL_INVALID):
        words = [half >> 32 if "vsp" in row.name else half for half in vsrs[::2] for _ in "ab"]
        vsrs = [word * 0x100000001 if "vsp" in row.name else word for word in words]
    memory = b"".join(draw_single(rng).to_bytes(4, "little") for _ in range(16))
    vscr = rng.choice((0, 0x10000))
    insn = (word >> 32, word & 0xFFFFFFFF) if row.prefixed else (word, NOP)
    return *insn, fpscr, vscr, rng.getrandbits(32), *gprs, *vsrs, memory


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("qemu-ppc64le") is None:
        pytest.skip("qemu-ppc64le is not installed")
    program = tmp_path_factory.mktemp("oracle") / "powerpc_vector"
    source = Path(__file__).with_name("powerpc_vector.c")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "powerpc64le-linux-musl"]
    subprocess.run([*compiler, "-static", "-O1", source, "-o", program], check=True)
    return program


def expected(oracle: Path, records: list[Record]) -> Iterator[Record]:
    """Give what QEMU makes of *records*."""
    given = b"".join(RECORD.pack(*record) for record in records)
    command = ["qemu-ppc64le", "-cpu", "power10", str(oracle)]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, timeout=60)
    return RECORD.iter_unpack(done.stdout)


def registers_of(record: Record) -> PtRegs:
    regs = PtRegs(64, MSR_USER | MSR_SF | MSR_LE)
    regs.fpscr, regs.vscr, regs.ccr = record[2:5]
    regs.gpr[FIRST_GPR : FIRST_GPR + 3] = record[5:8]
    regs.gpr[31] = DATA
    for at, number in enumerate(NUMBERS):
        regs.hi[number], regs.lo[number] = record[8 + 2 * at : 10 + 2 * at]
    return regs


def execute(record: Record) -> Record:
    """Do with the engine what powerpc_vector.c does."""
    program = load(record[0], record[1], abi=LE64)
    program.regs = registers_of(record)
    program.regs.nip = 0x10000
    program.mm.write(DATA, record[-1])
    program.step()
    regs = program.regs
    vsrs = [half for n in NUMBERS for half in (regs.hi[n], regs.lo[n])]
    memory = program.mm.read(DATA, 64)
    gprs = regs.gpr[FIRST_GPR : FIRST_GPR + 3]
    return (*record[:2], regs.fpscr, regs.vscr, regs.ccr, *gprs, *vsrs, memory)


def defined(row: Insn, record: Record) -> Record:
    """Blank what the ISA leaves undefined, and what QEMU is known to get wrong."""
    result = list(record)
    result[2] &= ~FR  # QEMU never sets it
    name = row.name
    if name.startswith(("fcti", "xscvdpsx", "xscvdpux")):
        result[2] &= ~FPRF
    if name.startswith("fctiw"):
        result[8:16:2] = [half & 0xFFFFFFFF for half in result[8:16:2]]
    if name.startswith(("fcfid", "fcmpo", "xscmpo")):
        result[2] &= ~FPRF  # set by ISA and not by QEMU; C set by QEMU and not by ISA
    if name.startswith(STATUS_IS_WRONG):
        result[2] = 0
    if row.name[0] == "f" or name.startswith(("xs", "lf", "lxs", "mtvsr")):
        result[9:24:2] = [0] * 8  # doubleword 1 of the target: undefined before ISA 3.1
    return tuple(result)


def test_floating_point_and_vector_instructions_do_what_qemu_does(oracle: Path) -> None:
    rng = random.Random(20121)
    cases = [(row, draw(rng, row)) for row in rows() for _ in range(PER_ROW)]

    answers = expected(oracle, [record for _, record in cases])

    differing = {}
    for (row, record), answer in zip(cases, answers, strict=True):
        if answer[0] == 0 or defined(row, execute(record)) != defined(row, answer):
            differing[row.name] = [
                value if isinstance(value, bytes) else hex(value) for value in record
            ]
    assert differing == {}
