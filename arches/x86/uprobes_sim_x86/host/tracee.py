"""A process of this machine that does nothing of its own accord.

It is a program of a few bytes, held by ptrace, in a session of its own so that
Ctrl-C passes it by; it dies with the thread that has started it. Nobody needs to
be root for that.
"""

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
import weakref
from contextlib import suppress
from typing import Final, NoReturn

from uprobes_sim.errors import EngineError

STUB_CODE: Final = 0x100
STUB_SYSCALL, STUB_CPUID = STUB_CODE, STUB_CODE + 2
"""Offsets in the stub, the page that the child itself consists of."""
_STUB: Final = bytes.fromhex("0f05 0fa2 b89d000000 bf01000000 be09000000 0f05 b822000000 0f05 ebf7")
"""syscall; cpuid; and where it starts: prctl(PR_SET_PDEATHSIG, SIGKILL), then pause() for ever."""
_START: Final = STUB_CODE + 4
_PATH: Final = 0x200
"""Where the stub has room for a path."""
STUB_AT: Final = 0x2FED_0000_0000
STUB_SIZE: Final = 0x1000
_USER_END: Final = 0x7FFF_FFFF_F000

_PTRACE_GETREGS, _PTRACE_SETREGS, _PTRACE_SINGLESTEP = 12, 13, 9
_PTRACE_GETSIGINFO, _PTRACE_GETREGSET, _PTRACE_SETREGSET = 0x4202, 0x4204, 0x4205
_PTRACE_SEIZE, _PTRACE_INTERRUPT = 0x4206, 0x4207
_PTRACE_O_EXITKILL: Final = 0x0010_0000
_NT_X86_XSTATE: Final = 0x202
_WALL: Final = 0x4000_0000
_MAX_XSTATE: Final = 0x4000

_EVERY_DESCRIPTOR: Final = 0xFFFF_FFFF
SYS_MMAP, SYS_MUNMAP, SYS_MREMAP, SYS_OPENAT, SYS_CLOSE_RANGE = 9, 11, 25, 257, 436


class UserRegs(ctypes.Structure):
    """`struct user_regs_struct` of a 64-bit tracer."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx"),
            *("dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss", "fs_base", "gs_base"),
            *("ds", "es", "fs", "gs"),
        )
    )


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


class Tracee:
    """A stopped child: its registers, and one instruction at a time."""

    def __init__(self) -> None:
        """Start it, with nothing in its address space but the stub.

        Raises:
            EngineError: this machine is no x86-64, or lets nobody do so.
        """
        if platform.machine() != "x86_64" or sys.platform != "linux" or sys.maxsize < 1 << 32:
            raise EngineError("this machine is no x86-64")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = (
            ctypes.c_long,
            ctypes.c_long,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        self._libc.ptrace.restype = ctypes.c_long
        self.regs = UserRegs()
        self._siginfo = ctypes.create_string_buffer(128)
        self.stub = STUB_AT
        try:
            self.pid = _spawn()
            self.close = weakref.finalize(self, _kill, self.pid, os.getpid())
            self._attach()
        except OSError as exc:
            raise EngineError(f"no child under ptrace: {exc}") from exc

    def _attach(self) -> None:
        self._ptrace(_PTRACE_SEIZE, None, _PTRACE_O_EXITKILL)
        self._ptrace(_PTRACE_INTERRUPT)
        self._wait()
        self._ptrace(_PTRACE_GETREGS, None, ctypes.addressof(self.regs))
        self.xstate = ctypes.create_string_buffer(_MAX_XSTATE)
        self._iovec = _Iovec(ctypes.addressof(self.xstate), _MAX_XSTATE)
        self.get_xstate()
        self.memory = os.open(f"/proc/{self.pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.memory)
        self.unmap_all()
        with suppress(OSError):  # before 5.9 it keeps what it has inherited
            self.syscall(SYS_CLOSE_RANGE, 0, _EVERY_DESCRIPTOR, 0)

    # --- registers ----------------------------------------------------------

    def get_xstate(self) -> None:
        """Read `xstate`: vector and floating-point registers, as XSAVE lays them out."""
        self._ptrace(_PTRACE_GETREGSET, _NT_X86_XSTATE, ctypes.addressof(self._iovec))

    def set_xstate(self) -> None:
        """Write `xstate`, as long as it was read."""
        self._ptrace(_PTRACE_SETREGSET, _NT_X86_XSTATE, ctypes.addressof(self._iovec))

    def step(self) -> int:
        """Execute one instruction with `regs`; answer the signal that ends it, SIGTRAP if none."""
        self.regs.orig_ax = _UNSIGNED_MINUS_ONE  # else the kernel may restart a system call
        self._ptrace(_PTRACE_SETREGS, None, ctypes.addressof(self.regs))
        self._ptrace(_PTRACE_SINGLESTEP)
        stopped = self._wait()
        self._ptrace(_PTRACE_GETREGS, None, ctypes.addressof(self.regs))
        return stopped

    def siginfo(self) -> tuple[int, int]:
        """Read `si_code` and `si_addr` of the signal that has ended a step."""
        self._ptrace(_PTRACE_GETSIGINFO, None, ctypes.addressof(self._siginfo))
        code, addr = struct.unpack_from("<i4xQ", self._siginfo, 8)
        return code, addr

    # --- the stub -----------------------------------------------------------

    def syscall(self, number: int, *args: int) -> int:
        """Have the child do a system call; its registers are kept.

        Raises:
            OSError: the call fails.
        """
        kept = bytes(self.regs)
        names = ("di", "si", "dx", "r10", "r8", "r9")
        for name, value in zip(names, args, strict=False):
            setattr(self.regs, name, value & _UNSIGNED_MINUS_ONE)
        self.regs.ax = number
        self._at_stub(STUB_SYSCALL)
        found = ctypes.c_int64(self.regs.ax).value
        self.regs = UserRegs.from_buffer_copy(kept)
        if -4096 < found < 0:
            raise OSError(-found, os.strerror(-found))
        return found

    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        """Ask the processor: eax, ebx, ecx, edx."""
        self.regs.ax, self.regs.cx = leaf, subleaf
        self._at_stub(STUB_CPUID)
        return self.regs.ax, self.regs.bx, self.regs.cx, self.regs.dx

    def _at_stub(self, offset: int) -> None:
        self.regs.ip, self.regs.sp = self.stub + offset, self.stub
        self.regs.cs, self.regs.ss, self.regs.flags = 0x33, 0x2B, 0x202
        stopped = self.step()
        assert stopped == signal.SIGTRAP, stopped

    def open(self, path: str) -> int:
        """Have the child open *path* for reading and writing; answer its descriptor."""
        os.pwrite(self.memory, path.encode() + b"\0", self.stub + _PATH)
        return self.syscall(SYS_OPENAT, -100, self.stub + _PATH, os.O_RDWR)

    def unmap_all(self) -> None:
        """Empty its address space, the stub aside."""
        self.syscall(SYS_MUNMAP, 0, self.stub)
        end = self.stub + STUB_SIZE
        self.syscall(SYS_MUNMAP, end, _USER_END - end)

    def move_stub(self, vaddr: int) -> None:
        """Put the stub elsewhere."""
        maymove_fixed = 3
        self.syscall(SYS_MREMAP, self.stub, STUB_SIZE, STUB_SIZE, maymove_fixed, vaddr)
        self.stub = vaddr

    # --- ptrace -------------------------------------------------------------

    def _ptrace(self, request: int, addr: int | None = None, data: int | None = None) -> None:
        if self._libc.ptrace(request, self.pid, addr, data) < 0:
            number = ctypes.get_errno()
            if number == errno.ESRCH:
                self._lost()
            raise OSError(number, os.strerror(number))

    def _wait(self) -> int:
        """Wait until it stops; answer the signal."""
        _, status = os.waitpid(self.pid, _WALL)
        if not os.WIFSTOPPED(status):
            self.close.detach()
            self._lost()
        return os.WSTOPSIG(status)

    def _lost(self) -> NoReturn:
        self.close()
        raise EngineError("the process that executes what Unicorn lacks has been killed")


_UNSIGNED_MINUS_ONE: Final = (1 << 64) - 1


def _spawn() -> int:
    """Start the program of the stub."""
    header = struct.pack(
        *("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, STUB_AT + _START),
        *(64, 0, 0, 64, 56, 1, 0, 0, 0),
    )
    size = STUB_CODE + len(_STUB)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, STUB_AT, STUB_AT, size, size, STUB_SIZE)
    file = os.memfd_create("uprobes-sim-host")
    try:
        os.write(file, (header + segment).ljust(STUB_CODE, b"\0") + _STUB)
        name = f"/proc/self/fd/{file}"
        return os.posix_spawn(name, ["uprobes-sim-host"], {}, setsid=True)
    finally:
        os.close(file)


def _kill(pid: int, parent: int) -> None:
    """End the child; a fork of the parent has none."""
    if os.getpid() == parent:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, _WALL)
