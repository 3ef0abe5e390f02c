"""core/uprobes_sim/compare.py: the oracle itself must see what it is there to see."""

from collections.abc import Callable

import pytest

from toy_arch import ADDI, CALL, DATA, NOP, RET, STACK, SYS, TEXT, Box
from uprobes_sim.compare import FinalState, compare
from uprobes_sim.events import Compared
from uprobes_sim.task import Task
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.uprobes import UprobeConsumer

WORDS = ((CALL, 0, 0, 2), (SYS,), (NOP,), (ADDI, 2, 2, 5), (RET,))


def finish(box: Box) -> FinalState:
    box.run()
    state = FinalState.of(box.task, {1: b"hello\n"})
    for offset in (8, 12):
        uprobe = box.machine.uprobes.find_uprobe(box.inode, offset)
        if uprobe is not None:
            box.machine.uprobes.uprobe_unregister(uprobe, uprobe.consumers[0])
    return state


def ret_handler(task: Task, func: Vaddr) -> None:
    """Only look."""


def both(damage: Callable[[Box], None] = lambda box: None, *, returns: bool = True) -> Compared:
    """Run with a return probe and without, with *damage* to the probed run."""
    probed, unprobed = Box(*WORDS), Box(*WORDS)
    for offset in (8, 12) if returns else ():
        probed.machine.uprobes.uprobe_register(
            probed.inode, Offset(offset), UprobeConsumer(ret_handler=ret_handler)
        )
    state = finish(probed)
    damage(probed)
    return compare(state, finish(unprobed))


def test_a_run_equals_itself() -> None:
    assert both(returns=False) == Compared((), 0)


def test_a_return_probe_leaves_its_trampoline_in_the_link_register() -> None:
    """No difference: every return probe does, on a real kernel too. But it is counted."""
    assert both() == Compared((), 1)


def damage_data(box: Box) -> None:
    box.task.mm.write(DATA + 8, b"\1")


def damage_stack(box: Box) -> None:
    box.task.mm.write(STACK - 8, b"\xff" * 8)


def damage_text(box: Box) -> None:
    """A breakpoint that was left behind."""
    box.task.mm.write(TEXT + 4, b"\x09", force=True)


def damage_mappings(box: Box) -> None:
    box.task.mm.munmap(DATA, 0x1000)


@pytest.mark.parametrize(
    ("damage", "what", "where"),
    [
        pytest.param(damage_data, "memory", "0x20008-0x20010", id="data"),
        pytest.param(damage_stack, "memory", "0x2fff8-0x30000", id="stack"),
        pytest.param(damage_text, "memory", "0x10000-0x10008", id="text"),
        pytest.param(damage_mappings, "mapping", "", id="mapping"),
    ],
)
def test_damage_is_seen(damage: Callable[[Box], None], what: str, where: str) -> None:
    difference = both(damage).differences[0]

    assert difference.what == what
    assert where in difference.where


def test_registers_exit_and_output_are_compared() -> None:
    one, two = Box(*WORDS), Box(*WORDS)
    first, second = finish(one), finish(two)
    second.registers["r5"] = 1
    second.output[1] = b"help!\n"
    object.__setattr__(second, "exit_status", 3)

    found = {(each.what, each.where) for each in compare(first, second).differences}

    assert found == {("register", "r5"), ("output", "fd 1, byte 3"), ("exit_status", "")}


def test_files_are_compared() -> None:
    probed, unprobed = finish(Box(*WORDS)), finish(Box(*WORDS))
    probed.files.update({"/same": b"x", "/other": b"abcX", "/only": b"y"})
    unprobed.files.update({"/same": b"x", "/other": b"abcY"})

    found = compare(probed, unprobed).differences

    assert [(each.what, each.where) for each in found] == [
        ("file", "/only, byte 0"),
        ("file", "/other, byte 3"),
    ]
    assert (found[1].probed, found[1].unprobed) == ("'X'", "'Y'")


def with_word(box: Box, vaddr: int, value: int) -> FinalState:
    """Leave *value* at *vaddr*, as a program that has stored its return address."""
    box.task.mm.write(vaddr, value.to_bytes(8, "little"))
    state = finish(box)
    object.__setattr__(state, "trampoline", Vaddr(0x7FFFE000))
    object.__setattr__(state, "replaced", frozenset({Vaddr(TEXT + 4)}))
    return state


@pytest.mark.parametrize(
    ("vaddr", "forgiven"),
    [pytest.param(STACK - 64, True, id="stack"), pytest.param(DATA, False, id="data")],
)
def test_a_return_address_on_the_stack_is_forgiven_and_one_in_data_is_not(
    vaddr: int, forgiven: bool
) -> None:
    """What a program keeps on purpose, it can tell the probed run by."""
    probed = with_word(Box(*WORDS), vaddr, 0x7FFFE000)

    compared = compare(probed, with_word(Box(*WORDS), vaddr, TEXT + 4))

    assert (compared.equal, compared.trampoline_values) == (forgiven, int(forgiven))


def test_the_trampolines_address_excuses_nothing_else() -> None:
    """It may stand for a return address that it replaced, not for any other value."""

    def damage(box: Box) -> None:
        box.task.mm.write(DATA, (0x7FFF_E000).to_bytes(8, "little"))

    assert [each.what for each in both(damage).differences] == ["memory"]


@pytest.mark.parametrize(
    ("probed", "unprobed", "tolerated"),
    [
        pytest.param("00f0ff7f00000000", "0800010000000000", True, id="whole"),
        pytest.param("00f0020000000000", "0800020000000000", True, id="overwritten in part"),
        pytest.param("00f0020000000000", "0900020000000000", False, id="another return address"),
        pytest.param("01f0020000000000", "0800020000000000", False, id="another trampoline"),
    ],
)
def test_a_dead_return_address_may_be_overwritten_in_part(
    probed: str, unprobed: str, tolerated: bool
) -> None:
    state = FinalState(
        mm=Box(*WORDS).task.mm,
        exit_status=0,
        signal=None,
        output={},
        registers={},
        trampoline=Vaddr(0x7FFFF000),
        replaced=frozenset({Vaddr(0x10008)}),
    )

    assert state.left_over(bytes.fromhex(probed), bytes.fromhex(unprobed)) is tolerated
