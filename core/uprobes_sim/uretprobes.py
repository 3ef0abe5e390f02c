"""Return probes: return instances and what the trampoline does with them."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from uprobes_sim.units import Vaddr

if TYPE_CHECKING:
    from uprobes_sim.uprobes import Uprobe


class RpCheck(Enum):
    """`enum rp_check`: who asks whether a frame is alive."""

    RP_CHECK_CALL = 0
    RP_CHECK_CHAIN_CALL = 1
    RP_CHECK_RET = 2


@dataclass(eq=False, slots=True)
class ReturnInstance:
    """`struct return_instance`: one hijacked return address."""

    uprobe: "Uprobe"
    func: Vaddr
    """Instruction pointer at entry."""
    stack: Vaddr
    """User stack pointer at entry."""
    orig_ret_vaddr: Vaddr
    chained: bool
    """The address that was replaced was the trampoline already."""
