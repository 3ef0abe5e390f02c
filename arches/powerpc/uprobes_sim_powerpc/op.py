"""An instruction at its place."""

from collections.abc import Callable
from dataclasses import dataclass

from uprobes_sim_powerpc.isa.define import Insn

Call = tuple[Callable[..., None], tuple[object, ...]]
"""A meaning, and its arguments behind the registers."""


@dataclass(eq=False, slots=True)
class Op:
    """An instruction at its address, ready to be executed."""

    cia: int
    size: int
    """In bytes: 4, or 8 with a prefix."""
    row: Insn
    insn: int
    call: Call

    @property
    def nia(self) -> int:
        """Address of the next instruction in memory."""
        return self.cia + self.size
