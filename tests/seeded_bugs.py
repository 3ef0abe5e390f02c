"""Ways to be wrong, sown into the reference architecture: the suite must find each of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

import reference_arch as right
from uprobes_sim import hookimpl
from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
from uprobes_sim.cpu import Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import Refused
from uprobes_sim.flow import Flow
from uprobes_sim.memory import Mm, PageFault, Vma
from uprobes_sim.samples import InsnSamples
from uprobes_sim.scan.sweep import Piece, ScalarSweeper, Sweep, Sweeper
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.uretprobes import ReturnInstance, RpCheck
from uprobes_sim.verdict import Mechanism
from uprobes_sim.version import Config


@dataclass(frozen=True, slots=True)
class Bug:
    """One mistake, and the test that must find it."""

    what: str
    killed_by: str
    """Level and name of the test."""
    hook: str
    wrong: Callable[..., Any]
    """What stands in place of the hook."""

    @property
    def level(self) -> str:
        """The level of the test."""
        return self.killed_by.partition("::")[0]

    def plugin(self) -> SimpleNamespace:
        """Make the architecture with the mistake in it."""
        hooks = {name: value for name, value in vars(right).items() if not name.startswith("_")}
        return SimpleNamespace(**hooks | {self.hook: hookimpl(self.wrong)})


BUGS: Final[list[Bug]] = []


def bug(what: str, killed_by: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the hook below as a mistake; one called `_` is the same hook once more."""

    def enter(wrong: Callable[..., Any]) -> Callable[..., Any]:
        name = wrong.__name__ if wrong.__name__ != "_" else BUGS[-1].hook
        BUGS.append(Bug(what, killed_by, name, wrong))
        return wrong

    return enter


def regs_of(regs: Regs) -> right.PtRegs:
    assert isinstance(regs, right.PtRegs)
    return regs


# --- link -------------------------------------------------------------------

ONE = right.PtRegs(64)


@bug("all tasks share one set of registers", "link::test_two_tasks_have_registers_of_their_own")
def arch_regs(abi: Abi, config: Config) -> Regs:
    return ONE


@bug(
    "a result is read from the wrong register",
    "link::test_a_system_call_is_answered_where_functions_return_values",
)
def regs_return_value(regs: Regs) -> int:
    return regs_of(regs).r[1]


@bug("a program starts without a stack", "link::test_a_program_starts_at_its_entry_on_its_stack")
def start_thread(entry: Vaddr, sp: Vaddr, mm: Mm, e_flags: int, config: Config) -> Regs:
    return right.PtRegs(mm.abi.bits, entry)


@bug("the trampoline overruns its slot", "link::test_the_trampoline_fits_in_the_first_slot")
def arch_uretprobe_trampoline(abi: Abi, config: Config) -> bytes:
    return right.assemble(abi, right.TRAP) * 5


def info(**changes: Any) -> Callable[[Abi], ArchInfo]:
    def arch_info(abi: Abi) -> ArchInfo:
        return replace(right.arch_info(abi), **changes)

    return arch_info


bug(
    "a slot is shorter than an instruction",
    "link::test_the_breakpoint_fits_in_an_instruction_and_that_in_a_slot",
)(info(xol_slot_bytes=4))
bug("a claim is misspelt", "link::test_what_is_claimed_can_be_claimed")(info(claims=("setp",)))


# --- decode -----------------------------------------------------------------


def with_find(change: Callable[[str | None], str | None]) -> Callable[..., InsnSamples]:
    def arch_insn_samples(abi: Abi, config: Config) -> InsnSamples:
        found = right.arch_insn_samples(abi, config)
        return replace(found, find=lambda insn: change(found.find(insn)))

    return arch_insn_samples


bug("two rows overlap", "decode::test_what_is_drawn_of_a_row_is_of_that_row")(
    with_find(lambda row: "b" if row == "bz" else row)
)
bug("the table has no such row", "decode::test_any_bytes_can_be_looked_up")(
    with_find(lambda row: row or "reserved")
)


@bug("a long instruction is shown short", "decode::test_an_instruction_is_as_long_as_the_row_says")
def arch_format_insn(insn: bytes, abi: Abi) -> str:
    return insn[:4].hex()


@bug("wrong length in a flow", "decode::test_an_instruction_is_as_long_as_the_row_says")
def arch_insn_flow(insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
    return Flow(4)


@bug("some bytes have no text", "decode::test_any_bytes_have_a_text_in_one_line")
def arch_insn_text(insn: bytes, vaddr: Vaddr, abi: Abi) -> str:
    op = right.decode(insn, abi).op
    return right.NAMES[op] if op < len(right.NAMES) else ""


# --- classify ---------------------------------------------------------------


@bug("a trap variant is missed", "classify::test_every_instruction_that_traps_is_known_to_trap")
def is_trap_insn(insn: bytes, abi: Abi) -> bool:
    return right.decode(insn, abi).op == right.TRAP


@bug("the trap is too wide", "classify::test_nothing_is_called_a_trap_that_never_traps")
def _(insn: bytes, abi: Abi) -> bool:
    return right.decode(insn, abi).op in (right.TRAP, right.TRAPNZ, right.LI)


@bug("wrong endianness", "classify::test_the_breakpoint_is_a_breakpoint_and_a_trap")
def _(insn: bytes, abi: Abi) -> bool:
    return right.decode(insn, Abi(64, "big")).op in (right.TRAP, right.TRAPNZ)


@bug(
    "breakpoint address off by one", "classify::test_the_breakpoint_traps_and_its_address_is_found"
)
def uprobe_get_swbp_addr(regs: Regs) -> Vaddr:
    return Vaddr(regs.ip - 4)


@bug("slot overrun", "classify::test_the_copy_fits_into_its_slot")
def arch_uprobe_copy_ixol(auprobe: ArchUprobe, vaddr: Vaddr) -> bytes:
    return auprobe.ixol * 3


@bug("wrong alignment errno", "classify::test_a_misaligned_probe_is_an_invalid_one")
def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    if vaddr % 4:
        raise Refused(Errno.ENOTSUPP, "reference.alignment", "it is misaligned")
    return right.arch_uprobe_analyze_insn(insn, mm, vaddr, config)


@bug("a refusal without a reason", "classify::test_a_refusal_says_why")
def _(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    try:
        return right.arch_uprobe_analyze_insn(insn, mm, vaddr, config)
    except Refused as exc:
        raise Refused(exc.errno, exc.rule, "") from exc


@bug(
    "the original is kept in the wrong order", "classify::test_a_removed_probe_leaves_the_original"
)
def _(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    found = right.arch_uprobe_analyze_insn(insn, mm, vaddr, config)
    found.insn = insn[3::-1] + insn[4:]
    return found


@bug("everything is refused", "classify::test_something_can_be_probed_at_all")
def _(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
    raise Refused(Errno.ENOTSUPP, "reference.refused", "nothing can be probed")


@bug("half a breakpoint is written", "classify::test_a_removed_probe_leaves_the_original")
def set_swbp(auprobe: ArchUprobe, vma: Vma, vaddr: Vaddr) -> bytes:
    insn = right.assemble(vma.mm.abi, right.TRAP)[:2] + auprobe.insn[2:4]
    vma.mm.write(vaddr, insn, force=True)
    return insn


# --- step -------------------------------------------------------------------

STEP: Final = "step::test_a_probe_changes_nothing"


def emulating(
    what: str, *ops: int, killed_by: str = STEP
) -> Callable[[Callable[[right.Insn, right.PtRegs, Task], bool]], None]:
    """Sow a mistake into the emulation of *ops*."""

    def enter(wrong: Callable[[right.Insn, right.PtRegs, Task], bool]) -> None:
        def arch_uprobe_skip_sstep(auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
            insn = right.decoded(auprobe)
            if insn.op in ops:
                return wrong(insn, regs_of(regs), task)
            return right.arch_uprobe_skip_sstep(auprobe, regs, task)

        bug(what, killed_by)(arch_uprobe_skip_sstep)

    return enter


def go(regs: right.PtRegs, where: int) -> bool:
    regs.ip = Vaddr(where & (1 << regs.bits) - 1)
    return True


@emulating("ip-relative, and stepped as it is", right.ADR, right.B, right.BZ)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    return False


@emulating("emulation forgets the link register", right.CALL)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    return go(regs, regs.ip + insn.imm)


@emulating("emulation accepts a faulting access", right.LDPC)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    try:
        right.access(insn, regs, task.mm)
    except PageFault:
        regs.r[insn.a] = 0
    return go(regs, regs.ip + 4)


@emulating("a branch goes one instruction too far", right.B)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    return go(regs, regs.ip + insn.imm + 4)


@emulating("a condition is the wrong way round", right.BZ)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    return go(regs, regs.ip + (4 if regs.flags & right.Z else insn.imm))


@emulating("a displacement is not sign-extended", right.B, right.CALL)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    if insn.op == right.CALL:
        regs.r[right.LR] = regs.ip + 4
    return go(regs, regs.ip + (insn.imm & 0xFFFF))


@emulating("emulation destroys a register", right.ADR)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    go(regs, right.branch(insn, regs))
    regs.r[0 if insn.a else 1] ^= 1
    return True


@emulating("emulation does not move on", right.NOP)
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> bool:
    return True


def stepping(hook: Callable[..., None]) -> Callable[[str], Callable[..., None]]:
    """Sow a mistake into what comes after a right *hook*."""

    def sown(what: str, killed_by: str = STEP) -> Callable[..., None]:
        def enter(wrong: Callable[[right.Insn, right.PtRegs, Task], None]) -> None:
            def after(auprobe: ArchUprobe, regs: Regs, task: Task) -> None:
                hook(auprobe, regs, task)
                wrong(right.decoded(auprobe), regs_of(regs), task)

            after.__name__ = hook.__name__
            bug(what, killed_by)(after)

        return enter

    return sown


after_step = stepping(right.arch_uprobe_post_xol)
after_abort = stepping(right.arch_uprobe_abort_xol)
before_step = stepping(right.arch_uprobe_pre_xol)


def vaddr_of(task: Task) -> int:
    assert task.utask is not None
    return task.utask.vaddr


@after_step("the return address lies in the slot")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    if insn.op == right.CALLR and task.utask is not None:
        regs.r[right.LR] = task.utask.xol_vaddr + 4


@after_step("flags are lost in the step")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    regs.flags = 0


@after_step("wrong length: two words count as one")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    if insn.size == 8:
        regs.ip = Vaddr(vaddr_of(task) + 4)


@after_step("a return that was stepped goes behind the probe")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    if insn.op == right.RET:
        regs.ip = Vaddr(vaddr_of(task) + 4)


@after_step("the task stays in the slot")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    if insn.op == right.LI and task.utask is not None:
        regs.ip = Vaddr(task.utask.xol_vaddr + 4)


@after_step("the step bit stays set")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    regs.flags |= right.STEP


@after_abort("a fault leaves the task in the slot")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    assert task.utask is not None
    regs.ip = task.utask.xol_vaddr


@after_abort("a fault leaves the step bit set")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    regs.flags |= right.STEP


@before_step("the task is not sent to its slot")
def _(insn: right.Insn, regs: right.PtRegs, task: Task) -> None:
    regs.ip = Vaddr(vaddr_of(task))


@bug("a fault in the slot is not noticed", STEP)
def arch_uprobe_xol_was_trapped(task: Task) -> bool:
    return False


@bug("the exception after a step is nobody's", STEP)
def arch_uprobe_exception_notify(task: Task, stop: Stop) -> bool:
    return stop is Stop.BREAKPOINT and right.arch_uprobe_exception_notify(task, stop)


@bug("an emulated instruction is said to be stepped", "step::test_it_is_executed_as_was_said")
def arch_uprobe_mechanism(auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
    return Mechanism("xol", "reference.xol", "a copy is stepped")


@bug("emulation is claimed, and nothing is emulated", "step::test_some_instructions_are_emulated")
def arch_uprobe_skip_sstep(auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
    return False


# --- return probes ------------------------------------------------------------


@bug("hijack of the wrong register", "return::test_a_leaf_function_returns_to_its_caller")
def arch_uretprobe_hijack_return_addr(
    trampoline_vaddr: Vaddr, regs: Regs, task: Task
) -> Vaddr | None:
    orig = Vaddr(regs_of(regs).r[right.LR])
    regs_of(regs).r[12] = trampoline_vaddr
    return orig


@bug("hijack forgets the return address", "return::test_a_leaf_function_returns_to_its_caller")
def _(trampoline_vaddr: Vaddr, regs: Regs, task: Task) -> Vaddr | None:
    regs_of(regs).r[right.LR] = trampoline_vaddr
    return Vaddr(regs_of(regs).r[12])


@bug("hijack destroys the argument", "return::test_the_value_that_a_function_returns_is_seen")
def _(trampoline_vaddr: Vaddr, regs: Regs, task: Task) -> Vaddr | None:
    regs_of(regs).r[0] = 0
    return right.arch_uretprobe_hijack_return_addr(trampoline_vaddr, regs, task)


@bug("is_alive off by one", "return::test_frames_left_by_longjmp_are_forgotten")
def arch_uretprobe_is_alive(ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
    return regs.sp <= ri.stack


@bug("every frame is alive for ever", "return::test_frames_left_by_longjmp_are_forgotten")
def _(ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
    return True


@bug("is_alive overlooks chains", "return::test_a_tail_call_returns_for_both")
def _(ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
    return regs.sp < ri.stack


@bug("is_alive the wrong way round", "return::test_nested_functions_return_in_turn")
def _(ri: ReturnInstance, ctx: RpCheck, regs: Regs) -> bool:
    return regs.sp >= ri.stack


# --- processes ----------------------------------------------------------------

CHILD: Final = "processes::test_a_child_hits_the_probes_of_its_parent"


@bug("a child shares its parent's registers", CHILD)
def copy_thread(task: Task, sp: int | None, tls: int | None) -> Regs:
    return task.regs


@bug("a thread starts on its parent's stack", CHILD)
def _(task: Task, sp: int | None, tls: int | None) -> Regs:
    return right.copy_thread(task, None, tls)


# --- scan -----------------------------------------------------------------------


class OneForm:
    """A sweeper that takes all instructions for alike."""

    asks_nobody = False

    def __init__(self, abi: Abi) -> None:
        self._inner = ScalarSweeper(lambda insn: right.decode(insn, abi).size, 8)

    def sweep(self, piece: Piece) -> Sweep:
        found = self._inner.sweep(piece)
        return found._replace(form=np.zeros_like(found.form))


@bug("unlike instructions share a form", "scan::test_instructions_of_a_form_have_one_answer")
def arch_sweeper(abi: Abi, configs: tuple[Config, ...]) -> Sweeper:
    return OneForm(abi)


class FourBytes:
    """A sweeper that knows no long instructions."""

    asks_nobody = False

    def __init__(self) -> None:
        self._inner = ScalarSweeper(lambda insn: 4, 8)

    def sweep(self, piece: Piece) -> Sweep:
        return self._inner.sweep(piece)


@bug("an array knows one length only", "scan::test_an_array_is_cut_where_instructions_begin")
def _(abi: Abi, configs: tuple[Config, ...]) -> Sweeper:
    return FourBytes()
