"""Fields of an instruction, by the names that the Power ISA gives them.

A parameter of a definition that bears one of these names receives that field.
A prefixed instruction is one number of 64 bits, its prefix in the upper half;
the fields of the suffix lie where they do in a word.
"""

from collections.abc import Callable
from typing import Final

Field = Callable[[int], int]
"""Extract a field from an instruction. Arrays of instructions will do as well."""


def unsigned(shift: int, bits: int) -> Field:
    """Make a field of *bits* bits whose last one is *shift* places from the right."""
    mask = (1 << bits) - 1
    return lambda insn: insn >> shift & mask


def signed(bits: int, clear: int = 0) -> Field:
    """Make a sign-extended field at the right end; *clear*: its last bits are no part of it."""
    mask, sign = (1 << bits) - (1 << clear), 1 << bits - 1
    return lambda insn: (insn & mask ^ sign) - sign


def _spr(insn: int) -> int:
    """Swap the halves, as the assembler did."""
    return insn >> 16 & 31 | insn >> 6 & 0x3E0


def _d_addpcis(insn: int) -> int:
    return ((insn & 0xFFC1 | insn >> 15 & 0x3E) ^ 0x8000) - 0x8000


def _d34(insn: int) -> int:
    return ((insn >> 16 & 0x3FFFF0000 | insn & 0xFFFF) ^ 1 << 33) - (1 << 33)


def _vsx(number: int, top: int) -> Field:
    """Make the number of a VSR: five bits at *number*, the highest apart at *top*."""
    return lambda insn: insn >> number & 31 | (insn >> top & 1) << 5


def _vsx_pair(insn: int) -> int:
    return insn >> 21 & 30 | (insn >> 21 & 1) << 5


FIELDS: Final[dict[str, Field]] = {
    # registers
    **dict.fromkeys(
        ("RT", "RS", "FRT", "FRS", "VRT", "VRS", "BT", "BO", "TO"),
        unsigned(21, 5),
    ),
    **dict.fromkeys(("RA", "FRA", "VRA", "BA", "BI"), unsigned(16, 5)),
    **dict.fromkeys(("RB", "FRB", "VRB", "BB", "SH", "NB"), unsigned(11, 5)),
    **dict.fromkeys(("RC", "FRC", "VRC", "BC", "MB"), unsigned(6, 5)),
    "XT": _vsx(21, 0),
    "XS": _vsx(21, 0),
    "XA": _vsx(16, 2),
    "XB": _vsx(11, 1),
    "XC": _vsx(6, 3),
    "XT_DQ": _vsx(21, 3),  # lxv, stxv
    "XT_8LS": _vsx(21, 26),  # plxv, pstxv
    "XT_8RR": _vsx(21, 16),  # xxspltiw
    "XTp": _vsx_pair,
    # condition register fields
    "BF": unsigned(23, 3),
    "BFA": unsigned(18, 3),
    "FXM": unsigned(12, 8),
    # immediates
    "D": signed(16),
    "SI": signed(16),
    "UI": unsigned(0, 16),
    "DS": signed(16, 2),
    "DQ": signed(16, 4),
    "D34": _d34,
    "DX": _d_addpcis,
    "LI": signed(26, 2),
    "BD": signed(16, 2),
    "SIM": lambda insn: (insn >> 16 & 31 ^ 16) - 16,
    "UIM": unsigned(16, 5),
    "UIM2": unsigned(16, 2),
    "UIM3": unsigned(16, 3),
    "UIM4": unsigned(16, 4),
    "IMM8": unsigned(11, 8),
    "IMM32": lambda insn: insn >> 16 & 0xFFFF0000 | insn & 0xFFFF,
    "IX": unsigned(17, 1),
    # shifts and masks
    "ME": unsigned(1, 5),
    "sh": lambda insn: insn >> 11 & 31 | insn << 4 & 32,  # 64-bit forms, split
    "mb": lambda insn: insn >> 6 & 31 | insn & 32,
    "SHB": unsigned(6, 4),  # vsldoi
    "ST": unsigned(15, 1),  # vshasigmaw
    "SIX": unsigned(11, 4),
    "SHW": unsigned(8, 2),  # xxsldwi
    "DM": unsigned(8, 2),
    # switches
    "Rc": unsigned(0, 1),
    "Rc21": unsigned(10, 1),  # vector compares
    "OE": unsigned(10, 1),
    "LK": unsigned(0, 1),
    "AA": unsigned(1, 1),
    "L": unsigned(21, 1),
    "L2": unsigned(16, 2),
    "L3": unsigned(21, 3),
    "CY": unsigned(9, 2),
    "BH": unsigned(11, 2),
    "R": unsigned(52, 1),
    "TH": unsigned(21, 5),
    "LEV": unsigned(5, 7),
    # system
    "SPR": _spr,
    # floating-point status and control
    "FLM": unsigned(17, 8),
    "W": unsigned(16, 1),
    "L6": unsigned(25, 1),  # mtfsf
    "U": unsigned(12, 4),
    "RM": unsigned(11, 2),
    "DRM": unsigned(11, 3),
    "DCMX": unsigned(16, 7),
}
"""Each field by its name; a name of our own has a comment."""

IMPLIED: Final = frozenset({"s", "m", "CIA", "NIA"})
"""Parameters that are no fields: registers, memory, addresses of this and the next instruction."""
