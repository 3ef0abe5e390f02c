"""arches/x86/uprobes_sim_x86/process.py"""

import pytest

from uprobes_sim.arch import Abi
from uprobes_sim.linker import link
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.version import RELEASES, Config, Kernel
from uprobes_sim_x86.behaviours import BEHAVIOURS
from uprobes_sim_x86.engine import new_cpu
from uprobes_sim_x86.process import AT_HWCAP
from uprobes_sim_x86.regs import PtRegs

CONFIG = Config(Kernel(RELEASES[-1], BEHAVIOURS), cpu="generic")
DATA = 0x10000
RWX = VmFlags.READ | VmFlags.WRITE | VmFlags.EXEC
ABI32 = Abi(32, "little")


@pytest.fixture
def task() -> Task:
    mm = Mm(ABI32, task_size=0xFFFF_E000, mmap_base=0xF000_0000)
    mm.mmap(DATA, 0x1000, RWX)
    return Task(1000, "task", mm, PtRegs(32), CONFIG)


def set_thread_area(task: Task, entry: int, base: int) -> int:
    task.mm.write(DATA, entry.to_bytes(4, "little") + base.to_bytes(4, "little"))
    hook = link("x86", ABI32).hook
    return hook.arch_syscall(task=task, name="set_thread_area", args=(DATA, 0, 0, 0, 0, 0))


def test_set_thread_area_gives_out_three_entries(task: Task) -> None:
    found = []
    for base in (0x1000, 0x2000, 0x3000, 0x4000):
        found.append((set_thread_area(task, 0xFFFF_FFFF, base), task.mm.read(DATA, 4)[0]))

    assert found == [(0, 12), (0, 13), (0, 14), (-3, 0xFF)]
    assert isinstance(task.regs, PtRegs)
    assert task.regs.tls == {12: 0x1000, 13: 0x2000, 14: 0x3000}


def test_set_thread_area_refuses_other_entries(task: Task) -> None:
    assert set_thread_area(task, 6, 0x1000) == -22


@pytest.mark.parametrize("error", [0, 38])
def test_a_system_call_is_answered_in_ax(error: int) -> None:
    hook = link("x86", Abi(64, "little")).hook
    regs = PtRegs(64)

    hook.syscall_set_return_value(regs=regs, error=error, value=77)

    assert regs.ax == (2**64 - error if error else 77)


def test_hwcap_is_what_the_processor_says() -> None:
    abi = Abi(64, "little")
    mm = Mm(abi, task_size=0x7FFF_FFFF_F000, mmap_base=0xF000_0000)
    code = bytes.fromhex("b801000000 0fa2 cc")
    mm.mmap(0x401000, 0x1000, VmFlags.READ | VmFlags.EXEC, inode=Inode(1, "text", code))
    regs = PtRegs(64)
    regs.ip = Vaddr(0x401000)

    new_cpu(abi).run(regs, mm, 100)

    hook = link("x86", abi).hook
    assert hook.arch_auxv(abi=abi, config=CONFIG)[AT_HWCAP] == regs.get("dx")
