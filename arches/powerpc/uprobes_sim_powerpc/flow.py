"""How long an instruction is, and where it leads."""

from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.flow import Flow, FlowKind
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.units import Vaddr
from uprobes_sim_powerpc.insn import is_prefix, is_trap

_B: Final = 18
_BC: Final = 16
_BRANCH_BY_REGISTER: Final = 19
_BCLR, _BCCTR, _BCTAR = 16, 528, 560
_RFSCV, _RFID = 82, 18
_ALWAYS: Final = 0b10100
"""Bits of BO that ask neither a condition nor the counter."""
_TRAP_ALWAYS: Final = 31


@hookimpl
def arch_insn_flow(insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
    if len(insn) < 4:
        return Flow(4, "unknown")
    word = int.from_bytes(insn[:4], abi.byteorder)
    if abi.bits == 64 and is_prefix(word):
        return Flow(8)
    opcode = word >> 26
    if opcode in (_B, _BC):
        return _direct(word, opcode, vaddr, abi)
    if opcode == _BRANCH_BY_REGISTER:
        return _by_register(word)
    if is_trap(word, abi.bits) and word >> 21 & 31 == _TRAP_ALWAYS:
        return Flow(4, "trap")
    return Flow(4, "unknown" if word == 0 else "next")


def _direct(word: int, opcode: int, vaddr: Vaddr, abi: Abi) -> Flow:
    """Read b and bc: displacement, AA, LK."""
    bits = 26 if opcode == _B else 16
    field = word & ((1 << bits) - 4)
    displacement = field - (field >> bits - 1 << bits)
    base = 0 if word & 2 else vaddr
    target = Vaddr(base + displacement & (1 << abi.bits) - 1)
    always = opcode == _B or word >> 21 & _ALWAYS == _ALWAYS
    if word & 1:
        # `bcl 20,31,$+4` asks for its own address, and calls nobody.
        return Flow(4) if target == vaddr + 4 else Flow(4, "call", target, conditional=not always)
    return Flow(4, "jump" if always else "branch", target)


def _by_register(word: int) -> Flow:
    extended = word >> 1 & 0x3FF
    if extended in (_RFID, _RFSCV):
        return Flow(4, "jump")
    if extended not in (_BCLR, _BCCTR, _BCTAR):
        return Flow(4)
    conditional = word >> 21 & _ALWAYS != _ALWAYS
    kind: FlowKind = "jump"
    if word & 1:
        kind = "call"
    elif extended == _BCLR:
        kind = "return"
    return Flow(4, kind, conditional=conditional)
