"""core/uprobes_sim/explain.py"""

from pathlib import Path
from random import Random
from typing import Literal

import pytest

from elf_maker import Elf, Segment, Sym
from toy_arch import ADDI, NOP, SYS, TRAP_OP, asm, linked
from uprobes_sim.arch import Abi
from uprobes_sim.errno import Errno
from uprobes_sim.errors import ProbeError, UprobesSimError
from uprobes_sim.explain import Explainer, Spot, runs
from uprobes_sim.linker import link
from uprobes_sim.loader import load
from uprobes_sim.session import Options
from uprobes_sim.verdict import Verdict
from uprobes_sim.version import RELEASES, Kernel

START = 0x10000


def explainer(**chosen: str) -> Explainer:
    return Explainer(linked(), Options(**chosen))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("insn", "verdict", "errno", "rule"),
    [
        pytest.param(asm((TRAP_OP,)), "reject", Errno.ENOTSUPP, "toy.trap", id="the core refuses"),
        pytest.param(asm((SYS,)), "reject", Errno.ENOTSUPP, "toy.sys", id="the backend refuses"),
        pytest.param(asm((ADDI, 1)), "xol", None, "toy.xol", id="accepted"),
    ],
)
def test_a_verdict_has_a_rule(insn: bytes, verdict: str, errno: Errno | None, rule: str) -> None:
    one = explainer()

    found = one.explain(one.bare(insn.hex())).verdict

    assert (found.verdict, found.errno, found.rule) == (verdict, errno, rule)


def test_each_release_answers_for_itself() -> None:
    """Before 3.10 only the breakpoint was no place for a probe; a conditional trap was one."""
    one = explainer(kernel="3.9")

    found = one.explain(one.bare("0a000000"))

    assert list(found.by_kernel) == [str(Kernel(release)) for release in RELEASES]
    assert found.verdict.verdict == found.by_kernel["3.9"].verdict == "xol"
    assert found.by_kernel["3.10"].verdict == "reject"
    assert [release for release, _ in runs(found.by_kernel)] == ["3.5", "3.10"]


def test_runs_tell_errors_apart() -> None:
    by_kernel = {
        "1": Verdict("reject", Errno.EINVAL, "a", ""),
        "2": Verdict("reject", Errno.EINVAL, "b", ""),
        "3": Verdict("reject", Errno.ENOTSUPP, "b", ""),
    }

    assert [release for release, _ in runs(by_kernel)] == ["1", "3"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "there are no digits", id="nothing"),
        pytest.param("0g", "pairs of hexadecimal digits", id="no digit"),
        pytest.param("00" * 5, "the kernel copies 4 bytes, these are 5", id="too long"),
    ],
)
def test_what_is_no_instruction(text: str, reason: str) -> None:
    with pytest.raises(UprobesSimError, match=reason):
        explainer().bare(text)


def test_a_short_instruction_is_one_at_the_end_of_a_file() -> None:
    assert explainer().bare("0a").insn == b"\x0a\0\0\0"


def test_a_probe_in_a_program_has_a_place(tmp_path: Path) -> None:
    path = tmp_path / "prog"
    segment = Segment(START, asm((NOP,), (TRAP_OP,), (ADDI, 1)) + b"\x02")
    path.write_bytes(Elf((segment,), (Sym("f", START),)).build())
    program, one = load(path), explainer()

    spot = one.probed(program, "f+4")
    last = one.probed(program, "f+12")

    assert (spot.insn, spot.symbol, spot.vaddr) == (asm((TRAP_OP,)), "f", START + 4)
    assert spot.offset is not None
    assert program.data[spot.offset : spot.offset + 4] == spot.insn
    assert last.insn[0] == 2
    assert one.explain(spot).verdict.rule == "toy.trap"
    with pytest.raises(ProbeError, match="no symbol g"):
        one.probed(program, "g")


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("arch", ["x86", "powerpc"])
def test_every_rule_of_a_verdict_has_its_grounds(arch: str, bits: Literal[64, 32]) -> None:
    backend = link(arch, Abi(bits, "little" if arch == "x86" else "big"))
    judge, random, rules = Explainer(backend, Options()), Random(26), set[str]()
    for _ in range(1500):
        insn = random.randbytes(backend.info.max_insn_bytes)
        found = judge.explain(Spot(insn, judge.nowhere))
        assert found.grounds is not None, found.verdict.rule
        rules.add(found.verdict.rule)

    assert len(rules) >= 6


def test_all_errata_that_concern_an_instruction_are_told_for_any_kernel() -> None:
    judge = Explainer(link("powerpc", Abi(64, "little")), Options(kernel="6.18"))

    found = judge.explain(judge.bare("3bff0001"))

    assert [erratum.id for erratum in found.errata] == ["powerpc.lost_nonvolatile"]
    assert found.verdict.warnings == ()
