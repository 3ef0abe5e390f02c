"""Where the operands of an instruction are, and what is in them."""

from typing import Final

from uprobes_sim.memory import Access, Mm
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT
from uprobes_sim_x86.insn import Insn
from uprobes_sim_x86.regs import EXTENDED, GENERAL, PtRegs

_NAMES: Final = (*GENERAL, *EXTENDED)
_SEGMENTS: Final = {0x64: "fs_base", 0x65: "gs_base"}
_ADDRESS_SIZE: Final = 0x67
_NO_INDEX: Final = 4


class NotOurs(Exception):
    """The instruction has a form that is left to the processor of the host."""


class Misaligned(Exception):
    """#GP: the address is not one that the instruction takes."""


class Operands:
    """The operands of one instruction of a task."""

    def __init__(self, insn: Insn, regs: PtRegs, mm: Mm) -> None:
        """Take *insn* apart, which has a ModRM byte or no operands."""
        self.insn = insn
        self._regs = regs
        self._mm = mm
        modrm = insn.modrm or 0
        rex = extension(insn)
        self.reg = insn.reg | rex << 1 & 8
        self.rm = modrm & 7 | rex << 3 & 8
        self._rex = rex
        self.in_memory = insn.modrm is not None and modrm >> 6 != 3

    # --- fields of VEX ------------------------------------------------------

    @property
    def vvvv(self) -> int:
        """The register in VEX.vvvv."""
        number = self.insn.vex[2] >> 3 & 15 ^ 15
        return number if self.insn.bits == 64 else number & 7

    @property
    def wide(self) -> bool:
        """VEX.W or REX.W."""
        insn = self.insn
        if insn.vex:
            return bool(insn.vex[2] & 0x80) and insn.bits == 64
        return bool(insn.rex and insn.rex[0] & 8)

    @property
    def size(self) -> int:
        """Bytes of a vector, by VEX.L."""
        return 32 if self.insn.vex[2] & 4 else 16

    @property
    def immediate(self) -> int:
        """The immediate byte, unsigned."""
        return self.insn.immediate & 0xFF

    # --- memory -------------------------------------------------------------

    @property
    def address(self) -> int:
        """The effective address, with the base of its segment."""
        insn, regs = self.insn, self._regs
        if _ADDRESS_SIZE in insn.prefixes or not self.in_memory:
            raise NotOurs
        at, modrm = insn.modrm_at + 1, insn.modrm or 0
        mod, low = modrm >> 6, modrm & 7
        found = 0
        if low == 4:
            sib, at = insn.data[at], at + 1
            index = sib >> 3 & 7 | self._rex << 2 & 8
            if index != _NO_INDEX:
                found = regs.get(_NAMES[index]) << (sib >> 6)
            low = sib & 7
            if low == 5 and mod == 0:
                found += _signed(insn.data[at : at + 4])
            else:
                found += regs.get(_NAMES[low | self._rex << 3 & 8])
        elif low == 5 and mod == 0:
            found = _signed(insn.data[at : at + 4])
            if insn.bits == 64:
                found += regs.ip + insn.length
        else:
            found = regs.get(_NAMES[self.rm])
        if mod:
            found += _signed(insn.data[at : at + (1 if mod == 1 else 4)])
        for prefix in insn.prefixes:
            if prefix in _SEGMENTS:
                found += regs.get(_SEGMENTS[prefix])
        return found & regs.mask

    def load(self, size: int, *, aligned: bool = False) -> bytes:
        """Read *size* bytes of the memory operand."""
        return self._mm.read(self._aligned(size if aligned else 1), size)

    def store(self, data: bytes, *, aligned: bool = False) -> None:
        """Write the memory operand, all of it or nothing."""
        vaddr = self._aligned(len(data) if aligned else 1)
        end = vaddr + len(data) - 1
        self._mm.fault(vaddr, Access.WRITE)
        if (vaddr ^ end) >> PAGE_SHIFT:
            self._mm.fault(end & ~PAGE_MASK, Access.WRITE)
        self._mm.write(vaddr, data)

    def _aligned(self, alignment: int) -> int:
        vaddr = self.address
        if vaddr % alignment:
            raise Misaligned
        return vaddr

    # --- registers ----------------------------------------------------------

    def general(self, number: int, size: int) -> int:
        """Read the lowest *size* bytes of a general register."""
        return self._regs.get(_NAMES[number]) & ((1 << 8 * size) - 1)

    def set_general(self, number: int, value: int, size: int) -> None:
        """Write a general register of 4 or 8 bytes; the rest becomes 0."""
        self._regs.set(_NAMES[number], value & ((1 << 8 * size) - 1))

    def general_rm(self, size: int) -> int:
        """Read the operand that may be memory."""
        if self.in_memory:
            return int.from_bytes(self.load(size), "little")
        return self.general(self.rm, size)

    def vector(self, number: int, size: int = 32) -> bytes:
        """Read the lowest *size* bytes of a vector register."""
        low = self._regs.get(f"xmm{number}").to_bytes(16, "little")
        if size <= 16:
            return low[:size]
        return low + self._regs.upper(number).to_bytes(16, "little")

    def vector_rm(self, size: int, *, aligned: bool = False) -> bytes:
        """Read the operand that may be memory."""
        return self.load(size, aligned=aligned) if self.in_memory else self.vector(self.rm, size)

    def set_vector(self, number: int, value: bytes) -> None:
        """Write a vector register; what lies above *value* becomes 0."""
        self._regs.set(f"xmm{number}", int.from_bytes(value[:16], "little"))
        self._regs.set_upper(number, int.from_bytes(value[16:], "little"))

    # --- flags --------------------------------------------------------------

    @property
    def flags(self) -> int:
        """RFLAGS."""
        return self._regs.flags

    def set_flags(self, mask: int, value: int) -> None:
        """Write the flags of *mask*."""
        self._regs.flags = self._regs.flags & ~mask | value & mask


def extension(insn: Insn) -> int:
    """Collect the bits R, X and B of REX or VEX, as REX has them."""
    if insn.bits == 32:
        return 0
    if insn.vex:
        inverted = insn.vex[1] ^ 0xFF
        return inverted >> 5 if insn.vex[0] == 0xC4 else inverted >> 5 & 4
    return insn.rex[0] & 7 if insn.rex else 0


def base_register(insn: Insn) -> int | None:
    """Number of the register that memory is addressed by, without index; None: there is none."""
    modrm = insn.modrm or 0
    mod, low = modrm >> 6, modrm & 7
    if low == 4:
        low = insn.data[insn.modrm_at + 1] & 7
    return None if low == 5 and mod == 0 else low | extension(insn) << 3 & 8


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)
