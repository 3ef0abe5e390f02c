"""What the kernel does in place of an instruction: arch/riscv/kernel/probes/simulate-insn.c.

Each takes the fields of an instruction at `regs.ip` and moves that on.
"""

from collections.abc import Callable, Mapping
from typing import Final

from uprobes_sim_riscv64.encoding import immediate, signed
from uprobes_sim_riscv64.regs import RA, PtRegs

Fields = Mapping[str, int]
Simulate = Callable[[Fields, PtRegs], None]

_COMPRESSED: Final = 8
"""Number of the first register that three bits can name."""


def jal(fields: Fields, regs: PtRegs) -> None:
    """Jump, and leave the return address."""
    here = regs.ip
    regs.set_x(fields["rd"], here + 4)
    regs.ip = here + immediate(fields)


def jalr(fields: Fields, regs: PtRegs) -> None:
    """Jump to a register, which may be the one that gets the return address."""
    target = regs.x(fields["rs1"]) + immediate(fields)
    regs.set_x(fields["rd"], regs.ip + 4)
    regs.ip = target


def auipc(fields: Fields, regs: PtRegs) -> None:
    """Form an address near this instruction."""
    regs.set_x(fields["rd"], regs.ip + immediate(fields))
    regs.ip = regs.ip + 4


def branch(fields: Fields, regs: PtRegs) -> None:
    """Branch if two registers compare so."""
    taken = compares(fields["funct3"], regs.x(fields["rs1"]), regs.x(fields["rs2"]))
    regs.ip = regs.ip + (immediate(fields) if taken else 4)


def c_j(fields: Fields, regs: PtRegs) -> None:
    """Jump."""
    regs.ip = regs.ip + immediate(fields)


def c_jr(fields: Fields, regs: PtRegs) -> None:
    """Jump to a register."""
    regs.ip = regs.x(fields["rs1"])


def c_jalr(fields: Fields, regs: PtRegs) -> None:
    """Jump to a register, which may be ra, and leave the return address in ra."""
    target = regs.x(fields["rs1"])
    regs.set_x(RA, regs.ip + 2)
    regs.ip = target


def c_beqz(fields: Fields, regs: PtRegs) -> None:
    """Branch if a register is zero."""
    taken = regs.x(_COMPRESSED + fields["rs1c"]) == 0
    regs.ip = regs.ip + (immediate(fields) if taken else 2)


def c_bnez(fields: Fields, regs: PtRegs) -> None:
    """Branch if a register is not zero."""
    taken = regs.x(_COMPRESSED + fields["rs1c"]) != 0
    regs.ip = regs.ip + (immediate(fields) if taken else 2)


def compares(funct3: int, first: int, second: int) -> bool:
    """Tell whether a branch is taken: beq, bne, blt, bge, bltu, bgeu."""
    if funct3 < 0b100:
        found = first == second
    elif funct3 < 0b110:
        found = signed(first, 64) < signed(second, 64)
    else:
        found = first < second
    return found != bool(funct3 & 1)
