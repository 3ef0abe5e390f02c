"""The questions that the core asks an architecture.

Each is named after the kernel function it stands for. An architecture answers
all of `RequiredHooks` and whatever it likes of `WeakHooks`. `current`, which
the kernel takes from the air, is an explicit *task* here; *regs* are its user
registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import pluggy

if TYPE_CHECKING:  # a command pays for what it asks, not for all that could be asked
    from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
    from uprobes_sim.cpu import Cpu, Exit, Stop
    from uprobes_sim.emit import Reproducer
    from uprobes_sim.errata import Erratum
    from uprobes_sim.flow import Flow
    from uprobes_sim.memory import Mm, Vma
    from uprobes_sim.samples import InsnSamples
    from uprobes_sim.scan.sweep import Sweeper
    from uprobes_sim.signals import SigAction, SigInfo
    from uprobes_sim.symbols import Image, Symbol
    from uprobes_sim.task import Task
    from uprobes_sim.units import Vaddr
    from uprobes_sim.uretprobes import ReturnInstance, RpCheck
    from uprobes_sim.verdict import Caution, Grounds, Mechanism
    from uprobes_sim.version import Behaviour, Config

PROJECT: Final = "uprobes_sim"

INTERFACE: Final = 1
"""Version of this interface. A plugin declares the one it was written for."""

hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)(firstresult=True)


class RequiredHooks(Protocol):
    """Questions with no default: an undefined symbol if left open."""

    @_hookspec
    def arch_info(self, abi: Abi) -> ArchInfo:
        """Constants of the architecture for tasks of *abi*. Asked once, when it is linked.

        Raises:
            LinkError: the backend does not serve this ABI.
        """
        ...

    @_hookspec
    def arch_uprobe_analyze_insn(
        self, insn: bytes, mm: Mm, vaddr: Vaddr, config: Config
    ) -> ArchUprobe:
        """Accept an instruction and prepare whatever stepping it will need.

        *insn*: `max_insn_bytes` from the file, zeros behind its end. *mm* and
        *vaddr*: the first mapping that the probe goes into; `mm.abi` decides
        the mode for all.

        Raises:
            Refused: the instruction cannot be probed, with the kernel's errno.
        """
        ...

    @_hookspec
    def arch_uprobe_pre_xol(self, auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
        """Send the task to its slot (`task.utask.xol_vaddr`), one step only.

        Raises:
            KernelError: not now; the task runs into the breakpoint again.
        """
        ...

    @_hookspec
    def arch_uprobe_post_xol(self, auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
        """Make the registers what they would be had the original been executed.

        Raises:
            KernelError: impossible; the task gets SIGILL.
        """
        ...

    @_hookspec
    def arch_uprobe_abort_xol(self, auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
        """Undo `arch_uprobe_pre_xol`: the copy has trapped, or the task dies."""
        ...

    @_hookspec
    def arch_uprobe_xol_was_trapped(self, task: Task) -> bool:
        """Tell whether the copy itself has trapped (`task.thread.trap_nr` moved)."""
        ...

    @_hookspec
    def arch_uprobe_skip_sstep(self, auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
        """Emulate the instruction if the kernel does; True: done, `regs.ip` moved on."""
        ...

    @_hookspec
    def arch_uretprobe_hijack_return_addr(
        self, trampoline_vaddr: Vaddr, regs: Regs, task: Task
    ) -> Vaddr | None:
        """Put *trampoline_vaddr* where the function will return to.

        Answers the address that was there, or None (the kernel's -1) when it
        could not be read.
        """
        ...

    @_hookspec
    def arch_uprobe_exception_notify(self, task: Task, stop: Stop) -> bool:
        """Show an exception to uprobes; True: consumed (NOTIFY_STOP).

        *stop* is BREAKPOINT or SINGLE_STEP. The backend passes it to
        `uprobe_pre_sstep_notifier` or `uprobe_post_sstep_notifier`.
        """
        ...

    @_hookspec
    def arch_cpu(self, abi: Abi, config: Config) -> Cpu:
        """Make an engine that executes programs of *abi*."""
        ...

    @_hookspec
    def arch_regs(self, abi: Abi, config: Config) -> Regs:
        """Make the registers of an ordinary user task of *abi*, all zero where they can be."""
        ...

    @_hookspec
    def start_thread(self, entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, config: Config) -> Regs:
        """Make the registers of a program that is about to start at *entry*.

        *sp* points at argc; *e_flags* are the ELF header's.
        Kernel: start_thread of arch/*/kernel/process*.c.
        """
        ...

    @_hookspec
    def regs_return_value(self, regs: Regs) -> int:
        """Value of the register that holds what a function returns, unsigned, whole."""
        ...

    @_hookspec
    def syscall_get_nr(self, regs: Regs) -> int:
        """Number of the system call that the task has just made."""
        ...

    @_hookspec
    def syscall_get_arguments(self, regs: Regs) -> tuple[int, ...]:
        """Its six arguments, unsigned."""
        ...

    @_hookspec
    def syscall_set_return_value(self, regs: Regs, error: int, value: int) -> None:
        """Answer a system call: with *value*, or with *error* where that errno is not 0."""
        ...


class WeakHooks(Protocol):
    """Questions that `weak` answers for an architecture that does not."""

    @_hookspec
    def is_swbp_insn(self, insn: bytes, abi: Abi) -> bool:
        """Tell whether *insn*, as it lies in memory, is the breakpoint that uprobes itself writes.

        Default: equality with `swbp_insn`.
        """
        ...

    @_hookspec
    def is_trap_insn(self, insn: bytes, abi: Abi) -> bool:
        """Tell whether *insn*, as it lies in memory, traps at all, whoever wrote it.

        It keeps a probe off an instruction that is already a breakpoint, so
        an architecture with several trap instructions must know them all.
        Default: `is_swbp_insn`.
        """
        ...

    @_hookspec
    def set_swbp(self, auprobe: ArchUprobe, vma: Vma, vaddr: Vaddr) -> bytes:
        """Write the breakpoint at *vaddr*; answer the bytes written, none if it was there.

        Default: `uprobe_write_opcode` with `swbp_insn`.

        Raises:
            KernelError: the page cannot be had or written.
        """
        ...

    @_hookspec
    def set_orig_insn(self, auprobe: ArchUprobe, vma: Vma, vaddr: Vaddr) -> bytes:
        """Write the original instruction at *vaddr*; answer the bytes written, if any.

        Default: `uprobe_write_opcode` with the first bytes of `auprobe.insn`.

        Raises:
            KernelError: the page cannot be had or written.
        """
        ...

    @_hookspec
    def uprobe_get_swbp_addr(self, regs: Regs) -> Vaddr:
        """Find the breakpoint that *regs* have just run into.

        *regs* are as the trap left them. Default: one breakpoint before the
        instruction pointer.
        """
        ...

    @_hookspec
    def arch_uprobe_copy_ixol(self, auprobe: ArchUprobe, vaddr: Vaddr) -> bytes:
        """Give the bytes for the slot at *vaddr*. Default: `auprobe.ixol`."""
        ...

    @_hookspec
    def arch_uprobe_ignore(self, auprobe: ArchUprobe, regs: Regs) -> bool:
        """True: pretend that the probe was not hit, `regs.ip` moved on. Default: False."""
        ...

    @_hookspec
    def arch_uprobe_init_state(self, mm: Mm) -> object:
        """Make what the backend keeps of a new address space, for `UprobesState.arch`.

        Default: nothing.
        """
        ...

    @_hookspec
    def arch_uprobe_optimize(self, auprobe: ArchUprobe, vaddr: Vaddr, task: Task) -> bool:
        """Put something faster in place of the breakpoint at *vaddr*, which was just hit.

        Called when the handlers are through. True: it is there now. Default: False.
        """
        ...

    @_hookspec
    def arch_uprobe_enable_step(self, auprobe: ArchUprobe, task: Task) -> bool:
        """Make the processor stop after one instruction. Asked by kernels of 3.7 only.

        Default: True, `arch_uprobe_pre_xol` has done it.
        """
        ...

    @_hookspec
    def arch_uprobe_disable_step(self, auprobe: ArchUprobe, task: Task) -> bool:
        """Undo `arch_uprobe_enable_step`. Asked by kernels of 3.7 only.

        Default: True, `arch_uprobe_post_xol` or `arch_uprobe_abort_xol` has done it.
        """
        ...

    @_hookspec
    def arch_uprobe_step(self, cpu: Cpu, task: Task) -> Exit:
        """Have the engine execute the instruction in the slot.

        Ours, not the kernel's. Default: `cpu.step`.

        Raises:
            EngineError: as `Cpu.run`.
        """
        ...

    @_hookspec
    def arch_uretprobe_is_alive(self, ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
        """Tell whether the frame of *ri* still exists. Default: True."""
        ...

    @_hookspec
    def arch_uretprobe_trampoline(self, abi: Abi, config: Config) -> bytes:
        """Code at which probed functions return (slot 0). Default: one breakpoint."""
        ...

    @_hookspec
    def arch_syscall(self, task: Task, name: str, args: tuple[int, ...]) -> int:
        """Do a system call that only this architecture has.

        Answers the result, which is unsigned, or a negative errno. Default: -ENOSYS.
        """
        ...

    @_hookspec
    def copy_thread(self, task: Task, sp: int | None, tls: int | None) -> Regs:
        """Make the registers of a child of *task*: the parent's, but the call answers 0.

        *sp*: its stack, None: where the parent's is. *tls*: what the call gave for
        CLONE_SETTLS. Default: ENOSYS, there are no other tasks.

        Raises:
            KernelError: the call fails so.
        """
        ...

    @_hookspec
    def setup_rt_frame(self, task: Task, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
        """Put a signal frame on the task's stack and send it to its handler.

        *oldset*: signals that are to be blocked again afterwards. Answers where the frame lies.
        Default: no frames are known, which is an error.

        Raises:
            PageFault: the stack cannot be written.
            EngineError: handlers are not simulated.
        """
        ...

    @_hookspec
    def arch_sigreturn(self, task: Task, is_rt: bool) -> int:
        """Take the registers out of the frame on the task's stack (rt_sigreturn, sigreturn).

        Answers the signals to be blocked. Default: no frames are known, which is an error.

        Raises:
            PageFault: the frame cannot be read.
            EngineError: handlers are not simulated.
        """
        ...

    @_hookspec
    def arch_auxv(self, abi: Abi, config: Config) -> dict[int, int | bytes]:
        """More entries for the auxiliary vector: AT_HWCAP, AT_PLATFORM, … Default: none."""
        ...

    @_hookspec
    def arch_behaviours(self) -> tuple[Behaviour, ...]:
        """Rows of the version table that only this backend asks for. Default: none."""
        ...

    @_hookspec
    def arch_symbol_entry(self, symbol: Symbol, image: Image, want_global: bool) -> Vaddr:
        """Find the code of a function symbol, as in the ELF file.

        *want_global*: the entry for callers from other modules, where there are
        two. Default: the symbol's value.
        """
        ...

    @_hookspec
    def arch_insn_text(self, insn: bytes, vaddr: Vaddr, abi: Abi) -> str:
        """Write the instruction as an assembler would. Default: capstone, else the bytes."""
        ...

    @_hookspec
    def arch_parse_insn(self, text: str, abi: Abi) -> bytes:
        """Read an instruction as people write it in hexadecimal; answer its bytes in memory.

        Default: the bytes in memory order.

        Raises:
            ValueError: that is no instruction; in one line, why.
        """
        ...

    @_hookspec
    def arch_format_insn(self, insn: bytes, abi: Abi) -> str:
        """Write the instruction that *insn* begins with, as `arch_parse_insn` reads it.

        Default: as many bytes as a breakpoint has.
        """
        ...

    @_hookspec
    def arch_insn_fields(self, insn: bytes, abi: Abi) -> dict[str, int | str]:
        """Take an instruction apart: fields by the names of the architecture's manual.

        Default: none.
        """
        ...

    @_hookspec
    def arch_insn_flow(self, insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
        """Tell how long the instruction at *vaddr* is for the processor, and where it leads.

        *insn*: up to `max_insn_bytes`, fewer at the end of the code. Default: as long as a
        breakpoint, and on to the next.
        """
        ...

    @_hookspec
    def arch_uprobe_mechanism(self, auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
        """Say how an accepted instruction is executed on an ordinary hit.

        Default: out of line.
        """
        ...

    @_hookspec
    def arch_uprobe_warnings(
        self, auprobe: ArchUprobe, abi: Abi, config: Config
    ) -> tuple[Caution, ...]:
        """Say what a user of a probe on an accepted instruction should know.

        Every erratum in force that concerns the instruction is among them. Default: nothing.
        """
        ...

    @_hookspec
    def arch_sweeper(self, abi: Abi, configs: tuple[Config, ...]) -> Sweeper:
        """Make what cuts code into instructions, for a scan of whole files.

        It also tells which instructions are alike to all of *configs*, so that few need be asked
        about. Default: each is asked about; `arch_insn_flow` tells its size.
        """
        ...

    @_hookspec
    def arch_errata(self) -> tuple[Erratum, ...]:
        """List the known defects of Linux on this architecture. Default: none."""
        ...

    @_hookspec
    def arch_grounds(self, rule: str, insn: bytes, abi: Abi) -> tuple[Grounds, ...]:
        """Say where *rule*, by which the verdict on *insn* was found, comes from.

        One, or none where the backend does not say. A backend that has this hook answers for each
        of its rules and, whatever *insn* is, with none for what is no rule of its own: so `scan`
        finds that one is misspelt. Default: none.
        """
        ...

    @_hookspec
    def arch_reproducer(self, erratum: str) -> tuple[str, Reproducer | None]:
        """Give a program that shows the erratum of this id, if there is one, and a C compiler.

        Default: none.
        """
        ...

    @_hookspec
    def arch_emulate(self, insn: bytes, task: Task) -> int:
        """Let the kernel's emulation execute one instruction on *task*, without a probe.

        1: done; 0: it would go to the slot; -1: it must not be stepped at all. Default: by
        `arch_uprobe_analyze_insn` and `arch_uprobe_skip_sstep`.
        """
        ...

    @_hookspec
    def arch_insn_samples(self, abi: Abi, config: Config) -> InsnSamples:
        """Give instructions to the conformance suite, which tries them under probes.

        Default: none, and then the backend cannot claim anything.
        """
        ...

    @_hookspec
    def arch_variants(self) -> dict[str, object]:
        """Variants of this backend by name: what each defines replaces the backend's own.

        The first is the backend as it is. Default: `{"upstream": None}`.
        """
        ...


class ArchHooks(RequiredHooks, WeakHooks, Protocol):
    """A whole architecture, as the core calls it: by keyword."""
