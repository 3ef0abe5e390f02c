"""Default answers: the `__weak` functions of kernel/events/uprobes.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uprobes_sim.errno import Errno
from uprobes_sim.errors import EngineError, KernelError
from uprobes_sim.hookspecs import ArchHooks, hookimpl
from uprobes_sim.units import Vaddr

if TYPE_CHECKING:  # a command pays for what it asks, not for all that could be asked
    from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
    from uprobes_sim.cpu import Cpu, Exit
    from uprobes_sim.emit import Reproducer
    from uprobes_sim.errata import Erratum
    from uprobes_sim.flow import Flow
    from uprobes_sim.memory import Mm, Vma
    from uprobes_sim.samples import InsnSamples
    from uprobes_sim.scan.sweep import Sweeper
    from uprobes_sim.signals import SigAction, SigInfo
    from uprobes_sim.symbols import Image, Symbol
    from uprobes_sim.task import Task
    from uprobes_sim.uretprobes import ReturnInstance, RpCheck
    from uprobes_sim.verdict import Caution, Grounds, Mechanism
    from uprobes_sim.version import Behaviour, Config


class Weak:
    """A plugin that speaks last.

    It asks its own questions through *hook*, never by calling itself, so that
    an override of one default also reaches the defaults built on it.
    """

    def __init__(self, hook: ArchHooks) -> None:
        """Answer for the architecture behind *hook*."""
        self.hook = hook
        self.info: ArchInfo | None = None
        """Set by the linker, once the architecture has told."""

    @property
    def _info(self) -> ArchInfo:
        assert self.info is not None, "the machine is not linked yet"
        return self.info

    @hookimpl(trylast=True)
    def is_swbp_insn(self, insn: bytes, abi: Abi) -> bool:
        return insn == self._info.swbp_insn

    @hookimpl(trylast=True)
    def is_trap_insn(self, insn: bytes, abi: Abi) -> bool:
        return self.hook.is_swbp_insn(insn=insn, abi=abi)

    @hookimpl(trylast=True)
    def set_swbp(self, auprobe: ArchUprobe, vma: Vma, vaddr: Vaddr) -> bytes:
        from uprobes_sim.write import uprobe_write_opcode

        return uprobe_write_opcode(self.hook, vma, vaddr, self._info.swbp_insn, is_register=True)

    @hookimpl(trylast=True)
    def set_orig_insn(self, auprobe: ArchUprobe, vma: Vma, vaddr: Vaddr) -> bytes:
        from uprobes_sim.write import uprobe_write_opcode

        opcode = auprobe.insn[: self._info.swbp_size]
        return uprobe_write_opcode(self.hook, vma, vaddr, opcode, is_register=False)

    @hookimpl(trylast=True)
    def uprobe_get_swbp_addr(self, regs: Regs) -> Vaddr:
        return Vaddr(regs.ip - self._info.swbp_size)

    @hookimpl(trylast=True)
    def arch_uprobe_copy_ixol(self, auprobe: ArchUprobe, vaddr: Vaddr) -> bytes:
        return auprobe.ixol

    @hookimpl(trylast=True)
    def arch_uprobe_ignore(self, auprobe: ArchUprobe, regs: Regs) -> bool:
        return False

    @hookimpl(trylast=True)
    def arch_uprobe_init_state(self, mm: Mm) -> object:
        return None

    @hookimpl(trylast=True)
    def arch_uprobe_optimize(self, auprobe: ArchUprobe, vaddr: Vaddr, task: Task) -> bool:
        return False

    @hookimpl(trylast=True)
    def arch_uprobe_enable_step(self, auprobe: ArchUprobe, task: Task) -> bool:
        return True

    @hookimpl(trylast=True)
    def arch_uprobe_disable_step(self, auprobe: ArchUprobe, task: Task) -> bool:
        return True

    @hookimpl(trylast=True)
    def arch_uprobe_step(self, cpu: Cpu, task: Task) -> Exit:
        return cpu.step(task.regs, task.mm)

    @hookimpl(trylast=True)
    def arch_uretprobe_is_alive(self, ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
        return True

    @hookimpl(trylast=True)
    def arch_uretprobe_trampoline(self, abi: Abi, config: Config) -> bytes:
        return self._info.swbp_insn

    @hookimpl(trylast=True)
    def arch_syscall(self, task: Task, name: str, args: tuple[int, ...]) -> int:
        return -Errno.ENOSYS

    @hookimpl(trylast=True)
    def copy_thread(self, task: Task, sp: int | None, tls: int | None) -> Regs:
        raise KernelError(Errno.ENOSYS, f"{self._info.name} knows one task only")

    @hookimpl(trylast=True)
    def setup_rt_frame(self, task: Task, info: SigInfo, action: SigAction, oldset: int) -> Vaddr:
        raise EngineError(
            f"{info.signal.name} at {task.regs.ip:#x}: the program has a handler for it, "
            f"and {self._info.name} knows no signal frames"
        )

    @hookimpl(trylast=True)
    def arch_sigreturn(self, task: Task, is_rt: bool) -> int:
        raise EngineError(f"{self._info.name} knows no signal frames, and returns from none")

    @hookimpl(trylast=True)
    def arch_auxv(self, abi: Abi, config: Config) -> dict[int, int | bytes]:
        return {}

    @hookimpl(trylast=True)
    def arch_behaviours(self) -> tuple[Behaviour, ...]:
        return ()

    @hookimpl(trylast=True)
    def arch_symbol_entry(self, symbol: Symbol, image: Image, want_global: bool) -> Vaddr:
        return symbol.value

    @hookimpl(trylast=True)
    def arch_insn_text(self, insn: bytes, vaddr: Vaddr, abi: Abi) -> str:
        from uprobes_sim.insn_text import capstone_text

        return capstone_text(self._info.capstone, insn, vaddr)

    @hookimpl(trylast=True)
    def arch_parse_insn(self, text: str, abi: Abi) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise ValueError("bytes are pairs of hexadecimal digits, such as 48 89 e5") from None

    @hookimpl(trylast=True)
    def arch_format_insn(self, insn: bytes, abi: Abi) -> str:
        return insn[: self._info.swbp_size].hex()

    @hookimpl(trylast=True)
    def arch_insn_fields(self, insn: bytes, abi: Abi) -> dict[str, int | str]:
        return {}

    @hookimpl(trylast=True)
    def arch_insn_flow(self, insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
        from uprobes_sim.flow import Flow

        return Flow(self._info.swbp_size)

    @hookimpl(trylast=True)
    def arch_uprobe_mechanism(self, auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
        from uprobes_sim.verdict import Mechanism

        return Mechanism("xol", f"{self._info.name}.xol", "a copy is stepped out of line")

    @hookimpl(trylast=True)
    def arch_uprobe_warnings(
        self, auprobe: ArchUprobe, abi: Abi, config: Config
    ) -> tuple[Caution, ...]:
        return ()

    @hookimpl(trylast=True)
    def arch_sweeper(self, abi: Abi, configs: tuple[Config, ...]) -> Sweeper:
        from uprobes_sim.scan.sweep import ScalarSweeper  # numpy costs 60 ms, and few commands scan

        ask = self.hook.arch_insn_flow
        return ScalarSweeper(
            lambda insn: ask(insn=insn, vaddr=Vaddr(0), abi=abi).size, self._info.max_insn_bytes
        )

    @hookimpl(trylast=True)
    def arch_errata(self) -> tuple[Erratum, ...]:
        return ()

    @hookimpl(trylast=True)
    def arch_grounds(self, rule: str, insn: bytes, abi: Abi) -> tuple[Grounds, ...]:
        return ()

    @hookimpl(trylast=True)
    def arch_reproducer(self, erratum: str) -> tuple[str, Reproducer | None]:
        return "cc", None

    @hookimpl(trylast=True)
    def arch_emulate(self, insn: bytes, task: Task) -> int:
        regs, opcode = task.regs, insn[: self._info.opcode_size]
        if self.hook.is_trap_insn(insn=opcode, abi=task.mm.abi):
            return -1
        try:
            auprobe = self.hook.arch_uprobe_analyze_insn(
                insn=insn, mm=task.mm, vaddr=regs.ip, config=task.config
            )
        except KernelError:
            return -1
        return self.hook.arch_uprobe_skip_sstep(auprobe=auprobe, regs=regs, task=task)

    @hookimpl(trylast=True)
    def arch_insn_samples(self, abi: Abi, config: Config) -> InsnSamples:
        from uprobes_sim.samples import NO_SAMPLES

        return NO_SAMPLES

    @hookimpl(trylast=True)
    def arch_variants(self) -> dict[str, object]:
        return {"upstream": None}
