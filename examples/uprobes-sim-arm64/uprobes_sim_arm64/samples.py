"""Instructions for the conformance suite, drawn from the table of all."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.samples import Idioms, InsnSamples, Sample, Spot
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config
from uprobes_sim_arm64.encoding import signed
from uprobes_sim_arm64.info import AARCH64_INSN_SIZE
from uprobes_sim_arm64.regs import GENERAL, PSR_FLAGS, VECTORS, ZERO
from uprobes_sim_arm64.table import ROWS, Row, find

_WORD: Final = (1 << 64) - 1
_FPCR: Final = 0x03C0_0000
"""AHP aside: flush to zero, default NaN, rounding."""
_FPSR: Final = 0x0800_009F

_REGISTERS: Final = {
    **dict.fromkeys((*GENERAL, "tpidr_el0"), _WORD),
    **dict.fromkeys(VECTORS, (1 << 128) - 1),
    "pstate": PSR_FLAGS,
    "fpcr": _FPCR,
    "fpsr": _FPSR,
}

_QEMU_REGISTERS: Final = {
    **{name: name for name in (*GENERAL, "sp", "pc", *VECTORS, "fpcr", "fpsr")},
    "pstate": "cpsr",
}

_UNJUDGED: Final = {
    "retaa|braa|blraa": "the processor has no pointer authentication",
    "mrs.*": "what tells of the processor, and a register that the gdb stub does not give",
    "atomic": "Unicorn 2.1.4 and QEMU 7.2 differ about signed minima and maxima",
    "barrier|data processing simd|crypto.*": "some are newer than the processor",
    "wfe": "QEMU 7.2 goes on beyond it",
    "exclusive|ldar|stlr|load or store": "QEMU 7.2 has other rules of alignment",
    r"msr \(immediate\)": "SSBS, which Unicorn's processor lacks",
}

_SYSTEM_REGISTERS: Final = (
    0x5A10,
    0x5A20,
    0x5A21,
    0x5E82,
    0x5E83,
    0x5801,
    0x5807,
    0x4000,
    0x4020,
    0x4030,
)
"""What mrs mostly reads: nzcv, fpcr, fpsr, the thread pointers, ctr_el0, dczid_el0, and some that
tell of the processor. As op0's lower bit, op1, CRn, CRm, op2."""

_BRANCHES: Final = {"b": "imm26", "b.cond": "imm19", "cbz": "imm19", "tbz": "imm14"}
_LITERALS: Final = ("ldr literal", "ldrsw literal", "prfm literal", "ldr literal simd")
_TO_REGISTER: Final = ("br", "blr", "ret")
_POST_INDEX: Final = 0b01

_OFFSETS: Final[dict[str, Callable[[Mapping[str, int]], int]]] = {
    "ldr": lambda f: f["imm12"] << f["size"],
    "str": lambda f: f["imm12"] << f["size"],
    "ldrs": lambda f: f["imm12"] << f["s"],
    "ldr simd": lambda f: f["imm12"] << f["size"],
    "ldur": lambda f: 0 if f["mode"] == _POST_INDEX else signed(f["imm9"], 9),
    "ldp": lambda f: _pair(f, 8 if f["x"] else 4),
    "ldp simd": lambda f: _pair(f, 4 << f["opc"]),
    "ldar": lambda f: 0,
    "stlr": lambda f: 0,
    "atomic": lambda f: 0,
    "ld1": lambda f: 0,
}
"""How far from the register Rn a row accesses memory."""


def _pair(fields: Mapping[str, int], size: int) -> int:
    return 0 if fields["mode"] == _POST_INDEX else signed(fields["imm7"], 7) * size


@hookimpl
def arch_insn_samples(abi: Abi, config: Config) -> InsnSamples:
    return InsnSamples(
        rows=tuple(row.name for row in ROWS),
        registers=_REGISTERS,
        find=lambda insn: find(int.from_bytes(insn[:AARCH64_INSN_SIZE], "little")).name,
        draw=_draw,
        idioms=Idioms(
            nop=_code(0xD503201F),
            call=lambda at, to: _code(0x94000000 | to - at >> 2 & 0x03FF_FFFF),
            jump=lambda at, to: _code(0x14000000 | to - at >> 2 & 0x03FF_FFFF),
            ret=_code(0xD65F03C0),
            syscall=_code(0xD4000001),
            enter=_code(0xF81F0FFE),  # str x30, [sp, #-16]!
            leave=_code(0xF84107FE),  # ldr x30, [sp], #16
        ),
        qemu=("qemu-aarch64", "-cpu", "neoverse-n1"),
        qemu_registers=_QEMU_REGISTERS,
        unjudged=_UNJUDGED,
    )


def _code(word: int) -> bytes:
    return word.to_bytes(AARCH64_INSN_SIZE, "little")


_ROWS: Final = {row.name: row for row in ROWS}


def _draw(name: str, spot: Spot, random: Random) -> Sample:
    """Draw fields until the word is of this row and no special one, then what it is to find."""
    row = _ROWS[name]
    widths = {field: width for field, (_, width) in row.encoding.fields.items()}
    while True:
        fields = {field: random.getrandbits(width) for field, width in widths.items()}
        fields |= _places(row, spot, random)
        word = row.encoding.put_together(**fields)
        if find(word) is row:
            return Sample(_code(word), _registers(row, fields, spot, random))


def _places(row: Row, spot: Spot, random: Random) -> dict[str, int]:
    """Choose the fields that lead to an address, or name a system register."""
    if row.name in _BRANCHES:
        return _distance(_BRANCHES[row.name], spot, _code_address(spot, random))
    if row.name in _LITERALS:
        data = random.randrange(spot.data.start, spot.data.stop - 16, AARCH64_INSN_SIZE)
        return _distance("imm19", spot, data)
    if row.name == "mrs" and random.randrange(4):
        return {"reg": random.choice(_SYSTEM_REGISTERS)}
    return {}


def _distance(field: str, spot: Spot, target: int) -> dict[str, int]:
    width = int(field.removeprefix("imm"))
    return {field: (target - spot.vaddr) // AARCH64_INSN_SIZE & (1 << width) - 1}


def _code_address(spot: Spot, random: Random) -> int:
    return random.randrange(spot.code.start, spot.code.stop, AARCH64_INSN_SIZE)


def _registers(row: Row, fields: Mapping[str, int], spot: Spot, random: Random) -> dict[str, int]:
    """Make the registers of an address lead there. Register 31 is sp there, or zero."""
    if row.name in _TO_REGISTER:
        return _set(fields["Rn"], Vaddr(_code_address(spot, random)))
    if row.name == "dc":
        return _set(fields["Rt"], spot.operand)
    if row.name == "ldr register":
        index = random.randrange(-64, 64)
        scaled = index << (fields["size"] if fields["S"] else 0)
        if fields["Rm"] in (fields["Rn"], ZERO):
            return _base(fields["Rn"], spot.operand)
        return _base(fields["Rn"], spot.operand - scaled) | _set(fields["Rm"], index)
    if row.name in _OFFSETS:
        return _base(fields["Rn"], spot.operand - _OFFSETS[row.name](fields))
    return {}


def _base(number: int, address: int) -> dict[str, int]:
    return {"sp": address & _WORD} if number == ZERO else _set(number, address)


def _set(number: int, value: int) -> dict[str, int]:
    return {} if number == ZERO else {GENERAL[number]: value & _WORD}
