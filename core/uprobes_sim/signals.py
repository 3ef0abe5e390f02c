"""Signals: what happens to a program that gets hurt."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from uprobes_sim.units import Vaddr

SIGRTMIN: Final = 32
"""First real-time signal. Libraries keep some of them to themselves."""
NSIG: Final = 64


class Signal(IntEnum):
    """Signal numbers that every modelled architecture shares. Real-time ones are `SIGRT32` on."""

    SIGHUP = 1
    SIGINT = 2
    SIGQUIT = 3
    SIGILL = 4
    SIGTRAP = 5
    SIGABRT = 6
    SIGBUS = 7
    SIGFPE = 8
    SIGKILL = 9
    SIGUSR1 = 10
    SIGSEGV = 11
    SIGUSR2 = 12
    SIGPIPE = 13
    SIGALRM = 14
    SIGTERM = 15
    SIGSTKFLT = 16
    SIGCHLD = 17
    SIGCONT = 18
    SIGSTOP = 19
    SIGTSTP = 20
    SIGTTIN = 21
    SIGTTOU = 22
    SIGURG = 23
    SIGXCPU = 24
    SIGXFSZ = 25
    SIGVTALRM = 26
    SIGPROF = 27
    SIGWINCH = 28
    SIGIO = 29
    SIGPWR = 30
    SIGSYS = 31
    vars().update({f"SIGRT{number}": number for number in range(SIGRTMIN, NSIG + 1)})

    @property
    def bit(self) -> int:
        """Its place in a set of signals."""
        return 1 << self - 1


class SiCode(IntEnum):
    """`si_code`: why a signal was sent."""

    SI_USER = 0
    SI_QUEUE = -1
    SI_TIMER = -2
    SI_TKILL = -6
    SI_KERNEL = 0x80
    ILL_ILLOPC = 1
    ILL_PRVOPC = 5
    FPE_INTDIV = 1
    SEGV_MAPERR = 1
    SEGV_ACCERR = 2
    BUS_ADRALN = 1
    BUS_ADRERR = 2
    TRAP_BRKPT = 1
    TRAP_TRACE = 2
    CLD_EXITED = 1
    CLD_KILLED = 2
    CLD_DUMPED = 3
    CLD_STOPPED = 5
    CLD_CONTINUED = 6


@dataclass(frozen=True, slots=True)
class SigInfo:
    """`siginfo_t`: what a program can tell of a signal."""

    signal: Signal
    code: int = SiCode.SI_KERNEL
    addr: Vaddr = Vaddr(0)
    """Of a fault."""
    pid: int = 0
    """Who has sent it, or which child has changed."""
    uid: int = 0
    status: int = 0
    """Of a child: exit status or signal."""
    value: int = 0
    """`si_value` of sigqueue and of timers."""
    timer: int = 0


SIG_DFL: Final = 0
SIG_IGN: Final = 1

SA_NOCLDSTOP: Final = 0x1
SA_NOCLDWAIT: Final = 0x2
SA_SIGINFO: Final = 0x4
SA_RESTORER: Final = 0x04000000
SA_ONSTACK: Final = 0x08000000
SA_RESTART: Final = 0x10000000
SA_NODEFER: Final = 0x40000000
SA_RESETHAND: Final = 0x80000000

UNBLOCKABLE: Final = 1 << Signal.SIGKILL - 1 | 1 << Signal.SIGSTOP - 1
"""SIGKILL and SIGSTOP in a set of signals."""

STOPS: Final = frozenset({Signal.SIGSTOP, Signal.SIGTSTP, Signal.SIGTTIN, Signal.SIGTTOU})
"""Signals whose default action is to stop the process."""

SYNCHRONOUS: Final = frozenset(
    {
        Signal.SIGSEGV,
        Signal.SIGBUS,
        Signal.SIGILL,
        Signal.SIGTRAP,
        Signal.SIGFPE,
        Signal.SIGSYS,
    }
)
"""Signals that an instruction causes. They are delivered first (SYNCHRONOUS_MASK)."""

IGNORED_BY_DEFAULT: Final = frozenset(
    {Signal.SIGCHLD, Signal.SIGCONT, Signal.SIGURG, Signal.SIGWINCH}
)
"""Signals whose default action is to do nothing."""


COREDUMP: Final = frozenset(
    {
        Signal.SIGQUIT,
        Signal.SIGILL,
        Signal.SIGTRAP,
        Signal.SIGABRT,
        Signal.SIGBUS,
        Signal.SIGFPE,
        Signal.SIGSEGV,
        Signal.SIGSYS,
        Signal.SIGXCPU,
        Signal.SIGXFSZ,
    }
)
"""Signals whose default action is to end the task with a core dump (sig_kernel_coredump)."""


@dataclass(frozen=True, slots=True)
class SigAction:
    """`struct sigaction`, as a program sets it."""

    handler: int = SIG_DFL
    """Address of the handler, SIG_DFL or SIG_IGN."""
    flags: int = 0
    mask: int = 0
    restorer: int = 0


@dataclass(frozen=True, slots=True)
class SigAltStack:
    """`stack_t`: where handlers run that ask for it (sigaltstack)."""

    sp: int
    size: int

    def __contains__(self, sp: object) -> bool:
        """Tell whether a stack pointer is on it (on_sig_stack)."""
        assert isinstance(sp, int)
        return self.sp < sp <= self.sp + self.size
