"""pt_regs of x86, and the rest of a task's registers."""

from collections.abc import Iterable
from typing import Final, Literal

from uprobes_sim.unicorn_guest import RegisterFile
from uprobes_sim.units import Vaddr

X86_EFLAGS_CF: Final = 1 << 0
X86_EFLAGS_FIXED: Final = 1 << 1
X86_EFLAGS_PF: Final = 1 << 2
X86_EFLAGS_ZF: Final = 1 << 6
X86_EFLAGS_SF: Final = 1 << 7
X86_EFLAGS_TF: Final = 1 << 8
X86_EFLAGS_IF: Final = 1 << 9
X86_EFLAGS_OF: Final = 1 << 11

GENERAL: Final = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
"""General registers in the order of their numbers in an instruction."""
EXTENDED: Final = tuple(f"r{number}" for number in range(8, 16))
WORDS: Final = (*GENERAL, "ip", "flags", *EXTENDED, "fs_base", "gs_base")
"""Registers of `RegisterFile.values`, in its order. 32-bit tasks lack r8 to r15."""

_AT: Final = {name: at for at, name in enumerate(WORDS)}
_SP: Final = _AT["sp"]
_IP: Final = _AT["ip"]
_FLAGS: Final = _AT["flags"]
_AX: Final = _AT["ax"]
_NARROW: Final = frozenset(GENERAL) | {"ip", "flags", "fs_base", "gs_base"}
_XMM0: Final = 122
"""UC_X86_REG_XMM0. Importing Unicorn's constants here would cost every command."""
_NO_AVX: Final = bytes(16 * 16)
_ZMM_HIGH: Final = len(_NO_AVX) + 8 * 8
"""Where the upper halves of zmm registers lie, behind those of ymm and the masks."""
_SELECTORS: Final = {64: {"cs": 0x33, "ss": 0x2B}, 32: {"cs": 0x23, "ss": 0x2B}}


class PtRegs:
    """`struct pt_regs` of a 64-bit or a 32-bit task."""

    __slots__ = ("bits", "extended", "file", "orig_ax", "tls")

    def __init__(self, bits: Literal[32, 64]) -> None:
        """Make the registers of a task that has just started, all but flags 0."""
        self.bits = bits
        self.file = RegisterFile(len(WORDS))
        self.orig_ax = 0
        """Number of the system call that the task is in."""
        self.tls: dict[int, int] = {}
        """Bases of the segments of set_thread_area, by entry of the GDT."""
        self.extended = _NO_AVX
        """What AVX and AVX-512 add to the vectors, part by part as XSAVE has them; what is missing
        at the end is 0. Unicorn has room for some of it, and overwrites that with anything."""
        self.flags = X86_EFLAGS_FIXED | X86_EFLAGS_IF

    def copy(self) -> "PtRegs":
        """Take a copy, as fork does."""
        new = PtRegs(self.bits)
        new.file = self.file.copy()
        new.orig_ax, new.tls, new.extended = self.orig_ax, dict(self.tls), self.extended
        return new

    @property
    def ip(self) -> Vaddr:
        """Next instruction."""
        return Vaddr(self.file.values[_IP])

    @ip.setter
    def ip(self, value: int) -> None:
        self.file.values[_IP] = value & self.mask

    @property
    def sp(self) -> Vaddr:
        """Stack pointer."""
        return Vaddr(self.file.values[_SP])

    @sp.setter
    def sp(self, value: int) -> None:
        self.file.values[_SP] = value & self.mask

    @property
    def flags(self) -> int:
        """RFLAGS."""
        return self.file.values[_FLAGS]

    @flags.setter
    def flags(self, value: int) -> None:
        self.file.values[_FLAGS] = value

    @property
    def ax(self) -> int:
        """RAX."""
        return self.file.values[_AX]

    @ax.setter
    def ax(self, value: int) -> None:
        self.file.values[_AX] = value & self.mask

    @property
    def mask(self) -> int:
        """All bits of a general register."""
        return 0xFFFF_FFFF if self.bits == 32 else 0xFFFF_FFFF_FFFF_FFFF

    def names(self) -> Iterable[str]:
        """Name every register, in the order of people; `ymm0h` is the upper half of ymm0."""
        yield from ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")
        if self.bits == 64:
            yield from EXTENDED
        yield from ("ip", "flags", "orig_ax", "cs", "ss", "fs_base", "gs_base")
        yield from (f"xmm{number}" for number in range(16 if self.bits == 64 else 8))
        yield from _UPPER[self.bits]

    def get(self, name: str) -> int:
        """Read a register. Raises `KeyError` for a name that is not in `names`."""
        if name in _AT and (self.bits == 64 or name in _NARROW):
            return self.file.values[_AT[name]]
        if name == "orig_ax":
            return self.orig_ax
        if name in _SELECTORS[self.bits]:
            return _SELECTORS[self.bits][name]
        if name in _UPPER[self.bits]:
            return self.upper(_UPPER[self.bits][name])
        return self.file.read(self._vector(name))

    def set(self, name: str, value: int) -> None:
        """Write a register. Raises `KeyError` for a name that cannot be written."""
        if name in _AT and (self.bits == 64 or name in _NARROW):
            self.file.values[_AT[name]] = value & self.mask
        elif name == "orig_ax":
            self.orig_ax = value & self.mask
        elif name in _UPPER[self.bits]:
            self.set_upper(_UPPER[self.bits][name], value)
        elif self.file.engine is None:
            raise KeyError(name)  # vectors are Unicorn's, and come with the first run
        else:
            self.file.write(self._vector(name), value)

    def upper(self, number: int) -> int:
        """Read the upper half of a ymm register."""
        return int.from_bytes(self.extended[16 * number : 16 * (number + 1)], "little")

    def set_upper(self, number: int, value: int) -> None:
        """Write the upper half of a ymm register; what lies above it becomes 0."""
        extended = bytearray(self.extended)
        extended[16 * number : 16 * (number + 1)] = value.to_bytes(16, "little")
        if len(extended) > _ZMM_HIGH:
            extended[_ZMM_HIGH + 32 * number : _ZMM_HIGH + 32 * (number + 1)] = bytes(32)
        self.extended = bytes(extended)

    def _vector(self, name: str) -> int:
        number = name.removeprefix("xmm")
        if name == number or number not in _NUMBERS[self.bits]:
            raise KeyError(name)
        return _XMM0 + int(number)


_UPPER: Final = {
    64: {f"ymm{number}h": number for number in range(16)},
    32: {f"ymm{number}h": number for number in range(8)},
}
_NUMBERS: Final = {64: frozenset(map(str, range(16))), 32: frozenset(map(str, range(8)))}
