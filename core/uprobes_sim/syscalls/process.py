"""Who a process is, and its end (kernel/sys.c, kernel/exit.c)."""

from enum import IntEnum
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.exit import do_group_exit, end_task
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, ULong, syscall
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ExitCode, ThreadGroup
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


@syscall()
def sys_exit(k: Kernel, task: Task, status: Int) -> None:
    end_task(task, ExitCode(status & 0xFF))


@syscall()
def sys_exit_group(k: Kernel, task: Task, status: Int) -> None:
    do_group_exit(task, ExitCode(status & 0xFF))


@syscall()
def sys_getpid(k: Kernel, task: Task) -> int:
    return task.tgid


@syscall()
def sys_getppid(k: Kernel, task: Task) -> int:
    parent = task.group.parent
    return _PARENT if parent is None else parent.tgid


@syscall()
def sys_getpgrp(k: Kernel, task: Task) -> int:
    return task.group.pgrp


@syscall()
def sys_getpgid(k: Kernel, task: Task, pid: Int) -> int:
    return _group(k, task, pid).pgrp


@syscall()
def sys_getsid(k: Kernel, task: Task, pid: Int) -> int:
    return _group(k, task, pid).session


@syscall()
def sys_setpgid(k: Kernel, task: Task, pid: Int, pgid: Int) -> int:
    group = _group(k, task, pid)
    wanted = pgid or group.tgid
    same_session = [each for each in k.tasks.groups() if each.session == group.session]
    if wanted != group.tgid and all(each.pgrp != wanted for each in same_session):
        raise KernelError(Errno.EPERM, f"no process group {wanted}")
    group.pgrp = wanted
    return 0


@syscall()
def sys_setsid(k: Kernel, task: Task) -> int:
    group = task.group
    if group.parent is not None and any(g.pgrp == group.tgid for g in k.tasks.groups()):
        raise KernelError(Errno.EPERM, "it leads a process group already")
    group.session = group.pgrp = group.tgid
    return group.tgid


def _group(k: Kernel, task: Task, pid: int) -> ThreadGroup:
    found = task.group if pid in (0, task.tgid) else k.tasks.find_group(pid)
    if found is None:
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    return found


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
