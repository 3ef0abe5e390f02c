"""The instructions of A64, and what the kernel does with a probe on each.

After arch/arm64/kernel/probes/decode-insn.c. The first row that an instruction fits counts, so a
special form stands before the general one. Encodings are the manual's (Arm ARM, C4). Behind the
rows with names come those of the rest of each group, which the kernel steps without a look.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from uprobes_sim.version import Kernel
from uprobes_sim_arm64 import simulate as sim
from uprobes_sim_arm64.encoding import Encoding


class Way(Enum):
    """What becomes of a probe (`enum probe_insn`)."""

    STEP = "INSN_GOOD"
    SIMULATE = "INSN_GOOD_NO_SLOT"
    REFUSE = "INSN_REJECTED"


STEP, SIMULATE, REFUSE = Way


@dataclass(frozen=True, slots=True)
class Row:
    """One form of instructions."""

    name: str
    encoding: Encoding
    way: Way
    why: str
    simulate: sim.Simulate | None = None
    needs: str | None = None
    """Behaviour of the kernels that go this way; None: all do."""
    otherwise: Way = STEP
    """The way of the others."""

    def way_of(self, kernel: Kernel) -> Way:
        """Tell what *kernel* does with a probe here."""
        return self.way if self.needs is None or kernel.has(self.needs) else self.otherwise

    @property
    def rule(self) -> str:
        """Stable identifier, such as `arm64.load_exclusive`."""
        return "arm64." + self.name.split(" (")[0].replace(" ", "_").replace(".", "_")


_FLOW: Final = "it sets pc from where it lies, and that would be the slot"
_LITERAL: Final = "it takes an address from where it lies, and that would be the slot"
_TRAPS: Final = "it raises an exception, which a step must not"
_MSR: Final = "what it writes may undo the step itself"
_HINT: Final = "a hint that is not on the kernel's list may do anything"
_WAITS: Final = "it gives the processor away in the middle of a step"
_ON_LIST: Final = "it touches registers only"
_AUTH: Final = "it authenticates a pointer, and that may fault"
_EXCLUSIVE: Final = "the exceptions of the step clear the exclusive monitor: it would never succeed"
_MOPS: Final = "the three instructions of a copy must lie behind each other in memory"
_PLAIN: Final = "it does the same wherever it lies"
_UNKNOWN: Final = "the kernel does not look at it; if the processor knows none such, it is SIGILL"


def _hint(name: str, number: int, way: Way, why: str, needs: str | None = None) -> Row:
    pattern = f"11010101000000110010 {number:07b} 11111"
    return Row(name, Encoding(pattern), way, why, needs=needs)


_LISTED: Final = {
    "xpaclri": 7,
    "pacia1716": 8,
    "pacib1716": 10,
    "paciaz": 24,
    "paciasp": 25,
    "pacibz": 26,
    "pacibsp": 27,
    "bti": 32,
    "bti c": 34,
    "bti j": 36,
    "bti jc": 38,
}
_AUTHENTICATE: Final = {
    "autia1716": 12,
    "autib1716": 14,
    "autiaz": 28,
    "autiasp": 29,
    "autibz": 30,
    "autibsp": 31,
}
_WAITING: Final = {"yield": 1, "wfe": 2, "wfi": 3, "sev": 4, "sevl": 5}

_HINTS: Final = (
    Row(
        "nop",
        Encoding("11010101000000110010000000011111"),
        SIMULATE,
        "there is nothing to do",
        sim.nop,
        needs="arm64_nop_simulated",
    ),
    *(_hint(name, number, REFUSE, _WAITS) for name, number in _WAITING.items()),
    *(_hint(name, number, STEP, _ON_LIST) for name, number in _LISTED.items()),
    *(
        _hint(name, number, REFUSE, _AUTH, "arm64_pauth_refused")
        for name, number in _AUTHENTICATE.items()
    ),
    Row(
        "hint",
        Encoding("11010101000000110010 CRm:4 op2:3 11111"),
        REFUSE,
        _HINT,
        needs="arm64_hints_by_list",
    ),
)

_BRANCHES: Final = (
    Row("b", Encoding("op:1 00101 imm26:26"), SIMULATE, _FLOW, sim.b),
    Row("b.cond", Encoding("01010100 imm19:19 0 cond:4"), SIMULATE, _FLOW, sim.b_cond),
    Row("cbz", Encoding("sf:1 011010 op:1 imm19:19 Rt:5"), SIMULATE, _FLOW, sim.cbz),
    Row("tbz", Encoding("b5:1 011011 op:1 b40:5 imm14:14 Rt:5"), SIMULATE, _FLOW, sim.tbz),
    Row("br", Encoding("1101011000011111000000 Rn:5 00000"), SIMULATE, _FLOW, sim.br),
    Row("blr", Encoding("1101011000111111000000 Rn:5 00000"), SIMULATE, _FLOW, sim.blr),
    Row("ret", Encoding("1101011001011111000000 Rn:5 00000"), SIMULATE, _FLOW, sim.br),
    Row(
        "retaa",
        Encoding("110101100101111100001 M:1 1111111111"),
        REFUSE,
        _AUTH,
        needs="arm64_pauth_refused",
    ),
    Row(
        "braa",
        Encoding("1101011 Z:1 000 11111 00001 M:1 Rn:5 Rm:5"),
        REFUSE,
        _AUTH,
        needs="arm64_pauth_refused",
    ),
    Row(
        "blraa",
        Encoding("1101011 Z:1 001 11111 00001 M:1 Rn:5 Rm:5"),
        REFUSE,
        _AUTH,
        needs="arm64_pauth_refused",
    ),
    Row("eret", Encoding("11010110100111110000001111100000"), REFUSE, _TRAPS),
    Row(
        "eretaa",
        Encoding("110101101001111100001 M:1 1111111111"),
        REFUSE,
        _TRAPS,
        needs="arm64_pauth_refused",
    ),
)

_SYSTEM: Final = (
    Row("exception", Encoding("11010100 opc:3 imm16:16 op2:3 LL:2"), REFUSE, _TRAPS),
    *_HINTS,
    Row("msr (immediate)", Encoding("1101010100000 op1:3 0100 CRm:4 op2:3 11111"), REFUSE, _MSR),
    Row("msr", Encoding("110101010001 reg:15 Rt:5"), REFUSE, _MSR),
    Row(
        "mrs daif",
        Encoding("110101010011 1 011 0100 0010 001 Rt:5"),
        REFUSE,
        "it would read the masks of the step",
    ),
    Row("mrs nzcv", Encoding("110101010011 1 011 0100 0010 000 Rt:5"), STEP, _PLAIN),
    Row("mrs tpidr_el0", Encoding("110101010011 1 011 1101 0000 010 Rt:5"), STEP, _PLAIN),
    Row("mrs", Encoding("110101010011 reg:15 Rt:5"), STEP, _PLAIN),
    Row("clrex", Encoding("11010101000000110011 CRm:4 01011111"), STEP, _PLAIN),
    Row("barrier", Encoding("11010101000000110011 CRm:4 1 opc:2 11111"), STEP, _PLAIN),
    Row("dc", Encoding("1101010100001 011 0111 1011 001 Rt:5"), STEP, _PLAIN),
    Row("branch or system", Encoding("x:3 101 rest:26"), STEP, _UNKNOWN),
)

_LITERALS: Final = (
    Row("adr", Encoding("op:1 immlo:2 10000 immhi:19 Rd:5"), SIMULATE, _LITERAL, sim.adr),
    Row(
        "ldr literal",
        Encoding("0 x:1 011000 imm19:19 Rt:5"),
        SIMULATE,
        "the kernel's way of loading it did not care for the faults of user memory",
        sim.ldr_literal,
        needs="arm64_ldr_literal_simulated",
        otherwise=REFUSE,
    ),
    Row(
        "ldrsw literal",
        Encoding("10011000 imm19:19 Rt:5"),
        SIMULATE,
        "the kernel's way of loading it did not care for the faults of user memory",
        sim.ldrsw_literal,
        needs="arm64_ldr_literal_simulated",
        otherwise=REFUSE,
    ),
    Row("prfm literal", Encoding("11011000 imm19:19 prfop:5"), REFUSE, _LITERAL),
    Row(
        "ldr literal simd",
        Encoding("opc:2 011100 imm19:19 Rt:5"),
        STEP,
        "the kernel takes it for any other load, and it loads from near the slot",
    ),
)

_MEMORY: Final = (
    Row(
        "exclusive",
        Encoding("size:2 0010000 L:1 o1:1 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5"),
        REFUSE,
        _EXCLUSIVE,
    ),
    Row(
        "cpy",
        Encoding("size:2 011 o0:1 01 op1:2 0 Rs:5 op2:4 01 Rn:5 Rd:5"),
        REFUSE,
        _MOPS,
        needs="arm64_mops_refused",
    ),
    Row("ldar", Encoding("size:2 001000110 11111 1 11111 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("stlr", Encoding("size:2 001000100 11111 1 11111 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ldp", Encoding("x:1 0101 00 mode:2 L:1 imm7:7 Rt2:5 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ldp simd", Encoding("opc:2 1011 0 mode:2 L:1 imm7:7 Rt2:5 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ldr", Encoding("size:2 11100101 imm12:12 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("str", Encoding("size:2 11100100 imm12:12 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ldrs", Encoding("0 s:1 1110011 w:1 imm12:12 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ldr simd", Encoding("size:2 111101 0 L:1 imm12:12 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ldur", Encoding("size:2 111000 0 L:1 0 imm9:9 mode:2 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ldr register", Encoding("size:2 1110000 L:1 1 Rm:5 011 S:1 10 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("atomic", Encoding("size:2 111000 AR:2 1 Rs:5 0 opc:3 00 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("ld1", Encoding("0 Q:1 001100 0 L:1 000000 0111 size:2 Rn:5 Rt:5"), STEP, _PLAIN),
    Row("load or store", Encoding("x:4 1 y:1 0 rest:25"), STEP, _UNKNOWN),
)

_REGISTERS: Final = (
    Row("add immediate", Encoding("sf:1 op:1 S:1 100010 sh:1 imm12:12 Rn:5 Rd:5"), STEP, _PLAIN),
    Row(
        "and immediate",
        Encoding("sf:1 opc:2 100100 N:1 immr:6 imms:6 Rn:5 Rd:5"),
        STEP,
        _PLAIN,
    ),
    Row("movz", Encoding("sf:1 1 op:1 100101 hw:2 imm16:16 Rd:5"), STEP, _PLAIN),
    Row("movn", Encoding("sf:1 00 100101 hw:2 imm16:16 Rd:5"), STEP, _PLAIN),
    Row("bfm", Encoding("sf:1 opc:2 100110 N:1 immr:6 imms:6 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("extr", Encoding("sf:1 00100111 N:1 0 Rm:5 imms:6 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("and", Encoding("sf:1 opc:2 01010 shift:2 N:1 Rm:5 imm6:6 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("add", Encoding("sf:1 op:1 S:1 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5"), STEP, _PLAIN),
    Row(
        "add extended",
        Encoding("sf:1 op:1 S:1 01011001 Rm:5 option:3 imm3:3 Rn:5 Rd:5"),
        STEP,
        _PLAIN,
    ),
    Row("adc", Encoding("sf:1 op:1 S:1 11010000 Rm:5 000000 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("ccmp", Encoding("sf:1 op:1 111010010 Rm:5 cond:4 00 Rn:5 0 nzcv:4"), STEP, _PLAIN),
    Row(
        "ccmp immediate",
        Encoding("sf:1 op:1 111010010 imm5:5 cond:4 10 Rn:5 0 nzcv:4"),
        STEP,
        _PLAIN,
    ),
    Row("csel", Encoding("sf:1 op:1 011010100 Rm:5 cond:4 0 o2:1 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("rbit", Encoding("sf:1 101101011000000000 opc:3 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("udiv", Encoding("sf:1 0011010110 Rm:5 00001 o1:1 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("lslv", Encoding("sf:1 0011010110 Rm:5 0010 op2:2 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("crc32", Encoding("00011010110 Rm:5 010 C:1 sz:2 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("madd", Encoding("sf:1 0011011000 Rm:5 o0:1 Ra:5 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("smaddl", Encoding("10011011 U:1 01 Rm:5 o0:1 Ra:5 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("smulh", Encoding("10011011 U:1 10 Rm:5 0 11111 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("fmov", Encoding("00011110 0 t:1 1 0000 opc:2 10000 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("fmov general", Encoding("1001111001100 11 op:1 000000 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("fadd", Encoding("00011110 0 t:1 1 Rm:5 opc:4 10 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("fmadd", Encoding("00011111 0 t:1 o1:1 Rm:5 o0:1 Ra:5 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("fcmp", Encoding("00011110 0 t:1 1 Rm:5 001000 Rn:5 opc:2 000"), STEP, _PLAIN),
    Row("fcsel", Encoding("00011110 0 t:1 1 Rm:5 cond:4 11 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("scvtf", Encoding("sf:1 0011110 0 t:1 10001 U:1 000000 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("fcvtzs", Encoding("sf:1 0011110 0 t:1 11100 U:1 000000 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("add simd", Encoding("0 Q:1 U:1 01110 size:2 1 Rm:5 100001 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("cmeq simd", Encoding("0 Q:1 1 01110 size:2 1 Rm:5 100011 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("dup simd", Encoding("0 Q:1 001110000 imm5:5 000011 Rn:5 Rd:5"), STEP, _PLAIN),
    Row("data processing", Encoding("x:3 100 rest:26"), STEP, _UNKNOWN),
    Row("data processing on registers", Encoding("x:4 101 rest:25"), STEP, _UNKNOWN),
    Row("data processing simd", Encoding("x:4 111 rest:25"), STEP, _UNKNOWN),
    Row("reserved", Encoding("x:3 00 rest:27"), STEP, _UNKNOWN),
)

ROWS: Final = (*_BRANCHES, *_SYSTEM, *_LITERALS, *_MEMORY, *_REGISTERS)


def _by_group() -> tuple[tuple[Row, ...], ...]:
    """Sort the rows by the four bits of a word that tell its group (Arm ARM, C4.1)."""
    return tuple(
        tuple(row for row in ROWS if _may_fit(row.encoding, group << _GROUP_AT))
        for group in range(16)
    )


def _may_fit(encoding: Encoding, group: int) -> bool:
    return not (encoding.value ^ group) & encoding.mask & 0xF << _GROUP_AT


_GROUP_AT: Final = 25
_BY_GROUP: Final = _by_group()


def find(word: int) -> Row:
    """Find the row of an instruction. There is one for every word."""
    return next(row for row in _BY_GROUP[word >> _GROUP_AT & 0xF] if word in row.encoding)
