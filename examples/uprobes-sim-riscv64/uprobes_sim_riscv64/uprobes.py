"""The riscv64 side of uprobes, after arch/riscv/kernel/probes/uprobes.c."""

from dataclasses import replace
from typing import Final, cast

from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
from uprobes_sim.cpu import Cpu, Exit, Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import LinkError, Refused
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.memory import Mm
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.task import Task, uprobe_post_sstep_notifier, uprobe_pre_sstep_notifier
from uprobes_sim.units import Vaddr
from uprobes_sim.uretprobes import ReturnInstance, RpCheck
from uprobes_sim.version import Behaviour, Config
from uprobes_sim_riscv64.behaviours import BEHAVIOURS
from uprobes_sim_riscv64.errata import RESERVED_BRANCH, SLOT_ADDRESS, X0, is_no_branch, writes_x0
from uprobes_sim_riscv64.explain import arch_errata as arch_errata
from uprobes_sim_riscv64.explain import arch_format_insn as arch_format_insn
from uprobes_sim_riscv64.explain import arch_grounds as arch_grounds
from uprobes_sim_riscv64.explain import arch_insn_fields as arch_insn_fields
from uprobes_sim_riscv64.explain import arch_insn_flow as arch_insn_flow
from uprobes_sim_riscv64.explain import arch_insn_text as arch_insn_text
from uprobes_sim_riscv64.explain import arch_parse_insn as arch_parse_insn
from uprobes_sim_riscv64.explain import arch_uprobe_mechanism as arch_uprobe_mechanism
from uprobes_sim_riscv64.explain import arch_uprobe_warnings as arch_uprobe_warnings
from uprobes_sim_riscv64.info import C_EBREAK, EBREAK, INFO
from uprobes_sim_riscv64.probe import RiscvUprobe
from uprobes_sim_riscv64.process import arch_auxv as arch_auxv
from uprobes_sim_riscv64.process import arch_regs as arch_regs
from uprobes_sim_riscv64.process import arch_syscall as arch_syscall
from uprobes_sim_riscv64.process import copy_thread as copy_thread
from uprobes_sim_riscv64.process import regs_return_value as regs_return_value
from uprobes_sim_riscv64.process import start_thread as start_thread
from uprobes_sim_riscv64.process import syscall_get_arguments as syscall_get_arguments
from uprobes_sim_riscv64.process import syscall_get_nr as syscall_get_nr
from uprobes_sim_riscv64.process import syscall_set_return_value as syscall_set_return_value
from uprobes_sim_riscv64.regs import PtRegs
from uprobes_sim_riscv64.samples import arch_insn_samples as arch_insn_samples
from uprobes_sim_riscv64.signal import arch_sigreturn as arch_sigreturn
from uprobes_sim_riscv64.signal import setup_rt_frame as setup_rt_frame
from uprobes_sim_riscv64.table import Way, find

INTERFACE: Final = 1

UPROBE_TRAP_NR: Final = 0xFFFF_FFFF
"""Mark in `thread.bad_cause`, which is `trap_nr` here, while a copy is stepped."""


@hookimpl
def arch_info(abi: Abi) -> ArchInfo:
    if abi != INFO.abi:
        raise LinkError(f"riscv64 has no {abi} tasks, or none that this backend knows")
    return INFO


@hookimpl
def arch_behaviours() -> tuple[Behaviour, ...]:
    return BEHAVIOURS


@hookimpl
def is_swbp_insn(insn: bytes, abi: Abi) -> bool:
    return insn[:2] == C_EBREAK


@hookimpl
def is_trap_insn(insn: bytes, abi: Abi) -> bool:
    return insn[:2] == C_EBREAK or insn[:4] == EBREAK


@hookimpl
def uprobe_get_swbp_addr(regs: Regs) -> Vaddr:
    return regs.ip


@hookimpl
def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    if not config.kernel.has("uprobes"):
        raise Refused(Errno.ENOSYS, "riscv64.no_uprobes", f"Linux {config.kernel} has no uprobes")
    row = find(int.from_bytes(insn[:4], "little"))
    way = row.way_of(config.kernel)
    if way is Way.REFUSE:
        raise Refused(Errno.EINVAL, row.rule, row.why)
    return RiscvUprobe(insn, insn, row, simulated=way is Way.SIMULATE)


@hookimpl
def arch_uprobe_pre_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    utask = task.utask
    assert utask is not None
    utask.autask.saved_trap_nr = task.thread.trap_nr
    task.thread.trap_nr = UPROBE_TRAP_NR
    regs.ip = utask.xol_vaddr


@hookimpl
def arch_uprobe_post_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    utask = task.utask
    assert utask is not None
    assert task.thread.trap_nr == UPROBE_TRAP_NR
    task.thread.trap_nr = utask.autask.saved_trap_nr
    regs.ip = Vaddr(utask.vaddr + cast(RiscvUprobe, auprobe).insn_size)


@hookimpl
def arch_uprobe_xol_was_trapped(task: Task) -> bool:
    return task.thread.trap_nr != UPROBE_TRAP_NR


@hookimpl
def arch_uprobe_skip_sstep(auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
    probe = cast(RiscvUprobe, auprobe)
    if not probe.simulated:
        return False
    fields = probe.fields
    assert probe.row.simulate is not None
    if is_no_branch(probe.row.name, fields):
        if not task.config.acts(RESERVED_BRANCH):
            task.force_sig(SigInfo(Signal.SIGILL, SiCode.ILL_ILLOPC, regs.ip))
    elif not (writes_x0(probe.row.name, fields) and task.config.acts(X0)):
        probe.row.simulate(fields, cast(PtRegs, regs))
    return True


@hookimpl
def arch_uprobe_abort_xol(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
    utask = task.utask
    assert utask is not None
    regs.ip = utask.vaddr
    if not task.config.acts(SLOT_ADDRESS):
        for at, info in enumerate(task.pending):
            if info.addr == utask.xol_vaddr:
                task.pending[at] = replace(info, addr=utask.vaddr)


@hookimpl
def arch_uprobe_step(cpu: Cpu, task: Task) -> Exit:
    """Let the copy run into the breakpoint behind it: there is no single step."""
    return cpu.run(task.regs, task.mm, 2)


@hookimpl
def arch_uprobe_copy_ixol(auprobe: ArchUprobe, vaddr: Vaddr) -> bytes:
    code, size = auprobe.ixol, cast(RiscvUprobe, auprobe).insn_size
    return code[:size] + EBREAK + code[size + len(EBREAK) :]


@hookimpl
def arch_uretprobe_is_alive(ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
    chained = ctx is RpCheck.RP_CHECK_CHAIN_CALL
    return regs.sp <= ri.stack if chained else regs.sp < ri.stack


@hookimpl
def arch_uretprobe_hijack_return_addr(
    trampoline_vaddr: Vaddr, regs: Regs, task: Task
) -> Vaddr | None:
    found = Vaddr(regs.get("ra"))
    regs.set("ra", trampoline_vaddr)
    return found


@hookimpl
def arch_uprobe_exception_notify(task: Task, stop: Stop) -> bool:
    # As handle_break asks them: a breakpoint ends a step, else it is a probe's.
    return uprobe_post_sstep_notifier(task) or uprobe_pre_sstep_notifier(task)


@hookimpl
def arch_cpu(abi: Abi, config: Config) -> Cpu:
    from uprobes_sim_riscv64.engine import new_cpu  # Unicorn costs 60 ms, and few commands run

    return new_cpu(config)
