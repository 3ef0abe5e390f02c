"""Signals: what happens to a program that gets hurt."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from uprobes_sim.units import Vaddr


class Signal(IntEnum):
    """Signal numbers that every modelled architecture shares."""

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


class SiCode(IntEnum):
    """`si_code` of the signals that processors cause."""

    SI_USER = 0
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


@dataclass(frozen=True, slots=True)
class SigInfo:
    """`siginfo_t`, as far as a program can tell why it was hurt."""

    signal: Signal
    code: int = SiCode.SI_KERNEL
    addr: Vaddr = Vaddr(0)


SIG_DFL: Final = 0
SIG_IGN: Final = 1

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
