"""arches/x86/uprobes_sim_x86/errata.py and concerns.py: the kernel's defects, acting and not."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest

from elf_maker import PAGE
from uprobes_sim.arch import Abi
from uprobes_sim.errata import Erratum
from uprobes_sim.events import Event, Summary
from uprobes_sim.linker import link
from uprobes_sim.memory import Mm
from uprobes_sim.session import Options, configure, run
from uprobes_sim.task import Task, UprobeTask
from uprobes_sim.version import Config, parse_release
from uprobes_sim_x86 import concerns
from uprobes_sim_x86.analyze import analyze
from uprobes_sim_x86.concerns import Defect
from uprobes_sim_x86.errata import ROWS
from uprobes_sim_x86.probe import BranchOps, DefaultOps, Fixup, XolOps
from uprobes_sim_x86.regs import PtRegs
from x86_defects import AVX, AVX_STEPPED, CASES, CODE, EVEX, EXIT, Case

Errata = Literal["linux", "none"]
Bits = Literal[32, 64]

PROGRAMS = [
    pytest.param(case, id=str(case), marks=pytest.mark.processor(*case.needs))
    for case in (*CASES, *AVX, *AVX_STEPPED, *EVEX)
]
DEFECTS = [value for value in vars(concerns).values() if isinstance(value, Defect)]


def machine(errata: Errata = "linux", kernel: str = "6.18", bits: Bits = 64) -> Config:
    return configure(link("x86", Abi(bits, "little")), Options(errata=errata, kernel=kernel))


def ops(code: str, errata: Errata, bits: Bits = 64) -> XolOps:
    data = bytes.fromhex(code).ljust(16, b"\0")
    return analyze(data, bits, machine(errata, bits=bits)).ops


def end(case: Case, path: Path, errata: Errata, *, compare: bool = True) -> Summary:
    """Run the program of *case* under its probe."""
    events: list[Event] = []
    options = Options(errata=errata, compare=compare)
    site = f"{CODE + case.offset - PAGE:#x}"

    status = run(case.write(path), (), [site], options, stdin=BytesIO(), emit=events.append)

    last = events[-1]
    assert isinstance(last, Summary), events
    assert status == (last.compared is not None and not last.compared.equal)
    return last


def returncode(summary: Summary) -> int | None:
    return summary.exit_status if summary.signal is None else -summary.signal


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_defect_hurts_the_program_as_on_linux(case: Case, tmp_path: Path) -> None:
    summary = end(case, tmp_path / "program", "linux")

    assert returncode(summary) == case.linux
    assert list(summary.hits.values()) == [case.hits]
    assert summary.compared is not None
    assert summary.compared.equal is case.equal


@pytest.mark.parametrize("case", PROGRAMS)
def test_without_its_defects_a_probe_hurts_nobody(case: Case, tmp_path: Path) -> None:
    summary = end(case, tmp_path / "program", "none")

    assert returncode(summary) == case.right
    assert list(summary.hits.values()) == [case.right_hits]
    assert summary.compared is not None
    assert summary.compared.equal


def test_the_upper_halves_of_vectors_are_compared(tmp_path: Path) -> None:
    skipped = Case("vpcmpeqd", "", "c5fd76c0", "31ff" + EXIT, linux=0, right=0)

    compared = end(skipped, tmp_path / "program", "linux").compared

    assert compared is not None
    assert [each.where for each in compared.differences] == ["xmm0", "ymm0h"]


PLAIN = DefaultOps


@pytest.mark.parametrize(
    ("code", "bits", "linux", "none"),
    [
        pytest.param("c5f9ebc0", 64, BranchOps(0xEB, 4, 0), PLAIN(4, Fixup.IP), id="vpor"),
        pytest.param("c5f8c2c101", 64, PLAIN(5, Fixup(0)), PLAIN(5, Fixup.IP), id="vcmpps"),
        pytest.param(
            "c5f8c20500000000" + "01",
            64,
            PLAIN(9, Fixup(0)),
            PLAIN(9, Fixup.IP, "si"),
            id="vcmpps, relative to ip",
        ),
        pytest.param(
            "c4e2719dc2", 64, PLAIN(5, Fixup.IP | Fixup.SETF), PLAIN(5, Fixup.IP), id="vfnmadd132ss"
        ),
        pytest.param("c4e2719ac2", 32, PLAIN(5, Fixup.CALL), PLAIN(5, Fixup.IP), id="vfmsub132ps"),
        pytest.param("c5f1eac2", 32, PLAIN(4, Fixup(0)), PLAIN(4, Fixup.IP), id="vpminsw"),
        pytest.param(
            "66670f38170500000000",
            64,
            PLAIN(5, Fixup.IP),
            PLAIN(10, Fixup.IP, "si"),
            id="ptest, 67 behind 66",
        ),
        pytest.param("c3", 64, PLAIN(1, Fixup(0)), PLAIN(1, Fixup(0)), id="ret is one"),
        pytest.param("f390", 64, BranchOps(0x90, 2, 0), BranchOps(0x90, 2, 0), id="pause"),
    ],
)
def test_without_defects_an_opcode_is_what_it_is(
    code: str, bits: Bits, linux: XolOps, none: XolOps
) -> None:
    assert ops(code, "linux", bits) == linux
    assert ops(code, "none", bits) == none


def test_a_release_before_the_defect_does_not_have_it() -> None:
    data = bytes.fromhex("4190").ljust(16, b"\0")

    old = analyze(data, 64, machine(kernel="3.15"))
    new = analyze(data, 64, machine(kernel="3.16"))

    assert (type(old.ops), type(new.ops)) == (DefaultOps, BranchOps)


@pytest.mark.parametrize(("errata", "trap_nr"), [("linux", 0), ("none", 14)])
def test_the_number_of_the_exception_is_lost(errata: Errata, trap_nr: int) -> None:
    linked, config = link("x86", Abi(64, "little")), machine(errata)
    mm = Mm(linked.info.abi, task_size=1 << 47, mmap_base=1 << 46)
    regs = PtRegs(64)
    task = Task(1000, "task", mm, regs, config, utask=UprobeTask())
    data = bytes.fromhex("488b07").ljust(16, b"\0")
    auprobe = analyze(data, 64, config)

    linked.hook.arch_uprobe_pre_xol(auprobe=auprobe, regs=regs, task=task)
    task.thread.trap_nr = 14
    linked.hook.arch_uprobe_abort_xol(auprobe=auprobe, regs=regs, task=task)

    assert task.thread.trap_nr == trap_nr


@pytest.mark.parametrize(
    ("code", "bits", "ids"),
    [
        ("4889c0", 64, []),
        ("488d00", 64, []),
        ("90", 64, []),
        ("eb05", 64, []),
        ("c5f8c620", 64, ["trap_nr_lost"]),
        ("488b07", 64, ["trap_nr_lost"]),
        ("48f7f1", 64, ["trap_nr_lost"]),
        ("0f0b", 64, ["trap_nr_lost"]),
        ("c5f9ebc0", 64, ["avx_as_jump"]),
        ("8fe878c0c000", 64, []),
        ("62f17d08ebc0", 64, ["avx_as_jump", "sigill_skipped"]),
        ("c5f1e8c2", 64, ["avx_as_call"]),
        ("c5f8c2c101", 64, ["avx_as_return"]),
        ("c4e2719ac2", 32, ["avx_as_far_call"]),
        ("c4e2719dc2", 64, ["avx_as_popf"]),
        ("4190", 64, ["xchg_r8"]),
        ("f34190", 64, ["xchg_r8"]),
        ("4890", 64, []),
        ("f390", 64, ["pause_skipped"]),
        ("d50090", 64, ["sigill_skipped"]),
        ("d50089c0", 64, []),
        ("0f05", 64, ["syscall_in_slot"]),
        ("9c", 64, ["pushf_trap_flag", "trap_nr_lost"]),
        ("c4e2719cc2", 64, []),
        ("0f1f440000", 64, ["red_zone", "fork_optimised"]),
        ("0f1f440000", 32, []),
        ("660f1f440000", 64, []),
        ("f3a4", 64, ["rep_hits", "trap_nr_lost"]),
        ("a4", 64, ["trap_nr_lost"]),
        ("f20f440500000000", 64, ["riprel_missed"]),
        ("0f440500000000", 64, ["trap_nr_lost"]),
        ("66ffd0", 64, ["branch16_fixup"]),
        ("66e0fe", 64, ["branch16_fixup"]),
        ("498b0500000000", 64, ["unregister_rewritten", "trap_nr_lost"]),
        ("66498b0500000000", 64, ["trap_nr_lost"]),
    ],
)
def test_a_probe_is_warned_of_the_defects_that_concern_it(
    code: str, bits: Bits, ids: list[str]
) -> None:
    linked, config = link("x86", Abi(bits, "little")), machine(bits=bits)
    auprobe = analyze(bytes.fromhex(code).ljust(16, b"\0"), bits, config)

    found = linked.hook.arch_uprobe_warnings(auprobe=auprobe, abi=linked.info.abi, config=config)

    assert sorted(caution.rule for caution in found) == sorted(f"x86.{name}" for name in ids)


def test_an_older_kernel_is_not_warned_of_what_came_later() -> None:
    linked = link("x86", Abi(64, "little"))
    config = machine(kernel="6.16")
    auprobe = analyze(bytes.fromhex("0f1f440000").ljust(16, b"\0"), 64, config)

    found = linked.hook.arch_uprobe_warnings(auprobe=auprobe, abi=linked.info.abi, config=config)

    assert [caution.rule for caution in found] == []


def test_every_defect_is_an_erratum_and_every_erratum_a_defect() -> None:
    assert [row.erratum.id for row in ROWS] == list(dict.fromkeys(row.erratum.id for row in ROWS))
    assert {row.erratum.id: row.concerns for row in ROWS} == {
        defect.id: defect.concerns for defect in DEFECTS
    }


@pytest.mark.parametrize("erratum", [row.erratum for row in ROWS], ids=lambda row: row.id)
def test_an_erratum_ends_after_it_began(erratum: Erratum) -> None:
    assert erratum.in_force(parse_release(".".join(map(str, erratum.since))), "generic")
    assert erratum.until is None or erratum.since < erratum.until
