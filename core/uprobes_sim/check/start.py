"""The start of a program, where there is no caller, and what a return probe does there."""

from typing import Final

from uprobes_sim.check.code import Code
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_MASK, PAGE_SIZE, Vaddr
from uprobes_sim.version import Config

_STACK: Final = VmFlags.READ | VmFlags.WRITE
_SPARE: Final = 256
"""Bytes of the stack above its pointer."""
_TRAMPOLINE: Final = Vaddr(0x1000)


def is_start(code: Code, vaddr: Vaddr) -> bool:
    """Tell whether the program starts at *vaddr*; where a function has two entries, at either."""
    entry = code.program.entry
    if not entry:
        return False
    if vaddr == entry:
        return True
    function = code.function_at(vaddr)
    if function is None or function.symbol is None or function.symbol.value != entry:
        return False
    return vaddr in {code.entry(function.symbol, want_global=each) for each in (True, False)}


def overwrites_stack(code: Code, config: Config) -> bool:
    """Let the backend take over the return of a program that has just started; see what it wrote.

    Either the word on top of the stack, which is argc, or a register.
    Kernel: arch_uretprobe_hijack_return_addr.
    """
    info, program = code.info, code.program
    mm = Mm(info.abi, task_size=info.task_size, mmap_base=info.mmap_base)
    mm.mmap(info.stack_top - PAGE_SIZE, PAGE_SIZE, _STACK)
    # A backend may find a function descriptor at the entry point.
    mm.mmap(program.entry & ~PAGE_MASK, 2 * PAGE_SIZE, VmFlags.READ)
    sp = Vaddr(info.stack_top - _SPARE)
    regs = code.hook.start_thread(
        entry=program.entry, sp=sp, mm=mm, e_flags=program.e_flags, config=config
    )
    task = Task(1, program.comm, mm, regs, config)
    code.hook.arch_uretprobe_hijack_return_addr(trampoline_vaddr=_TRAMPOLINE, regs=regs, task=task)
    return any(mm.read(sp, _SPARE))
