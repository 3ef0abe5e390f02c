"""Limits and usage, randomness (kernel/sys.c, drivers/char/random.c)."""

from typing import Final

from uprobes_sim.binfmt_elf import STACK_SIZE
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, ULong, syscall
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.units import PAGE_SIZE
from uprobes_sim.vfs.file import NOFILE

_RLIMIT: Final = Layout("L:cur L:max")
_RLIMIT64: Final = Layout("Q:cur Q:max")
_RLIM_NLIMITS: Final = 16
_RLIM_INFINITY: Final = (1 << 64) - 1
_RLIMITS: Final = {3: STACK_SIZE, 4: 0, 7: NOFILE}
"""RLIMIT_STACK, RLIMIT_CORE and RLIMIT_NOFILE. The others are infinite."""

RUSAGE: Final = Layout("l:sec l:usec l l l:maxrss l l l l l l l l l l l l l")
_SYSINFO: Final = Layout("l:uptime L L L L:totalram L:freeram L L L L H:procs H L L I:mem_unit")
_SYSINFO_64: Final = Layout(
    "l:uptime L L L L:totalram L:freeram L L L L H:procs H 4x L L I:mem_unit 4x"
)
_RAM_PAGES: Final = 1 << 18
_GETRANDOM_MAX: Final = 1 << 20


def _limit(resource: int) -> int:
    if resource >= _RLIM_NLIMITS:
        raise KernelError(Errno.EINVAL, f"no resource {resource}")
    return _RLIMITS.get(resource, _RLIM_INFINITY)


@syscall("ugetrlimit")
def sys_getrlimit(k: Kernel, task: Task, resource: UInt, rlim: Ptr) -> int:
    limit = _limit(resource)
    k.put(task, rlim, _RLIMIT, cur=limit, max=limit)
    return 0


@syscall()
def sys_setrlimit(k: Kernel, task: Task, resource: UInt, rlim: Ptr) -> int:
    wanted = k.get(task, rlim, _RLIMIT)
    _limit(resource)
    if wanted["cur"] > wanted["max"]:
        raise KernelError(Errno.EINVAL, "more than the maximum")
    return 0


@syscall()
def sys_prlimit64(k: Kernel, task: Task, pid: Int, resource: UInt, new: Ptr, old: Ptr) -> int:
    if pid and k.tasks.find_task(pid) is None:
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    limit = _limit(resource)
    if new:
        k.get(task, new, _RLIMIT64)
    if old:
        k.put(task, old, _RLIMIT64, cur=limit, max=limit)
    return 0


@syscall()
def sys_getrusage(k: Kernel, task: Task, who: Int, usage: Ptr) -> int:
    k.clock.look()
    sec, nsec = divmod(k.clock.uptime, 10**9)
    k.put(task, usage, RUSAGE, sec=sec, usec=nsec // 1000, maxrss=1024)
    return 0


@syscall()
def sys_sysinfo(k: Kernel, task: Task, info: Ptr) -> int:
    k.put(
        task,
        info,
        _SYSINFO_64 if k.abi.bits == 64 else _SYSINFO,
        uptime=k.clock.uptime // 10**9,
        totalram=_RAM_PAGES,
        freeram=_RAM_PAGES // 2,
        procs=1,
        mem_unit=PAGE_SIZE,
    )
    return 0


@syscall()
def sys_getrandom(k: Kernel, task: Task, buf: Ptr, count: ULong, flags: UInt) -> int:
    if flags > 7:
        raise KernelError(Errno.EINVAL, f"flags {flags:#x}")
    data = k.vfs.random.randbytes(min(count, _GETRANDOM_MAX))
    task.mm.write(buf, data)
    return len(data)
