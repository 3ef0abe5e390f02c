"""The floating-point status and control register (Power ISA, book I, 4.2.2).

Arithmetic reports *events*: those bits of the FPSCR that one operation calls for. Here they are
put into the register: the exceptions stay until software clears them, FR and FI do not.

All exceptions are taken as disabled, which is how Linux starts a task: the enable bits are kept
and FEX is right, but they change no result and raise no interrupt.
"""

from typing import Final

from uprobes_sim_powerpc.isa.define import leaf
from uprobes_sim_powerpc.regs import PtRegs

FX: Final = 1 << 31
FEX: Final = 1 << 30
VX: Final = 1 << 29
OX: Final = 1 << 28
UX: Final = 1 << 27
ZX: Final = 1 << 26
XX: Final = 1 << 25
VXSNAN: Final = 1 << 24
VXISI: Final = 1 << 23
VXIDI: Final = 1 << 22
VXZDZ: Final = 1 << 21
VXIMZ: Final = 1 << 20
VXVC: Final = 1 << 19
FR: Final = 1 << 18
FI: Final = 1 << 17
FPRF: Final = 0x1F << 12
FPCC: Final = 0xF << 12
VXSOFT: Final = 1 << 10
VXSQRT: Final = 1 << 9
VXCVI: Final = 1 << 8
RN: Final = 3

ENABLES: Final = 0xF8
INVALID: Final = VXSNAN | VXISI | VXIDI | VXZDZ | VXIMZ | VXVC | VXSOFT | VXSQRT | VXCVI
"""All invalid operation exceptions. VX is their sum."""

EXCEPTIONS: Final = OX | UX | ZX | XX | INVALID

_PER_OPERATION: Final = FR | FI | FPRF
_TO_ENABLES: Final = 22
"""How far each exception of the sums lies left of the bit that enables it."""

POSITIVE: Final = 0x04 << 12
NEGATIVE: Final = 0x08 << 12
"""FPRF of ordinary numbers."""

_DENORMAL: Final = 0x10 << 12
_SIGN: Final = 1 << 63
_LEAST_SINGLE: Final = 897 << 52
"""The smallest normal single, as a double."""

_FRACTION: Final = (1 << 52) - 1
_EXPONENT: Final = 0x7FF


def summed(fpscr: int) -> int:
    """Make VX and FEX what the other bits say."""
    fpscr &= ~(VX | FEX)
    if fpscr & INVALID:
        fpscr |= VX
    if fpscr >> _TO_ENABLES & fpscr & ENABLES:
        fpscr |= FEX
    return fpscr


def happened(fpscr: int, events: int) -> int:
    """Add exceptions: sticky, and FX for each that is new."""
    if events & EXCEPTIONS & ~fpscr:
        fpscr = summed(fpscr | events & EXCEPTIONS | FX)
    return fpscr


def fprf(x: int) -> int:
    """Classify a double for FPRF, in place."""
    exponent = x >> 52 & _EXPONENT
    if 0 < exponent < _EXPONENT:
        return NEGATIVE if x >> 63 else POSITIVE
    if exponent:
        return (0x11 if x & _FRACTION else 0x09 if x >> 63 else 0x05) << 12
    if x & _FRACTION:
        return (0x18 if x >> 63 else 0x14) << 12
    return (0x12 if x >> 63 else 0x02) << 12


@leaf
def deliver(s: PtRegs, result: tuple[int, int]) -> int:
    """Record the events and the class of a scalar result, and give its value."""
    value, events = result
    status = s.fpscr & ~_PER_OPERATION | events & (FR | FI) | fprf(value)
    s.fpscr = happened(status, events)
    return value


@leaf
def deliver_single(s: PtRegs, result: tuple[int, int]) -> int:
    """Record a scalar result as `deliver` does, but classify it as the single that it becomes."""
    value = deliver(s, result)
    if 0 < value & ~_SIGN < _LEAST_SINGLE:
        s.fpscr |= _DENORMAL
    return value


@leaf
def deliver_integer(s: PtRegs, result: tuple[int, int]) -> int:
    """Record the events of a conversion to an integer, which has no class; give its value."""
    value, events = result
    status = s.fpscr & ~(FR | FI) | events & (FR | FI)
    s.fpscr = happened(status, events)
    return value


@leaf
def note(s: PtRegs, events: int) -> None:
    """Record exceptions of a vector operation: neither FR and FI nor FPRF change."""
    s.fpscr = happened(s.fpscr, events)


@leaf
def set_condition(s: PtRegs, order: int, events: int) -> None:
    """Record the outcome of a comparison in FPCC."""
    s.fpscr = happened(s.fpscr & ~FPCC | order << 12, events)
