"""core/uprobes_sim/linker.py"""

import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import toy_arch
from uprobes_sim import hookimpl, linker, plugins
from uprobes_sim.arch import Abi
from uprobes_sim.errors import LinkError, PluginError, UnknownArchError
from uprobes_sim.hookspecs import INTERFACE
from uprobes_sim.linker import check, link, link_plugin, new_manager

ABI = Abi(64, "little")


@hookimpl
def _is_swbp_insn(insn: bytes, abi: Abi) -> bool:
    return True


@hookimpl(trylast=True)
def _meek(insn: bytes, abi: Abi) -> bool:
    return True


@hookimpl
def _forgetful(insn: bytes) -> bool:
    return True


@hookimpl(wrapper=True)
def _wrapper(insn: bytes, abi: Abi) -> Generator[None, bool, bool]:
    return (yield)


def plugin(**changes: Any) -> SimpleNamespace:
    """The toy architecture with *changes*; None takes a hook away."""
    hooks = {name: value for name, value in vars(toy_arch).items() if callable(value)}
    found = {"INTERFACE": INTERFACE, **hooks, **changes}
    return SimpleNamespace(**{name: value for name, value in found.items() if value is not None})


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownArchError, match=r"no plugin is named z80; installed: .*powerpc"):
        link("z80", ABI)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"arch_uprobe_pre_xol": None}, "arch_uprobe_pre_xol: undefined", id="missing"),
        pytest.param({"is_trap_isns": _is_swbp_insn}, "is_trap_isns", id="unknown"),
        pytest.param({"is_swbp_insn": _meek}, "is_swbp_insn: defined by", id="two defaults"),
        pytest.param(
            {"is_swbp_insn": _forgetful}, "is_swbp_insn: .* takes", id="argument left out"
        ),
        pytest.param({"is_swbp_insn": _wrapper}, "is_swbp_insn: .* wraps it", id="wrapper"),
        pytest.param({"INTERFACE": 0}, "written for interface 0", id="another interface"),
        pytest.param({"INTERFACE": None}, "written for interface None", id="no interface"),
    ],
)
def test_a_broken_plugin_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LinkError, match=message):
        link_plugin(plugin(**changes), "broken", ABI)


def test_two_strong_definitions_are_refused() -> None:
    pm = new_manager()
    pm.register(plugin())
    pm.register(SimpleNamespace(is_trap_insn=_is_swbp_insn))

    with pytest.raises(LinkError, match="is_trap_insn: defined by"):
        check(pm)


def test_a_default_reaches_the_override_it_builds_on() -> None:
    """`is_trap_insn` is left weak, yet sees the new `is_swbp_insn`."""
    linked = link_plugin(plugin(is_swbp_insn=_is_swbp_insn, is_trap_insn=None), "odd", ABI)

    assert linked.hook.is_trap_insn(insn=b"odd", abi=ABI)


def test_a_variant_replaces_what_it_defines_and_nothing_else() -> None:
    @hookimpl
    def arch_variants() -> dict[str, object]:
        return {"upstream": None, "odd": SimpleNamespace(is_swbp_insn=_is_swbp_insn)}

    odd = link_plugin(plugin(arch_variants=arch_variants), "toy", ABI, "odd")
    plain = link_plugin(plugin(arch_variants=arch_variants), "toy", ABI, "upstream")

    assert odd.hook.is_swbp_insn(insn=b"\0\0\0\0", abi=ABI)
    assert not plain.hook.is_swbp_insn(insn=b"\0\0\0\0", abi=ABI)
    assert odd.hook.is_trap_insn(insn=toy_arch.TRAP, abi=ABI)


def test_an_unknown_variant_is_refused_with_what_there_is() -> None:
    with pytest.raises(LinkError, match="no variant odd; it has upstream"):
        link_plugin(plugin(), "toy", ABI, "odd")


def test_a_plugin_need_not_be_installed() -> None:
    assert link_plugin(sys.modules["toy_arch"], "toy", ABI).info.name == "toy"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for fake distributions, seen and forgotten again by the linker."""
    monkeypatch.syspath_prepend(tmp_path)
    linker.find.cache_clear()
    plugins.installed.cache_clear()
    yield tmp_path
    linker.find.cache_clear()
    plugins.installed.cache_clear()


def distribution(site: Path, name: str, entry_point: str) -> None:
    info = site / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[uprobes_sim.arch]\n{entry_point}\n")


def test_a_plugin_that_fails_to_import_is_named(site: Path) -> None:
    (site / "broken_arch.py").write_text("import no_such_thing_at_all\n")
    distribution(site, "broken", "broken = broken_arch")

    with pytest.raises(PluginError, match=r"plugin broken \(broken_arch\) cannot be imported: Mod"):
        link("broken", ABI)


def test_two_plugins_of_one_name_are_refused_by_name(site: Path) -> None:
    distribution(site, "one", "twin = one_arch")
    distribution(site, "two", "twin = two_arch")

    with pytest.raises(PluginError, match="two plugins are named twin: one_arch and two_arch"):
        link("twin", ABI)


def test_a_twin_disturbs_nobody_else(site: Path) -> None:
    distribution(site, "one", "twin = one_arch")
    distribution(site, "two", "twin = two_arch")

    assert "twin" in linker.installed()
    assert linker.find_entry_point("powerpc").name == "powerpc"
