"""The list of all that the judge does not hold against either side, each with its reason.

UNDEFINED: the Power ISA leaves it open. QEMU: QEMU 7.2 is wrong, or lacks it. HARNESS: nothing that
runs under a kernel could compare it.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from powerpc_judge.record import CR, FPSCR, GPR, MEM, SIGNAL, VRSAVE, VSCR, VSR
from uprobes_sim.arch import Abi
from uprobes_sim_powerpc.abi import CPUS
from uprobes_sim_powerpc.decode import operands
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.helpers import sext64
from uprobes_sim_powerpc.samples.draw import IN_PARTS, VSRS, Case, rows

LE64, BE64, BE32 = Abi(64, "little"), Abi(64, "big"), Abi(32, "big")
NEWEST: Final = "power10"
ALL: Final = (LE64, BE64, BE32)
M64: Final = (1 << 64) - 1

FX, OX, UX, ZX, XX = 1 << 31, 1 << 28, 1 << 27, 1 << 26, 1 << 25
FR, FI, FPRF, FPRF_C = 1 << 18, 1 << 17, 0x1F000, 0x10000
VXSNAN, VXIMZ, NI = 1 << 24, 1 << 20, 4
EXPONENTS: Final = 0xFF800000FF800000
"""Signs and exponents of two singles."""
ENABLES: Final = 0xF8
"""VE, OE, UE, ZE and XE of the FPSCR."""


class Why(Enum):
    """Whose doing it is."""

    UNDEFINED = "undefined"
    QEMU = "QEMU"
    HARNESS = "harness"


@dataclass(frozen=True, slots=True)
class Known:
    """Rows that one thing is known about."""

    names: str
    """A pattern of row names."""
    why: Why
    reason: str
    abis: tuple[Abi, ...] = ALL

    def matches(self, row: Insn, abi: Abi) -> bool:
        """Tell whether *row* is meant."""
        return abi in self.abis and re.fullmatch(self.names, row.name) is not None


@dataclass(frozen=True, slots=True)
class Mask(Known):
    """A part of the outcome that is not compared."""

    part: str = ""
    blank: Callable[[list[Any], Insn, int], None] = lambda outcome, row, word: None


@dataclass(frozen=True, slots=True)
class Limit(Known):
    """Operands that are not tried."""

    apply: Callable[[Case, random.Random], None] = lambda case, rng: None


UNJUDGED: Final = (
    Known("sc|scv", Why.HARNESS, "a system call is the kernel's work"),
    Known("wait|stop", Why.HARNESS, "it stops the processor"),
    Known("icbt", Why.QEMU, "only its embedded processors have it"),
    Known("(lm|stm|ls|sts)w[ix]?", Why.QEMU, "it dies of the alignment interrupt", (LE64,)),
    Known("isel|popcntb", Why.QEMU, "its 32-bit processors lack it", (BE32,)),
)
"""Rows that are not tried at all."""

TOO_EARLY: Final = Known(
    r"vdivs[dw]|vrl[dw]nm|vinsert[bhwd]|xxspltib", Why.QEMU, "its POWER8 and POWER9 have it"
)
"""Rows that are not tried on a processor that lacks them."""


def _field(names: str) -> Callable[[Insn, int], Iterator[int]]:
    """Find the numbers of registers in the first of the fields *names* that a row has."""

    def numbers(row: Insn, word: int) -> Iterator[int]:
        found = operands(row, word)
        for name in names.split():
            if name in found:
                yield found[name] + (32 if name.startswith("V") else 0)

    return numbers


_VSR_TARGET: Final = _field("FRT VRT XT XT_DQ XT_8LS XT_8RR")
_GPR_TARGET: Final = _field("RT RA")


def _fpscr(bits: int) -> Callable[[list[Any], Insn, int], None]:
    """Blank *bits* of the FPSCR, and of their copy in CR1 that a record form makes."""

    def blank(outcome: list[Any], row: Insn, word: int) -> None:
        outcome[FPSCR] &= ~bits
        if row.name.endswith("[.]") and word & 1:
            outcome[CR] &= ~(bits >> 4 & 0x0F000000)

    return blank


def _snan_with_imz(outcome: list[Any], row: Insn, word: int) -> None:
    if outcome[FPSCR] & VXIMZ:
        outcome[FPSCR] &= ~VXSNAN


def _target(high: int, low: int) -> Callable[[list[Any], Insn, int], None]:
    """Keep *high* and *low* of the halves of the target VSR."""

    def blank(outcome: list[Any], row: Insn, word: int) -> None:
        for number in _VSR_TARGET(row, word):
            at = VSR + 2 * VSRS.index(number)
            outcome[at] &= high
            outcome[at + 1] &= low

    return blank


def _half_of_zero(outcome: list[Any], row: Insn, word: int) -> None:
    if outcome[FPSCR] & ZX:
        outcome[FPSCR] &= ~FPRF
        _target(0, 0)(outcome, row, word)


def _high_fpscr_if_stopped(outcome: list[Any], row: Insn, word: int) -> None:
    if outcome[SIGNAL] or row.branches:
        outcome[FPSCR] &= 0xFFFFFFFF


def _member(index: int, kept: int = 0) -> Callable[[list[Any], Insn, int], None]:
    """Blank all of a member but the bits *kept*."""

    def blank(outcome: list[Any], row: Insn, word: int) -> None:
        outcome[index] &= kept

    return blank


def _memory(outcome: list[Any], row: Insn, word: int) -> None:
    outcome[MEM] = b""


def _pair(outcome: list[Any], row: Insn, word: int) -> None:
    first = operands(row, word)["FRT"]
    for number in (first, first + 1):
        outcome[VSR + 2 * VSRS.index(number)] = 0


def _gpr(outcome: list[Any], row: Insn, word: int) -> None:
    outcome[GPR + next(_GPR_TARGET(row, word))] = 0


_ESTIMATES: Final = r"f(re|rsqrte)s?\[\.\]|x[sv](re|rsqrte)[sd]p|v(re|rsqrte|expte|loge)fp"
_TO_SCALAR: Final = r"lxs\w+x|mtvsr(d|wa|wz)"
_TO_INTEGER: Final = r"fcti.*|xscvdp[su]x[wd]s|xscvqp[su][wd]z"

MASKS: Final = (
    Mask("f.*|xs.*|xv.*|mt?ffs.*", Why.QEMU, "it never sets FR", part="FPSCR.FR", blank=_fpscr(FR)),
    Mask(
        "xvrsqrtesp|vrsqrtefp", Why.UNDEFINED, "the last bits of an estimate",
        part="target, fractions", blank=_target(EXPONENTS, EXPONENTS),
    ),
    Mask(
        "vexptefp", Why.QEMU, "its power of two is far off for large operands",
        part="target", blank=_target(0, 0),
    ),
    Mask(
        r"fres?\[\.\]", Why.QEMU, "it takes one half for the reciprocal of zero",
        part="target and FPSCR.FPRF after a division by zero", blank=_half_of_zero,
    ),
    Mask(
        _ESTIMATES, Why.UNDEFINED, "whether an estimate is inexact",
        part="FPSCR.FX, XX, FI", blank=_fpscr(FX | XX | FI),
    ),
    Mask(
        "x[sv]r(e|sqrte)[sd]p", Why.QEMU, "it does not set ZX",
        part="FPSCR.ZX", blank=_fpscr(ZX | FX),
    ),
    Mask(
        _TO_SCALAR, Why.UNDEFINED, "doubleword 1 before ISA 3.1, which clears it",
        part="target, doubleword 1", blank=_target(M64, 0),
    ),
    Mask(
        _TO_INTEGER, Why.UNDEFINED, "FPRF after a conversion to an integer",
        part="FPSCR.FPRF", blank=_fpscr(FPRF),
    ),
    Mask(
        r"fctiw.*", Why.UNDEFINED, "bits 0 to 31 of a converted word",
        part="target, word 0", blank=_target(0xFFFFFFFF, 0),
    ),
    Mask(
        r"fcfid.*", Why.QEMU, "it does not set FPRF",
        part="FPSCR.FPRF", blank=_fpscr(FPRF),
    ),
    Mask(
        r"fcmpo|xscmpo.*", Why.QEMU, "it sets C, too",
        part="FPSCR.C", blank=_fpscr(FPRF_C),
    ),
    Mask(
        r"xv(mul|div|n?madd|n?msub|add|sub|cv|re).*", Why.QEMU,
        "it loses UX of one element when another one overflows",
        part="FPSCR.UX", blank=_fpscr(UX),
    ),
    Mask(
        "fcmp.*|xv.*", Why.QEMU, "it clears FI",
        part="FPSCR.FI", blank=_fpscr(FI),
    ),
    Mask(
        r"(f|x[sv])n?m(add|sub).*", Why.QEMU, "it forgets VXSNAN when it sets VXIMZ",
        part="FPSCR.VXSNAN", blank=_snan_with_imz,
    ),
    Mask(
        ".*", Why.QEMU, "a signal frame holds but half of the FPSCR",
        part="FPSCR.DRN after a signal", blank=_high_fpscr_if_stopped,
    ),
    Mask("mtfsb1.*", Why.QEMU, "it does not set FX", part="FPSCR.FX", blank=_fpscr(FX)),
    Mask("mtfsb1.*", Why.QEMU, "it does not set NI", part="FPSCR.NI", blank=_fpscr(NI)),
    Mask(
        "vrldmi", Why.QEMU, "it inserts into zeros",
        part="target", blank=_target(0, 0),
    ),
    Mask(
        "mtvscr", Why.QEMU, "it keeps reserved bits",
        part="VSCR, reserved bits", blank=_member(VSCR, 0x10001),
    ),
    Mask(
        "mtspr", Why.QEMU, "it keeps 64 bits of VRSAVE",
        part="VRSAVE, high half", blank=_member(VRSAVE, 0xFFFFFFFF),
    ),
    Mask("lfdpx?", Why.QEMU, "it swaps the pair", (LE64,), part="target", blank=_pair),
    Mask("stfdpx?", Why.QEMU, "it swaps the pair", (LE64,), part="memory", blank=_memory),
    Mask("mftb", Why.UNDEFINED, "the time", part="target", blank=_gpr),
    Mask("darn", Why.UNDEFINED, "a random number", part="target", blank=_gpr),
)  # fmt: skip
"""Parts of outcomes that are not compared."""


def _no_enables(case: Case, rng: random.Random) -> None:
    case.vsr[::2] = [half & ~ENABLES for half in case.vsr[::2]]


def _no_enables_immediate(case: Case, rng: random.Random) -> None:
    if not case.get("W") and case.get("BF") >= 6:
        case.put(12, 4, case.get("U") & 3 if case.get("BF") == 7 else 0)


def _no_enable_bit(case: Case, rng: random.Random) -> None:
    if 24 <= case.get("BT") < 29:
        case.put(21, 5, 3)


def _nearest_or_zero(case: Case, rng: random.Random) -> None:
    case.fpscr &= ~2


def _unreserved(case: Case, rng: random.Random) -> None:
    case.before = 0


def _fitting(case: Case, rng: random.Random) -> None:
    a, b = case.get("RA"), case.get("RB")
    while 1 << 63 <= (abs(sext64(case.gpr[a])) << 64) // (abs(sext64(case.gpr[b])) or 1) < 1 << 64:
        case.set_gpr(a, case.gpr[a] >> 2)


def _odd_divisors(case: Case, rng: random.Random) -> None:
    case.vsr = [half | 0x100000001 for half in case.vsr]


def _alike(case: Case, rng: random.Random) -> None:
    if "vsp" in case.row.name:
        case.vsr = [(half >> 32) * 0x100000001 for half in case.vsr[::2] for _ in "ab"]
    else:
        case.vsr = [half for half in case.vsr[::2] for _ in "ab"]


def _inside(size: int) -> Callable[[Case, random.Random], None]:
    def apply(case: Case, rng: random.Random) -> None:
        index = rng.randrange(17 - size)
        if "RA" in case.row.fields:
            number = case.get("RA")
            case.set_gpr(number, case.gpr[number] & ~15 | index)
        else:
            case.put(16, 4, index)

    return apply


LIMITS: Final = (
    Limit(IN_PARTS.pattern, Why.UNDEFINED, "an access of which only the end faults"),
    Limit(
        r"mtfsf\[\.\]", Why.HARNESS,
        "an exception that becomes enabled is raised", apply=_no_enables,
    ),
    Limit(r"mtfsfi\[\.\]", Why.HARNESS, "the same", apply=_no_enables_immediate),
    Limit(r"mtfsb1\[\.\]", Why.HARNESS, "the same", apply=_no_enable_bit),
    Limit(
        r".*nm(add|sub).*", Why.QEMU,
        "rounded up or down it negates before it rounds", apply=_nearest_or_zero,
    ),
    Limit(r"stqcx\.", Why.QEMU, "lqarx makes no reservation for it", apply=_unreserved),
    Limit(
        r"divde\[o\]\[\.\]", Why.QEMU,
        "it takes a quotient from 2**63 up to 2**64 for one that fits", apply=_fitting,
    ),
    Limit(r"v(div|mod).*", Why.UNDEFINED, "a quotient that does not exist", apply=_odd_divisors),
    Limit(
        r"xvcv[ds]p[su]x.*", Why.QEMU,
        "an invalid element spoils those behind it: all are alike here", apply=_alike,
    ),
    Limit(r"vextub[lr]x", Why.UNDEFINED, "an element half outside", apply=_inside(1)),
    Limit(r"vextuh[lr]x", Why.UNDEFINED, "an element half outside", apply=_inside(2)),
    Limit(r"vextuw[lr]x|xxextractuw", Why.UNDEFINED, "an element half outside", apply=_inside(4)),
)  # fmt: skip
"""Operands that are not tried."""

INTEGER_MODULES: Final = frozenset(
    {
        *("arith", "bits", "branch", "condition", "divide"),
        *("loadstore", "logic", "multiple", "shift", "system"),
    }
)


def judged(abi: Abi, cpu: str = NEWEST) -> list[Insn]:
    """Rows that the judge tries on processors of *abi*; of 32 bits: what a 7448 has."""
    known = [row for row in rows(abi) if not any(entry.matches(row, abi) for entry in UNJUDGED)]
    if abi.bits == 32:
        return [row for row in known if row.isa == "2.03" and module(row) in INTEGER_MODULES]
    level = CPUS[cpu][0]
    return [row for row in known if row.isa <= level or not TOO_EARLY.matches(row, abi)]


def module(row: Insn) -> str:
    """Name the module of definitions that *row* is in: its group."""
    return row.meaning.__module__.rpartition(".")[2]
