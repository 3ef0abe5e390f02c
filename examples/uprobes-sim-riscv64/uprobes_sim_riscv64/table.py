"""The instructions of RV64GC, and what the kernel does with a probe on each.

After arch/riscv/kernel/probes/decode-insn.c. The first row that an instruction fits counts, so a
special form stands before the general one. Encodings are the manual's (Unprivileged ISA). The
kernel steps whatever it does not look for; the last row of each length stands for what is none.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from uprobes_sim.version import Kernel
from uprobes_sim_riscv64 import simulate as sim
from uprobes_sim_riscv64.encoding import Encoding, insn_size


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
    """Behaviour of the kernels that go this way; None: all do, and others refuse."""

    def way_of(self, kernel: Kernel) -> Way:
        """Tell what *kernel* does with a probe here."""
        return self.way if self.needs is None or kernel.has(self.needs) else REFUSE

    @property
    def rule(self) -> str:
        """Stable identifier, such as `riscv64.c_j`."""
        return "riscv64." + self.name.replace(" ", "_").replace(".", "_")


_FLOW: Final = "it sets pc from where it lies, and that would be the slot"
_SYSTEM: Final = "all of the opcode SYSTEM is refused: ecall, ebreak, csrr and what is privileged"
_FENCE: Final = "all of the opcode MISC-MEM is refused: fence, fence.i"
_TRAP: Final = "it is a breakpoint"
_PLAIN: Final = "it does the same wherever it lies"
_UNKNOWN: Final = "the kernel does not look at it; if the processor knows none such, it is SIGILL"


def _row(name: str, pattern: str) -> Row:
    return Row(name, Encoding(pattern), STEP, _PLAIN)


def _jump(name: str, pattern: str, simulate: sim.Simulate, needs: str | None = None) -> Row:
    return Row(name, Encoding(pattern), SIMULATE, _FLOW, simulate, needs)


_LATER: Final = "riscv64_branches_simulated"
_RVC_LATER: Final = "riscv64_c_jumps_simulated"

_BRANCH: Final = "imm_12:1 imm_10_5:6 rs2:5 rs1:5 funct3:3 imm_4_1:4 imm_11:1 1100011"
_LOOKED_FOR: Final = (
    Row("system", Encoding("rest:25 1110011"), REFUSE, _SYSTEM),
    Row("fence", Encoding("rest:25 0001111"), REFUSE, _FENCE),
    _jump("jal", "imm_20:1 imm_10_1:10 imm_11:1 imm_19_12:8 rd:5 1101111", sim.jal),
    _jump("jalr", "imm_11_0:12 rs1:5 000 rd:5 1100111", sim.jalr),
    _jump("auipc", "imm_31_12:20 rd:5 0010111", sim.auipc, _LATER),
    _jump("branch", _BRANCH, sim.branch, _LATER),
)

_LOADS: Final = ("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu")
_STORES: Final = ("sb", "sh", "sw", "sd")
_OP_IMM: Final = {"addi": 0, "slti": 2, "sltiu": 3, "xori": 4, "ori": 6, "andi": 7}
_OP: Final = {
    **{name: (0, n) for n, name in enumerate(("add", "sll", "slt", "sltu", "xor", "srl", "or"))},
    "and": (0, 7),
    "sub": (32, 0),
    "sra": (32, 5),
    **{
        name: (1, n)
        for n, name in enumerate(("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu"))
    },
}
_OP_32: Final = {
    "addw": (0, 0),
    "sllw": (0, 1),
    "srlw": (0, 5),
    "subw": (32, 0),
    "sraw": (32, 5),
    "mulw": (1, 0),
    "divw": (1, 4),
    "divuw": (1, 5),
    "remw": (1, 6),
    "remuw": (1, 7),
}
_AMO: Final = {
    "amoadd": 0,
    "amoswap": 1,
    "amoxor": 4,
    "amoor": 8,
    "amoand": 12,
    "amomin": 16,
    "amomax": 20,
    "amominu": 24,
    "amomaxu": 28,
}

_INTEGER: Final = (
    _row("lui", "imm_31_12:20 rd:5 0110111"),
    *(_row(name, f"imm_11_0:12 rs1:5 {n:03b} rd:5 0000011") for n, name in enumerate(_LOADS)),
    *(
        _row(name, f"imm_11_5:7 rs2:5 rs1:5 {n:03b} imm_4_0:5 0100011")
        for n, name in enumerate(_STORES)
    ),
    *(_row(name, f"imm_11_0:12 rs1:5 {n:03b} rd:5 0010011") for name, n in _OP_IMM.items()),
    _row("slli", "000000 shamt:6 rs1:5 001 rd:5 0010011"),
    _row("srli", "000000 shamt:6 rs1:5 101 rd:5 0010011"),
    _row("srai", "010000 shamt:6 rs1:5 101 rd:5 0010011"),
    _row("addiw", "imm_11_0:12 rs1:5 000 rd:5 0011011"),
    _row("slliw", "0000000 shamt:5 rs1:5 001 rd:5 0011011"),
    _row("srliw", "0000000 shamt:5 rs1:5 101 rd:5 0011011"),
    _row("sraiw", "0100000 shamt:5 rs1:5 101 rd:5 0011011"),
    *(
        _row(name, f"{seven:07b} rs2:5 rs1:5 {three:03b} rd:5 0110011")
        for name, (seven, three) in _OP.items()
    ),
    *(
        _row(name, f"{seven:07b} rs2:5 rs1:5 {three:03b} rd:5 0111011")
        for name, (seven, three) in _OP_32.items()
    ),
)

_ATOMIC: Final = (
    *(
        _row(f"{name}.{size}", f"{five:05b} aqrl:2 rs2:5 rs1:5 {width:03b} rd:5 0101111")
        for name, five in _AMO.items()
        for size, width in (("w", 2), ("d", 3))
    ),
    _row("lr", "00010 aqrl:2 00000 rs1:5 01 d:1 rd:5 0101111"),
    _row("sc", "00011 aqrl:2 rs2:5 rs1:5 01 d:1 rd:5 0101111"),
)

_FLOAT: Final = (
    _row("flw", "imm_11_0:12 rs1:5 010 fd:5 0000111"),
    _row("fld", "imm_11_0:12 rs1:5 011 fd:5 0000111"),
    _row("fsw", "imm_11_5:7 fs2:5 rs1:5 010 imm_4_0:5 0100111"),
    _row("fsd", "imm_11_5:7 fs2:5 rs1:5 011 imm_4_0:5 0100111"),
    _row("fmadd", "fs3:5 0 d:1 fs2:5 fs1:5 rm:3 fd:5 100 op:2 11"),
    _row("fadd", "000 op:2 0 d:1 fs2:5 fs1:5 rm:3 fd:5 1010011"),
    _row("fsqrt", "010110 d:1 00000 fs1:5 rm:3 fd:5 1010011"),
    _row("fsgnj", "001000 d:1 fs2:5 fs1:5 op3:3 fd:5 1010011"),
    _row("fmin", "001010 d:1 fs2:5 fs1:5 00 op1:1 fd:5 1010011"),
    _row("fcvt.s.d", "0100000 00001 fs1:5 rm:3 fd:5 1010011"),
    _row("fcvt.d.s", "0100001 00000 fs1:5 rm:3 fd:5 1010011"),
    _row("fcmp", "101000 d:1 fs2:5 fs1:5 op3:3 rd:5 1010011"),
    _row("fcvt.int", "110000 d:1 000 to:2 fs1:5 rm:3 rd:5 1010011"),
    _row("fcvt.from", "110100 d:1 000 to:2 rs1:5 rm:3 fd:5 1010011"),
    _row("fmv.x", "111000 d:1 00000 fs1:5 000 rd:5 1010011"),
    _row("fclass", "111000 d:1 00000 fs1:5 001 rd:5 1010011"),
    _row("fmv.f", "111100 d:1 00000 rs1:5 000 fd:5 1010011"),
)

_C_ADDIW: Final = "riscv64_c_addiw_accepted"
_C_MV: Final = "riscv64_c_mv_accepted"
_C_JR: Final = "riscv64_c_jr_needs_rs1"
_C_LIKE_JUMP: Final = "it does the same wherever it lies; older kernels take it for a jump"

_COMPRESSED: Final = (
    Row("c.ebreak", Encoding("1001000000000010"), REFUSE, _TRAP),
    _jump(
        "c.j",
        "101 imm_11:1 imm_4:1 imm_9_8:2 imm_10:1 imm_6:1 imm_7:1 imm_3_1:3 imm_5:1 01",
        sim.c_j,
        _RVC_LATER,
    ),
    Row(
        "c.jr reserved",
        Encoding("1000000000000010"),
        STEP,
        _UNKNOWN,
        needs="riscv64_c_jr_needs_rs1",
    ),
    _jump("c.jr", "1000 rs1:5 00000 10", sim.c_jr, _RVC_LATER),
    _jump("c.jalr", "1001 rs1:5 00000 10", sim.c_jalr, _RVC_LATER),
    _jump(
        "c.beqz",
        "110 imm_8:1 imm_4_3:2 rs1c:3 imm_7_6:2 imm_2_1:2 imm_5:1 01",
        sim.c_beqz,
        _RVC_LATER,
    ),
    _jump(
        "c.bnez",
        "111 imm_8:1 imm_4_3:2 rs1c:3 imm_7_6:2 imm_2_1:2 imm_5:1 01",
        sim.c_bnez,
        _RVC_LATER,
    ),
    Row("c.mv even", Encoding("1000 rd:5 rs2_4_1:4 0 10"), STEP, _C_LIKE_JUMP, needs=_C_MV),
    Row("c.add even", Encoding("1001 rd:5 rs2_4_1:4 0 10"), STEP, _C_LIKE_JUMP, needs=_C_MV),
    _row("c.mv", "1000 rd:5 rs2_4_1:4 1 10"),
    _row("c.add", "1001 rd:5 rs2_4_1:4 1 10"),
    Row("c.illegal", Encoding("0000000000000000"), STEP, _UNKNOWN),
    _row("c.addi4spn", "000 imm_5_4:2 imm_9_6:4 imm_2:1 imm_3:1 rdc:3 00"),
    _row("c.fld", "001 imm_5_3:3 rs1c:3 imm_7_6:2 fdc:3 00"),
    _row("c.lw", "010 imm_5_3:3 rs1c:3 imm_2:1 imm_6:1 rdc:3 00"),
    _row("c.ld", "011 imm_5_3:3 rs1c:3 imm_7_6:2 rdc:3 00"),
    _row("c.fsd", "101 imm_5_3:3 rs1c:3 imm_7_6:2 fs2c:3 00"),
    _row("c.sw", "110 imm_5_3:3 rs1c:3 imm_2:1 imm_6:1 rs2c:3 00"),
    _row("c.sd", "111 imm_5_3:3 rs1c:3 imm_7_6:2 rs2c:3 00"),
    _row("c.addi", "000 imm_5:1 rd:5 imm_4_0:5 01"),
    Row(
        "c.addiw",
        Encoding("001 imm_5:1 rd:5 imm_4_0:5 01"),
        STEP,
        _C_LIKE_JUMP,
        needs=_C_ADDIW,
    ),
    _row("c.li", "010 imm_5:1 rd:5 imm_4_0:5 01"),
    _row("c.addi16sp", "011 imm_9:1 00010 imm_4:1 imm_6:1 imm_8_7:2 imm_5:1 01"),
    _row("c.lui", "011 imm_17:1 rd:5 imm_16_12:5 01"),
    _row("c.srli", "100 sh_5:1 00 rdc:3 sh_4_0:5 01"),
    _row("c.srai", "100 sh_5:1 01 rdc:3 sh_4_0:5 01"),
    _row("c.andi", "100 imm_5:1 10 rdc:3 imm_4_0:5 01"),
    _row("c.sub", "100 0 11 rdc:3 op:2 rs2c:3 01"),
    _row("c.subw", "100 1 11 rdc:3 0 op:1 rs2c:3 01"),
    _row("c.slli", "000 sh_5:1 rd:5 sh_4_0:5 10"),
    _row("c.fldsp", "001 imm_5:1 fd:5 imm_4_3:2 imm_8_6:3 10"),
    _row("c.lwsp", "010 imm_5:1 rd:5 imm_4_2:3 imm_7_6:2 10"),
    _row("c.ldsp", "011 imm_5:1 rd:5 imm_4_3:2 imm_8_6:3 10"),
    _row("c.fsdsp", "101 imm_5_3:3 imm_8_6:3 fs2:5 10"),
    _row("c.swsp", "110 imm_5_2:4 imm_7_6:2 rs2:5 10"),
    _row("c.sdsp", "111 imm_5_3:3 imm_8_6:3 rs2:5 10"),
)

_REST: Final = (
    Row("other", Encoding("rest:30 11"), STEP, _UNKNOWN),
    *(Row(f"c.other {low}", Encoding(f"rest:14 {low:02b}"), STEP, _UNKNOWN) for low in (0, 1)),
)

ROWS: Final = (*_LOOKED_FOR, *_INTEGER, *_ATOMIC, *_FLOAT, *_COMPRESSED, *_REST)

_BY_SIZE: Final = {
    size: tuple(row for row in ROWS if row.encoding.bits == 8 * size) for size in (2, 4)
}


def find(word: int) -> Row:
    """Find the row of the instruction that *word*, of 32 bits, begins with. There is one."""
    return next(row for row in _BY_SIZE[insn_size(word)] if word in row.encoding)
