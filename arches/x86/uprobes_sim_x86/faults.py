"""Instructions that Unicorn must not execute, since it gets them wrong (docs/unicorn-faults.md).

Found with Unicorn 2.1.4 by `tests/x86_judge`. Vector prefixes are not here: Unicorn sees none.
"""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from uprobes_sim_x86.insn import Insn
from uprobes_sim_x86.tables import opcodes


class Remedy(Enum):
    """What is done instead."""

    ILLEGAL = auto()
    """#UD is raised, as any processor does."""
    OWN = auto()
    """The engine executes it itself."""
    HOST = auto()
    """The processor of the host executes it, and Unicorn where that is no x86-64."""


class Fault(NamedTuple):
    """A kind of instruction that Unicorn gets wrong."""

    id: str
    remedy: Remedy
    concerns: Callable[[Insn], bool]


_66, _F2, _F3, _LOCK = 0x66, 0xF2, 0xF3, 0xF0
_REX_W, _REX_B = 0x08, 0x01
_AFTER_BOTH: Final = opcodes("f0-f1 f6")
"""crc32 and adox in the map 0f 38: 66 has its own meaning there."""
_SSE: Final = opcodes("10-17 28-2f 50-76 7c-7f c2 c4-c6 d0-ff")


def _lock_illegal(insn: Insn) -> bool:
    if _LOCK not in insn.prefixes:
        return False
    if not _in_memory(insn):
        return True
    members = _LOCKABLE.get(insn.opcode)
    return members is None or insn.reg not in members


_ANY_MEMBER: Final = frozenset(range(8))
_LOCKABLE: Final = {
    **{bytes([row << 3 | low]): _ANY_MEMBER for row in range(7) for low in (0, 1)},
    **{bytes([op]): frozenset(range(7)) for op in range(0x80, 0x84)},
    **{bytes([op]): _ANY_MEMBER for op in (0x86, 0x87)},
    **{bytes([op]): frozenset({2, 3}) for op in (0xF6, 0xF7)},
    **{bytes([op]): frozenset({0, 1}) for op in (0xFE, 0xFF)},
    **{bytes([0x0F, op]): _ANY_MEMBER for op in (0xAB, 0xB0, 0xB1, 0xB3, 0xBB, 0xC0, 0xC1)},
    b"\x0f\xba": frozenset({5, 6, 7}),
    b"\x0f\xc7": frozenset({1}),
}
"""Members of a group, by opcode, that may be locked where their destination is memory."""


def _in_memory(insn: Insn) -> bool:
    return insn.modrm is not None and insn.modrm >> 6 != 3


def _other_prefix(insn: Insn) -> bool:
    return not {_66, _F2, _F3}.isdisjoint(insn.prefixes)


def _no_such_form(insn: Insn) -> bool:
    """Tell whether the opcode has no form with this kind of operand, or after this prefix."""
    memory, repeated = _in_memory(insn), not {_F2, _F3}.isdisjoint(insn.prefixes)
    match insn.opcode:
        case b"\x8f":
            return insn.reg != 0
        case b"\xc6" | b"\xc7":
            return insn.reg != 0 and insn.modrm != 0xF8
        case b"\x0f\x50" | b"\x0f\x71" | b"\x0f\x72" | b"\x0f\x73" | b"\x0f\xf7":
            return memory
        case b"\x0f\x12" | b"\x0f\x16":
            return not memory and _66 in insn.prefixes and not repeated
        case b"\x0f\xc3":
            return not memory or _other_prefix(insn)
        case b"\x0f\x2b" | b"\x0f\xd6":
            return memory and repeated
        case b"\x0f\xae":
            return memory and insn.reg in (2, 3) and _other_prefix(insn)
        case b"\x0f\xba":
            return insn.reg < 4
    return False


def _two_mandatory_prefixes(insn: Insn) -> bool:
    """Tell whether 66 counts for nothing before f2 or f3, which choose the instruction."""
    both = _66 in insn.prefixes and not {_F2, _F3}.isdisjoint(insn.prefixes)
    if not both or insn.opcode[:1] != b"\x0f":
        return False
    if insn.opcode[1] == 0x38:
        return insn.opcode[2] not in _AFTER_BOTH
    return insn.opcode[1] in _SSE


def _mmx_of_ssse3(insn: Insn) -> bool:
    if _other_prefix(insn):
        return False
    ssse3 = insn.opcode[:2] == b"\x0f\x38" and insn.opcode[2] in _SSSE3
    return ssse3 or insn.opcode == b"\x0f\x3a\x0f"


_SSSE3: Final = opcodes("00-0b 1c-1e")


def _horizontal_on_itself(insn: Insn) -> bool:
    if insn.opcode[:2] != b"\x0f\x38" or insn.opcode[2] not in _HORIZONTAL or _in_memory(insn):
        return False
    assert insn.modrm is not None
    rex = insn.rex[0] if insn.rex else 0
    return insn.reg | rex << 1 & 8 == insn.modrm & 7 | (rex & _REX_B) << 3


_HORIZONTAL: Final = opcodes("01-03 05-07")


def _x87_approximate(insn: Insn) -> bool:
    return insn.opcode == b"\xd9" and insn.modrm in _APPROXIMATE


_APPROXIMATE: Final = frozenset(
    {0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF8, 0xF9, 0xFB, 0xFD, 0xFE, 0xFF}
)
"""f2xm1, fyl2x, fptan, fpatan, fxtract, fprem1, fprem, fyl2xp1, fsincos, fscale, fsin, fcos."""


def _cmpxchg_of_registers(insn: Insn) -> bool:
    narrow = _66 not in insn.prefixes and not (insn.rex and insn.rex[0] & _REX_W)
    return insn.bits == 64 and insn.opcode == b"\x0f\xb1" and narrow and not _in_memory(insn)


def _flags_after_rex(insn: Insn) -> bool:
    return bool(insn.rex) and insn.opcode in (b"\x9e", b"\x9f")


def _pause(insn: Insn) -> bool:
    return insn.opcode == b"\x90" and _F3 in insn.prefixes


def _count_zeros(insn: Insn) -> bool:
    return insn.opcode in (b"\x0f\xbc", b"\x0f\xbd") and _F3 in insn.prefixes


def _long_return(insn: Insn) -> bool:
    return insn.opcode == b"\xc2" and insn.immediate < 0


def _nested_enter(insn: Insn) -> bool:
    return insn.opcode == b"\xc8" and bool(insn.data[insn.length - 1] & 31)


def _ldmxcsr(insn: Insn) -> bool:
    return insn.opcode == b"\x0f\xae" and insn.reg == 2 and _in_memory(insn)


def _explicit_lengths(insn: Insn) -> bool:
    return insn.opcode in (b"\x0f\x3a\x60", b"\x0f\x3a\x61")


def _double_shift(insn: Insn) -> bool:
    return insn.opcode in (b"\x0f\xa4", b"\x0f\xac") and insn.rip_relative


LOCKED_REGISTER: Final = re.compile(
    rb"[\x26\x2e\x36\x3e\x64-\x67\xf2\xf3]*\xf0[\x26\x2e\x36\x3e\x64-\x67\xf0\xf2\xf3]*"
    rb"[\x40-\x4f]?\x0f(?:[\xab\xb3\xbb][\xc0-\xff]|\xba[\xe8-\xff])",
    re.DOTALL,
)
"""bts, btr and btc of a register with lock: Unicorn aborts when it translates them."""

FAULTS: Final = (
    Fault("lock", Remedy.ILLEGAL, _lock_illegal),
    Fault("no_such_form", Remedy.ILLEGAL, _no_such_form),
    Fault("pause", Remedy.OWN, _pause),
    Fault("flags_after_rex", Remedy.OWN, _flags_after_rex),
    Fault("cmpxchg_of_registers", Remedy.OWN, _cmpxchg_of_registers),
    Fault("count_zeros", Remedy.OWN, _count_zeros),
    Fault("two_mandatory_prefixes", Remedy.HOST, _two_mandatory_prefixes),
    Fault("mmx_of_ssse3", Remedy.HOST, _mmx_of_ssse3),
    Fault("horizontal_on_itself", Remedy.HOST, _horizontal_on_itself),
    Fault("x87_approximate", Remedy.HOST, _x87_approximate),
    Fault("long_return", Remedy.HOST, _long_return),
    Fault("enter", Remedy.HOST, _nested_enter),
    Fault("ldmxcsr", Remedy.HOST, _ldmxcsr),
    Fault("explicit_lengths", Remedy.HOST, _explicit_lengths),
    Fault("double_shift", Remedy.HOST, _double_shift),
)


def fault_of(insn: Insn) -> Fault | None:
    """Find what Unicorn gets wrong about *insn*, which has no vector prefix. REX2 it lacks."""
    if insn.vex or len(insn.rex) > 1:
        return None
    return next((fault for fault in FAULTS if fault.concerns(insn)), None)
