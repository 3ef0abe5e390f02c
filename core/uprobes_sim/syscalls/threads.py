"""What threads ask for: their numbers, turns and processors (kernel/fork.c, kernel/sched/)."""

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, UInt, ULong, syscall
from uprobes_sim.task import Task


@syscall()
def sys_gettid(k: Kernel, task: Task) -> int:
    return task.pid


@syscall()
def sys_set_tid_address(k: Kernel, task: Task, tidptr: Ptr) -> int:
    task.clear_child_tid = tidptr
    return task.pid


@syscall()
def sys_set_robust_list(k: Kernel, task: Task, head: Ptr, length: ULong) -> int:
    return 0


@syscall()
def sys_sched_yield(k: Kernel, task: Task) -> int:
    k.tasks.sched.cond_resched("sched_yield")
    return 0


@syscall()
def sys_sched_getaffinity(k: Kernel, task: Task, pid: Int, length: UInt, mask: Ptr) -> int:
    if pid and k.tasks.find_task(pid) is None:
        raise KernelError(Errno.ESRCH, f"no process {pid}")
    if length < k.word or length % k.word:
        raise KernelError(Errno.EINVAL, "no room for one word")
    k.put_int(task, mask, 1, k.word)
    return k.word


@syscall()
def sys_getcpu(k: Kernel, task: Task, cpu: Ptr, node: Ptr) -> int:
    for vaddr in (cpu, node):
        if vaddr:
            k.put_int(task, vaddr, 0)
    return 0
