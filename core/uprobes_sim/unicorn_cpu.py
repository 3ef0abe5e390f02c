"""An engine over Unicorn, for any architecture that Unicorn has.

Unicorn's memory is the frames themselves: the slabs they lie in are its physical
memory, and its TLB asks `mm.fault` where a virtual page is. Nothing is copied,
and what a page may do is decided in one place. Code is looked at by the
architecture (`Guest.inspect`) before a block of it is executed for the first
time, so that an instruction which Unicorn gets wrong never runs: a hook stops
Unicorn in front of it.

Tried with Unicorn 2.1.4: `until` and `count` of emu_start are not obeyed inside a
block that is translated already, hooks on code neither; a jump to `until` ends the run
without a word, so it is 0, where no program has code. Exits (`ctl_set_exits`) end blocks
in front of them, but each is looked up again after every run; so they are only for code
that must not be translated.
"""

import ctypes
from collections.abc import Set
from enum import Enum, auto
from functools import lru_cache
from typing import Final, cast
from weakref import WeakSet

from unicorn import Uc, UcError
from unicorn import unicorn_const as uc_const
from unicorn.unicorn_py3.unicorn import uclib

from uprobes_sim.arch import Regs
from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.memory import Access, Mm, PageFault, VmFlags
from uprobes_sim.unicorn_guest import STEPPED, Block, Guest, RegisterFile, UnicornRegs
from uprobes_sim.unicorn_memory import GuestMemory, Replica, new_uc
from uprobes_sim.unicorn_sigint import hold_sigint, inside, interrupted
from uprobes_sim.units import PAGE_MASK, PAGE_SIZE

_UNLIMITED: Final = (1 << 64) - 1
_LONGEST: Final = 16
"""Bytes that no instruction exceeds."""

_BLOCK_CALLBACK: Final = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
)
_INTERRUPT_CALLBACK: Final = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p
)


class _Pause(Enum):
    """Why the engine itself has stopped Unicorn, in front of a block."""

    BUDGET = auto()
    SPECIAL = auto()


class UnicornCpu:
    """`Cpu` by Unicorn. Vector and floating-point registers stay inside it.

    Each iteration of a repeated string instruction counts as an instruction, as
    it does for a single step.
    """

    def __init__(self, guest: Guest) -> None:
        """Make an engine for programs of *guest*."""
        self.insns = 0
        self._guest = guest
        self._inspect = lru_cache(4096)(guest.inspect)  # a slot gets the same code again and again
        self._memory = GuestMemory(self._look_for_deadly)
        self._uc = new_uc(guest, self._memory)
        self._pristine = self._uc.context_save()
        self._known = WeakSet[Mm]()
        self._count = len(guest.registers)
        self._ids = (ctypes.c_int * self._count)(*guest.registers)
        self._file: RegisterFile | None = None
        self._limit = 0
        self._last: tuple[int, int] = (0, 0)
        self._lengths: dict[tuple[int, int], int] = {}
        """Instructions in each block that may run as it is, by address and size."""
        self._blocks: dict[tuple[int, int], Block] = {}
        self._blocks_of: dict[int, set[tuple[int, int]]] = {}
        """The same by page: a slot that is filled anew must not ask them all."""
        self._stops: dict[int, ctypes.c_size_t] = {}
        """Hooks that stop Unicorn, by the address of an instruction that it must not execute."""
        self._exits: set[int] = set()
        """Where code begins that Unicorn must not translate, if it begins there."""
        self._done: list[ctypes.c_size_t] = []
        """Hooks that are to go, which none may while Unicorn runs."""
        self._pause: _Pause | None = None
        self._single = False
        """One instruction is executed, whatever `Guest.inspect` says of its block."""
        self._interrupt: int | None = None
        self._error: Exception | None = None
        self._interrupt_callback = _INTERRUPT_CALLBACK(self._on_interrupt)
        _hook(self._uc, uc_const.UC_HOOK_INTR, self._interrupt_callback)
        self._block_callback = _BLOCK_CALLBACK(self._on_block)
        _hook(self._uc, uc_const.UC_HOOK_BLOCK, self._block_callback)
        guest.attach(self._uc, self._leave)
        hold_sigint()

    # --- the Cpu ------------------------------------------------------------

    def run(self, regs: Regs, mm: Mm, budget: int) -> Exit:
        """Execute until something happens, or *budget* instructions (`Cpu.run`)."""
        return self._run(cast(UnicornRegs, regs), mm, budget)

    def step(self, regs: Regs, mm: Mm) -> Exit:
        """Execute one instruction (`Cpu.step`)."""
        regs = cast(UnicornRegs, regs)
        was = self._guest.set_step(regs, on=True)
        if was is None:
            before = self.insns
            found = self._run(regs, mm, 1)
            next_faults = found.stop is Stop.FAULT and self.insns > before
            done = found.stop is Stop.BUDGET or next_faults
            return Exit(Stop.SINGLE_STEP) if done else found
        found = self._run(regs, mm, 2)
        if not was:
            self._guest.set_step(regs, on=False)
        return found

    def _run(self, regs: UnicornRegs, mm: Mm, budget: int) -> Exit:
        self._enter(regs, mm)
        self._limit = self.insns + budget
        while self.insns < self._limit:
            if regs.ip in self._stops or regs.ip in self._exits:
                found = self._special(regs)
            else:
                found = self._emulate(regs) or self._resume(regs)
            if found is not None:
                return found
        return Exit(Stop.BUDGET)

    def read(self, file: RegisterFile, register: int) -> int:
        """Read a register that is not in `RegisterFile.values`, by Unicorn's id."""
        self.enter(file)  # a context that is not loaded has no wide registers
        value: int = self._uc.reg_read(register)
        return value

    def write(self, file: RegisterFile, register: int, value: int) -> None:
        """Write a register that is not in `RegisterFile.values`, by Unicorn's id."""
        self.enter(file)
        self._uc.reg_write(register, value)

    def copy(self, file: RegisterFile) -> object:
        """Copy what Unicorn knows of a task beyond `RegisterFile.values`."""
        self.enter(file)
        return self._uc.context_save()

    def enter(self, file: RegisterFile) -> None:
        """Make the task with these registers the one that Unicorn has loaded."""
        if self._file is not file:
            if self._file is not None:
                self._file.context = self._uc.context_save()
            self._uc.context_restore(file.context or self._pristine)
            self._file, file.engine = file, self
            while file.pending:
                self._uc.reg_write(*file.pending.popitem())

    # --- one run of Unicorn -------------------------------------------------

    def _enter(self, regs: UnicornRegs, mm: Mm) -> None:
        """Make *regs* and *mm* the ones that Unicorn works on."""
        self.enter(regs.file)
        if self._memory.mm is not mm:
            self._memory.mm, self._memory.stale = mm, True
            self._uc.ctl_flush_tb()
            self._forget(0, _UNLIMITED)
            if mm not in self._known:
                self._known.add(mm)
                mm.notifiers.append(lambda low, high: self._on_change(mm, low, high))
        self._guest.enter(self._uc, regs)

    def _emulate(self, regs: UnicornRegs, count: int = 0) -> Exit | None:
        """Let Unicorn run; None: the engine has paused it, or *count* is reached."""
        file = regs.file
        self._pause = self._interrupt = self._error = None
        self._memory.fault = None
        self._memory.flush(self._uc)
        while self._done:
            _check(uclib.uc_hook_del(self._uc._uch, self._done.pop()))
        _check(uclib.uc_reg_write_batch(self._uc._uch, self._ids, file.pointers, self._count))
        illegal = False
        inside.append(self._uc)
        try:
            self._uc.emu_start(regs.ip, 0, count=count)
            self._memory.fault = None  # of no access of the program
        except UcError as exc:
            illegal = exc.errno == uc_const.UC_ERR_INSN_INVALID
            if not illegal and self._memory.fault is None:
                raise EngineError(f"Unicorn at {self._last[0]:#x}: {exc}") from exc
        finally:
            inside.pop()
        _check(uclib.uc_reg_read_batch(self._uc._uch, self._ids, file.pointers, self._count))
        if interrupted:
            interrupted.clear()
            raise KeyboardInterrupt
        if self._error is not None:
            raise self._error
        return self._what_happened(regs, illegal=illegal)

    def _what_happened(self, regs: UnicornRegs, *, illegal: bool) -> Exit | None:
        found, fault = None, self._memory.fault
        if regs.ip in self._exits or (fault is not None and not _by_program(fault, regs.ip)):
            fault = None
        if illegal:
            found = self._guest.illegal(regs)
            if found is None:
                self._uncount(regs.ip)
                self._stop_at(regs.ip)
                self._uc.ctl_remove_cache(regs.ip, regs.ip + 1)
        elif fault is not None:
            exact = Replica(self._guest, self._memory).locate(regs, fault)
            found = self._guest.segfault(regs, exact)
        elif self._interrupt is not None:
            found = self._guest.interrupt(regs, self._interrupt)
            if self._interrupt in self._guest.sticky:
                self._calm()
                self._guest.enter(self._uc, regs)
        if found is not None and found.stop is Stop.BREAKPOINT:
            self.insns -= 1
        elif found is not None and found.stop is Stop.FAULT:
            self._uncount(regs.ip)
        return found

    def _uncount(self, ip: int) -> None:
        """Take back what has been counted of a block, from *ip* on."""
        block = self._blocks.get(self._last)
        if block is not None and ip in block.starts:
            self.insns -= sum(start >= ip for start in block.starts)

    def _calm(self) -> None:
        """Make Unicorn forget that it is about to handle an interrupt."""
        kept = [(register, self._uc.reg_read(register)) for register in self._guest.preserved]
        self._uc.context_restore(self._pristine)
        for register, value in kept:
            self._uc.reg_write(register, value)

    def _resume(self, regs: UnicornRegs) -> Exit | None:
        """Go on after a pause. A budget ends instruction by instruction."""
        if self._pause is _Pause.SPECIAL:
            address, size = self._last
            self._uc.ctl_remove_cache(address, address + size)  # it shall have the new hook
        elif self._pause is _Pause.BUDGET:
            for _ in range(self._limit - self.insns):
                found = self._emulate_one(regs)
                if found is not None or regs.ip in self._stops:
                    return found
        else:
            assert regs.ip in self._stops or regs.ip in self._exits, (
                f"Unicorn has stopped at {regs.ip:#x}"
            )
        return None

    def _special(self, regs: UnicornRegs) -> Exit | None:
        """Let the architecture execute the instruction at `regs.ip`."""
        stepping = self._guest.set_step(regs, on=False)
        try:
            found = self._guest.special(regs, self.mm)
        finally:
            if stepping:
                self._guest.set_step(regs, on=True)
        self._guest.enter(self._uc, regs)
        self.insns += _executed(found)
        if found is None and stepping:
            return self._guest.interrupt(regs, STEPPED)
        return found

    def _emulate_one(self, regs: UnicornRegs) -> Exit | None:
        """Execute one instruction, whatever it is, without the step bit."""
        pause, before, at = self._pause, self.insns, regs.ip
        self._uc.ctl_flush_tb()
        self._single = True
        try:
            found = self._emulate(regs, count=1)
        finally:
            self._uc.ctl_flush_tb()
            self._single, self._pause = False, pause
        refused = regs.ip == at and at in self._stops
        self.insns = before + (_executed(found) and not refused)
        return found

    @property
    def mm(self) -> Mm:
        """The address space that Unicorn works on."""
        assert self._memory.mm is not None
        return self._memory.mm

    # --- what Unicorn calls -------------------------------------------------

    def _on_block(self, handle: int, address: int, size: int, data: int) -> None:
        try:
            self._enter_block(address, size)
        except Exception as exc:  # it must not travel through Unicorn
            self._error = exc
            uclib.uc_emu_stop(self._uc._uch)

    def _enter_block(self, address: int, size: int) -> None:
        if self._single:
            return
        key = (address, size)
        count = self._lengths.get(key)
        if count is None:
            count = self._first_time(key)
        self._last = key
        if self.insns + count > self._limit:
            if self._pause is None:
                self._pause = _Pause.BUDGET
            uclib.uc_emu_stop(self._uc._uch)
        else:
            self.insns += count

    def _first_time(self, key: tuple[int, int]) -> int:
        """Inspect a block; answer its length, or one that no budget allows."""
        address, size = key
        block = self._inspect(self._fetch(address, size), address, size)
        self._blocks[key] = block
        for page in _pages(address, address + size):
            self._blocks_of.setdefault(page, set()).add(key)
        at = block.special
        if at is not None and at not in self._stops:
            self._stop_at(at)
            self._pause = _Pause.SPECIAL
            return _UNLIMITED
        vma = self.mm.find_vma(address)
        if vma is not None and not vma.flags & VmFlags.WRITE:
            self._lengths[key] = len(block.starts)  # elsewhere the program may change its code
        return len(block.starts)

    def _stop_at(self, vaddr: int) -> None:
        """Have Unicorn stop in front of an instruction."""
        if vaddr in self._stops:
            return
        stop = uclib.uc_emu_stop
        self._stops[vaddr] = _hook(self._uc, uc_const.UC_HOOK_CODE, stop, vaddr, vaddr)

    def _look_for_deadly(self, page: int) -> None:
        if self._guest.deadly is None:
            return
        for found in self._guest.deadly.finditer(self._fetch(page, PAGE_SIZE)):
            self._exits.update(range(page + found.start(), page + found.end()))
            self._uc.ctl_exits_enabled(True)
            self._uc.ctl_set_exits(sorted(self._exits))

    def _fetch(self, address: int, size: int) -> bytes:
        """Read a block, and what may belong to its last instruction."""
        try:
            return self.mm.read(address, size + _LONGEST)
        except PageFault as fault:
            return self.mm.read(address, max(size, fault.vaddr - address))

    def _on_interrupt(self, handle: int, number: int, data: int) -> None:
        self._leave(number)

    def _leave(self, number: int) -> None:
        if self._interrupt is None:  # behind a system call, a single step reports itself as well
            self._interrupt = number
        uclib.uc_emu_stop(self._uc._uch)

    # --- what changes behind its back ---------------------------------------

    def _on_change(self, mm: Mm, low: int, high: int) -> None:
        """Hear from *mm* that pages or code have changed."""
        if mm is not self._memory.mm:
            return  # its translations went when another took its place
        self._forget(low, high)
        if (low | high) & PAGE_MASK:
            self._uc.ctl_remove_cache(low, high)
        else:
            self._memory.stale = True

    def _forget(self, low: int, high: int) -> None:
        for key in [key for key in self._near(low, high) if key[0] < high and sum(key) > low]:
            for page in _pages(key[0], sum(key)):
                self._blocks_of[page].discard(key)
            del self._blocks[key]
            self._lengths.pop(key, None)
        for at in [at for at in self._stops if low - _LONGEST < at < high]:
            self._done.append(self._stops.pop(at))

    def _near(self, low: int, high: int) -> Set[tuple[int, int]]:
        """Find the blocks that may lie in a range, and more if it is a large one."""
        pages = _pages(low, high)
        if len(pages) > len(self._blocks_of):
            return self._blocks.keys()
        return set[tuple[int, int]]().union(*(self._blocks_of.get(page, ()) for page in pages))


def _pages(low: int, high: int) -> range:
    """Number the pages of a range; its first page, if it is empty."""
    return range(low // PAGE_SIZE, -(-max(high, low + 1) // PAGE_SIZE))


def _hook(uc: Uc, kind: int, callback: object, begin: int = 1, end: int = 0) -> ctypes.c_size_t:
    """Add a hook without the binding's wrapper, which costs more than the hook.

    By default it is for any address.
    """
    handle = ctypes.c_size_t()
    status = uclib.uc_hook_add(
        uc._uch,
        ctypes.byref(handle),
        kind,
        ctypes.cast(callback, ctypes.c_void_p),  # type: ignore[arg-type]
        None,
        ctypes.c_uint64(begin),
        ctypes.c_uint64(end),
    )
    _check(status)
    return handle


def _check(status: int) -> None:
    if status != uc_const.UC_ERR_OK:
        raise EngineError(f"Unicorn: {UcError(status)}")


def _by_program(fault: PageFault, ip: int) -> bool:
    """Tell whether the program has caused *fault*, not Unicorn that looks behind an exit."""
    fetched = {at & ~PAGE_MASK for at in (ip, ip + _LONGEST)}
    return fault.access is not Access.EXEC or fault.vaddr & ~PAGE_MASK in fetched


def _executed(found: Exit | None) -> bool:
    """Tell whether the instruction that led to an exit counts as executed."""
    return found is None or found.stop not in (Stop.FAULT, Stop.BREAKPOINT)
