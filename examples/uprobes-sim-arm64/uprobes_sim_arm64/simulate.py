"""What the kernel does in place of an instruction: arch/arm64/kernel/probes/simulate-insn.c.

Each takes the fields of an instruction at `regs.ip` and moves that on.
"""

from collections.abc import Callable, Mapping
from typing import Final

from uprobes_sim.memory import Mm
from uprobes_sim_arm64.encoding import signed
from uprobes_sim_arm64.info import AARCH64_INSN_SIZE
from uprobes_sim_arm64.regs import PSR_C_BIT, PSR_N_BIT, PSR_V_BIT, PSR_Z_BIT, PtRegs

Fields = Mapping[str, int]
Simulate = Callable[[Fields, PtRegs, Mm], None]
"""May raise `PageFault`, before anything has changed."""

_LINK: Final = 30
_PAGE: Final = 12


def nop(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Do nothing."""
    _next(regs)


def b(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Branch; bl leaves the return address in x30."""
    here = regs.ip
    if fields["op"]:
        regs.set_x(_LINK, here + AARCH64_INSN_SIZE)
    regs.ip = here + _words(fields["imm26"], 26)


def b_cond(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Branch if the flags say so."""
    _branch_if(holds(fields["cond"], regs.pstate), fields["imm19"], 19, regs)


def cbz(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Branch if a register is zero, or is not."""
    value = regs.x(fields["Rt"]) if fields["sf"] else regs.x(fields["Rt"]) & 0xFFFF_FFFF
    _branch_if((value == 0) != bool(fields["op"]), fields["imm19"], 19, regs)


def tbz(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Branch if a bit is zero, or is not."""
    bit = regs.x(fields["Rt"]) >> (fields["b5"] << 5 | fields["b40"]) & 1
    _branch_if(bit == fields["op"], fields["imm14"], 14, regs)


def br(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Branch to a register: br and ret."""
    regs.ip = regs.x(fields["Rn"])


def blr(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Branch to a register, which may be x30, and leave the return address in x30."""
    target = regs.x(fields["Rn"])
    regs.set_x(_LINK, regs.ip + AARCH64_INSN_SIZE)
    regs.ip = target


def adr(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Form an address near this instruction, or for adrp near its page."""
    offset = signed(fields["immhi"] << 2 | fields["immlo"], 21)
    here = int(regs.ip)
    if fields["op"]:
        here, offset = here >> _PAGE << _PAGE, offset << _PAGE
    regs.set_x(fields["Rd"], here + offset)
    _next(regs)


def ldr_literal(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Load a register from near this instruction."""
    size = 8 if fields["x"] else 4
    literal = mm.read(regs.ip + _words(fields["imm19"], 19), size)
    regs.set_x(fields["Rt"], int.from_bytes(literal, "little"))
    _next(regs)


def ldrsw_literal(fields: Fields, regs: PtRegs, mm: Mm) -> None:
    """Load a signed word from near this instruction."""
    literal = mm.read(regs.ip + _words(fields["imm19"], 19), 4)
    regs.set_x(fields["Rt"], int.from_bytes(literal, "little", signed=True))
    _next(regs)


def holds(condition: int, pstate: int) -> bool:
    """Tell whether the flags fulfil a condition (ARM ARM, ConditionHolds)."""
    n, z, c, v = (bool(pstate & bit) for bit in (PSR_N_BIT, PSR_Z_BIT, PSR_C_BIT, PSR_V_BIT))
    found = (z, c, n, v, c and not z, n == v, n == v and not z, True)[condition >> 1]
    return found if condition == 0b1111 else found != bool(condition & 1)


def _branch_if(taken: bool, offset: int, width: int, regs: PtRegs) -> None:
    if taken:
        regs.ip = regs.ip + _words(offset, width)
    else:
        _next(regs)


def _words(offset: int, width: int) -> int:
    return signed(offset, width) * AARCH64_INSN_SIZE


def _next(regs: PtRegs) -> None:
    regs.ip = regs.ip + AARCH64_INSN_SIZE
