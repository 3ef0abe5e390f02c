"""What happens when a task runs into a breakpoint.

The second half of kernel/events/uprobes.c, in its order.
"""

from typing import Final

from uprobes_sim.arch import ArchUprobe
from uprobes_sim.consumers import Cookie, HandlerResult, UprobeConsumer
from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.memory import PageFault
from uprobes_sim.signals import SIG_IGN, SiCode, SigInfo, Signal
from uprobes_sim.task import Task, UprobeTask, UprobeTaskState
from uprobes_sim.units import Vaddr
from uprobes_sim.uprobes import Uprobe, Uprobes
from uprobes_sim.uretprobes import prepare_uretprobe, uprobe_handle_trampoline
from uprobes_sim.xol import uprobes_state

_ANSWERS: Final = frozenset(HandlerResult)
_NO_RETURN: Final = _ANSWERS - {HandlerResult.KEEP}
_KEEP: Final = int(HandlerResult.KEEP)  # as plain numbers they are quick
_REMOVE: Final = int(HandlerResult.UPROBE_HANDLER_REMOVE)


def uprobe_notify_resume(up: Uprobes, task: Task) -> None:
    """Do what TIF_UPROBE asks for, on the way back to user mode."""
    task.tif_uprobe = False
    utask = task.utask
    if utask is None or utask.active_uprobe is None:
        handle_swbp(up, task)
    elif utask.state is UprobeTaskState.UTASK_BP_HIT:
        utask.state = UprobeTaskState.UTASK_SSTEP
        handle_swbp(up, task)
    else:
        _handle_singlestep(up, task, utask)


def _forget_step(up: Uprobes, task: Task, utask: UprobeTask) -> None:
    """Lose a step under way to a breakpoint, as kernels with UTASK_BP_HIT do."""
    why = "UTASK_BP_HIT came during a step: its probe is overwritten, its slot stays taken"
    up.record(Act.FORGET, why, task=task, vaddr=utask.vaddr, uprobe=utask.active_uprobe)
    utask.active_uprobe = None
    utask.state = UprobeTaskState.UTASK_RUNNING


def handle_swbp(up: Uprobes, task: Task) -> None:
    """Handle a breakpoint: a probe's, the trampoline's, or nobody's."""
    regs = task.regs
    bp_vaddr = up.hook.uprobe_get_swbp_addr(regs=regs)
    if bp_vaddr == uprobes_state(task.mm).trampoline_vaddr:
        uprobe_handle_trampoline(up, task)
        return

    uprobe = _find_active_uprobe(up, task, bp_vaddr)
    if uprobe is None:
        _handle_foreign_trap(up, task, bp_vaddr)
        return

    if uprobe.arch is None:
        regs.ip = bp_vaddr
        why = "the instruction was never accepted: the task goes to the breakpoint again"
        up.record(Act.RESTART, why, task=task, vaddr=bp_vaddr, uprobe=uprobe)
        return
    _handle_hit(up, uprobe, uprobe.arch, task, bp_vaddr)


def _handle_hit(
    up: Uprobes, uprobe: Uprobe, auprobe: ArchUprobe, task: Task, bp_vaddr: Vaddr
) -> None:
    """Run the handlers of a probe; then skip, emulate or step its instruction."""
    regs, does = task.regs, up.does
    if does.handlers_see_probe_address:
        regs.ip = bp_vaddr
    utask = task.utask = task.utask or UprobeTask()
    if utask.active_uprobe is not None:
        _forget_step(up, task, utask)
    if up.hook.arch_uprobe_ignore(auprobe=auprobe, regs=regs):
        return
    if up.log is not None:
        up.record(Act.HIT, "a probe is there", task=task, vaddr=bp_vaddr, uprobe=uprobe)
    _handler_chain(up, uprobe, task, utask)
    up.hook.arch_uprobe_optimize(auprobe=auprobe, vaddr=bp_vaddr, task=task)
    if not does.handlers_see_probe_address:
        regs.ip = bp_vaddr
    elif regs.ip != bp_vaddr and does.handler_may_change_ip:
        why = "a handler has changed ip: the instruction is not executed"
        up.record(Act.SKIP, why, task=task, vaddr=bp_vaddr, uprobe=uprobe)
        return
    if uprobe.skip_sstep:
        if up.hook.arch_uprobe_skip_sstep(auprobe=auprobe, regs=regs, task=task):
            if up.log is not None:
                up.record(Act.EMULATE, "the kernel emulates it", task=task, vaddr=bp_vaddr)
            up.insns += 1
            up.on_step(task, uprobe, "emulate")
            return
        uprobe.skip_sstep = not does.skip_sstep_flag
    _step(up, uprobe, auprobe, task, utask, bp_vaddr)


def _step(
    up: Uprobes,
    uprobe: Uprobe,
    auprobe: ArchUprobe,
    task: Task,
    utask: UprobeTask,
    bp_vaddr: Vaddr,
) -> None:
    """Send the task to its slot, or, where that fails, to the breakpoint again."""
    up.on_step(task, uprobe, "xol")
    try:
        _pre_ssout(up, uprobe, auprobe, task, utask, bp_vaddr)
    except KernelError as exc:
        why = f"no step ({exc.reason}): the task hits the probe again"
        up.record(Act.RESTART, why, task=task, vaddr=bp_vaddr, uprobe=uprobe, errno=exc.errno)


def handle_syscall_uprobe(task: Task, bp_vaddr: Vaddr) -> None:
    """Handle a hit that came by a system call: what is there instead of the breakpoint made it.

    *bp_vaddr*: the probe's address; `task.regs` are as they were there. There is
    nothing to step.
    """
    up = uprobes_state(task.mm).uprobes
    uprobe = _find_active_uprobe(up, task, bp_vaddr)
    if uprobe is None or uprobe.arch is None:
        return
    utask = task.utask = task.utask or UprobeTask()
    if not up.hook.arch_uprobe_ignore(auprobe=uprobe.arch, regs=task.regs):
        if up.log is not None:
            up.record(Act.HIT, "a trampoline was called", task=task, vaddr=bp_vaddr, uprobe=uprobe)
        _handler_chain(up, uprobe, task, utask)
        up.insns += 1
        up.on_step(task, uprobe, "emulate")


def _find_active_uprobe(up: Uprobes, task: Task, bp_vaddr: Vaddr) -> Uprobe | None:
    """Look for the probe at an address, by the file mapped there."""
    mm = task.mm
    vma = mm.find_vma(bp_vaddr)
    uprobe = None
    if (
        vma is not None
        and vma.inode is not None
        and (up.does.any_file_vma or up.valid_vma(vma, is_register=False))
    ):
        uprobe = up.find_uprobe(vma.inode, vma.offset(bp_vaddr))
    if uprobe is None and mm.recalc_uprobes:
        mm.recalc_uprobes = False
        up.mmf_recalc_uprobes(mm)
    return uprobe


def _handle_foreign_trap(up: Uprobes, task: Task, bp_vaddr: Vaddr) -> None:
    """Tell the program of its own trap; or start over, for the trap has gone meanwhile."""
    if up.has("trap_read_again") and not _is_trap_at_addr(up, task, bp_vaddr):
        task.regs.ip = bp_vaddr  # removed meanwhile: execute what is there now
        why = "no probe and no trap is there any more"
        up.record(Act.RESTART, why, task=task, vaddr=bp_vaddr)
        return
    if task.thread.claimed_trap_nr is not None:
        task.thread.trap_nr, task.thread.error_code = task.thread.claimed_trap_nr, 0
    forced = up.has("sigtrap_forced")
    if forced:
        task.force_sig(SigInfo(Signal.SIGTRAP, SiCode.SI_KERNEL))
    elif task.sigaction(Signal.SIGTRAP).handler != SIG_IGN:
        task.pending.append(SigInfo(Signal.SIGTRAP, SiCode.SI_USER))
    why = f"SIGTRAP {'forced' if forced else 'sent'}: a trap is there, and no probe"
    up.record(Act.SIGNAL, why, task=task, vaddr=bp_vaddr)


def _is_trap_at_addr(up: Uprobes, task: Task, vaddr: Vaddr) -> bool:
    """Tell whether memory still holds a trap, so that the program caused it itself."""
    if vaddr % up.info.swbp_size:
        up.record(Act.WARN, "a misaligned breakpoint", task=task, vaddr=vaddr)
        return False
    for size in (up.info.opcode_size, up.info.swbp_size):  # the longer may cross into nothing
        try:
            opcode = task.mm.read(vaddr, size, force=True)
        except PageFault:
            continue
        return up.is_trap_insn(opcode, task.mm)
    return False


def _handler_chain(up: Uprobes, uprobe: Uprobe, task: Task, utask: UprobeTask) -> None:
    """Call every consumer; prepare the return probe; remove if all say so."""
    utask.auprobe = uprobe.arch
    remove, want_return, does = bool(uprobe.consumers), False, up.does
    cookies: dict[int, int] = {}
    for consumer in tuple(uprobe.consumers):
        result = _KEEP
        if consumer.handler is not None and (does.filters_install or up.calls(consumer, task)):
            if does.session_consumers and consumer.ret_handler is not None:
                up.cookie = Cookie()
            result = consumer.handler(task)
            if up.log is not None or result not in _ANSWERS:
                _note_answer(up, uprobe, task, result)
        remove &= result == _REMOVE
        if consumer.ret_handler is not None and _wants_return(up, consumer, result, cookies):
            want_return = True
    utask.auprobe = None
    if want_return and does.uretprobes and (does.session_consumers or not remove):
        prepare_uretprobe(up, uprobe, task, utask, cookies)
    if remove:
        _remove_here(up, uprobe, task)


def _wants_return(
    up: Uprobes, consumer: UprobeConsumer, result: int, cookies: dict[int, int]
) -> bool:
    """Tell whether *consumer* is to hear of the return; keep the cookie of a session."""
    if not up.does.session_consumers:
        return True
    if result in _NO_RETURN:
        return False
    if consumer.is_session:
        cookies[consumer.id] = up.cookie.value
    return True


def _note_answer(up: Uprobes, uprobe: Uprobe, task: Task, result: int) -> None:
    allowed = _ANSWERS if up.does.session_consumers else {0, 1}
    act, name = Act.HANDLER, str(result)
    if result in _ANSWERS:
        name = HandlerResult(result).name
    if result not in allowed:
        act = Act.WARN
    up.record(act, f"a handler answers {name}", task=task, uprobe=uprobe)


def _remove_here(up: Uprobes, uprobe: Uprobe, task: Task) -> None:
    """Take the breakpoint from this process: all handlers have said UPROBE_HANDLER_REMOVE."""
    if not up.has("handler_remove"):
        return
    if up.has("removal_asks_filters") and up.is_wanted(uprobe, task.mm):
        return
    up.unapply_uprobe(uprobe, task.mm)


def _pre_ssout(
    up: Uprobes,
    uprobe: Uprobe,
    auprobe: ArchUprobe,
    task: Task,
    utask: UprobeTask,
    bp_vaddr: Vaddr,
) -> None:
    """Send the task to a copy of the instruction.

    Raises:
        KernelError: ENOMEM, there is no page for the copy; as `arch_uprobe_pre_xol`.
    """
    area = uprobes_state(task.mm).get_xol_area()
    slot = area.get_insn_slot()
    area.fill(slot, up.hook.arch_uprobe_copy_ixol(auprobe=auprobe, vaddr=slot))
    utask.xol_vaddr, utask.vaddr = slot, bp_vaddr
    try:
        up.hook.arch_uprobe_pre_xol(auprobe=auprobe, regs=task.regs, task=task)
    except KernelError:
        area.free_insn_slot(slot)
        utask.xol_vaddr = Vaddr(0)
        raise
    if up.does.step_hooks:
        up.hook.arch_uprobe_enable_step(auprobe=auprobe, task=task)
        up.record(Act.HOOK, "arch_uprobe_enable_step", task=task)
    uprobe.ref += 1
    utask.active_uprobe = uprobe
    utask.state = UprobeTaskState.UTASK_SSTEP
    if up.log is not None:
        up.record(Act.STEP, f"a copy is in the slot at {slot:#x}", task=task, vaddr=bp_vaddr)


def _handle_singlestep(up: Uprobes, task: Task, utask: UprobeTask) -> None:
    """Finish a step: the copy was executed, or it has trapped."""
    uprobe = utask.active_uprobe
    assert uprobe is not None
    assert uprobe.arch is not None
    failed: KernelError | None = None
    match utask.state:
        case UprobeTaskState.UTASK_SSTEP_ACK:
            try:
                up.hook.arch_uprobe_post_xol(auprobe=uprobe.arch, regs=task.regs, task=task)
            except KernelError as exc:
                failed = exc
            if up.log is not None:
                up.record(Act.DONE, "the copy was executed", task=task, vaddr=utask.vaddr)
        case UprobeTaskState.UTASK_SSTEP_TRAPPED:
            up.hook.arch_uprobe_abort_xol(auprobe=uprobe.arch, regs=task.regs, task=task)
            why = "the copy has trapped, or the task dies: ip is the probe's again"
            up.record(Act.ABORT, why, task=task, vaddr=utask.vaddr)
        case state:
            why = f"a step ends in {state.name}: it is cleaned up"
            up.record(Act.WARN, why, task=task, vaddr=utask.vaddr)

    if up.does.step_hooks:
        up.hook.arch_uprobe_disable_step(auprobe=uprobe.arch, task=task)
        up.record(Act.HOOK, "arch_uprobe_disable_step", task=task)
    utask.active_uprobe = None
    utask.state = UprobeTaskState.UTASK_RUNNING
    uprobes_state(task.mm).get_xol_area().free_insn_slot(utask.xol_vaddr)
    utask.xol_vaddr = Vaddr(0)
    up.put_uprobe(uprobe)
    utask.signal_denied = False  # what was held back is seen again
    if failed is not None and up.has("post_xol_error_is_sigill"):
        task.force_sig(SigInfo(Signal.SIGILL, SiCode.SI_KERNEL))
        up.record(Act.SIGNAL, f"SIGILL: {failed.reason}", task=task)


def uprobe_deny_signal(up: Uprobes, task: Task) -> bool:
    """Hold signals back while a copy is being stepped; True: deliver nothing now."""
    utask = task.utask
    if utask is None or utask.active_uprobe is None:
        return False
    if not task.signal_pending():
        return True
    utask.signal_denied = True
    trapped = up.hook.arch_uprobe_xol_was_trapped(task=task)
    if trapped or task.fatal_signal_pending():
        utask.state = UprobeTaskState.UTASK_SSTEP_TRAPPED
        task.tif_uprobe = True
    why = "the copy itself has trapped" if trapped else "signals wait for the end of the step"
    up.record(Act.DENY, why, task=task, vaddr=utask.vaddr)
    return True
