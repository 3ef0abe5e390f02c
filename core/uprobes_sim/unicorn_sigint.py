"""Ctrl-C while Unicorn executes code."""

import signal
import threading
from typing import Final

from unicorn import Uc
from unicorn.unicorn_py3.unicorn import uclib

inside: Final[list[Uc]] = []
"""The Unicorn that executes code right now; empty elsewhere."""

interrupted: Final[list[Uc]] = []
"""The Unicorn that Ctrl-C has stopped, until that is told."""


def hold_sigint() -> None:
    """Let Ctrl-C stop Unicorn: an exception would be lost on its way through it.

    Everywhere else it raises KeyboardInterrupt as ever. A host program's own handler stays, and
    so do other threads, which get no signals.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _on_sigint)


def _on_sigint(number: int, frame: object) -> None:
    if not inside:
        raise KeyboardInterrupt
    interrupted.append(inside[-1])
    uclib.uc_emu_stop(inside[-1]._uch)
