"""The arm64 side of uprobes, after arch/arm64/kernel/probes/uprobes.c."""

from typing import Final, cast

from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
from uprobes_sim.cpu import Cpu, Exit, Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import LinkError, Refused
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import Mm, PageFault
from uprobes_sim.task import Task, uprobe_post_sstep_notifier, uprobe_pre_sstep_notifier
from uprobes_sim.units import Vaddr
from uprobes_sim.uretprobes import ReturnInstance, RpCheck
from uprobes_sim.version import Behaviour, Config
from uprobes_sim_arm64.behaviours import BEHAVIOURS
from uprobes_sim_arm64.errata import FAULT_CODE
from uprobes_sim_arm64.explain import arch_errata as arch_errata
from uprobes_sim_arm64.explain import arch_format_insn as arch_format_insn
from uprobes_sim_arm64.explain import arch_grounds as arch_grounds
from uprobes_sim_arm64.explain import arch_insn_fields as arch_insn_fields
from uprobes_sim_arm64.explain import arch_insn_flow as arch_insn_flow
from uprobes_sim_arm64.explain import arch_parse_insn as arch_parse_insn
from uprobes_sim_arm64.explain import arch_uprobe_mechanism as arch_uprobe_mechanism
from uprobes_sim_arm64.explain import arch_uprobe_warnings as arch_uprobe_warnings
from uprobes_sim_arm64.info import AARCH64_INSN_SIZE, INFO
from uprobes_sim_arm64.literal import step_simd_literal
from uprobes_sim_arm64.probe import Arm64Uprobe
from uprobes_sim_arm64.process import arch_auxv as arch_auxv
from uprobes_sim_arm64.process import arch_regs as arch_regs
from uprobes_sim_arm64.process import copy_thread as copy_thread
from uprobes_sim_arm64.process import regs_return_value as regs_return_value
from uprobes_sim_arm64.process import start_thread as start_thread
from uprobes_sim_arm64.process import syscall_get_arguments as syscall_get_arguments
from uprobes_sim_arm64.process import syscall_get_nr as syscall_get_nr
from uprobes_sim_arm64.process import syscall_set_return_value as syscall_set_return_value
from uprobes_sim_arm64.regs import PtRegs
from uprobes_sim_arm64.samples import arch_insn_samples as arch_insn_samples
from uprobes_sim_arm64.signal import arch_sigreturn as arch_sigreturn
from uprobes_sim_arm64.signal import setup_rt_frame as setup_rt_frame
from uprobes_sim_arm64.table import Way, find

INTERFACE: Final = 1

UPROBE_INV_FAULT_CODE: Final = 0xFFFF_FFFF
"""Mark in `thread.fault_code`, which is `trap_nr` here, while a copy is stepped."""


@hookimpl
def arch_info(abi: Abi) -> ArchInfo:
    if abi != INFO.abi:
        raise LinkError(f"arm64 has no uprobes in {abi} tasks, or none that this backend knows")
    return INFO


@hookimpl
def arch_behaviours() -> tuple[Behaviour, ...]:
    return BEHAVIOURS


@hookimpl
def uprobe_get_swbp_addr(regs: Regs) -> Vaddr:
    return regs.ip


@hookimpl
def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    if not config.kernel.has("uprobes"):
        raise Refused(Errno.ENOSYS, "arm64.no_uprobes", f"Linux {config.kernel} has no uprobes")
    if mm.abi.bits == 32:
        raise Refused(Errno.EOPNOTSUPP, "arm64.aarch32", "an AArch32 task cannot be probed")
    if vaddr % AARCH64_INSN_SIZE:
        raise Refused(Errno.EINVAL, "arm64.alignment", f"{vaddr:#x} is no multiple of 4")
    word = int.from_bytes(insn, "little")
    row = find(word)
    way = row.way_of(config.kernel)
    if way is Way.REFUSE:
        raise Refused(Errno.EINVAL, row.rule, row.why)
    return Arm64Uprobe(insn, insn, row, simulated=way is Way.SIMULATE)


@hookimpl
def arch_uprobe_pre_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    utask = task.utask
    assert utask is not None
    utask.autask.saved_trap_nr = task.thread.trap_nr
    task.thread.trap_nr = UPROBE_INV_FAULT_CODE
    regs.ip = utask.xol_vaddr


@hookimpl
def arch_uprobe_post_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    assert task.utask is not None
    assert task.thread.trap_nr == UPROBE_INV_FAULT_CODE
    regs.ip = Vaddr(task.utask.vaddr + AARCH64_INSN_SIZE)
    if not task.config.acts(FAULT_CODE):
        task.thread.trap_nr = task.utask.autask.saved_trap_nr


@hookimpl
def arch_uprobe_xol_was_trapped(task: Task) -> bool:
    return task.thread.trap_nr != UPROBE_INV_FAULT_CODE


@hookimpl
def arch_uprobe_skip_sstep(auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
    probe = cast(Arm64Uprobe, auprobe)
    if not probe.simulated:
        return False
    assert probe.row.simulate is not None
    try:
        probe.row.simulate(probe.fields, cast(PtRegs, regs), task.mm)
    except PageFault as fault:  # the real kernel may oops: `arm64.ldr_literal`
        task.force_sig(fault.info)
    return True


@hookimpl
def arch_uprobe_abort_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    assert task.utask is not None
    regs.ip = task.utask.vaddr


@hookimpl
def arch_uprobe_step(cpu: Cpu, task: Task) -> Exit:
    assert task.utask is not None
    assert task.utask.active_uprobe is not None
    probe = cast(Arm64Uprobe, task.utask.active_uprobe.arch)
    return step_simd_literal(probe, task) or cpu.step(task.regs, task.mm)


@hookimpl
def arch_uretprobe_is_alive(ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
    chained = ctx is RpCheck.RP_CHECK_CHAIN_CALL
    return regs.sp <= ri.stack if chained else regs.sp < ri.stack


@hookimpl
def arch_uretprobe_hijack_return_addr(
    trampoline_vaddr: Vaddr, regs: Regs, task: Task
) -> Vaddr | None:
    found = Vaddr(regs.get("x30"))
    regs.set("x30", trampoline_vaddr)
    return found


@hookimpl
def arch_uprobe_exception_notify(task: Task, stop: Stop) -> bool:
    if stop is Stop.SINGLE_STEP:
        return uprobe_post_sstep_notifier(task)
    return uprobe_pre_sstep_notifier(task)


@hookimpl
def arch_cpu(abi: Abi, config: Config) -> Cpu:
    from uprobes_sim_arm64.engine import new_cpu  # Unicorn costs 60 ms, and few commands run

    return new_cpu(config)
