"""The text of an instruction, for people. Never for a verdict."""

from functools import cache
from typing import Any

from uprobes_sim.units import Vaddr


def capstone_text(mode: tuple[int, int] | None, insn: bytes, vaddr: Vaddr) -> str:
    """Write *insn* as capstone does for architecture and *mode*, else as bytes."""
    if mode is not None:
        for _, _, mnemonic, operands in _disassembler(*mode).disasm_lite(insn, vaddr, 1):
            return f"{mnemonic} {operands}".strip()
    return f".byte {insn.hex(' ')}"


@cache
def _disassembler(arch: int, mode: int) -> Any:  # noqa: ANN401  capstone has no types
    import capstone  # costs 20 ms, and few commands need it

    return capstone.Cs(arch, mode)
