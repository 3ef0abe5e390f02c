"""One script, two kernels: the running one and the simulated one.

A script gets a kernel, does things to files, processes and probes, and answers what it saw.
Both kernels must have shown the same.
"""

import ctypes
import os
import re
import signal
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options, configure
from uprobes_sim.conformance.live_kernel import name
from uprobes_sim.errors import KernelError
from uprobes_sim.fork import CloneArgs, CloneFlags, copy_process
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.memory import PageFault, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, Uprobe, UprobeConsumer

READ, WRITE, EXEC = 1, 2, 4
SHARED, PRIVATE = 1, 2
TEXT: Final = 0x5000_0000

_SYSCALL: Final = ctypes.CDLL(None, use_errno=True).syscall
_PERF_EVENT_OPEN: Final = 298
PMU: Final = Path("/sys/bus/event_source/devices/uprobe/type")


class Process(Protocol):
    """A process that does what it is told. A signal that ends it is what it answers, ever after."""

    def map(
        self, file: str, at: int, prot: int = READ | EXEC, flags: int = PRIVATE, pgoff: int = 0
    ) -> None: ...

    def unmap(self, at: int) -> None: ...

    def protect(self, at: int, prot: int) -> None: ...

    def call(self, at: int, argument: int = 0) -> str: ...

    def fork(self, at: int, times: int) -> str: ...

    def peek(self, at: int, size: int) -> str: ...

    def has_own_page(self, at: int) -> bool: ...

    def poke(self, at: int, data: str) -> None: ...

    def alarms(self, interval_us: int) -> None: ...


class Probe(Protocol):
    """A probe that counts; `errno` is None unless the kernel has refused it."""

    errno: str | None

    def hits(self) -> int: ...

    def close(self) -> None: ...


class Kernel(Protocol):
    """What a script may use."""

    def file(self, code: bytes) -> str: ...

    def process(self) -> Process: ...

    def probe(
        self,
        file: str,
        offset: int,
        *,
        only: Process | None = None,
        returns: bool = False,
        counter: int = 0,
    ) -> Probe: ...


def contents(code: bytes) -> bytes:
    """Lay out a file: a page of code, and one of counters."""
    return code.ljust(PAGE_SIZE, b"\0") + bytes(PAGE_SIZE)


# --- the running kernel ---------------------------------------------------------


class LiveProcess:
    """A `tracee`, on the first processor."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("tracee.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _do(self, *words: object) -> str:
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        try:
            print(*words, file=self.popen.stdin, flush=True)
            answer = self.popen.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        return answer or signal.Signals(-self.popen.wait()).name

    def map(
        self, file: str, at: int, prot: int = READ | EXEC, flags: int = PRIVATE, pgoff: int = 0
    ) -> None:
        assert self._do("mmap", file, at, prot, flags, pgoff) == "1"

    def unmap(self, at: int) -> None:
        assert self._do("munmap", at) == "0"

    def protect(self, at: int, prot: int) -> None:
        assert self._do("mprotect", at, prot) == "0"

    def call(self, at: int, argument: int = 0) -> str:
        return self._do("call", at, argument)

    def fork(self, at: int, times: int) -> str:
        status = int(self._do("fork", at, times))
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name
        return str(os.WEXITSTATUS(status))

    def peek(self, at: int, size: int) -> str:
        with Path(f"/proc/{self.popen.pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(at)
            return memory.read(size).hex()

    def has_own_page(self, at: int) -> bool:
        maps = Path(f"/proc/{self.popen.pid}/smaps").read_text()
        found = re.search(rf"^{at:x}-.*?^Anonymous: +(\d+)", maps, re.MULTILINE | re.DOTALL)
        return found is not None and found[1] != "0"

    def poke(self, at: int, data: str) -> None:
        with Path(f"/proc/{self.popen.pid}/mem").open("r+b", buffering=0) as memory:
            memory.seek(at)
            memory.write(bytes.fromhex(data))

    def alarms(self, interval_us: int) -> None:
        self._do("alarms", interval_us)


@dataclass
class LiveProbe:
    """A perf event."""

    fd: int = -1
    errno: str | None = None

    def hits(self) -> int:
        return int(struct.unpack("<Q", os.read(self.fd, 8))[0])

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


@dataclass
class Live:
    """The running kernel."""

    folder: Path
    _processes: list[LiveProcess] = field(default_factory=list)
    _probes: list[LiveProbe] = field(default_factory=list)

    def file(self, code: bytes) -> str:
        path = self.folder / f"file{len(list(self.folder.iterdir()))}"
        path.write_bytes(contents(code))
        return str(path)

    def process(self) -> LiveProcess:
        self._processes.append(LiveProcess())
        return self._processes[-1]

    def probe(
        self,
        file: str,
        offset: int,
        *,
        only: Process | None = None,
        returns: bool = False,
        counter: int = 0,
    ) -> LiveProbe:
        path = ctypes.create_string_buffer(file.encode())
        config = counter << 32 | returns
        attributes = struct.pack(
            "<IIQQQQQIIQq", int(PMU.read_text()), 112, config, 0, 0, 0, 0, 0, 0,
            ctypes.addressof(path), offset,
        ).ljust(112, b"\0")  # fmt: skip
        buffer = ctypes.create_string_buffer(attributes, len(attributes))
        pid, cpu = (-1, 0) if only is None else (only.popen.pid, -1)  # type: ignore[attr-defined]
        fd = _SYSCALL(_PERF_EVENT_OPEN, buffer, pid, cpu, -1, 8)
        probe = LiveProbe(fd) if fd >= 0 else LiveProbe(errno=name(ctypes.get_errno()))
        self._probes.append(probe)
        return probe

    def close(self) -> None:
        for probe in self._probes:
            probe.close()
        for process in self._processes:
            process.popen.kill()
            process.popen.communicate()


# --- the simulated one ------------------------------------------------------------

_STOP: Final = 0x6000_0000
"""Where a call returns to: it passes its result to exit."""
_EXIT: Final = bytes.fromhex("89c7b83c0000000f05")
_MAY: Final = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
_STACK: Final = 0x7000_0000


class _Exit:
    """System calls: exit keeps the whole result, others are the architecture's."""

    def __init__(self, machine: Machine) -> None:
        self._hook = machine.hook
        self.result = 0

    def dispatch(self, task: Task) -> None:
        number = self._hook.syscall_get_nr(regs=task.regs)
        arguments = self._hook.syscall_get_arguments(regs=task.regs)
        if number == 60:
            self.result, task.exit_status = arguments[0] & 0xFFFF_FFFF, 0
            return
        call = {335: "uretprobe", 336: "uprobe"}[number]
        value = self._hook.arch_syscall(task=task, name=call, args=arguments)
        self._hook.syscall_set_return_value(regs=task.regs, error=0, value=value)


class SimProcess:
    """An address space, in which calls are threads."""

    def __init__(self, kernel: "Simulated") -> None:
        self._kernel = kernel
        self.mm = kernel.machine.new_mm()
        rights = VmFlags.READ | VmFlags.EXEC | VmFlags.WRITE | _MAY
        self.mm.mmap(_STOP, PAGE_SIZE, rights)
        self.mm.write(_STOP, _EXIT)
        self.mm.mmap(_STACK - PAGE_SIZE, PAGE_SIZE, VmFlags.READ | VmFlags.WRITE | _MAY)
        self._ended: str | None = None

    def map(
        self, file: str, at: int, prot: int = READ | EXEC, flags: int = PRIVATE, pgoff: int = 0
    ) -> None:
        shared = VmFlags.SHARED | VmFlags.MAYSHARE if flags == SHARED else VmFlags(0)
        inode = self._kernel.inodes[file]
        self.mm.mmap(at, PAGE_SIZE, VmFlags(prot) | _MAY | shared, inode=inode, pgoff=pgoff)

    def unmap(self, at: int) -> None:
        self.mm.munmap(at, PAGE_SIZE)

    def protect(self, at: int, prot: int) -> None:
        self.mm.mprotect(at, PAGE_SIZE, VmFlags(prot))

    def call(self, at: int, argument: int = 0) -> str:
        if self._ended is not None:
            return self._ended
        task = self._thread(at, argument)
        calls = _Exit(self._kernel.machine)
        self._kernel.machine.run(task, calls)
        if task.killed_by is not None:
            self._ended = task.killed_by.name
            return self._ended
        return str(calls.result - (calls.result >> 31 << 32))

    def fork(self, at: int, times: int) -> str:
        machine = self._kernel.machine
        parent = self._thread(at, 0)
        child = copy_process(
            machine.tasks, self._kernel.linked, parent, CloneArgs(flags=CloneFlags(0))
        )
        forked = SimProcess.__new__(SimProcess)
        forked._kernel, forked.mm, forked._ended = self._kernel, child.mm, None
        for _ in range(times):
            forked.call(at)
        ended = forked._ended
        return "0" if ended is None else ended

    def _thread(self, at: int, argument: int) -> Task:
        machine = self._kernel.machine
        regs = machine.hook.arch_regs(abi=machine.info.abi, config=machine.config)
        regs.ip, regs.sp = Vaddr(at), Vaddr(_STACK - 1032)
        self.mm.write(regs.sp, _STOP.to_bytes(8, "little"))
        regs.set("di", argument)
        self.mm.users += 1
        return Task(machine.tasks.alloc_pid(), "tracee", self.mm, regs, machine.config)

    def peek(self, at: int, size: int) -> str:
        try:
            return self.mm.read(at, size, force=True).hex()
        except PageFault:
            return "nothing"

    def has_own_page(self, at: int) -> bool:
        pte = self.mm.pgtable.get(at // PAGE_SIZE)
        return pte is not None and pte.anon

    def poke(self, at: int, data: str) -> None:
        self.mm.write(at, bytes.fromhex(data), force=True)

    def alarms(self, interval_us: int) -> None:
        """Send none: that they do not matter is what is compared."""


@dataclass
class SimProbe:
    """A consumer that does as perf's."""

    kernel: "Simulated"
    only: SimProcess | None
    errno: str | None = None
    count: int = 0
    uprobe: Uprobe | None = None
    consumer: UprobeConsumer | None = None

    def hits(self) -> int:
        return self.count

    def close(self) -> None:
        if self.uprobe is not None and self.consumer is not None:
            self.kernel.machine.uprobes.uprobe_unregister(self.uprobe, self.consumer)
        self.uprobe = None


@dataclass
class Simulated:
    """The simulated kernel."""

    inodes: dict[str, Inode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.linked = link("x86", Abi(64, "little"))
        self.machine = Machine(self.linked, configure(self.linked, Options(kernel="6.18")))

    def file(self, code: bytes) -> str:
        path = f"file{len(self.inodes)}"
        self.inodes[path] = Inode(len(self.inodes) + 1, path, contents(code))
        return path

    def process(self) -> SimProcess:
        return SimProcess(self)

    def probe(
        self,
        file: str,
        offset: int,
        *,
        only: Process | None = None,
        returns: bool = False,
        counter: int = 0,
    ) -> SimProbe:
        assert only is None or isinstance(only, SimProcess)
        probe = SimProbe(self, only)

        def is_wanted(task: Task) -> bool:
            return only is None or task.mm is only.mm

        def handler(task: Task) -> HandlerResult:
            wanted = is_wanted(task)
            probe.count += wanted and not returns
            return HandlerResult.KEEP if wanted else HandlerResult.UPROBE_HANDLER_REMOVE

        def ret_handler(task: Task, func: Vaddr) -> None:
            probe.count += is_wanted(task)

        probe.consumer = UprobeConsumer(
            handler,
            ret_handler if returns else None,
            filter=None if only is None else lambda mm: mm is only.mm,
        )
        try:
            probe.uprobe = self.machine.uprobes.uprobe_register(
                self.inodes[file], Offset(offset), probe.consumer, Offset(counter)
            )
        except KernelError as exc:
            probe.errno = exc.errno.name
        return probe
