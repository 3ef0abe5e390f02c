"""The kernel of this machine, asked for probes: through BPF, else through the perf uprobe PMU."""

import ctypes
import errno
import os
import platform
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL
from subprocess import DEVNULL, Popen
from tempfile import NamedTemporaryFile
from typing import ClassVar, Final

from uprobes_sim.arch import ArchInfo
from uprobes_sim.errors import UprobesSimError

ACCEPTED: Final = "accepted"
THREADS: Final = 384
"""Each registration waits for the others' RCU grace periods; side by side they share them."""

_HOST: Final = "x86_64"
"""The machine whose system calls these are."""
_ENOTSUPP: Final = 524
_SYS_BPF, _SYS_PERF_EVENT_OPEN = 321, 298
_BPF_PROG_LOAD, _BPF_LINK_CREATE = 5, 28
_BPF_F_UPROBE_MULTI_RETURN: Final = 1
_BPF_PROG_TYPE_KPROBE, _BPF_TRACE_UPROBE_MULTI = 2, 48
_RETURN_0: Final = struct.pack("<QQ", 0xB7, 0x95)
"""r0 = 0; exit."""
_PMU: Final = Path("/sys/bus/event_source/devices/uprobe/type")
_PERF_ATTR_SIZE: Final = 72
_PERF_FLAG_FD_CLOEXEC: Final = 8
_PR_SET_PDEATHSIG: Final = 1
_PTRACE_TRACEME, _PTRACE_POKEUSER, _PTRACE_SINGLESTEP = 0, 6, 9
_IP_OF_USER: Final = 128
"""Where `struct user` of x86-64 has ip; it is that of 32-bit tasks, too."""
_SLOTS: Final = "[uprobes]"
"""What the kernel calls the page of slots; it is there from the first copy on."""

_C: Final = ctypes.CDLL(None, use_errno=True)


class NoLiveKernel(UprobesSimError):
    """This machine cannot say what its kernel does."""


def name(code: int) -> str:
    """Name an errno; the kernel's own 524 is no errno of user space."""
    return "ENOTSUPP" if code == _ENOTSUPP else errno.errorcode[code]


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, "ENOTSUPP" if number == _ENOTSUPP else os.strerror(number))
    return answer


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return _checked(_C.syscall(_SYS_BPF, command, buffer, len(attributes)))


class LiveKernel(ABC):
    """Probes on the running kernel. All of them go when they were asked for."""

    together: ClassVar[int] = 1
    """Probes of one registration."""

    @abstractmethod
    def close(self) -> None:
        """Give back what registering needs."""

    @abstractmethod
    def register(self, path: bytes, offsets: Sequence[int], *, returns: bool = False) -> int:
        """Set `together` probes on a file at most; they go when the answer is closed.

        Raises:
            OSError: one is refused.
        """

    def _verdict(self, path: bytes, offsets: Sequence[int]) -> str:
        try:
            link = self.register(path, offsets)
        except OSError as exc:
            return name(exc.errno or 0)
        os.close(link)
        return ACCEPTED

    def verdicts(self, path: Path, offsets: Sequence[int], likely: Sequence[str]) -> list[str]:
        """Register a probe on each of *offsets* of a file that a running program maps.

        *likely* makes it fast, and cannot make it wrong: what will be accepted
        is asked for many at a time, and one by one where any of them was not.
        """
        where, found = bytes(path), dict[int, str]()
        hopeful = [offset for offset, word in zip(offsets, likely, strict=True) if word == ACCEPTED]
        for at in range(0, len(hopeful) if self.together > 1 else 0, self.together):
            group = hopeful[at : at + self.together]
            if self._verdict(where, group) == ACCEPTED:
                found.update(dict.fromkeys(group, ACCEPTED))
        alone = [offset for offset in offsets if offset not in found]
        with ThreadPoolExecutor(THREADS) as pool:
            answers = pool.map(lambda offset: self._verdict(where, [offset]), alone)
            found.update(zip(alone, answers, strict=True))
        return [found[offset] for offset in offsets]

    @contextmanager
    def probing(
        self, path: Path, offsets: Sequence[int], *, returns: bool = False
    ) -> Iterator[None]:
        """Keep probes, or return probes, on *offsets* of a file."""
        link = self.register(bytes(path), offsets, returns=returns)
        try:
            yield
        finally:
            os.close(link)


class BpfKernel(LiveKernel):
    """Registers by BPF: a link of type uprobe_multi is a probe on each of many places."""

    together = 512

    def __init__(self) -> None:
        """Load the BPF program that each probe runs: it does nothing.

        Raises:
            OSError: not allowed.
        """
        code = ctypes.create_string_buffer(_RETURN_0, len(_RETURN_0))
        licence = ctypes.create_string_buffer(b"GPL")
        attributes = struct.pack(
            "<IIQQ44xI",
            _BPF_PROG_TYPE_KPROBE,
            2,
            ctypes.addressof(code),
            ctypes.addressof(licence),
            _BPF_TRACE_UPROBE_MULTI,
        )
        self._program = _bpf(_BPF_PROG_LOAD, attributes)

    def close(self) -> None:
        """Unload the program."""
        os.close(self._program)

    def register(self, path: bytes, offsets: Sequence[int], *, returns: bool = False) -> int:
        """Make a link."""
        buffer = (ctypes.c_uint64 * len(offsets))(*offsets)
        where = ctypes.create_string_buffer(path)
        attributes = struct.pack(
            "<IIIIQQQQIIII",
            self._program,
            0,
            _BPF_TRACE_UPROBE_MULTI,
            0,
            ctypes.addressof(where),
            ctypes.addressof(buffer),
            0,
            0,
            len(offsets),
            _BPF_F_UPROBE_MULTI_RETURN if returns else 0,
            0,
            0,
        )
        return _bpf(_BPF_LINK_CREATE, attributes)


class PerfKernel(LiveKernel):
    """Registers by perf_event_open: an event of the PMU called uprobe is one probe."""

    def __init__(self) -> None:
        """Look the PMU up.

        Raises:
            OSError: there is none.
        """
        self._type = int(_PMU.read_text())

    def close(self) -> None:
        """Leave nothing."""

    def register(self, path: bytes, offsets: Sequence[int], *, returns: bool = False) -> int:
        """Open an event, for all tasks."""
        (offset,) = offsets
        where = ctypes.create_string_buffer(path)
        attributes = struct.pack(
            "<IIQ40xQQ", self._type, _PERF_ATTR_SIZE, returns, ctypes.addressof(where), offset
        )
        buffer = ctypes.create_string_buffer(attributes, _PERF_ATTR_SIZE)
        return _checked(_C.syscall(_SYS_PERF_EVENT_OPEN, buffer, -1, 0, -1, _PERF_FLAG_FD_CLOEXEC))


def open_kernel(info: ArchInfo) -> LiveKernel:
    """Get ready to set probes on programs of the architecture that *info* tells of.

    Raises:
        NoLiveKernel: this machine is another, or does not let us.
    """
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine != _HOST or info.machine != machine:
        raise NoLiveKernel(
            f"--oracle kernel compares {info.name} with the kernel of a {info.machine} machine "
            f"that runs Linux, {_HOST} so far; this is {system} on {machine}"
        )
    try:
        return BpfKernel()
    except OSError as exc:
        by_bpf = exc.strerror
    try:
        found = PerfKernel()
        with NamedTemporaryFile() as file:
            file.write(bytes(64))
            file.flush()
            os.close(found.register(os.fsencode(file.name), [0]))
    except OSError as exc:
        raise NoLiveKernel(
            "--oracle kernel needs uprobes, as root: "
            f"BPF says {by_bpf}, the perf uprobe PMU {exc.strerror}"
        ) from None
    return found


class Loaded:
    """A program that was stopped where it starts."""

    def __init__(self, pid: int) -> None:
        """Trace the process *pid*, which has stopped for us."""
        self._pid = pid

    def steps_in_a_slot(self, vaddr: int) -> bool:
        """Execute the probed instruction at *vaddr*; tell whether it was a copy that was stepped.

        Once only: the page of slots stays.
        """
        self._ptrace(_PTRACE_POKEUSER, _IP_OF_USER, vaddr)
        self._ptrace(_PTRACE_SINGLESTEP, 0, 0)
        os.waitpid(self._pid, os.WUNTRACED)
        maps = Path(f"/proc/{self._pid}/maps").read_text()
        return any(line.endswith(_SLOTS) for line in maps.splitlines())

    def _ptrace(self, request: int, addr: int, data: int) -> None:
        where, what = ctypes.c_void_p(addr), ctypes.c_void_p(data)
        _checked(_C.ptrace(request, self._pid, where, what))


@contextmanager
def loaded(path: Path) -> Iterator[Loaded]:
    """Have a program mapped that does not run: it stops where it starts.

    Raises:
        NoLiveKernel: the kernel does not run programs of its kind.
    """
    try:
        process = Popen([path], stdin=DEVNULL, stdout=DEVNULL, preexec_fn=_stop_when_loaded)
    except OSError as exc:
        raise NoLiveKernel(f"this kernel runs no such program: {exc.strerror}") from None
    try:
        os.waitpid(process.pid, os.WUNTRACED)
        yield Loaded(process.pid)
    finally:
        process.kill()
        process.wait()


def _stop_when_loaded() -> None:
    """Be traced, so that execve stops; and end with the tracer."""
    _C.prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    _C.ptrace(_PTRACE_TRACEME, 0, 0, 0)
