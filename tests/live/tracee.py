"""A process that does what it is told: maps files, calls code. Run by `LiveProcess`.

It reads one command a line from standard input and answers each with one line.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_MAP_FIXED = 0x10


def mmap(path: str, at: int, prot: int, flags: int, pgoff: int) -> int:
    fd = os.open(path, os.O_RDWR)
    found = _LIBC.mmap(at, 4096, prot, flags | _MAP_FIXED, fd, pgoff * 4096)
    os.close(fd)
    return int(found == at)


def call(at: int, argument: int) -> int:
    return int(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_long)(at)(argument))


def fork(at: int, times: int) -> int:
    """Call in a child; answer how it ended, as wait tells."""
    child = os.fork()
    if not child:
        for _ in range(times):
            call(at, 0)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def alarms(interval_us: int) -> int:
    """Have signals come all the time, or no more."""
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, interval_us / 1e6, interval_us / 1e6)
    return 0


def main() -> None:
    os.sched_setaffinity(0, {0})
    commands: dict[str, Callable[..., int]] = {
        "mmap": lambda path, *n: mmap(path, *map(int, n)),
        "munmap": lambda at: _LIBC.munmap(int(at), 4096),
        "mprotect": lambda at, prot: _LIBC.mprotect(int(at), 4096, int(prot)),
        "call": lambda *n: call(*map(int, n)),
        "fork": lambda *n: fork(*map(int, n)),
        "alarms": lambda us: alarms(int(us)),
    }
    for line in sys.stdin:
        name, *arguments = line.split()
        print(commands[name](*arguments), flush=True)


if __name__ == "__main__":
    main()
