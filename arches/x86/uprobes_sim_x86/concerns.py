"""Which instructions each known defect of Linux on x86 concerns."""

from collections.abc import Callable
from typing import Final, NamedTuple

from uprobes_sim.version import Config
from uprobes_sim_x86.insn import HYPERVISOR_PREFIXES, Insn, Undecodable, decode


class Defect(NamedTuple):
    """The name of an erratum, and the instructions under a probe that it concerns."""

    id: str
    concerns: Callable[[Insn], bool]


def spared(insn: Insn, config: Config, *defects: Defect) -> bool:
    """Tell whether the kernel would err about *insn* by one of *defects*, and shall not."""
    return any(not config.acts(defect.id) and defect.concerns(insn) for defect in defects)


_JUMPS: Final = frozenset({0x90, 0xE9, 0xEB, *range(0x70, 0x80)})
_CALL: Final = 0xE8
_LEAVING: Final = frozenset({0xC2, 0xC3, 0xCA, 0xCB, 0xEA})
_FAR_CALL, _POPF, _PUSHF, _NOP, _LEA = 0x9A, 0x9D, b"\x9c", b"\x90", b"\x8d"
_STRINGS: Final = frozenset({*range(0xA4, 0xA8), *range(0xAA, 0xB0)})
_REPEATING: Final = frozenset({0xF2, 0xF3})
_EVEX: Final = 0x62
_REX_B: Final = 0x01


def _vector(opcodes: frozenset[int]) -> Callable[[Insn], bool]:
    """Recognise VEX, EVEX and XOP by an opcode byte that means something else without them."""
    return lambda insn: bool(insn.vex) and insn.opcode[0] in opcodes


def _is_emulated(insn: Insn) -> bool:
    """Tell whether the kernel emulates what has this opcode byte, push aside."""
    if len(insn.opcode) == 2:
        return insn.opcode[1] >> 4 == 8
    return insn.opcode[0] in _JUMPS | {_CALL}


def _xchg_r8(insn: Insn) -> bool:
    return insn.opcode == _NOP and len(insn.rex) == 1 and bool(insn.rex[0] & _REX_B)


def _pause(insn: Insn) -> bool:
    return insn.opcode == _NOP and not insn.vex and 0xF3 in insn.prefixes and not _xchg_r8(insn)


def _illegal(insn: Insn) -> bool:
    """Tell whether a processor without AVX-512 and APX knows no such instruction."""
    rex2, evex = len(insn.rex) == 2, insn.vex[:1] == bytes([_EVEX])
    return _is_emulated(insn) and (rex2 or evex or insn.data.startswith(HYPERVISOR_PREFIXES))


def _syscall(insn: Insn) -> bool:
    return insn.opcode == b"\x0f\x05"


def _pushf(insn: Insn) -> bool:
    return insn.opcode == _PUSHF and not insn.vex


def _nop5(insn: Insn) -> bool:
    """Tell whether the kernel may put a call in place of it (can_optimize)."""
    nopl = insn.opcode == b"\x0f\x1f" and insn.reg == 0
    return insn.bits == 64 and insn.length == 5 and (nopl or insn.opcode == _NOP)


def _repeats(insn: Insn) -> bool:
    string = insn.opcode[0] in _STRINGS and not insn.vex
    return string and not _REPEATING.isdisjoint(insn.prefixes)


def _riprel_missed(insn: Insn) -> bool:
    """Tell whether there is a ModRM byte that the kernel does not see, relative to ip."""
    if insn.modrm is not None or insn.vex or len(insn.opcode) == 1:
        return False
    try:
        return decode(insn.data, insn.bits, as_processor=True).rip_relative
    except Undecodable:
        return False


def _riprel_rex_b(insn: Insn) -> bool:
    """Tell whether REX is the first byte and loses its bit B in the rewriting."""
    return insn.rip_relative and insn.data[:1] == insn.rex and bool(insn.rex[0] & _REX_B)


def _branch16(insn: Insn) -> bool:
    loop = insn.opcode[0] in (0xE0, 0xE1, 0xE2)
    call = insn.opcode == b"\xff" and insn.reg == 2
    return 0x66 in insn.prefixes and not insn.vex and (loop or call)


_IMPLICIT_MEMORY: Final = frozenset(
    {*range(0x58, 0x62), *range(0xA0, 0xA8), *range(0xAA, 0xB0), *range(0xC8, 0xCC)}
    | {0x06, 0x0E, 0x16, 0x1E, 0x68, 0x6A, 0x8F, 0x9A, 0x9C, 0x9D, 0xC2, 0xC3, 0xD7}
)
"""One-byte opcodes that use the stack, a string or an absolute address."""

_HINTS: Final = frozenset(bytes([0x0F, second]) for second in (0x0D, *range(0x18, 0x20)))
"""Prefetches and no-ops: their operand is never read."""


def _may_fault(insn: Insn) -> bool:
    """Tell whether the copy may raise an exception: memory, division, ud."""
    if _is_emulated(insn):
        return False
    if insn.vex:
        return insn.modrm is not None and insn.modrm >> 6 != 3
    if insn.opcode == _LEA or insn.opcode in _HINTS:
        return False
    if insn.modrm is not None and insn.modrm >> 6 != 3:
        return True
    divides = insn.opcode in (b"\xf6", b"\xf7") and insn.reg >= 6
    undefined = insn.opcode in (b"\x0f\x0b", b"\x0f\xb9", b"\x0f\xff")
    return divides or undefined or insn.opcode[0] in _IMPLICIT_MEMORY


AVX_AS_JUMP: Final = Defect("x86.avx_as_jump", _vector(_JUMPS))
AVX_AS_CALL: Final = Defect("x86.avx_as_call", _vector(frozenset({_CALL})))
AVX_AS_RETURN: Final = Defect("x86.avx_as_return", _vector(_LEAVING))
AVX_AS_FAR_CALL: Final = Defect("x86.avx_as_far_call", _vector(frozenset({_FAR_CALL})))
AVX_AS_POPF: Final = Defect("x86.avx_as_popf", _vector(frozenset({_POPF})))
XCHG_R8: Final = Defect("x86.xchg_r8", _xchg_r8)
PAUSE: Final = Defect("x86.pause_skipped", _pause)
SIGILL_SKIPPED: Final = Defect("x86.sigill_skipped", _illegal)
SYSCALL: Final = Defect("x86.syscall_in_slot", _syscall)
PUSHF: Final = Defect("x86.pushf_trap_flag", _pushf)
RED_ZONE: Final = Defect("x86.red_zone", _nop5)
FORK_OPTIMISED: Final = Defect("x86.fork_optimised", _nop5)
REP: Final = Defect("x86.rep_hits", _repeats)
RIPREL_MISSED: Final = Defect("x86.riprel_missed", _riprel_missed)
BRANCH16: Final = Defect("x86.branch16_fixup", _branch16)
REX_B_LOST: Final = Defect("x86.unregister_rewritten", _riprel_rex_b)
TRAP_NR: Final = Defect("x86.trap_nr_lost", _may_fault)
AVX_REFUSED: Final = Defect("x86.avx_refused", lambda insn: False)
"""Concerns no accepted instruction, as the next one."""
RETURN_SECCOMP: Final = Defect("x86.return_seccomp", lambda insn: False)
"""Concerns return probes, whatever the instruction."""
WORD_NOP: Final = Defect("x86.word_nop_refused", lambda insn: False)
OWN_INT3: Final = Defect("x86.int3_trap_nr", lambda insn: False)
"""Concerns traps of the program's own, as the next one."""
TRAP_LIVELOCK: Final = Defect("x86.trap_livelock", lambda insn: False)

NOT_EMULATED: Final = (AVX_AS_JUMP, AVX_AS_CALL, XCHG_R8, SIGILL_SKIPPED)
"""Where these do not act, the processor executes what the kernel would emulate."""
NOT_FIXED_UP: Final = (AVX_AS_CALL, AVX_AS_RETURN, AVX_AS_FAR_CALL, AVX_AS_POPF)
"""Where these do not act, the step is followed by nothing but the repair of ip."""
