"""What the judge does not hold against the engine, each with its reason.

UNICORN: Unicorn 2.1.4 is wrong, and nothing is done about it (docs/unicorn-faults.md). UNDEFINED:
processors differ. HARNESS: the two tasks are not alike in this.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from x86_judge.judge import Verdict

NOTHING: Final[frozenset[str]] = frozenset()
_ANYTHING: Final = frozenset(
    {"end", "ip", "general", "flags", "vectors", "upper", "mxcsr", "x87"}
    | {"control", "status", "empty", "memory"}
)
_TOP: Final = 0x3800
_STACK_FAULT: Final = 0x40
_FLUSH_TO_ZERO: Final = 0x8000
_EXCEPTIONS: Final = 0x3F
_OF, _SF, _ZF, _AF, _PF = 0x800, 0x80, 0x40, 0x10, 0x04


class Why(Enum):
    """Whose doing it is."""

    UNICORN = "Unicorn"
    UNDEFINED = "undefined"
    HARNESS = "harness"


@dataclass(frozen=True, slots=True)
class Known:
    """Something that is known, and the fields of a state that it explains."""

    id: str
    why: Why
    reason: str
    explains: Callable[[Verdict], frozenset[str]]


def _trap(verdict: Verdict) -> tuple[int, int]:
    return verdict.ours.end.trap_nr, verdict.theirs.end.trap_nr


def _named(pattern: str, *fields: str) -> Callable[[Verdict], frozenset[str]]:
    """Explain *fields* of instructions by name, all of them if none is given."""
    wanted = re.compile(pattern)
    explained = frozenset(fields) or _ANYTHING
    return lambda verdict: explained if wanted.match(verdict.text) else NOTHING


def _alignment(verdict: Verdict) -> frozenset[str]:
    ours, theirs = _trap(verdict)
    return _ANYTHING if theirs == 13 != ours and "xmmword ptr" in verdict.text else NOTHING


def _target(verdict: Verdict) -> frozenset[str]:
    ours, theirs = _trap(verdict)
    leaves = re.match(r"(bnd |repz )?(ret|call|jmp)|\?", verdict.text)
    return _ANYTHING if theirs == 13 != ours and leaves and verdict.case.bits == 64 else NOTHING


def _mxcsr(verdict: Verdict) -> frozenset[str]:
    missing = verdict.ours.mxcsr ^ verdict.theirs.mxcsr
    return NOTHING if missing & ~_EXCEPTIONS else frozenset({"mxcsr"})


def _flush(verdict: Verdict) -> frozenset[str]:
    return frozenset({"vectors"}) if verdict.case.mxcsr & _FLUSH_TO_ZERO else NOTHING


def _nan(verdict: Verdict) -> frozenset[str]:
    """Tell whether all lanes that differ are NaN on both sides."""
    pairs = zip(verdict.ours.vectors, verdict.theirs.vectors, strict=True)
    alike = all(
        _nans_alike(a, b, 32, 0x7F800000) or _nans_alike(a, b, 64, 0x7FF0 << 48) for a, b in pairs
    )
    return frozenset({"vectors"}) if alike else NOTHING


def _nans_alike(a: int, b: int, bits: int, infinity: int) -> bool:
    for at in range(0, 128, bits):
        x, y = (n >> at & ((1 << bits - 1) - 1) for n in (a, b))
        if (a ^ b) >> at & ((1 << bits) - 1) and min(x, y) <= infinity:
            return False
    return True


def _x87_flags(verdict: Verdict) -> frozenset[str]:
    missing = verdict.ours.status ^ verdict.theirs.status
    return NOTHING if missing & _TOP else frozenset({"status"})


def _x87_stack(verdict: Verdict) -> frozenset[str]:
    fault = verdict.theirs.status & ~verdict.ours.status & _STACK_FAULT
    return _ANYTHING if fault else NOTHING


def _x87_nan(verdict: Verdict) -> frozenset[str]:
    """Tell whether all x87 registers that differ are NaN on both sides."""
    pairs = zip(verdict.ours.x87, verdict.theirs.x87, strict=True)
    nans = all(a == b or (_is_nan(*a) and _is_nan(*b)) for a, b in pairs)
    return frozenset({"x87"}) if nans and verdict.text.startswith("f") else NOTHING


def _is_nan(mantissa: int, exponent: int) -> bool:
    return exponent & 0x7FFF == 0x7FFF and mantissa != 1 << 63


def _mmx(verdict: Verdict) -> frozenset[str]:
    if not re.search(r"\bmm[0-7]|^\?|cvtpi2p|emms", verdict.text):
        return NOTHING
    pairs = zip(verdict.ours.x87, verdict.theirs.x87, strict=True)
    alike = all(a[0] == b[0] for a, b in pairs)
    return frozenset({"status", "empty"} | ({"x87"} if alike else set()))


def _fcomi(verdict: Verdict) -> frozenset[str]:
    stale = verdict.ours.flags & ~verdict.theirs.flags & ~(_OF | _SF | _AF)
    named = re.match("fu?comp?i", verdict.text)
    return frozenset({"flags"}) if named and not stale else NOTHING


def _branch16(verdict: Verdict) -> frozenset[str]:
    branch = re.match(r"(\w+ )?(j|loop|call|ret)|\?", verdict.text)
    return _ANYTHING if branch and 0x66 in verdict.insn.prefixes else NOTHING


def _two_repeats(verdict: Verdict) -> frozenset[str]:
    return _ANYTHING if {0xF2, 0xF3} <= set(verdict.insn.prefixes) else NOTHING


def _double_shift(verdict: Verdict) -> frozenset[str]:
    match = re.match(r"sh[lr]d .*, (?:[abcd]x|[sb]p|[sd]i|r\d+w), (\w+)$", verdict.text)
    if match is None:
        return NOTHING
    count = verdict.case.general[1] if match[1] == "cl" else int(match[1], 0)
    return frozenset({"general", "memory"}) if count & 31 > 16 else NOTHING


def beyond_the_end(verdict: Verdict) -> frozenset[str]:
    """Explain an access over the end of 4 GiB: Intel's fault by page, AMD's by segment."""
    info = verdict.ours.end.info
    if info is None or verdict.case.bits == 64 or _trap(verdict) not in ((14, 13), (14, 12)):
        return NOTHING
    return frozenset({"end"}) if info.addr >> 5 == 0xFFFFFFFF >> 5 else NOTHING


def wide_in_32_bits(verdict: Verdict) -> frozenset[str]:
    """Explain VEX.W in 32 bits: Intel ignores it, to AMD vpextrq and vpinsrq are undefined."""
    named = verdict.case.bits == 32 and re.match("vp(extr|insr)q", verdict.text)
    return _ANYTHING if named and verdict.theirs.end.trap_nr == 6 else NOTHING


def _imul(verdict: Verdict) -> frozenset[str]:
    same = not (verdict.ours.flags ^ verdict.theirs.flags) & ~(_SF | _ZF | _AF | _PF)
    return frozenset({"flags"}) if same and re.match("i?mul", verdict.text) else NOTHING


def _loop(verdict: Verdict) -> frozenset[str]:
    repeated = {0xF2, 0xF3} & set(verdict.insn.prefixes)
    return _ANYTHING if repeated and verdict.text.startswith("loop") else NOTHING


def _pause(verdict: Verdict) -> frozenset[str]:
    """Tell whether it is 90 with F3 and REX.B."""
    repeated = 0xF3 in verdict.insn.prefixes and verdict.case.code.endswith(b"\x90")
    named = re.match(r"xchg r8[dw]?, ", verdict.text)
    return frozenset({"general"}) if repeated and named else NOTHING


def _fault_address(verdict: Verdict) -> frozenset[str]:
    ours, theirs = verdict.ours.end, verdict.theirs.end
    return frozenset({"end"}) if ours.trap_nr == theirs.trap_nr == 14 else NOTHING


KNOWN: Final = (
    Known("alignment", Why.UNICORN, "no alignment of 16 bytes is asked for", _alignment),
    Known("canonical_target", Why.UNICORN, "a branch goes where no code can be", _target),
    Known("mxcsr_flags", Why.UNICORN, "SSE sets no exception flags", _mxcsr),
    Known("flush_to_zero", Why.UNICORN, "MXCSR.FTZ is not obeyed", _flush),
    Known("nan", Why.UNICORN, "another NaN than SSE chooses", _nan),
    Known(
        "x87_flags",
        Why.UNICORN,
        "exceptions and C1 are missing; C0 to C3 may be undefined",
        _x87_flags,
    ),
    Known("x87_stack", Why.UNICORN, "the stack neither over- nor underflows", _x87_stack),
    Known("x87_nan", Why.UNICORN, "a signalling NaN stays one", _x87_nan),
    Known("mmx", Why.UNICORN, "MMX and the x87 state do not know enough of each other", _mmx),
    Known("fcomi", Why.UNICORN, "OF, SF and AF stay", _fcomi),
    Known("branch16", Why.UNICORN, "66 before a branch counts, as AMD has it", _branch16),
    Known(
        "fault_address", Why.UNICORN, "of several bytes that fault, another is told", _fault_address
    ),
    Known("maskmov", Why.UNICORN, "no fault where the mask is 0", _named("maskmov")),
    Known("enter", Why.UNICORN, "the end of the new frame is not tried", _named("enter")),
    Known("x87_overflow", Why.UNICORN, "of what is too large", _named("fisttp|fbstp", "memory")),
    Known(
        "x87_constants",
        Why.UNICORN,
        "not rounded as FPCW says",
        _named("fldpi|fldl2|fldlg2|fldln2", "x87"),
    ),
    Known(
        "x87_environment",
        Why.UNICORN,
        "no address of the last instruction; reserved bits",
        _named(
            "fldcw|fldenv|frstor|fnstenv|fnsave|fxsave",
            "memory",
            "control",
            "status",
            "empty",
            "x87",
        ),
    ),
    Known("x87_tags", Why.UNICORN, "of what is stored", _named("f", "empty")),
    Known(
        "approximate",
        Why.UNDEFINED,
        "each processor has its table",
        _named("(rcp|rsqrt)[ps]s", "vectors"),
    ),
    Known(
        "shift_flags",
        Why.UNDEFINED,
        "OF and CF after a shift by more than 1",
        _named("(sh[lr]d?|sa[lr]|ro[lr]|rc[lr]) ", "flags"),
    ),
    Known(
        "bit_scan",
        Why.UNDEFINED,
        "flags but ZF, and of 0 the result",
        _named(r"bs[fr] |\?", "flags", "general"),
    ),
    Known(
        "double_shift",
        Why.UNDEFINED,
        "16 bits by more than 16 (SDM, SHLD)",
        _double_shift,
    ),
    Known(
        "beyond_the_end",
        Why.UNDEFINED,
        "over the end of 4 GiB, a fault by page or by segment",
        beyond_the_end,
    ),
    Known(
        "wide_in_32_bits",
        Why.UNDEFINED,
        "vpextrq and vpinsrq outside of 64 bits",
        wide_in_32_bits,
    ),
    Known("imul_flags", Why.UNDEFINED, "all but CF and OF (SDM, IMUL)", _imul),
    Known("sse4a", Why.UNDEFINED, "AMD has it", _named("movnts[sd]|extrq|insertq")),
    Known("loop_repeat", Why.UNDEFINED, "loopcc behind f2 or f3", _loop),
    Known("pause_rex", Why.UNDEFINED, "xchg of r8 behind f3, or pause", _pause),
    Known("rep_flags", Why.UNDEFINED, "between two iterations", _named("rep", "flags")),
    Known("two_repeats", Why.UNDEFINED, "f2 and f3 before one instruction", _two_repeats),
    Known(
        "selectors",
        Why.HARNESS,
        "a child of the host has others",
        _named("push [a-z]s$|str|sldt", "memory", "general"),
    ),
)


def unexplained(verdict: Verdict) -> set[str]:
    """Name the fields that differ and nothing explains."""
    different = verdict.different
    for known in KNOWN:
        if not different:
            break
        different -= known.explains(verdict)
    return different
