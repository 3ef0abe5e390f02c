"""Cases: an instruction with fields drawn at random, and registers and memory that suit it."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from typing import Final, Protocol

from uprobes_sim.arch import Abi
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS, IMPLIED
from uprobes_sim_powerpc.samples.operands import Pools

MEM_BYTES: Final = 128
"""Memory that a case has."""

VSRS: Final = (4, 5, 26, 27, 36, 37, 58, 59)
"""The vector registers that cases use: two pairs of each half, with all bits of a number."""

_GPRS: Final = {"RT": 21, "RS": 21, "RA": 16, "RB": 11, "RC": 6}
_VECTORS: Final = {
    **dict.fromkeys(("FRT", "FRS", "VRT", "VRS"), 21),
    **dict.fromkeys(("FRA", "VRA"), 16),
    **dict.fromkeys(("FRB", "VRB"), 11),
    **dict.fromkeys(("FRC", "VRC"), 6),
}
_SPLIT: Final = {
    "XT": (21, 0),
    "XS": (21, 0),
    "XA": (16, 2),
    "XB": (11, 1),
    "XC": (6, 3),
    "XT_DQ": (21, 3),
    "XT_8LS": (21, 26),
    "XT_8RR": (21, 16),
}
"""Fields of VSR numbers: where five bits lie, and the highest."""

_FREE: Final = (0, *range(2, 13), *range(14, 32))
"""General purpose registers that a case may use: r1 is the harness's, r13 the C library's."""
_PAIRS: Final = frozenset({"lq", "stq", "lqarx", "stqcx.", "plq", "pstq"})
_EVEN: Final = (2, 4, 6, 8, 10, *range(14, 32, 2))
"""What a pair may start with."""
_SEVERAL: Final = frozenset({"lmw", "stmw", "lswi", "stswi", "lswx", "stswx"})
IN_PARTS: Final = re.compile(r"(lm|stm|ls|sts)w[ix]?|p?lq|p?stq|p?(l|st)xv\w*|(l|st)fdpx?")
"""Names of rows that may do a part of their work before the rest faults."""
_BY_LENGTH: Final = frozenset({"lxvl", "lxvll", "stxvl", "stxvll"})
_SPRS: Final = {32: (1, 8, 9, 256), 64: (1, 8, 9, 256, 815)}
"""XER, LR, CTR, VRSAVE and TAR."""
_TIME: Final = (268, 269)
_D34: Final = 0x3FFFF_0000_FFFF
_RESERVING: Final = {
    "stbcx.": 0x7C000068,
    "sthcx.": 0x7C0000E8,
    "stwcx.": 0x7C000028,
    "stdcx.": 0x7C0000A8,
    "stqcx.": 0x7C000228,
}
"""What makes the reservation for a conditional store."""
_NEAR: Final = range(4, 48, 4)
"""Displacements of a branch that stays close."""

_FX: Final = 0x80000000
_STICKY: Final = 0x1E07F000
"""OX, UX, ZX, XX, FR, FI and FPRF of the FPSCR; the enable bits would raise exceptions."""
_STATES: Final = (0x82000000, 0x1F000, 0xA0000100)
XER_BITS: Final = 0xE00C007F


@dataclass(frozen=True, slots=True)
class Ground:
    """Where cases are executed."""

    scratch: int
    """Start of their memory. Behind its end nothing is mapped."""
    stack: int
    """What r1 holds."""
    far: range
    """Addresses that a branch may go to as well."""


@dataclass
class Case:
    """An instruction, and what it finds."""

    row: Insn
    abi: Abi
    cia: int
    word: int
    gpr: list[int]
    values: list[int]
    """XER, CR, CTR, LR, TAR, VRSAVE."""
    vsr: list[int]
    fpscr: int = 0
    vscr: int = 0
    before: int = 0
    """An instruction that is executed first."""
    mem: bytes = field(default=b"", repr=False)

    def get(self, name: str) -> int:
        """Extract a field of the instruction."""
        return FIELDS[name](self.word)

    def put(self, at: int, bits: int, value: int) -> None:
        """Insert a field, *at* places from the right."""
        mask = (1 << bits) - 1
        self.word = self.word & ~(mask << at) | (value & mask) << at

    def set_gpr(self, number: int, value: int) -> None:
        """Give a general purpose register its value."""
        self.gpr[number] = value & (1 << self.abi.bits) - 1


@cache
def field_bits(row: Insn) -> int:
    """Give the bits that belong to a field."""
    names = {*row.fields, *(signature(row.valid).parameters if row.valid else ())} - IMPLIED
    bits = 0
    for bit in range(64 if row.prefixed else 32):
        if any(FIELDS[name](0) != FIELDS[name](1 << bit) for name in names):
            bits |= 1 << bit
    return bits


class Limit(Protocol):
    """A restriction of what is tried."""

    def apply(self, case: Case, rng: random.Random, /) -> None:
        """Change *case* so that it is within."""
        ...


class Drawer:
    """Draws cases for one ABI."""

    def __init__(
        self,
        rng: random.Random,
        abi: Abi,
        ground: Ground,
        limits: Mapping[str, Sequence[Limit]] | None = None,
        pools: Pools | None = None,
    ) -> None:
        """Draw with *rng* for *ground*, from *pools*; *limits*: what is not to be tried, by row."""
        self._rng = rng
        self._ground = ground
        self._limits = limits or {}
        self._abi = abi
        self._pools = pools or Pools(rng)
        self._mask = (1 << abi.bits) - 1

    def draw(self, row: Insn, cia: int) -> Case:
        """Draw a valid case of *row*, to be executed at *cia*."""
        case = self._case(row, cia)
        while not row.is_valid(case.word):
            case = self._case(row, cia)
        return case

    def _case(self, row: Insn, cia: int) -> Case:
        rng, mask = self._rng, self._mask
        fields = field_bits(row)
        word = row.form.value & ~fields | rng.getrandbits(64) & fields
        numbers = [n & mask for n in self._pools.integers(rng, 37)]
        if rng.random() < 0.3:
            numbers[34] = rng.randrange(3)  # CTR
        numbers[1], numbers[13] = self._ground.stack, 0
        xer, cr = rng.getrandbits(32) & XER_BITS, rng.getrandbits(32)
        values = [xer, cr, *numbers[34:37], rng.getrandbits(32)]
        case = Case(row, self._abi, cia, word, numbers[:32], values, [0] * 16)
        case.mem = self._pools.memory(rng, MEM_BYTES)
        self._registers(case)
        if self._abi.bits == 64:
            self._vectors(case)
        else:
            values[4] = 0  # there is no TAR
        if "m" in row.fields:
            self._address(case)
        if row.branches:
            self._target(case)
        for limit in self._limits.get(row.name, ()):
            limit.apply(case, rng)
        if "SPR" in row.fields:
            spr = rng.choice(_SPRS[self._abi.bits] if row.name != "mftb" else _TIME)
            case.put(11, 10, spr >> 5 | spr << 5)
        return case

    def _registers(self, case: Case) -> None:
        """Choose registers: few, so that they are often the same."""
        rng = self._rng
        few = rng.sample(_FREE, 3)
        for name in case.row.fields:
            if name in _GPRS:
                case.put(_GPRS[name], 5, rng.choice(few))
            elif name in _VECTORS:
                case.put(_VECTORS[name], 5, rng.choice(VSRS[:4]))
            elif name in _SPLIT:
                at, top = _SPLIT[name]
                case.put(at, 5, rng.choice(VSRS[:4]))
                case.put(top, 1, rng.randrange(2))
            elif name == "XTp":
                case.put(21, 5, rng.choice(VSRS[:4]))  # its last bit is the highest
            elif name == "FXM" and case.word >> 20 & 1:
                case.put(12, 8, 1 << rng.randrange(8))  # mfocrf, mtocrf: one field, or undefined
        if case.row.name in _PAIRS:
            case.put(21, 5, rng.choice(_EVEN))

    def _vectors(self, case: Case) -> None:
        rng = self._rng
        case.vsr = self._pools.halves(rng, case.row, 16)
        case.fpscr = rng.choice((0, 0, 0, 1, 2, 3)) | rng.randrange(8) << 32  # RN, DRN
        case.fpscr |= rng.choice((0, _FX | rng.getrandbits(32) & _STICKY, *_STATES))
        case.vscr = rng.choice((0, 0x10000))

    def _address(self, case: Case) -> None:
        """Let the effective address lie in memory, in most cases, and a reservation be there."""
        ea = self._effective_address(case.row)
        if case.row.name in _SEVERAL:
            self._several(case)
        if case.row.name in _BY_LENGTH:
            self._distinct(case)
            length = self._rng.choice((0, 1, 5, 8, 15, 16, 17, 200))
            case.set_gpr(case.get("RA"), ea)
            case.set_gpr(case.get("RB"), length << 56 | self._rng.getrandbits(56))
        elif "RB" in case.row.fields:
            self._indexed(case, ea)
        elif "D34" in case.row.fields:
            self._prefixed(case, ea)
        else:
            displacement = next((case.get(f) for f in ("D", "DS", "DQ") if f in case.row.fields), 0)
            case.set_gpr(case.get("RA"), ea - displacement)
        if case.row.name in _RESERVING and self._rng.random() < 0.8:
            used = {case.get("RA") | 1, case.get("RB") | 1}
            free = next(n for n in (30, 28, 26) if n | 1 not in used)
            case.before = _RESERVING[case.row.name] | case.word & 0x1FF800 | free << 21

    def _effective_address(self, row: Insn) -> int:
        rng = self._rng
        ea = self._ground.scratch + rng.randrange(32 if row.name in _SEVERAL else MEM_BYTES - 32)
        if rng.random() < 0.03 and not IN_PARTS.fullmatch(row.name):
            ea = (
                self._ground.scratch + MEM_BYTES - rng.randrange(1, 33)
            )  # what follows is not there
        if rng.random() < 0.5 or row.name.endswith(("arx", "cx.")):
            ea &= -16
        return ea

    def _indexed(self, case: Case, ea: int) -> None:
        if case.get("RA") and case.row.name not in _SEVERAL:
            self._distinct(case)
        a, b = case.get("RA"), case.get("RB")
        if a:
            case.set_gpr(a, ea - case.gpr[b])
        else:
            case.set_gpr(b, ea)

    def _prefixed(self, case: Case, ea: int) -> None:
        a = case.get("RA")
        if a:
            case.set_gpr(a, ea - case.get("D34"))
            return
        offset = ea - case.cia if case.get("R") else ea
        case.word &= ~_D34
        case.word |= (offset >> 16 & 0x3FFFF) << 32 | offset & 0xFFFF

    def _distinct(self, case: Case) -> None:
        """Let RA and RB be two registers, and none of them r0."""
        others = [n for n in _FREE if n]
        a, b = self._rng.sample(others, 2)
        case.put(16, 5, a)
        case.put(11, 5, b)

    def _several(self, case: Case) -> None:
        """Keep multiple and string accesses off r1 and r13, and from their own addresses."""
        rng = self._rng
        a, b = rng.sample(range(2, 13), 2)
        case.put(16, 5, a)
        first = rng.randrange(14, 32)
        case.put(21, 5, first)
        size = rng.randrange(4 * (32 - first) + 1)  # up to r31
        if "RB" in case.row.fields:
            case.put(11, 5, b)
            case.values[0] = case.values[0] & ~0x7F | size
        elif "NB" in case.row.fields:
            case.put(11, 5, min(size or 1, 32))  # 0 stands for 32

    def _target(self, case: Case) -> None:
        """Let a branch go to its own slot, or to where nothing is."""
        rng = self._rng
        near = case.cia + rng.choice(_NEAR)
        if "LI" in case.row.fields:
            target = rng.choice((near, rng.choice(self._ground.far)))
            case.put(2, 24, (target if case.get("AA") else target - case.cia) >> 2)
        elif "BD" in case.row.fields:
            case.put(2, 14, (near - case.cia if not case.get("AA") else rng.randrange(0x7FFC)) >> 2)
        else:
            target = rng.choice((near, near, rng.choice(self._ground.far))) | rng.randrange(4)
            at = {"bclr[l]": 3, "bcctr[l]": 2, "bctar[l]": 4}[case.row.name]
            case.values[at] = target


def rows(abi: Abi) -> list[Insn]:
    """Instructions that a processor of *abi* has, in a fixed order."""
    known = sorted(isa.load(), key=lambda row: (row.form, row.name))
    return [row for row in known if row.bits <= abi.bits]
