"""core/uprobes_sim/log.py: what is logged."""

from pathlib import Path

from toy_arch import ADDI, SYS, TEXT, Box
from uprobes_sim import log
from uprobes_sim.errno import Errno
from uprobes_sim.log import Act, Record
from uprobes_sim.task import Task
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer


def keep(task: Task) -> HandlerResult:
    return HandlerResult.KEEP


def test_nothing_is_kept_unless_somebody_asks() -> None:
    box = Box((ADDI, 1, 1, 1), (SYS,))
    box.machine.uprobes.uprobe_register(box.inode, Offset(0), UprobeConsumer(handler=keep))

    box.run()

    assert box.machine.uprobes.log is None


def test_a_hit_is_told_from_registration_to_the_end_of_its_step() -> None:
    box = Box((ADDI, 1, 1, 1), (SYS,))
    told: list[Record] = []
    box.machine.uprobes.log = told
    box.machine.uprobes.uprobe_register(box.inode, Offset(0), UprobeConsumer(handler=keep))

    box.run()

    acts = [each.act for each in told]
    assert acts == [
        Act.REGISTER, Act.WRITE, Act.INSTALL, Act.HIT, Act.HANDLER, Act.STEP, Act.DONE,
    ]  # fmt: skip
    assert {each.vaddr for each in told if each.act in (Act.WRITE, Act.HIT)} == {TEXT}


def test_a_record_is_one_line() -> None:
    record = Record(Act.REFUSE, "it is a trap", 7, Vaddr(0x1000), 4, Errno.ENOTSUPP)

    assert str(record) == "refuse at 0x1000 in 7: it is a trap (ENOTSUPP)"


def test_every_act_is_done_by_somebody() -> None:
    package = Path(log.__file__).parent
    sources = "".join(path.read_text() for path in package.glob("*.py"))

    assert [act for act in Act if f"Act.{act.name}" not in sources] == []
