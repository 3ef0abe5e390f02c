"""A case: the registers and the memory that an instruction is given, and leaves behind."""

import struct
from functools import cache
from typing import Any, Final

from uprobes_sim.arch import Abi
from uprobes_sim_powerpc.samples.draw import MEM_BYTES, VSRS

Record = tuple[Any, ...]
"""Members of `struct record` in harness.c: numbers, and memory at the end."""

CONTEXT: Final = 0x01700000
"""What r1 holds."""
SCRATCH: Final = 0x0171FF80
"""Where memory lies: the end of what is mapped there."""
SLOTS: Final = 0x01800000
SLOT_BYTES: Final = 64
SLOT_START: Final = 16
"""Offset of the instruction in its slot."""

FILL_WITH_TRAPS: Final = 1

INSN, FLAGS, SIGNAL, NIP, XER, CR, CTR, LR, TAR, VRSAVE = 0, 2, 3, 4, 5, 6, 7, 8, 9, 10
FPSCR, VSCR, GPR, VSR, MEM = 12, 13, 15, 47, 63
"""Index of each member."""

NAMES: Final = (
    *("insn", "insn", "flags", "signal", "nip"),
    *("xer", "cr", "ctr", "lr", "tar", "vrsave", "pad", "fpscr", "vscr", "pad"),
    *(f"r{n}" for n in range(32)),
    *(f"vs{n} doubleword {half}" for n in VSRS for half in (0, 1)),
    "memory",
)
"""Name of each member."""


@cache
def layout(abi: Abi) -> struct.Struct:
    """Give `struct record` of harness.c for *abi*."""
    order, word = ("<" if abi.byteorder == "little" else ">"), ("Q" if abi.bits == 64 else "I")
    return struct.Struct(f"{order}4I8{word}Q2I32{word}16Q{MEM_BYTES}s")


def address(number: int) -> int:
    """Tell where the instruction of record *number* lies."""
    return SLOTS + number * SLOT_BYTES + SLOT_START
