"""arm64 as a guest of the Unicorn engine."""

from collections.abc import Callable
from typing import Final

from unicorn import Uc
from unicorn import arm64_const as arm64
from unicorn import unicorn_const as uc_const

from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.memory import Access, Fault, Mm, PageFault
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.unicorn_cpu import UnicornCpu
from uprobes_sim.unicorn_guest import Block
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config
from uprobes_sim_arm64.encoding import Encoding
from uprobes_sim_arm64.errata import EXCLUSIVE_SEQUENCE
from uprobes_sim_arm64.exclusive import Misaligned, Monitor, is_exclusive
from uprobes_sim_arm64.info import AARCH64_INSN_SIZE
from uprobes_sim_arm64.regs import GENERAL, REST, PtRegs

_UNDEFINED, _SYSCALL, _DATA_ABORT, _BREAKPOINT = 1, 2, 4, 7
"""Interrupts by Unicorn's numbers (EXCP_UDEF to EXCP_BKPT of QEMU)."""

ESR_ELX_EC_PC_ALIGN: Final = 0x8A00_0000
_EC_INSN_ABORT, _EC_DATA_ABORT = 0x8200_0000, 0x9200_0000
_FSC_TRANSLATION, _FSC_PERMISSION, _FSC_ALIGNMENT, _WNR = 0x07, 0x0F, 0x21, 0x40
"""Fields of ESR_EL1, which the kernel notes in `thread.fault_code`."""

_SCTLR_EL1: Final = (1, 0, 3, 0, 0)
_CNTKCTL_EL1: Final = (14, 1, 3, 0, 0)
"""CRn, CRm, op0, op1, op2: the order in which Unicorn names a system register."""
_SCTLR_UCI, _SCTLR_UCT, _SCTLR_DZE = 1 << 26, 1 << 15, 1 << 14
"""What Linux grants user mode: cache maintenance, the cache type, dc zva."""
_EL0_READS_COUNTERS: Final = 3

_ZVA_BYTES: Final = 64
"""What dczid_el0 of Unicorn's processor tells."""
_TICKS: Final = 1000
"""By how much a counter has moved on whenever someone looks."""

_MRS_OR_MSR: Final = Encoding("1101010100 L:1 1 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5")
_SYS: Final = Encoding("1101010100 L:1 01 op1:3 CRn:4 CRm:4 op2:3 Rt:5")
_MSR_IMMEDIATE: Final = Encoding("1101010100000 op1:3 0100 CRm:4 op2:3 11111")
_DC_ZVA: Final = Encoding("1101010100001 011 0111 0100 001 Rt:5")
_COUNTER: Final = Encoding("110101010011 1 011 1110 0000 x:3 Rt:5")
_RNDR: Final = Encoding("110101010011 1 011 0010 0100 00 x:1 Rt:5")
_BRK: Final = Encoding("11010100001 imm16:16 00000")
_BRK_UPROBES: Final = 5
_WFI: Final = Encoding("11010101000000110010000001111111")
_ERET: Final = Encoding("1101011010 x:1 11111 rest:16")
"""It and its kin."""
_SMC: Final = Encoding("11010100000 imm16:16 00011")

_USER: Final = 0b011
"""op1 of the system registers and instructions for user mode."""
_FOR_ALL: Final = frozenset({(0, 0), (0, 1), (0, 2), (_USER, 1), (_USER, 2)})
"""op1 and op2 of what user mode may do there: cfinv, xaflag, axflag, msr of ssbs and of dit."""

_SPECIAL: Final = (_DC_ZVA, _COUNTER, _RNDR, _WFI, _ERET, _SMC)


def new_cpu(config: Config) -> UnicornCpu:
    """Make an engine."""
    return UnicornCpu(Arm64Guest(forgetful=config.acts(EXCLUSIVE_SEQUENCE)))


class Arm64Guest:
    """What the engine must know of arm64 (`uprobes_sim.unicorn_guest.Guest`).

    The processor is the newest that Unicorn has. It has no user mode single step, which the
    engine does by itself, and no pointer authentication, since nobody turns that on.
    """

    arch = uc_const.UC_ARCH_ARM64
    mode = uc_const.UC_MODE_ARM
    cpu_model = arm64.UC_CPU_ARM64_MAX
    registers = (
        *(getattr(arm64, f"UC_ARM64_REG_{name.upper()}") for name in GENERAL),
        arm64.UC_ARM64_REG_SP,
        arm64.UC_ARM64_REG_PC,
        arm64.UC_ARM64_REG_NZCV,
        arm64.UC_ARM64_REG_TPIDR_EL0,
    )
    sticky = frozenset[int]()
    preserved = tuple(REST.values())
    deadly = None

    def __init__(self, *, forgetful: bool) -> None:
        """Start with no time passed. *forgetful*: exceptions clear the exclusive monitor."""
        self._time = 0
        self._monitor = Monitor()
        self._forgetful = forgetful
        self._in_program = False
        """It was this that executed the last instruction, no exception has come since."""

    def boot(self, uc: Uc) -> None:
        """Grant what Linux grants, and go to user mode."""
        sctlr = uc.reg_read(arm64.UC_ARM64_REG_CP_REG, _SCTLR_EL1)
        granted = sctlr | _SCTLR_UCI | _SCTLR_UCT | _SCTLR_DZE
        uc.reg_write(arm64.UC_ARM64_REG_CP_REG, (*_SCTLR_EL1, granted))
        uc.reg_write(arm64.UC_ARM64_REG_CP_REG, (*_CNTKCTL_EL1, _EL0_READS_COUNTERS))
        uc.reg_write(arm64.UC_ARM64_REG_PSTATE, 0)

    def attach(self, uc: Uc, interrupt: Callable[[int], None]) -> None:
        """Hook nothing more."""

    def enter(self, uc: Uc, regs: PtRegs) -> None:
        """Clear the monitor, if the program comes from the kernel."""
        if self._forgetful and not self._in_program:
            self._monitor.clear()
        self._in_program = False

    def set_step(self, regs: PtRegs, on: bool) -> None:
        """Have no step bit that a program could see."""

    # --- exceptions -----------------------------------------------------------

    def interrupt(self, regs: PtRegs, number: int) -> Exit:
        """Name an exception by its number."""
        if number == _SYSCALL:
            return Exit(Stop.SYSCALL)
        if number == _BREAKPOINT:
            return Exit(Stop.BREAKPOINT, SigInfo(Signal.SIGTRAP, SiCode.TRAP_BRKPT, regs.ip))
        if number == _DATA_ABORT:
            info = SigInfo(Signal.SIGBUS, SiCode.BUS_ADRALN)
            return Exit(Stop.FAULT, info, _EC_DATA_ABORT | _FSC_ALIGNMENT)
        if number == _UNDEFINED and regs.ip % AARCH64_INSN_SIZE:
            info = SigInfo(Signal.SIGBUS, SiCode.BUS_ADRALN, regs.ip)
            return Exit(Stop.FAULT, info, ESR_ELX_EC_PC_ALIGN)
        if number == _UNDEFINED:
            return self.illegal(regs)
        raise EngineError(f"Unicorn at {regs.ip:#x}: interrupt {number}")

    def illegal(self, regs: PtRegs) -> Exit:
        """Name the exception of an instruction that there is not, or not for user mode."""
        return Exit(Stop.FAULT, SigInfo(Signal.SIGILL, SiCode.ILL_ILLOPC, regs.ip))

    def segfault(self, regs: PtRegs, fault: PageFault) -> Exit:
        """Name an abort."""
        code = _FSC_TRANSLATION if fault.fault is Fault.UNMAPPED else _FSC_PERMISSION
        code |= _EC_INSN_ABORT if fault.access is Access.EXEC else _EC_DATA_ABORT
        return Exit(Stop.FAULT, fault.info, code | (_WNR if fault.access is Access.WRITE else 0))

    # --- code -----------------------------------------------------------------

    def inspect(self, code: bytes, vaddr: int, size: int) -> Block:
        """Find the first instruction that Unicorn must not execute."""
        starts = range(vaddr, vaddr + size, AARCH64_INSN_SIZE)
        for start in starts:
            at = start - vaddr
            if _is_special(int.from_bytes(code[at : at + AARCH64_INSN_SIZE], "little")):
                return Block(tuple(range(vaddr, start, AARCH64_INSN_SIZE)), start)
        return Block(tuple(starts))

    def special(self, regs: PtRegs, mm: Mm) -> Exit | None:
        """Execute what Unicorn does wrong, or does otherwise at each run."""
        word = int.from_bytes(mm.read(regs.ip, AARCH64_INSN_SIZE, force=True), "little")
        self._in_program = True
        if word in _DC_ZVA or is_exclusive(word):
            try:
                self._access(word, regs, mm)
            except PageFault as fault:
                return self.segfault(regs, fault)
            except Misaligned:
                return self.interrupt(regs, _DATA_ABORT)
        elif word in _COUNTER or word in _RNDR:
            self._time += _TICKS
            regs.set_x(word & 31, self._time)
        elif word in _BRK:
            info = SigInfo(Signal.SIGTRAP, SiCode.TRAP_BRKPT, regs.ip)
            return Exit(Stop.FAULT, info)
        elif word not in _WFI:
            return self.illegal(regs)
        regs.ip = Vaddr(regs.ip + AARCH64_INSN_SIZE)
        return None

    def _access(self, word: int, regs: PtRegs, mm: Mm) -> None:
        if word in _DC_ZVA:
            mm.write(regs.x(word & 31) & -_ZVA_BYTES, bytes(_ZVA_BYTES))
        else:
            self._monitor.execute(word, regs, mm)


def _is_special(word: int) -> bool:
    """Tell whether the engine must not be given this instruction."""
    if word in _BRK:  # those of others are nothing that uprobes are asked about
        return _BRK.take_apart(word)["imm16"] != _BRK_UPROBES
    return any(word in each for each in _SPECIAL) or is_exclusive(word) or _is_privileged(word)


def _is_privileged(word: int) -> bool:
    """Tell whether user mode must not have a system register or instruction.

    Unicorn asks for nothing there. Linux has the registers that tell of the processor read.
    """
    if word in _MRS_OR_MSR:
        fields = _MRS_OR_MSR.take_apart(word)
        tells = fields["L"] and fields["o0"] and not fields["op1"] and not fields["CRn"]
        return fields["op1"] != _USER and not tells
    if word in _SYS:
        return _SYS.take_apart(word)["op1"] != _USER
    if word in _MSR_IMMEDIATE:
        fields = _MSR_IMMEDIATE.take_apart(word)
        return (fields["op1"], fields["op2"]) not in _FOR_ALL
    return False
