"""pt_regs of arm64, and the rest of a task's registers."""

from collections.abc import Iterable
from typing import Final

from uprobes_sim.unicorn_guest import RegisterFile
from uprobes_sim.units import Vaddr

PSR_N_BIT: Final = 1 << 31
PSR_Z_BIT: Final = 1 << 30
PSR_C_BIT: Final = 1 << 29
PSR_V_BIT: Final = 1 << 28
PSR_FLAGS: Final = PSR_N_BIT | PSR_Z_BIT | PSR_C_BIT | PSR_V_BIT

ZERO: Final = 31
"""Number of the register that reads as zero, where it is not the stack pointer."""

GENERAL: Final = tuple(f"x{number}" for number in range(31))
WORDS: Final = (*GENERAL, "sp", "pc", "pstate", "tpidr_el0")
"""Registers of `RegisterFile.values`, in its order."""
VECTORS: Final = tuple(f"v{number}" for number in range(32))

_AT: Final = {name: at for at, name in enumerate(WORDS)}
_SP, _PC, _PSTATE = _AT["sp"], _AT["pc"], _AT["pstate"]
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF

_Q0: Final = 104
"""Importing Unicorn's constants here would cost every command."""
REST: Final = {"fpcr": 291, "fpsr": 292} | {name: _Q0 + n for n, name in enumerate(VECTORS)}
"""Registers that stay inside Unicorn, by its number (UC_ARM64_REG_*)."""


class PtRegs:
    """`struct user_pt_regs`, the thread pointer, and floating point."""

    __slots__ = ("file",)

    def __init__(self) -> None:
        """Make the registers of a task that has just started, all 0."""
        self.file = RegisterFile(len(WORDS))

    def copy(self) -> "PtRegs":
        """Take a copy, vectors and all."""
        new = PtRegs()
        new.file = self.file.copy()
        return new

    @property
    def ip(self) -> Vaddr:
        """Next instruction (pc)."""
        return Vaddr(self.file.values[_PC])

    @ip.setter
    def ip(self, value: int) -> None:
        self.file.values[_PC] = value & _MASK

    @property
    def sp(self) -> Vaddr:
        """Stack pointer."""
        return Vaddr(self.file.values[_SP])

    @sp.setter
    def sp(self, value: int) -> None:
        self.file.values[_SP] = value & _MASK

    @property
    def pstate(self) -> int:
        """The condition flags, where PSTATE has them; the rest of it is 0 in user mode."""
        return self.file.values[_PSTATE]

    def x(self, number: int) -> int:
        """Read a general register by its number in an instruction; 31 is zero."""
        return 0 if number == ZERO else self.file.values[number]

    def set_x(self, number: int, value: int) -> None:
        """Write a general register by its number in an instruction; 31 is nowhere."""
        if number != ZERO:
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
        if at is None:
            self.file.write(REST[name], value)
        else:
            self.file.values[at] = value & (PSR_FLAGS if name == "pstate" else _MASK)
