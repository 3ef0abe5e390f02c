"""Who wants to hear of a probe: `struct uprobe_consumer`, and what its callbacks may say."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from uprobes_sim.units import Vaddr

if TYPE_CHECKING:
    from uprobes_sim.memory import Mm
    from uprobes_sim.task import Task


class HandlerResult(IntEnum):
    """What a handler may answer. Anything else is taken for `KEEP`, with a warning."""

    KEEP = 0
    UPROBE_HANDLER_REMOVE = 1
    """Remove the breakpoint from this process, if all consumers say so."""
    UPROBE_HANDLER_IGNORE = 2
    """Do not call this consumer when the function returns."""


class FilterCtx(IntEnum):
    """`enum uprobe_filter_ctx`: what a filter is asked for."""

    UPROBE_FILTER_REGISTER = 0
    UPROBE_FILTER_UNREGISTER = 1
    UPROBE_FILTER_MMAP = 2


@dataclass(slots=True)
class Cookie:
    """What a session keeps from the entry of a function to its return: 64 bits."""

    value: int = 0


@dataclass(eq=False, slots=True)
class UprobeConsumer:
    """`struct uprobe_consumer`."""

    handler: "Callable[[Task], int] | None" = None
    """Called at each hit, `task.regs.ip` at the probe. Answers a `HandlerResult`."""
    ret_handler: "Callable[[Task, Vaddr], None] | None" = None
    """Called when the probed function returns, with the address that was entered."""
    filter: "Callable[[Mm], bool] | None" = None
    """Which processes to install in; asked at installation only. None: all."""
    filter_ctx: "Callable[[FilterCtx, Mm], bool] | None" = None
    """In place of `filter` on kernels that tell filters what they are asked for."""
    id: int = 0
    """Given at registration, and larger each time."""

    @property
    def is_session(self) -> bool:
        """Tell whether it wants the return of just those calls whose entry it has seen."""
        return self.handler is not None and self.ret_handler is not None
