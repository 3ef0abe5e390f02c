"""What happens when a task runs into a breakpoint.

The second half of kernel/events/uprobes.c, in its order.
"""

from uprobes_sim.arch import ArchUprobe
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import PageFault
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.task import Task, UprobeTask, UprobeTaskState
from uprobes_sim.units import Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, Uprobes
from uprobes_sim.uretprobes import prepare_uretprobe, uprobe_handle_trampoline
from uprobes_sim.xol import uprobes_state


def uprobe_notify_resume(up: Uprobes, task: Task) -> None:
    """Do what TIF_UPROBE asks for, on the way back to user mode."""
    task.tif_uprobe = False
    if task.utask is not None and task.utask.active_uprobe is not None:
        _handle_singlestep(up, task, task.utask)
    else:
        handle_swbp(up, task)


def handle_swbp(up: Uprobes, task: Task) -> None:
    """Handle a breakpoint: a probe's, the trampoline's, or nobody's."""
    regs = task.regs
    bp_vaddr = up.hook.uprobe_get_swbp_addr(regs=regs)
    if bp_vaddr == uprobes_state(task.mm).trampoline_vaddr:
        uprobe_handle_trampoline(up, task)
        return

    uprobe = _find_active_uprobe(up, task, bp_vaddr)
    if uprobe is None:
        if _is_trap_at_addr(up, task, bp_vaddr):
            task.force_sig(SigInfo(Signal.SIGTRAP, SiCode.SI_KERNEL))
        else:
            regs.ip = bp_vaddr  # removed meanwhile: execute what is there now
        return

    regs.ip = bp_vaddr  # handlers see the probe's address
    if uprobe.arch is None:
        return
    utask = task.utask = task.utask or UprobeTask()
    if up.hook.arch_uprobe_ignore(auprobe=uprobe.arch, regs=regs):
        return
    _handler_chain(up, uprobe, task, utask)
    up.hook.arch_uprobe_optimize(auprobe=uprobe.arch, vaddr=bp_vaddr, task=task)
    if regs.ip != bp_vaddr and up.config.kernel.has("handler_may_change_ip"):
        return
    if up.hook.arch_uprobe_skip_sstep(auprobe=uprobe.arch, regs=regs, task=task):
        up.on_step(task, uprobe, "emulate")
        return
    up.on_step(task, uprobe, "xol")
    _pre_ssout(up, uprobe, uprobe.arch, task, utask, bp_vaddr)


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
        _handler_chain(up, uprobe, task, utask)
        up.on_step(task, uprobe, "emulate")


def _find_active_uprobe(up: Uprobes, task: Task, bp_vaddr: Vaddr) -> Uprobe | None:
    """Look for the probe at an address, by the file mapped there."""
    mm = task.mm
    vma = mm.find_vma(bp_vaddr)
    uprobe = None
    if vma is not None and vma.inode is not None:
        uprobe = up.find_uprobe(vma.inode, vma.offset(bp_vaddr))
    if uprobe is None and mm.recalc_uprobes:
        mm.recalc_uprobes = False
        up.mmf_recalc_uprobes(mm)
    return uprobe


def _is_trap_at_addr(up: Uprobes, task: Task, vaddr: Vaddr) -> bool:
    """Tell whether memory still holds a trap, so that the program caused it itself."""
    size = up.info.swbp_size
    if vaddr % size:
        return False
    try:
        opcode = task.mm.read(vaddr, size, force=True)
    except PageFault:
        return False
    return up.is_trap_insn(opcode, task.mm)


def _handler_chain(up: Uprobes, uprobe: Uprobe, task: Task, utask: UprobeTask) -> None:
    """Call every consumer; prepare the return probe; remove if all say so."""
    utask.auprobe = uprobe.arch
    remove, want_return = bool(uprobe.consumers), False
    for consumer in tuple(uprobe.consumers):
        result = HandlerResult.KEEP if consumer.handler is None else consumer.handler(task)
        remove &= result is HandlerResult.UPROBE_HANDLER_REMOVE
        want_return |= consumer.ret_handler is not None and result is HandlerResult.KEEP
    utask.auprobe = None
    if want_return and up.config.kernel.has("uretprobes"):
        prepare_uretprobe(up, uprobe, task, utask)
    filters_agree = not up.config.kernel.has("removal_asks_filters")
    if remove and (filters_agree or not up.is_wanted(uprobe, task.mm)):
        up.unapply_uprobe(uprobe, task.mm)


def _pre_ssout(
    up: Uprobes,
    uprobe: Uprobe,
    auprobe: ArchUprobe,
    task: Task,
    utask: UprobeTask,
    bp_vaddr: Vaddr,
) -> None:
    """Send the task to a copy of the instruction. On failure it hits the probe again."""
    try:
        area = uprobes_state(task.mm).get_xol_area()
    except KernelError:
        return
    slot = area.get_insn_slot()
    area.fill(slot, up.hook.arch_uprobe_copy_ixol(auprobe=auprobe, vaddr=slot))
    utask.xol_vaddr, utask.vaddr = slot, bp_vaddr
    try:
        up.hook.arch_uprobe_pre_xol(auprobe=auprobe, regs=task.regs, task=task)
    except KernelError:
        area.free_insn_slot(slot)
        return
    utask.active_uprobe = uprobe
    utask.state = UprobeTaskState.UTASK_SSTEP


def _handle_singlestep(up: Uprobes, task: Task, utask: UprobeTask) -> None:
    """Finish a step: the copy was executed, or it has trapped."""
    uprobe = utask.active_uprobe
    assert uprobe is not None
    assert uprobe.arch is not None
    failed: KernelError | None = None
    if utask.state is UprobeTaskState.UTASK_SSTEP_ACK:
        try:
            up.hook.arch_uprobe_post_xol(auprobe=uprobe.arch, regs=task.regs, task=task)
        except KernelError as exc:
            failed = exc
    else:
        assert utask.state is UprobeTaskState.UTASK_SSTEP_TRAPPED
        up.hook.arch_uprobe_abort_xol(auprobe=uprobe.arch, regs=task.regs, task=task)

    utask.active_uprobe = None
    utask.state = UprobeTaskState.UTASK_RUNNING
    uprobes_state(task.mm).get_xol_area().free_insn_slot(utask.xol_vaddr)
    utask.xol_vaddr = Vaddr(0)
    if failed is not None and up.config.kernel.has("post_xol_error_is_sigill"):
        task.force_sig(SigInfo(Signal.SIGILL, SiCode.SI_KERNEL))


def uprobe_deny_signal(up: Uprobes, task: Task) -> bool:
    """Hold signals back while a copy is being stepped; True: deliver nothing now."""
    utask = task.utask
    if utask is None or utask.active_uprobe is None:
        return False
    if task.signal_pending() and (
        task.fatal_signal_pending() or up.hook.arch_uprobe_xol_was_trapped(task=task)
    ):
        utask.state = UprobeTaskState.UTASK_SSTEP_TRAPPED
        task.tif_uprobe = True
    return True
