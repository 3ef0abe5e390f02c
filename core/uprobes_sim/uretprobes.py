"""Return probes: return instances and what the trampoline does with them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from uprobes_sim.consumers import Cookie
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
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


class HprobeState(Enum):
    """`enum hprobe_state`: what a return instance has of its probe."""

    HPROBE_LEASED = 0
    """The right to use it for a while, and no reference."""
    HPROBE_STABLE = 1
    """A reference."""
    HPROBE_GONE = 2
    """Nothing: the probe went before a reference was taken."""
    HPROBE_CONSUMED = 3
    """Nothing any more: the function has returned."""


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
    state: HprobeState = HprobeState.HPROBE_STABLE
    cookies: dict[int, int] = field(default_factory=dict)
    """What the sessions that saw the entry have left, by the consumer's id."""


def prepare_uretprobe(
    up: "Uprobes", uprobe: "Uprobe", task: "Task", utask: "UprobeTask", cookies: dict[int, int]
) -> None:
    """Make the function that was entered return to the trampoline.

    Whatever fails, this one call is not traced and nothing else happens.
    Kernel: kernel/events/uprobes.c, prepare_uretprobe.
    """
    try:
        area = uprobes_state(task.mm).get_xol_area()
    except KernelError as exc:
        up.record(Act.UNTRACED, exc.reason, task=task, uprobe=uprobe, errno=exc.errno)
        return
    if utask.depth >= MAX_URETPROBE_DEPTH:
        up.record(Act.UNTRACED, "nestedness limit: 64 are pending", task=task, uprobe=uprobe)
        return
    regs, instances = task.regs, utask.return_instances
    orig = up.hook.arch_uretprobe_hijack_return_addr(
        trampoline_vaddr=area.vaddr, regs=regs, task=task
    )
    if orig is None:
        up.record(Act.UNTRACED, "no return address can be had", task=task, uprobe=uprobe)
        return
    chained = orig == area.vaddr
    _cleanup_return_instances(up, task, instances, chained=chained)
    if chained:
        if not instances:
            # Somebody else's trampoline address: SIGILL when it is used.
            why = "handle tail call: the trampoline, and no return instance"
            up.record(Act.UNTRACED, why, task=task, uprobe=uprobe)
            return
        orig = instances[-1].orig_ret_vaddr
    else:
        area.note(orig, task)
    instance = ReturnInstance(uprobe, regs.ip, regs.sp, orig, chained, cookies=cookies)
    _hprobe_init(up, instance)
    instances.append(instance)
    if up.log is not None:
        why = "chained to the pending return" if chained else f"it would return to {orig:#x}"
        up.record(Act.HIJACK, why, task=task, vaddr=regs.ip, uprobe=uprobe)


def _cleanup_return_instances(
    up: "Uprobes", task: "Task", instances: list[ReturnInstance], *, chained: bool
) -> None:
    """Drop the newest instances whose frames longjmp has left."""
    ctx = RpCheck.RP_CHECK_CHAIN_CALL if chained else RpCheck.RP_CHECK_CALL
    while instances and not _is_alive(up, instances[-1], ctx, task):
        _drop(up, instances.pop(), task, "its frame was left by a jump")


def _drop(up: "Uprobes", instance: ReturnInstance, task: "Task", why: str) -> None:
    up.record(Act.DROP, why, task=task, vaddr=instance.func, uprobe=instance.uprobe)
    _hprobe_consume(up, instance)


# --- the reference to the probe -----------------------------------------------


def _hprobe_init(up: "Uprobes", instance: ReturnInstance) -> None:
    if up.does.hprobe_lease:
        instance.state = HprobeState.HPROBE_LEASED
    else:
        instance.uprobe.ref += 1


def _hprobe_consume(up: "Uprobes", instance: ReturnInstance) -> bool:
    """Give up what is held of the probe; answer whether its handlers may still run."""
    state, instance.state = instance.state, HprobeState.HPROBE_CONSUMED
    if state is HprobeState.HPROBE_STABLE:
        up.put_uprobe(instance.uprobe)
    return state in (HprobeState.HPROBE_LEASED, HprobeState.HPROBE_STABLE)


def hprobe_expire(up: "Uprobes", instance: ReturnInstance) -> None:
    """Turn a lease into a reference, or into nothing where the probe has gone.

    The kernel does so 100 ms after the newest entry of the task (ri_timer), and at a fork.
    """
    if instance.state is not HprobeState.HPROBE_LEASED:
        return
    if instance.uprobe.ref:
        instance.uprobe.ref += 1
        instance.state = HprobeState.HPROBE_STABLE
    else:
        instance.state = HprobeState.HPROBE_GONE


def dup_return_instances(
    up: "Uprobes", instances: Iterable[ReturnInstance]
) -> Iterator[ReturnInstance]:
    """Copy pending returns for a child, oldest first, cookies and references too (dup_utask)."""
    for each in instances:
        hprobe_expire(up, each)
        copy = replace(each, cookies=dict(each.cookies))
        if copy.state is HprobeState.HPROBE_STABLE:
            copy.uprobe.ref += 1
        yield copy


def free_return_instances(up: "Uprobes", task: "Task") -> None:
    """Drop all that is pending, without handlers: the task leaves its memory."""
    instances = task.utask.return_instances if task.utask else []
    while instances:
        _drop(up, instances.pop(), task, "the task leaves its memory")


# --- the return ---------------------------------------------------------------


def uprobe_handle_trampoline(up: "Uprobes", task: "Task") -> None:
    """Handle the return of a probed function: its handlers, and its real return address.

    Kernel: kernel/events/uprobes.c, uprobe_handle_trampoline.
    """
    instances = task.utask.return_instances if task.utask else []
    if not instances:
        _lost(up, task)
        return
    valid = False
    while instances and not valid:
        older = _next_ret_chain(instances)
        valid = older is None or _is_alive(up, older, RpCheck.RP_CHECK_RET, task)
        task.regs.ip = instances[-1].orig_ret_vaddr
        while instances and instances[-1] is not older:
            instance = instances.pop()
            if valid:
                _handle_uretprobe_chain(up, instance, task)
            else:
                _drop(up, instance, task, "its frame was left by a jump")


def _lost(up: "Uprobes", task: "Task") -> None:
    signal = Signal.SIGILL if up.has("lost_trampoline_is_sigill") else Signal.SIGTRAP
    task.force_sig(SigInfo(signal, SiCode.SI_KERNEL))
    up.record(Act.SIGNAL, f"{signal.name}: the trampoline, and no return instance", task=task)


def _next_ret_chain(instances: list[ReturnInstance]) -> ReturnInstance | None:
    """Find the newest instance that belongs to an older frame than the newest one."""
    for at in range(len(instances) - 1, 0, -1):
        if not instances[at].chained:
            return instances[at - 1]
    return None


def _handle_uretprobe_chain(up: "Uprobes", instance: ReturnInstance, task: "Task") -> None:
    """Call whoever wants this return; a session only if it has seen the entry."""
    if up.log is not None:
        up.record(Act.RETURN, f"to {task.regs.ip:#x}", task=task, vaddr=instance.func)
    sessions = up.does.session_consumers
    uprobe = instance.uprobe
    consumers = tuple(uprobe.consumers)
    if not _hprobe_consume(up, instance):
        return
    for consumer in consumers:
        if consumer.ret_handler is None:
            continue
        up.cookie = Cookie()
        if sessions and consumer.is_session:
            if consumer.id not in instance.cookies:
                continue
            up.cookie.value = instance.cookies[consumer.id]
        consumer.ret_handler(task, instance.func)
        if up.log is not None:
            up.record(Act.RETURNED, "a return handler ran", task=task, uprobe=uprobe)


def _is_alive(up: "Uprobes", instance: ReturnInstance, ctx: RpCheck, task: "Task") -> bool:
    if not up.has("uretprobe_is_alive"):
        return True
    return up.hook.arch_uretprobe_is_alive(ri=instance, ctx=ctx, regs=task.regs)


# --- who looks at stacks ------------------------------------------------------


def fixup_uretprobe_trampoline_entries(
    up: "Uprobes", task: "Task", entries: Iterable[Vaddr]
) -> list[Vaddr]:
    """Give a user call chain with the real return addresses in place of the trampoline's.

    Older kernels leave the chain as it is found on the stack.
    Kernel: kernel/events/callchain.c, the same name.
    """
    trampoline = uprobes_state(task.mm).trampoline_vaddr
    pending = list(task.utask.return_instances) if task.utask else []
    chain = list(entries)
    if not up.has("callchain_fixup"):
        return chain
    for at, entry in enumerate(chain):
        if entry == trampoline and pending:
            chain[at] = pending.pop().orig_ret_vaddr
            up.record(Act.RETURN, f"shown as {chain[at]:#x} in a call chain", task=task)
    return chain
