"""pt_regs of riscv64, and floating point."""

from collections.abc import Iterable
from typing import Final

from uprobes_sim.unicorn_guest import RegisterFile
from uprobes_sim.units import Vaddr

GENERAL: Final = (
    *("ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{number}" for number in range(8)),
    *(f"s{number}" for number in range(2, 12)),
    *(f"t{number}" for number in range(3, 7)),
)
"""x1 to x31, as the kernel calls them. x0 is zero."""
WORDS: Final = ("epc", *GENERAL, "fcsr")
"""Registers of `RegisterFile.values`, in its order: like pt_regs, by number, and fcsr.

Unicorn 2.1.4 loses the flags of fcsr when it changes to another task by itself.
"""

RA, SP, TP, A0, A7 = 1, 2, 4, 10, 17

_AT: Final = {name: at for at, name in enumerate(WORDS)}
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_FCSR: Final = 0xFF
"""Rounding mode and flags."""

_F0: Final = 158
REST: Final = {f"f{number}": _F0 + number for number in range(32)}
"""Registers that stay inside Unicorn, by its number (UC_RISCV_REG_*).

Importing Unicorn's constants here would cost every command.
"""


class PtRegs:
    """`struct pt_regs`, and `struct __riscv_d_ext_state`."""

    __slots__ = ("file",)

    def __init__(self) -> None:
        """Make the registers of a task that has just started, all 0."""
        self.file = RegisterFile(len(WORDS))

    def copy(self) -> "PtRegs":
        """Take a copy, floating point and all."""
        new = PtRegs()
        new.file = self.file.copy()
        return new

    @property
    def ip(self) -> Vaddr:
        """Next instruction (epc)."""
        return Vaddr(self.file.values[0])

    @ip.setter
    def ip(self, value: int) -> None:
        self.file.values[0] = value & _MASK & ~1

    @property
    def sp(self) -> Vaddr:
        """Stack pointer."""
        return Vaddr(self.file.values[SP])

    @sp.setter
    def sp(self, value: int) -> None:
        self.file.values[SP] = value & _MASK

    def x(self, number: int) -> int:
        """Read a general register by its number; x0 is zero."""
        return self.file.values[number] if number else 0

    def set_x(self, number: int, value: int) -> None:
        """Write a general register by its number; x0 is nowhere."""
        if number:
            self.file.values[number] = value & _MASK

    def names(self) -> Iterable[str]:
        """Name every register, in the order of people."""
        yield from WORDS
        yield from REST

    def get(self, name: str) -> int:
        """Read a register. Raises `KeyError` for a name that is not in `names`."""
        at = _AT.get(name)
        return self.file.read(REST[name]) if at is None else self.file.values[at]

    def set(self, name: str, value: int) -> None:
        """Write a register. Raises `KeyError` for a name that is not in `names`."""
        at = _AT.get(name)
        if name == "epc":
            self.ip = Vaddr(value)
        elif at is None:
            self.file.write(REST[name], value)
        else:
            self.file.values[at] = value & (_FCSR if name == "fcsr" else _MASK)
