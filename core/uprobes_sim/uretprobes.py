"""Return probes: return instances and what the trampoline does with them."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from uprobes_sim.errors import KernelError
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.units import Vaddr
from uprobes_sim.xol import uprobes_state

if TYPE_CHECKING:
    from uprobes_sim.task import Task, UprobeTask
    from uprobes_sim.uprobes import Uprobe, Uprobes

MAX_URETPROBE_DEPTH: Final = 64
"""Pending return probes of one task; deeper calls are not traced."""


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


def prepare_uretprobe(up: "Uprobes", uprobe: "Uprobe", task: "Task", utask: "UprobeTask") -> None:
    """Make the function that was entered return to the trampoline.

    Whatever fails, this one call is not traced and nothing else happens.
    Kernel: kernel/events/uprobes.c, prepare_uretprobe.
    """
    try:
        area = uprobes_state(task.mm).get_xol_area()
    except KernelError:
        return
    if utask.depth >= MAX_URETPROBE_DEPTH:
        return
    regs, instances = task.regs, utask.return_instances
    orig = up.hook.arch_uretprobe_hijack_return_addr(
        trampoline_vaddr=area.vaddr, regs=regs, task=task
    )
    if orig is None:
        return
    chained = orig == area.vaddr
    ctx = RpCheck.RP_CHECK_CHAIN_CALL if chained else RpCheck.RP_CHECK_CALL
    while instances and not _is_alive(up, instances[-1], ctx, task):
        instances.pop()
    if chained:
        if not instances:
            return  # somebody else's trampoline address: SIGILL when it is used
        orig = instances[-1].orig_ret_vaddr
    else:
        area.replaced.add(orig)
    instances.append(ReturnInstance(uprobe, regs.ip, regs.sp, orig, chained))


def uprobe_handle_trampoline(up: "Uprobes", task: "Task") -> None:
    """Handle the return of a probed function: its handlers, and its real return address.

    Kernel: kernel/events/uprobes.c, uprobe_handle_trampoline.
    """
    instances = task.utask.return_instances if task.utask else []
    if not instances:
        lost = up.config.kernel.has("lost_trampoline_is_sigill")
        signal = Signal.SIGILL if lost else Signal.SIGTRAP
        task.force_sig(SigInfo(signal, SiCode.SI_KERNEL))
        return
    valid = False
    while instances and not valid:
        older = _next_ret_chain(instances)
        valid = older is None or _is_alive(up, older, RpCheck.RP_CHECK_RET, task)
        task.regs.ip = instances[-1].orig_ret_vaddr
        while instances and instances[-1] is not older:
            instance = instances.pop()
            if valid:
                _handle_uretprobe_chain(instance, task)


def _next_ret_chain(instances: list[ReturnInstance]) -> ReturnInstance | None:
    """Find the newest instance that belongs to an older frame than the newest one."""
    for at in range(len(instances) - 1, 0, -1):
        if not instances[at].chained:
            return instances[at - 1]
    return None


def _handle_uretprobe_chain(instance: ReturnInstance, task: "Task") -> None:
    for consumer in tuple(instance.uprobe.consumers):
        if consumer.ret_handler is not None:
            consumer.ret_handler(task, instance.func)


def _is_alive(up: "Uprobes", instance: ReturnInstance, ctx: RpCheck, task: "Task") -> bool:
    if not up.config.kernel.has("uretprobe_is_alive"):
        return True
    return up.hook.arch_uretprobe_is_alive(ri=instance, ctx=ctx, regs=task.regs)
