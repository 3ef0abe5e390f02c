"""core/uprobes_sim/linker.py"""

from typing import Any, Protocol

import pluggy
import pytest

from uprobes_sim import hookimpl
from uprobes_sim.errors import LinkError, UnknownArchError
from uprobes_sim.hookspecs import PROJECT
from uprobes_sim.linker import check, link, new_manager

hookspec = pluggy.HookspecMarker(PROJECT)


class Arch:
    """The least that links."""

    @hookimpl
    def arch_info(self) -> int:
        return 1


class TwoAnswers(Arch):
    """Two plugins define the same symbol."""

    @hookimpl
    def is_swbp_insn(self, insn: bytes) -> bool:
        return True


class Meek(Arch):
    """An architecture that marks its own answer weak."""

    @hookimpl(trylast=True)
    def is_swbp_insn(self, insn: bytes) -> bool:
        return True


class Typo(Arch):
    """A hook that nobody asks."""

    @hookimpl
    def is_trap_isns(self, insn: bytes) -> bool:
        return True


class Forgetful(Arch):
    """An answer that leaves out an argument."""

    @hookimpl
    def is_trap_insn(self) -> bool:
        return True


def manager(*plugins: Any) -> pluggy.PluginManager:
    pm = new_manager()
    for plugin in plugins:
        pm.register(plugin)
    return pm


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownArchError, match="z80"):
        link("z80")


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        pytest.param([], "arch_info: undefined", id="undefined"),
        pytest.param([Typo()], "is_trap_isns", id="unknown"),
        pytest.param([Arch(), TwoAnswers()], "arch_info: defined by", id="defined twice"),
        pytest.param([Meek()], "is_swbp_insn: defined by", id="two defaults"),
        pytest.param([Forgetful()], "is_trap_insn: .* takes", id="argument left out"),
    ],
)
def test_a_broken_plugin_is_refused(plugins: list[Any], message: str) -> None:
    with pytest.raises(LinkError, match=message):
        check(manager(*plugins))


def test_a_weak_hook_must_answer_something() -> None:
    """pluggy goes on to the default after an answer of None."""

    class Specs(Protocol):
        @hookspec(firstresult=True)
        def arch_uprobe_optimize(self) -> None: ...

    class Weak:
        @hookimpl(trylast=True)
        def arch_uprobe_optimize(self) -> None: ...

    pm = manager(Arch(), Weak())
    pm.add_hookspecs(Specs)

    with pytest.raises(LinkError, match="no override"):
        check(pm)


def test_a_default_reaches_the_override_it_builds_on() -> None:
    """`is_trap_insn` is left weak, yet sees the new `is_swbp_insn`."""

    class Odd(Arch):
        @hookimpl
        def is_swbp_insn(self, insn: bytes) -> bool:
            return insn == b"odd"

    pm = manager(Odd())
    check(pm)

    assert pm.hook.is_trap_insn(insn=b"odd")
