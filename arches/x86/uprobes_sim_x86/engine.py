"""x86 as a guest of the Unicorn engine."""

from collections.abc import Callable
from typing import Any, Final, Literal

from unicorn import Uc
from unicorn import unicorn_const as uc_const
from unicorn import x86_const as x86

from uprobes_sim.arch import Abi
from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.insn_text import capstone_text
from uprobes_sim.memory import Access, Mm, PageFault
from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.unicorn_cpu import UnicornCpu
from uprobes_sim.unicorn_guest import STEPPED, Block
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim_x86.faults import LOCKED_REGISTER, Remedy, fault_of
from uprobes_sim_x86.host.execute import execute
from uprobes_sim_x86.host.features import exists, lacking
from uprobes_sim_x86.host.processor import available
from uprobes_sim_x86.info import INFO
from uprobes_sim_x86.insn import MAX_INSN_SIZE, Insn, Undecodable, decode
from uprobes_sim_x86.regs import EXTENDED, GENERAL, X86_EFLAGS_TF, PtRegs
from uprobes_sim_x86.semantics.execute import execute_own
from uprobes_sim_x86.semantics.operands import Misaligned, base_register
from uprobes_sim_x86.tables import LEGACY_PREFIXES, opcodes

_SYSCALL: Final = -2
"""Number that this module gives to the syscall instruction."""

_MSR_EFER, _MSR_STAR = 0xC000_0080, 0xC000_0081
_MSR_BASES: Final = {"fs_base": 0xC000_0100, "gs_base": 0xC000_0101}
_EFER: Final = {64: 0x501, 32: 0x001}
"""System call extensions; for 64 bits, long mode enabled and active."""
_USER_SELECTORS: Final = {64: 0x23, 32: 0x1B}
"""Selectors that sysret counts user code and stack from (IA32_STAR 63:48)."""
_CR4_OSFXSR, _CR4_OSXMMEXCPT = 1 << 9, 1 << 10
_BOOT_AT: Final = 0x1000

_FPU_START: Final = {
    x86.UC_X86_REG_FPCW: 0x37F,
    x86.UC_X86_REG_FPTAG: 0xFFFF,
    x86.UC_X86_REG_MXCSR: 0x1F80,
}
"""What a new task finds: 80-bit precision, every exception masked, an empty stack. Unicorn starts
with zeros."""

_REGISTERS: Final = {
    64: (
        *(getattr(x86, f"UC_X86_REG_R{name.upper()}") for name in (*GENERAL, "ip")),
        x86.UC_X86_REG_EFLAGS,
        *(getattr(x86, f"UC_X86_REG_{name.upper()}") for name in EXTENDED),
        x86.UC_X86_REG_FS_BASE,
        x86.UC_X86_REG_GS_BASE,
    ),
    32: (
        *(getattr(x86, f"UC_X86_REG_E{name.upper()}") for name in (*GENERAL, "ip")),
        x86.UC_X86_REG_EFLAGS,
    ),
}
_VECTORS: Final = {64: 16, 32: 8}

_BREAKPOINT: Final = Exit(Stop.BREAKPOINT, SigInfo(Signal.SIGTRAP, SiCode.SI_KERNEL), 3)
_FAULTS: Final = {
    0: SigInfo(Signal.SIGFPE, SiCode.FPE_INTDIV),
    16: SigInfo(Signal.SIGFPE, 0),
    19: SigInfo(Signal.SIGFPE, 0),
}
"""Signals of exceptions by vector; any other is SIGSEGV without an address."""
_ILL_ILLOPN: Final = 2
_INVALID_OPCODE: Final = 6
_STACK_FAULT: Final = 12
_GENERAL_PROTECTION: Final = 13
_PAGE_FAULT: Final = 14
_PF_PROT, _PF_USER = 1 << 0, 1 << 2
_PF_ACCESS: Final = {Access.READ: 0, Access.WRITE: 1 << 1, Access.EXEC: 1 << 4}
"""Bits of the error code of a page fault (SDM vol. 3, 4.7)."""

_PROTECTED: Final = Exit(Stop.FAULT, SigInfo(Signal.SIGSEGV), _GENERAL_PROTECTION)

_GDT_ENTRY: Final = 3
"""Bits of a selector below the number of its entry."""


def new_cpu(abi: Abi) -> UnicornCpu:
    """Make an engine for tasks of *abi*."""
    return UnicornCpu(X86Guest(abi.bits))


class X86Guest:
    """What the engine must know of x86 (`uprobes_sim.unicorn_cpu.Guest`).

    Nehalem: the newest processor that offers no VEX-encoded instruction.
    """

    arch = uc_const.UC_ARCH_X86
    cpu_model = x86.UC_CPU_X86_NEHALEM
    sticky = frozenset({0, 8, 10, 11, 12, 13})
    deadly = LOCKED_REGISTER

    def __init__(self, bits: Literal[32, 64]) -> None:
        """Serve 64-bit or 32-bit tasks."""
        self._bits = bits
        self._info = INFO[Abi(bits, "little")]
        self._bases: dict[str, int] = {}
        self._time = 0
        self._uc: Any = None
        self.mode = uc_const.UC_MODE_64 if bits == 64 else uc_const.UC_MODE_32
        self.registers = _REGISTERS[bits]
        first = x86.UC_X86_REG_XMM0
        self.preserved = (
            *range(first, first + _VECTORS[bits]),
            *range(x86.UC_X86_REG_FP0, x86.UC_X86_REG_FP7 + 1),
            x86.UC_X86_REG_FPCW,
            x86.UC_X86_REG_FPSW,
            x86.UC_X86_REG_FPTAG,
            x86.UC_X86_REG_MXCSR,
        )

    def boot(self, uc: Uc) -> None:
        """Return to user mode from a system call that nobody has made: sysret needs no GDT."""
        uc.mem_map(_BOOT_AT, PAGE_SIZE)
        sysret = b"\x48\x0f\x07" if self._bits == 64 else b"\x0f\x07"
        uc.mem_write(_BOOT_AT, sysret)
        uc.reg_write(x86.UC_X86_REG_CR4, _CR4_OSFXSR | _CR4_OSXMMEXCPT)
        uc.reg_write(x86.UC_X86_REG_MSR, (_MSR_EFER, _EFER[self._bits]))
        uc.reg_write(x86.UC_X86_REG_MSR, (_MSR_STAR, _USER_SELECTORS[self._bits] << 48))
        for register, value in _FPU_START.items():
            uc.reg_write(register, value)
        user = _BOOT_AT + len(sysret)
        uc.reg_write(self.registers[GENERAL.index("cx")], user)
        if self._bits == 64:
            uc.reg_write(x86.UC_X86_REG_R11, 0x202)
        uc.emu_start(_BOOT_AT, user)
        uc.mem_unmap(_BOOT_AT, PAGE_SIZE)

    def attach(self, uc: Uc, interrupt: Callable[[int], None]) -> None:
        """Hook syscall, which Unicorn would skip."""
        self._uc = uc
        if self._bits == 64:

            def on_syscall(uc: Uc, data: object) -> None:
                interrupt(_SYSCALL)

            uc.hook_add(uc_const.UC_HOOK_INSN, on_syscall, None, 1, 0, x86.UC_X86_INS_SYSCALL)

    def enter(self, uc: Uc, regs: PtRegs) -> None:
        """Store the segment bases of a 32-bit task, which no register of Unicorn reaches."""
        if self._bits == 32:
            for name, msr in _MSR_BASES.items():
                uc.reg_write(x86.UC_X86_REG_MSR, (msr, regs.get(name)))

    def set_step(self, regs: PtRegs, on: bool) -> bool:
        """Set or clear TF; answer what it was."""
        was = bool(regs.flags & X86_EFLAGS_TF)
        regs.flags = regs.flags | X86_EFLAGS_TF if on else regs.flags & ~X86_EFLAGS_TF
        return was

    # --- exceptions -----------------------------------------------------------

    def interrupt(self, regs: PtRegs, number: int) -> Exit:
        """Name an exception by its vector."""
        if number in (1, STEPPED):
            info = SigInfo(Signal.SIGTRAP, SiCode.TRAP_TRACE, regs.ip)
            return Exit(Stop.SINGLE_STEP, info, 1)
        if number == 3:
            return _BREAKPOINT
        if number == _SYSCALL or (number == 0x80 and self._bits == 32):
            return self._syscall(regs)
        fault = _FAULTS.get(number, SigInfo(Signal.SIGSEGV))
        if number in _FAULTS:
            fault = SigInfo(fault.signal, fault.code, regs.ip)
        return Exit(Stop.FAULT, fault, number)

    def _syscall(self, regs: PtRegs) -> Exit:
        regs.orig_ax = regs.ax
        if self._bits == 64:
            regs.set("cx", regs.ip)
            regs.set("r11", regs.flags)
        return Exit(Stop.SYSCALL)

    def illegal(self, regs: PtRegs) -> None:
        """Let `special` have it: the host's processor may be newer than Unicorn's."""

    def _illegal(self, regs: PtRegs) -> Exit:
        """Name #UD."""
        return Exit(Stop.FAULT, SigInfo(Signal.SIGILL, _ILL_ILLOPN, regs.ip), _INVALID_OPCODE)

    def segfault(self, regs: PtRegs, fault: PageFault) -> Exit:
        """Name #PF; where the address is not canonical #GP, or #SS of a stack."""
        if fault.vaddr >> 47 in (0, 0x1FFFF):
            error = _PF_USER | _PF_PROT * fault.present | _PF_ACCESS[fault.access]
            return Exit(Stop.FAULT, fault.info, _PAGE_FAULT, error)
        engine = regs.file.engine
        assert engine is not None
        if fault.access is not Access.EXEC and _on_stack(_fetch(engine.mm, regs.ip), regs, fault):
            return Exit(Stop.FAULT, SigInfo(Signal.SIGBUS), _STACK_FAULT)
        return _PROTECTED

    # --- code -----------------------------------------------------------------

    def inspect(self, code: bytes, vaddr: int, size: int) -> Block:
        """Find the instructions of a block, and the first that Unicorn must not execute."""
        starts, at = list[int](), 0
        while at < size:
            try:
                insn = decode(code[at:].ljust(MAX_INSN_SIZE, b"\0"), self._bits, as_processor=True)
            except Undecodable:
                if _vector_at(code[at:], self._bits):
                    return Block(tuple(starts), vaddr + at)
                starts.append(vaddr + at)
                break  # #UD, or a block that ends inside an instruction
            if insn.vex or _is_special(insn) or self._is_wrong(insn):
                return Block(tuple(starts), vaddr + at)
            starts.append(vaddr + at)
            at += insn.length
        return Block(tuple(starts))

    def _is_wrong(self, insn: Insn) -> bool:
        """Tell whether Unicorn gets *insn* wrong, and somebody gets it right."""
        fault = fault_of(insn)
        return fault is not None and (fault.remedy is not Remedy.HOST or available())

    def special(self, regs: PtRegs, mm: Mm) -> Exit | None:
        """Execute what Unicorn does not, gets wrong, or does otherwise at each run."""
        code = _fetch(mm, regs.ip)
        try:
            insn = decode(code, self._bits, as_processor=True)
        except Undecodable:
            insn = None
        try:
            if insn is None or insn.vex or not _is_special(insn):
                return self._better(regs, mm, code, insn)
        except PageFault as fault:
            return self.segfault(regs, fault)
        match insn.opcode:
            case b"\x0f\x31":
                self._read_time(regs)
            case b"\x0f\x01" if insn.modrm == 0xF9:
                self._read_time(regs)
                regs.set("cx", 0)
            case b"\x8e" if self._bits == 32 and insn.modrm is not None and insn.modrm >> 6 == 3:
                self._load_segment(regs, insn, code)
            case _ if insn.opcode[0] in _PRIVILEGED:
                return _PROTECTED
            case _:
                raise self._lacking(code, regs, "the engine does not know this instruction")
        regs.ip = Vaddr(regs.ip + insn.length)
        return None

    def _better(self, regs: PtRegs, mm: Mm, code: bytes, insn: Insn | None) -> Exit | None:
        """Execute what Unicorn gets wrong, by our own tables or on the host.

        Raises:
            EngineError: nobody can.
            PageFault: at an access that the program may not do.
        """
        fault = fault_of(insn) if insn else None
        if fault is not None and fault.remedy is Remedy.ILLEGAL:
            return self._illegal(regs)
        ours = insn is not None and (insn.vex or (fault and fault.remedy is Remedy.OWN))
        try:
            if insn is not None and ours and execute_own(insn, regs, mm):
                return None
        except Misaligned:
            return _PROTECTED
        try:
            found = execute(self._uc, regs, mm, insn)
        except EngineError as exc:
            if insn is None or not insn.vex or not exists(insn):
                return self._illegal(regs)
            raise self._lacking(code, regs, f"no AVX in Unicorn, and {exc}") from exc
        if found is None or found.trap_nr != _INVALID_OPCODE:
            return found
        lacks = lacking(insn) if insn and insn.vex else ""
        if lacks:
            raise self._lacking(code, regs, f"no AVX in Unicorn, and no {lacks} in this machine")
        return self._illegal(regs)

    def _read_time(self, regs: PtRegs) -> None:
        """Answer rdtsc: the number of times that it was asked, in thousands."""
        self._time += 1000
        regs.set("ax", self._time & 0xFFFF_FFFF)
        regs.set("dx", self._time >> 32)

    def _load_segment(self, regs: PtRegs, insn: Insn, code: bytes) -> None:
        """Load fs or gs of a 32-bit task from an entry of set_thread_area."""
        assert insn.modrm is not None
        selector = regs.get(GENERAL[insn.modrm & 7]) & 0xFFFF
        name = {4: "fs_base", 5: "gs_base"}.get(insn.reg)
        if name is not None:
            regs.set(name, regs.tls.get(selector >> _GDT_ENTRY, 0))
        elif insn.reg not in (0, 3):
            raise self._lacking(code, regs, "segments are not simulated")

    def _lacking(self, code: bytes, regs: PtRegs, why: str) -> EngineError:
        try:
            length = decode(code, self._bits).length
        except Undecodable:
            length = len(code)
        text = capstone_text(self._info.capstone, code, regs.ip)
        return EngineError(f"{code[:length].hex(' ')} at {regs.ip:#x}, {text}: {why}")


_PRIVILEGED: Final = frozenset({0xCD, *range(0x6C, 0x70), *range(0xE4, 0xE8), *range(0xEC, 0xF0)})
"""int, ins, outs, in, out: #GP in user mode. Unicorn asks no permission bitmap."""

_WORD: Final = 8
_SEGMENT_PREFIXES: Final = frozenset({0x64, 0x65})
_PUSHING: Final = opcodes("50-5f 68 6a 8f 9c 9d c2 c3 c8 c9 e8 ff")
"""One-byte opcodes that push or pop, if their operand is no other memory; beside these push of
fs and gs."""

_FAR: Final = frozenset({0x9A, 0xEA, 0xCA, 0xCB, 0xCF})
_SEGMENTS: Final = frozenset({0x07, 0x17, 0x1F, 0x8E})
_TWO_BYTE: Final = frozenset({0x31, 0x34, 0xA1, 0xA9, 0xB2, 0xB4, 0xB5})
"""rdtsc, sysenter, pop fs, pop gs, lss, lfs, lgs."""


def _is_special(insn: Insn) -> bool:
    """Tell whether the engine must not be given this instruction."""
    opcode = insn.opcode[0]
    if opcode == 0x0F:
        second = insn.opcode[1]
        if second == 0x05:
            return insn.bits == 32
        return second in _TWO_BYTE or (second == 0x01 and insn.modrm == 0xF9)
    if opcode in (0xC4, 0xC5):
        return insn.bits == 32
    if opcode == 0xCD:
        return insn.immediate not in (3, *((-0x80,) if insn.bits == 32 else ()))
    if opcode == 0xFF:
        return insn.reg in (3, 5)
    return opcode in _FAR | (_PRIVILEGED - {0xCD}) or (
        opcode in _SEGMENTS and (opcode == 0x8E or insn.bits == 32)
    )


def _on_stack(code: bytes, regs: PtRegs, fault: PageFault) -> bool:
    """Tell whether the memory that an instruction could not access counts as stack."""
    try:
        insn = decode(code, regs.bits, as_processor=True)
    except Undecodable:
        return False
    if insn.modrm is None or insn.modrm >> 6 == 3:
        return insn.opcode[0] in _PUSHING or insn.opcode in (b"\x0f\xa0", b"\x0f\xa8")
    if insn.opcode in (b"\x8f", b"\xff") and abs(fault.vaddr - regs.sp) <= _WORD:
        return True
    if not _SEGMENT_PREFIXES.isdisjoint(insn.prefixes):
        return False
    return base_register(insn) in (4, 5)


def _vector_at(code: bytes, bits: Literal[32, 64]) -> Insn | None:
    """Recognise a vector prefix, also of an instruction that the kernel's tables lack."""
    at = 0
    while at < len(code) and code[at] in LEGACY_PREFIXES:
        at += 1
    rest = code[at : at + 2]
    if len(rest) < 2 or rest[0] not in (0xC4, 0xC5, 0x62, 0x8F):
        return None
    if rest[0] == 0x8F and not rest[1] & 0x38:
        return None
    if bits == 32 and rest[1] & 0xC0 != 0xC0:
        return None
    return Insn(code, bits, opcode=b"\0", vex=rest, length=len(code))


def _fetch(mm: Mm, ip: int) -> bytes:
    """Read an instruction, as much as there is of it."""
    code = b""
    for at in range(MAX_INSN_SIZE):
        try:
            code += mm.read(ip + at, 1)
        except PageFault:
            break
    return code
