"""Where a program goes on after an instruction, as far as its bytes tell."""

from typing import Literal, NamedTuple

from uprobes_sim.units import Vaddr

FlowKind = Literal["next", "branch", "jump", "call", "return", "trap", "unknown"]


class Flow(NamedTuple):
    """What an instruction does to the order of execution."""

    size: int
    """Of the instruction, in bytes; of what is none, the smallest step to the next that may be."""
    kind: FlowKind = "next"
    """`branch` is a jump under a condition; `unknown`: the bytes are no instruction."""
    target: Vaddr | None = None
    """Of a branch, jump or call, where the instruction itself says it."""
    conditional: bool = False
    """A return or call that may also not be taken."""

    @property
    def goes_on(self) -> bool:
        """Tell whether the program can get to the next instruction from here."""
        return self.conditional or self.kind in ("next", "branch", "call")
