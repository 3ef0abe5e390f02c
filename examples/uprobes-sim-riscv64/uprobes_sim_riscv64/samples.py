"""Instructions for the conformance suite, drawn from the table of all."""

from collections.abc import Mapping
from random import Random
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.samples import Idioms, InsnSamples, Sample, Spot
from uprobes_sim.version import Config
from uprobes_sim_riscv64.encoding import Encoding, immediate
from uprobes_sim_riscv64.info import EBREAK
from uprobes_sim_riscv64.regs import GENERAL, REST, SP, WORDS
from uprobes_sim_riscv64.table import ROWS, Row, find

_WORD: Final = (1 << 64) - 1
_FCSR: Final = 0x9F
"""Flags, and the rounding modes that there are, of which some must stay free of reserved ones."""

_REGISTERS: Final = {
    **dict.fromkeys((*(name for name in GENERAL if name != "sp"), *REST), _WORD),
    "fcsr": _FCSR,
}

_FLOATS: Final = (
    *(f"ft{number}" for number in range(8)),
    *("fs0", "fs1"),
    *(f"fa{number}" for number in range(8)),
    *(f"fs{number}" for number in range(2, 12)),
    *(f"ft{number}" for number in range(8, 12)),
)
_QEMU_REGISTERS: Final = {
    **{name: name for name in GENERAL},
    **{"s0": "fp", "epc": "pc", "fcsr": "fcsr"},
    **dict(zip(REST, _FLOATS, strict=True)),
}
_UNJUDGED: Final = {
    "sc": "QEMU 7.2 lets it fail where it is misaligned, without a fault",
    r"fmadd|f(cmp|add|sqrt|sgnj|min|class)|fcvt\..*|fmv\.f|flw": "Unicorn does not box singles",
    "other": "QEMU 7.2 has extensions that Unicorn lacks, Zbb for one",
    "c.other [01]": "reserved: Unicorn 2.1.4 executes some of them",
}

_JUMPS: Final = ("jal", "branch", "c.j", "c.beqz", "c.bnez")
_TO_REGISTER: Final = ("jalr", "c.jr", "c.jalr")
_COMPRESSED_BASE: Final = 8
"""Number of the first register that three bits can name."""

_BASED: Final = frozenset(
    row.name
    for row in ROWS
    if "rs1" in row.encoding.fields and row.encoding.value & 0x7F in (0x03, 0x07, 0x23, 0x27, 0x2F)
)
"""Loads, stores and atomics, whose immediate is signed if they have one."""
_SP_BASED: Final = frozenset(f"c.{name}sp" for name in ("fld", "lw", "ld", "fsd", "sw", "sd"))
_C_BASED: Final = frozenset(f"c.{name}" for name in ("fld", "lw", "ld", "fsd", "sw", "sd"))

_JAL: Final = Encoding("imm_20:1 imm_10_1:10 imm_11:1 imm_19_12:8 rd:5 1101111")


@hookimpl
def arch_insn_samples(abi: Abi, config: Config) -> InsnSamples:
    return InsnSamples(
        rows=tuple(row.name for row in ROWS),
        registers=_REGISTERS,
        find=lambda insn: find(int.from_bytes(insn[:4], "little")).name,
        draw=_draw,
        idioms=Idioms(
            nop=bytes.fromhex("0100"),
            call=lambda at, to: _jal(to - at, 1),
            jump=lambda at, to: _jal(to - at, 0),
            ret=bytes.fromhex("8280"),
            syscall=bytes.fromhex("73000000"),
            enter=bytes.fromhex("411106e4"),  # c.addi sp, -16; c.sdsp ra, 8(sp)
            leave=bytes.fromhex("a2604101"),  # c.ldsp ra, 8(sp); c.addi sp, 16
        ),
        traps=(EBREAK,),
        qemu=("qemu-riscv64",),
        qemu_registers=_QEMU_REGISTERS,
        unjudged=_UNJUDGED,
    )


def _jal(distance: int, rd: int) -> bytes:
    return _JAL.put_together({"rd": rd} | _JAL.put_immediate(distance)).to_bytes(4, "little")


_ROWS: Final = {row.name: row for row in ROWS}


def _draw(name: str, spot: Spot, random: Random) -> Sample:
    """Draw fields until the word is of this row and no special one, then what it is to find."""
    row = _ROWS[name]
    encoding = row.encoding
    widths = {field: width for field, (_, width) in encoding.fields.items()}
    while True:
        fields = {field: random.getrandbits(width) for field, width in widths.items()}
        if name in _JUMPS:
            fields |= encoding.put_immediate(_distance(row, spot, random))
        word = encoding.put_together(fields)
        if find(word) is row:
            insn = word.to_bytes(encoding.bits // 8, "little")
            return Sample(insn, _registers(row, fields, spot, random))


def _distance(row: Row, spot: Spot, random: Random) -> int:
    """Choose how far a jump goes: as far as it can, within the code."""
    top = max(int(name.split("_")[1]) for name in row.encoding.fields if name.startswith("imm_"))
    first = max(spot.code.start, spot.vaddr - (1 << top))
    last = min(spot.code.stop, spot.vaddr + (1 << top))
    return random.randrange(first + first % 2, last, 2) - spot.vaddr


def _registers(row: Row, fields: Mapping[str, int], spot: Spot, random: Random) -> dict[str, int]:
    """Make the registers of an address lead there."""
    if row.name in _TO_REGISTER:
        target = random.randrange(spot.code.start, spot.code.stop)
        return _set(fields["rs1"], target - immediate(fields))
    if row.name in _BASED:
        return _set(fields["rs1"], spot.operand - immediate(fields))
    if row.name in _SP_BASED:
        return _set(SP, spot.operand - _unsigned(row, fields))
    if row.name in _C_BASED:
        return _set(_COMPRESSED_BASE + fields["rs1c"], spot.operand - _unsigned(row, fields))
    return {}


def _unsigned(row: Row, fields: Mapping[str, int]) -> int:
    """Put an offset together that has no sign."""
    return sum(
        fields[name] << int(name.split("_")[-1])
        for name in row.encoding.fields
        if name.startswith("imm_")
    )


def _set(number: int, value: int) -> dict[str, int]:
    return {WORDS[number]: value & _WORD} if number else {}
