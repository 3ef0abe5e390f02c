"""A plugin that does what it must not is named with its hook, in one line."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import reference_arch
from uprobes_sim import hookimpl
from uprobes_sim.arch import Abi, ArchInfo, ArchUprobe, Regs
from uprobes_sim.conformance.choice import Choice
from uprobes_sim.conformance.guard import Fault
from uprobes_sim.conformance.run import run
from uprobes_sim.conformance.target import link
from uprobes_sim.cpu import Cpu
from uprobes_sim.errors import LinkError
from uprobes_sim.memory import Mm
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config


def plugin(hook: Callable[..., Any] | None = None, **more: Any) -> SimpleNamespace:
    """The reference architecture with one hook replaced."""
    changes = {} if hook is None else {hook.__name__: hookimpl(hook)}
    return SimpleNamespace(**vars(reference_arch) | changes | more)


def messages(broken: SimpleNamespace, level: str, seconds: float = 10.0) -> set[str]:
    target = link("vax", broken, seconds)
    results = run(target, Choice(levels=(level,), examples=20, seconds=seconds))
    return {failure.message for failure in results.failures}


def test_one_that_raises() -> None:
    def is_trap_insn(insn: bytes, abi: Abi) -> bool:
        raise KeyError("no such\nopcode")

    found = messages(plugin(is_trap_insn), "classify")

    assert any(
        text.startswith("plugin vax: is_trap_insn raised KeyError: 'no such") for text in found
    )
    assert all("\n" not in text for text in found)


def test_one_that_raises_what_only_another_hook_may_raise() -> None:
    def arch_uprobe_skip_sstep(auprobe: ArchUprobe, regs: Regs, task: Task) -> bool:
        raise LinkError("not now")

    found = messages(plugin(arch_uprobe_skip_sstep), "step")

    assert {text.partition(" (")[0] for text in found} == {
        "plugin vax: arch_uprobe_skip_sstep raised LinkError: not now"
    }


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(1, "answers 1, not bool", id="number"),
        pytest.param(None, "answers None, not bool", id="nothing"),
        pytest.param([], "answers a list, not bool", id="list"),
    ],
)
def test_one_that_answers_the_wrong_type(answer: object, says: str) -> None:
    def arch_uprobe_xol_was_trapped(task: Task) -> Any:
        return answer

    found = messages(plugin(arch_uprobe_xol_was_trapped), "step")

    assert f"plugin vax: arch_uprobe_xol_was_trapped {says}" in found


def test_a_probe_whose_copy_is_no_bytes() -> None:
    def arch_uprobe_analyze_insn(insn: bytes, mm: Mm, vaddr: Vaddr, config: Config) -> ArchUprobe:
        found = reference_arch.arch_uprobe_analyze_insn(insn, mm, vaddr, config)
        found.ixol = list(insn)  # type: ignore[assignment]
        return found

    found = messages(plugin(arch_uprobe_analyze_insn), "classify")

    assert "plugin vax: arch_uprobe_analyze_insn answers a ReferenceUprobe, not ArchUprobe" in found


def test_one_that_hangs() -> None:
    def arch_insn_text(insn: bytes, vaddr: Vaddr, abi: Abi) -> str:
        while True:
            pass

    found = messages(plugin(arch_insn_text), "decode", seconds=0.5)

    assert "plugin vax: arch_insn_text has not answered within 0.5 s" in found


def test_an_engine_that_answers_the_wrong_type() -> None:
    class Silent(reference_arch.ReferenceCpu):
        def step(self, regs: Regs, mm: Mm) -> Any:
            return None

    def arch_cpu(abi: Abi, config: Config) -> Cpu:
        return Silent(abi)

    found = messages(plugin(arch_cpu), "classify")

    assert "plugin vax: arch_cpu's step answers None, not Exit" in found


def test_one_for_another_interface() -> None:
    with pytest.raises(LinkError, match="plugin vax: written for interface 0, this is"):
        link("vax", plugin(INTERFACE=0))


def test_one_whose_constants_are_none() -> None:
    def arch_info(abi: Abi) -> Any:
        return {"name": "vax"}

    with pytest.raises(Fault, match="plugin vax: arch_info answers a dict, not ArchInfo"):
        link("vax", plugin(arch_info))


def test_one_that_raises_when_it_is_linked() -> None:
    def arch_info(abi: Abi) -> ArchInfo:
        raise KeyError(abi)

    with pytest.raises(Fault, match="plugin vax: arch_info raised KeyError"):
        link("vax", plugin(arch_info))


def test_a_claim_that_nothing_exercises_fails_the_run() -> None:
    target = link("vax", plugin())
    results = run(target, Choice(levels=("return",), examples=1))
    assert results.passed

    def arch_insn_samples(abi: Abi, config: Config) -> Any:
        from uprobes_sim.samples import NO_SAMPLES

        return NO_SAMPLES

    without = run(link("vax", plugin(arch_insn_samples)), Choice(levels=("step",), examples=1))
    assert "step is claimed, and no test has exercised it" in without.complaints
