"""How tasks end, and what that tells others (kernel/exit.c)."""

from uprobes_sim.futex import futex_key
from uprobes_sim.memory import Mm, PageFault
from uprobes_sim.pids import Tasks
from uprobes_sim.send import send_group_signal
from uprobes_sim.signals import COREDUMP, SA_NOCLDWAIT, SIG_IGN, SiCode, SigInfo, Signal
from uprobes_sim.task import Task
from uprobes_sim.thread_group import ExitCode, ThreadGroup
from uprobes_sim.utask import uprobe_clear_state, uprobe_free_utask
from uprobes_sim.vfs.nodes import UID


def do_group_exit(task: Task, code: ExitCode) -> None:
    """End the whole process of *task*: its other threads leave when they see it."""
    group = task.group
    if group.group_exit is None:
        group.group_exit = code
    end_task(task, group.group_exit)


def end_task(task: Task, code: ExitCode) -> None:
    """Note how *task* has ended; `do_exit` does the rest."""
    task.killed_by = code.signal
    task.exit_status = None if code.signal is not None else code.status


def do_exit(tasks: Tasks, task: Task) -> None:
    """Let go of all that *task*, which has ended, has held."""
    tasks.on_exit(task)
    uprobe_free_utask(task)
    mm_release(tasks, task)
    if task is not tasks.created[0]:  # whose memory is looked at when all is over
        mmput(task.mm)
    exit_files(task)
    task.group.threads.remove(task)
    tasks.alive -= 1
    if not task.group.threads:
        _exit_notify(tasks, task)


def mm_release(tasks: Tasks, task: Task) -> None:
    """Tell those who wait that *task* leaves its memory (exit_mm_release, exec_mm_release)."""
    if task.clear_child_tid and task.mm.users > 1:
        try:
            task.mm.write(task.clear_child_tid, bytes(4))
            tasks.futexes.wake(futex_key(task.mm, task.clear_child_tid), 1)
        except PageFault:
            pass
    task.clear_child_tid = 0
    task.vfork_done = True


def mmput(mm: Mm) -> None:
    """Drop one user of an address space; with the last it goes (mmput)."""
    mm.users -= 1
    if mm.users == 0:
        uprobe_clear_state(mm)
        mm.exit_mmap()


def exit_files(task: Task) -> None:
    """Drop one user of the open files; with the last they are closed."""
    files = task.files
    files.users -= 1
    if files.users == 0:
        for fd in list(files.fds):
            files.close(fd)


def _exit_notify(tasks: Tasks, task: Task) -> None:
    """Hand the children over, and tell the parent (exit_notify)."""
    group = task.group
    for child in group.children:
        child.parent = None  # the first process of the system waits for them at once
    group.children = []
    leaders = [each for each in tasks.created if each.group is group and each.pid == group.tgid]
    group.ended = group.group_exit or ExitCode(leaders[0].exit_status or 0, leaders[0].killed_by)
    for leader in leaders:  # one that has left before the others ends as the process does
        end_task(leader, group.ended)
    parent = group.parent
    if parent is None:
        return
    if _is_ignored(parent):
        release(group)
    if group.exit_signal:
        send_group_signal(death_note(group), parent)


def _is_ignored(parent: ThreadGroup) -> bool:
    """Tell whether a parent does not want to wait for its children (do_notify_parent)."""
    if not parent.threads:
        return True
    action = parent.threads[0].sigaction(Signal.SIGCHLD)
    return action.handler == SIG_IGN or bool(action.flags & SA_NOCLDWAIT)


def death_note(group: ThreadGroup) -> SigInfo:
    """Say in a `siginfo_t` how a process that is a zombie has ended."""
    assert group.ended is not None
    code, status = SiCode.CLD_EXITED, group.ended.status
    if group.ended.signal is not None:
        status = group.ended.signal
        code = SiCode.CLD_DUMPED if group.ended.signal in COREDUMP else SiCode.CLD_KILLED
    return SigInfo(Signal(group.exit_signal), code, pid=group.tgid, uid=UID, status=status)


def release(group: ThreadGroup) -> None:
    """Forget a zombie (release_task)."""
    if group.parent is not None and group in group.parent.children:
        group.parent.children.remove(group)
    group.parent = None
