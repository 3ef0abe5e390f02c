"""Who a process is, and its end (kernel/sys.c, kernel/exit.c)."""

from enum import IntEnum
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, ULong, syscall
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.vfs.nodes import GID, UID

_PARENT: Final = 1
_TASK_COMM_LEN: Final = 16
_UTSNAME: Final = Layout(
    "65s:sysname 65s:nodename 65s:release 65s:version 65s:machine 65s:domainname"
)


class _Prctl(IntEnum):
    """Options of prctl (include/uapi/linux/prctl.h)."""

    PR_GET_DUMPABLE = 3
    PR_SET_DUMPABLE = 4
    PR_SET_NAME = 15
    PR_GET_NAME = 16
    PR_SET_NO_NEW_PRIVS = 38
    PR_SET_VMA = 0x53564D41


@syscall("exit_group")
def sys_exit(k: Kernel, task: Task, status: Int) -> None:
    task.exit_status = status & 0xFF


@syscall("gettid", "set_tid_address", "getpgrp", "setsid")
def sys_getpid(k: Kernel, task: Task) -> int:
    return task.pid


@syscall("getsid")
def sys_getpgid(k: Kernel, task: Task, pid: Int) -> int:
    if pid not in (0, task.pid):
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    return task.pid


@syscall()
def sys_setpgid(k: Kernel, task: Task, pid: Int, pgid: Int) -> int:
    if pid not in (0, task.pid):
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    if pgid not in (0, task.pid):
        raise KernelError(Errno.EPERM, f"no process group {pgid}")
    return 0


@syscall()
def sys_getppid(k: Kernel, task: Task) -> int:
    return _PARENT


@syscall("geteuid", "getuid32", "geteuid32")
def sys_getuid(k: Kernel, task: Task) -> int:
    return UID


@syscall("getegid", "getgid32", "getegid32")
def sys_getgid(k: Kernel, task: Task) -> int:
    return GID


@syscall("setuid32")
def sys_setuid(k: Kernel, task: Task, uid: UInt) -> int:
    return _stay(uid, UID)


@syscall("setgid32")
def sys_setgid(k: Kernel, task: Task, gid: UInt) -> int:
    return _stay(gid, GID)


def _stay(wanted: int, present: int) -> int:
    if wanted != present:
        raise KernelError(Errno.EPERM, f"may not become {wanted}")
    return 0


@syscall("getresuid32")
def sys_getresuid(k: Kernel, task: Task, ruid: Ptr, euid: Ptr, suid: Ptr) -> int:
    return _put_three(k, task, (ruid, euid, suid), UID)


@syscall("getresgid32")
def sys_getresgid(k: Kernel, task: Task, rgid: Ptr, egid: Ptr, sgid: Ptr) -> int:
    return _put_three(k, task, (rgid, egid, sgid), GID)


def _put_three(k: Kernel, task: Task, vaddrs: tuple[int, int, int], value: int) -> int:
    for vaddr in vaddrs:
        k.put_int(task, vaddr, value)
    return 0


@syscall("getgroups32")
def sys_getgroups(k: Kernel, task: Task, size: Int, groups: Ptr) -> int:
    return 0


@syscall("waitpid")
def sys_wait4(k: Kernel, task: Task, pid: Int) -> int:
    raise KernelError(Errno.ECHILD, "it has no children")


@syscall("newuname")
def sys_uname(k: Kernel, task: Task, buf: Ptr) -> int:
    release = ".".join(map(str, (*k.config.kernel.release, 0)[:3]))
    k.put(
        task,
        buf,
        _UTSNAME,
        sysname=b"Linux",
        nodename=b"uprobes-sim",
        release=release.encode(),
        version=b"#1 SMP uprobes-sim",
        machine=k.info.machine.encode(),
        domainname=b"(none)",
    )
    return 0


@syscall()
def sys_prctl(k: Kernel, task: Task, option: Int, arg2: ULong) -> int:
    match option:
        case _Prctl.PR_SET_NAME:
            name = task.mm.read(arg2, _TASK_COMM_LEN - 1).partition(b"\0")[0]
            task.comm = name.decode(errors="replace")
        case _Prctl.PR_GET_NAME:
            task.mm.write(
                arg2, task.comm.encode()[: _TASK_COMM_LEN - 1].ljust(_TASK_COMM_LEN, b"\0")
            )
        case _Prctl.PR_GET_DUMPABLE:
            return 1
        case _Prctl.PR_SET_DUMPABLE | _Prctl.PR_SET_NO_NEW_PRIVS | _Prctl.PR_SET_VMA:
            pass
        case _:
            raise KernelError(Errno.EINVAL, f"prctl {option}")
    return 0


@syscall()
def sys_personality(k: Kernel, task: Task, persona: UInt) -> int:
    return 0
