"""General registers: BMI, and what Unicorn gets wrong of older ones."""

from collections.abc import Callable
from typing import Final

from uprobes_sim_x86.regs import (
    X86_EFLAGS_CF,
    X86_EFLAGS_OF,
    X86_EFLAGS_PF,
    X86_EFLAGS_SF,
    X86_EFLAGS_ZF,
)
from uprobes_sim_x86.semantics.operands import NotOurs, Operands

_AF: Final = 0x10
_ARITHMETIC: Final = (
    X86_EFLAGS_CF | X86_EFLAGS_PF | _AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF
)
_LOW_FLAGS: Final = _ARITHMETIC & 0xFF
_FIXED: Final = 0x02
_AX, _DX = 0, 2

Semantics = Callable[[Operands], None]


def _width(operands: Operands) -> int:
    return 8 if operands.wide else 4


def _sign_and_zero(value: int, size: int) -> int:
    sign = X86_EFLAGS_SF if value >> (8 * size - 1) & 1 else 0
    return sign | (0 if value else X86_EFLAGS_ZF)


# --- legacy -------------------------------------------------------------------


def pause(operands: Operands) -> None:
    """Do nothing."""


def lahf(operands: Operands) -> None:
    """Copy flags to ah, whatever REX says."""
    found = operands.flags & _LOW_FLAGS | _FIXED
    rest = operands.general(_AX, 8) & ~0xFF00
    operands.set_general(_AX, rest | found << 8, 8)


def sahf(operands: Operands) -> None:
    """Copy flags from ah, whatever REX says."""
    operands.set_flags(_LOW_FLAGS, operands.general(_AX, 8) >> 8)


def cmpxchg(operands: Operands) -> None:
    """Compare and exchange 32-bit registers: the one that is not written keeps its upper half."""
    accumulator, found = operands.general(_AX, 4), operands.general(operands.rm, 4)
    _compare(operands, accumulator, found)
    if accumulator == found:
        operands.set_general(operands.rm, operands.general(operands.reg, 4), 4)
    else:
        operands.set_general(_AX, found, 4)


def _compare(operands: Operands, a: int, b: int) -> None:
    """Set the flags as cmp of 32 bits does."""
    result = (a - b) & 0xFFFF_FFFF
    flags = _sign_and_zero(result, 4)
    flags |= X86_EFLAGS_CF if a < b else 0
    flags |= _AF if (a ^ b ^ result) & 0x10 else 0
    flags |= X86_EFLAGS_OF if ((a ^ b) & (a ^ result)) >> 31 else 0
    flags |= 0 if (result & 0xFF).bit_count() & 1 else X86_EFLAGS_PF
    operands.set_flags(_ARITHMETIC, flags)


def _zeros(operands: Operands, count: Callable[[int, int], int]) -> None:
    size = 2 if 0x66 in operands.insn.prefixes and not operands.wide else _width(operands)
    source = operands.general_rm(size)
    found = count(source, 8 * size)
    flags = (X86_EFLAGS_CF if not source else 0) | (X86_EFLAGS_ZF if not found else 0)
    operands.set_flags(X86_EFLAGS_CF | X86_EFLAGS_ZF, flags)
    if size == 2:
        found |= operands.general(operands.reg, 8) & ~0xFFFF
        size = 8
    operands.set_general(operands.reg, found, size)


def tzcnt(operands: Operands) -> None:
    """Count zeros from the right."""
    _zeros(operands, lambda value, bits: (value & -value).bit_length() - 1 if value else bits)


def lzcnt(operands: Operands) -> None:
    """Count zeros from the left."""
    _zeros(operands, lambda value, bits: bits - value.bit_length())


LEGACY: Final[dict[bytes, Semantics]] = {
    b"\x90": pause,
    b"\x9e": sahf,
    b"\x9f": lahf,
    b"\x0f\xb1": cmpxchg,
    b"\x0f\xbc": tzcnt,
    b"\x0f\xbd": lzcnt,
}
"""By opcode, where `faults.FAULTS` has it."""


# --- BMI ----------------------------------------------------------------------


def _result(operands: Operands, number: int, value: int, carry: bool) -> None:
    """Write a register, and the flags as BMI does: OF is 0; AF and PF, undefined, stay."""
    size = _width(operands)
    value &= (1 << 8 * size) - 1
    operands.set_general(number, value, size)
    mask = X86_EFLAGS_CF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF
    operands.set_flags(mask, _sign_and_zero(value, size) | (X86_EFLAGS_CF if carry else 0))


def andn(operands: Operands) -> None:
    size = _width(operands)
    inverted = ~operands.general(operands.vvvv, size)
    _result(operands, operands.reg, inverted & operands.general_rm(size), carry=False)


def lowest_bit(operands: Operands) -> None:
    """blsr, blsmsk, blsi."""
    source = operands.general_rm(_width(operands))
    match operands.insn.reg:
        case 1:
            found, carry = source & (source - 1), not source
        case 2:
            found, carry = source ^ (source - 1), not source
        case 3:
            found, carry = source & -source, bool(source)
        case _:
            raise NotOurs
    _result(operands, operands.vvvv, found, carry)
    if operands.insn.reg == 2:
        operands.set_flags(X86_EFLAGS_ZF, 0)


def bextr(operands: Operands) -> None:
    size = _width(operands)
    control = operands.general(operands.vvvv, size)
    start, length = control & 0xFF, control >> 8 & 0xFF
    found = operands.general_rm(size) >> start & ((1 << length) - 1)
    operands.set_general(operands.reg, found, size)
    mask = X86_EFLAGS_CF | X86_EFLAGS_ZF | X86_EFLAGS_OF
    operands.set_flags(mask, 0 if found else X86_EFLAGS_ZF)


def bzhi(operands: Operands) -> None:
    size = _width(operands)
    source, start = operands.general_rm(size), operands.general(operands.vvvv, size) & 0xFF
    _result(operands, operands.reg, source & ((1 << start) - 1), carry=start > 8 * size - 1)


def _shift(operands: Operands) -> tuple[int, int, int]:
    size = _width(operands)
    count = operands.general(operands.vvvv, size) & (8 * size - 1)
    return operands.general_rm(size), count, size


def shlx(operands: Operands) -> None:
    source, count, size = _shift(operands)
    operands.set_general(operands.reg, source << count, size)


def shrx(operands: Operands) -> None:
    source, count, size = _shift(operands)
    operands.set_general(operands.reg, source >> count, size)


def sarx(operands: Operands) -> None:
    source, count, size = _shift(operands)
    source -= source >> (8 * size - 1) << 8 * size
    operands.set_general(operands.reg, source >> count, size)


def rorx(operands: Operands) -> None:
    if operands.insn.vex[2] & 0x78 != 0x78:
        raise NotOurs
    size = _width(operands)
    source, count = operands.general_rm(size), operands.immediate & (8 * size - 1)
    operands.set_general(operands.reg, source >> count | source << 8 * size - count, size)


def mulx(operands: Operands) -> None:
    size = _width(operands)
    product = operands.general_rm(size) * operands.general(_DX, size)
    operands.set_general(operands.vvvv, product, size)
    operands.set_general(operands.reg, product >> 8 * size, size)


def pdep(operands: Operands) -> None:
    size = _width(operands)
    source, mask, found = operands.general(operands.vvvv, size), operands.general_rm(size), 0
    for at in range(8 * size):
        if mask >> at & 1:
            found |= (source & 1) << at
            source >>= 1
    operands.set_general(operands.reg, found, size)


def pext(operands: Operands) -> None:
    size = _width(operands)
    source, mask, found = operands.general(operands.vvvv, size), operands.general_rm(size), 0
    bits = [at for at in range(8 * size) if mask >> at & 1]
    for place, at in enumerate(bits):
        found |= (source >> at & 1) << place
    operands.set_general(operands.reg, found, size)


BMI: Final[dict[tuple[int, int, int], Semantics]] = {
    (2, 0, 0xF2): andn,
    (2, 0, 0xF3): lowest_bit,
    (2, 0, 0xF5): bzhi,
    (2, 2, 0xF5): pext,
    (2, 3, 0xF5): pdep,
    (2, 3, 0xF6): mulx,
    (2, 0, 0xF7): bextr,
    (2, 1, 0xF7): shlx,
    (2, 2, 0xF7): sarx,
    (2, 3, 0xF7): shrx,
    (3, 3, 0xF0): rorx,
}
"""By map, pp (0 none, 1 66, 2 f3, 3 f2) and opcode. VEX.L is 0 in all of them."""
