"""riscv64 as a guest of the Unicorn engine."""

from collections.abc import Callable
from typing import Final

from unicorn import Uc
from unicorn import riscv_const as riscv
from unicorn import unicorn_const as uc_const

from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.memory import Access, Mm, PageFault
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.unicorn_cpu import UnicornCpu
from uprobes_sim.unicorn_guest import Block
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config
from uprobes_sim_riscv64.encoding import Encoding, insn_size
from uprobes_sim_riscv64.errata import RESERVATION
from uprobes_sim_riscv64.regs import GENERAL, REST, PtRegs
from uprobes_sim_riscv64.reservation import LR, SC, Misaligned, Reservation

_ILLEGAL, _BREAKPOINT, _LOAD_MISALIGNED, _STORE_MISALIGNED, _ECALL = 2, 3, 4, 6, 8
_FETCH_FAULT, _LOAD_FAULT, _STORE_FAULT = 12, 13, 15
"""Causes, by the manual (scause)."""
_PAGE_FAULTS: Final = {
    Access.EXEC: _FETCH_FAULT,
    Access.READ: _LOAD_FAULT,
    Access.WRITE: _STORE_FAULT,
}

_FP_ON: Final = 0x6000
"""mstatus.FS."""
_USER_MODE: Final = 0

_CSR: Final = Encoding("csr:12 rs1:5 funct3:3 rd:5 1110011")
_FP_CSRS: Final = frozenset({1, 2, 3})
_COUNTERS: Final = frozenset({0xC00, 0xC01, 0xC02})
"""cycle, time, instret."""
_CSRRS: Final = 0b010
_URET: Final = 0x0020_0073
_TICKS: Final = 1000
"""By how much a counter has moved on whenever someone looks."""


def new_cpu(config: Config) -> UnicornCpu:
    """Make an engine."""
    return UnicornCpu(RiscvGuest(forgetful=config.acts(RESERVATION)))


class RiscvGuest:
    """What the engine must know of riscv64 (`uprobes_sim.unicorn_guest.Guest`).

    Tried with Unicorn 2.1.4: at an exception it moves pc on by 4, whatever the length of the
    instruction; only a breakpoint leaves pc and is told as an instruction that does not exist.
    """

    arch = uc_const.UC_ARCH_RISCV
    mode = uc_const.UC_MODE_RISCV64
    cpu_model: int | None = None
    registers = (
        riscv.UC_RISCV_REG_PC,
        *(getattr(riscv, f"UC_RISCV_REG_{name.upper()}") for name in GENERAL),
        riscv.UC_RISCV_REG_FCSR,
    )
    sticky = frozenset[int]()
    preserved = tuple(REST.values())
    deadly = None

    def __init__(self, *, forgetful: bool) -> None:
        """Start with no time passed. *forgetful*: exceptions clear the reservation."""
        self._time = 0
        self._reservation = Reservation()
        self._forgetful = forgetful
        self._in_program = False
        """It was this that executed the last instruction, no exception has come since."""

    def boot(self, uc: Uc) -> None:
        """Turn floating point on, and go to user mode."""
        uc.reg_write(riscv.UC_RISCV_REG_MSTATUS, _FP_ON)
        uc.reg_write(riscv.UC_RISCV_REG_PRIV, _USER_MODE)

    def attach(self, uc: Uc, interrupt: Callable[[int], None]) -> None:
        """Hook nothing more."""

    def enter(self, uc: Uc, regs: PtRegs) -> None:
        """Clear the reservation, if the program comes from the kernel."""
        if self._forgetful and not self._in_program:
            self._reservation.clear()
        self._in_program = False

    def set_step(self, regs: PtRegs, on: bool) -> None:
        """Have no step bit: the architecture has none for user mode."""

    # --- exceptions -----------------------------------------------------------

    def interrupt(self, regs: PtRegs, number: int) -> Exit:
        """Name an exception by its cause."""
        if number == _ECALL:
            return Exit(Stop.SYSCALL)
        regs.ip = Vaddr(regs.ip - 4)
        if number == _ILLEGAL:
            return _illegal(regs)
        if number in (_LOAD_MISALIGNED, _STORE_MISALIGNED):
            return _misaligned(regs, number)
        raise EngineError(f"Unicorn at {regs.ip:#x}: exception {number}")

    def illegal(self, regs: PtRegs) -> Exit:
        """Name a breakpoint."""
        info = SigInfo(Signal.SIGTRAP, SiCode.TRAP_BRKPT, regs.ip)
        return Exit(Stop.BREAKPOINT, info, _BREAKPOINT)

    def segfault(self, regs: PtRegs, fault: PageFault) -> Exit:
        """Name a page fault."""
        return Exit(Stop.FAULT, fault.info, _PAGE_FAULTS[fault.access])

    # --- code -----------------------------------------------------------------

    def inspect(self, code: bytes, vaddr: int, size: int) -> Block:
        """Find the instructions of a block, and the first that Unicorn must not execute."""
        starts, at = list[int](), 0
        while at < size:
            word = int.from_bytes(code[at : at + 4], "little")
            if _is_special(word):
                return Block(tuple(starts), vaddr + at)
            starts.append(vaddr + at)
            at += insn_size(word)
        return Block(tuple(starts))

    def special(self, regs: PtRegs, mm: Mm) -> Exit | None:
        """Execute lr, sc or a read of a counter; there are no other CSRs."""
        word = int.from_bytes(mm.read(regs.ip, 4, force=True), "little")
        self._in_program = True
        if word in LR or word in SC:
            return self._reserve(word, regs, mm)
        fields = _CSR.take_apart(word)
        reads = fields["funct3"] & 3 == _CSRRS and not fields["rs1"]
        if fields["csr"] not in _COUNTERS or not reads:
            return _illegal(regs)
        self._time += _TICKS
        regs.set_x(fields["rd"], self._time)
        regs.ip = Vaddr(regs.ip + 4)
        return None

    def _reserve(self, word: int, regs: PtRegs, mm: Mm) -> Exit | None:
        try:
            self._reservation.execute(word, regs, mm)
        except PageFault as fault:
            return self.segfault(regs, fault)
        except Misaligned:
            return _misaligned(regs, _LOAD_MISALIGNED if word in LR else _STORE_MISALIGNED)
        regs.ip = Vaddr(regs.ip + 4)
        return None


def _is_special(word: int) -> bool:
    """Tell whether the engine must not be given this instruction."""
    if word not in _CSR:
        return word in LR or word in SC
    fields = _CSR.take_apart(word)
    if fields["funct3"] & 3:
        return fields["csr"] not in _FP_CSRS
    return word == _URET


def _misaligned(regs: PtRegs, cause: int) -> Exit:
    return Exit(Stop.FAULT, SigInfo(Signal.SIGBUS, SiCode.BUS_ADRALN, regs.ip), cause)


def _illegal(regs: PtRegs) -> Exit:
    info = SigInfo(Signal.SIGILL, SiCode.ILL_ILLOPC, regs.ip)
    return Exit(Stop.FAULT, info, _ILLEGAL)
