"""How long an instruction is, and where it leads."""

from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.flow import Flow, FlowKind
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.insn import Insn, Undecodable, decode
from uprobes_sim_x86.tables import INVALID64

_KINDS: Final[dict[int, FlowKind]] = {
    **dict.fromkeys((0xC2, 0xC3, 0xCA, 0xCB, 0xCF), "return"),
    **dict.fromkeys((0x9A, 0xE8), "call"),
    **dict.fromkeys((0xE9, 0xEA, 0xEB), "jump"),
    **dict.fromkeys((*range(0x70, 0x80), *range(0xE0, 0xE4)), "branch"),
    **dict.fromkeys((0xCC, 0xF1, 0xF4), "trap"),
}
"""One-byte opcodes after which the next instruction need not come; others lead to it."""

_FAR: Final = frozenset({0x9A, 0xEA})
_GROUP_5: Final[dict[int, FlowKind]] = {2: "call", 3: "call", 4: "jump", 5: "jump"}
"""Members of opcode ff, by ModRM.reg."""
_UNDEFINED: Final = frozenset({0x0B, 0xB9, 0xFF})
"""Second bytes of ud2, ud1 and ud0."""


@hookimpl
def arch_insn_flow(insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
    try:
        parts = decode(insn, abi.bits, as_processor=True)
    except Undecodable:
        return Flow(1, "unknown")
    kind = _kind(parts)
    if kind == "unknown":
        return Flow(1, kind)
    if kind in ("branch", "jump", "call") and _is_direct(parts):
        mask = (1 << abi.bits) - 1
        return Flow(parts.length, kind, Vaddr(vaddr + parts.length + parts.immediate & mask))
    return Flow(parts.length, kind)


def _kind(insn: Insn) -> FlowKind:
    if insn.vex:
        return "next"
    first = insn.opcode[0]
    if insn.bits == 64 and first in INVALID64:
        return "unknown"
    if len(insn.opcode) == 2:
        if insn.opcode[1] >> 4 == 8:
            return "branch"
        return "trap" if insn.opcode[1] in _UNDEFINED else "next"
    if first == 0xFF:
        return _GROUP_5.get(insn.reg, "next")
    return _KINDS.get(first, "next")


def _is_direct(insn: Insn) -> bool:
    return insn.opcode[0] != 0xFF and insn.opcode[0] not in _FAR
