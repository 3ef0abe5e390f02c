"""arches/x86/uprobes_sim_x86/errata.py and concerns.py: the kernel's defects, acting and not."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest

from elf_maker import Elf, Segment
from uprobes_sim.arch import Abi
from uprobes_sim.errors import EngineError
from uprobes_sim.events import Event, Summary
from uprobes_sim.linker import link
from uprobes_sim.session import Options, configure, run
from uprobes_sim.signals import Signal
from uprobes_sim.version import Config, parse_release
from uprobes_sim_x86 import concerns
from uprobes_sim_x86.analyze import analyze
from uprobes_sim_x86.concerns import Defect
from uprobes_sim_x86.errata import ROWS
from uprobes_sim_x86.probe import BranchOps, DefaultOps, Fixup, XolOps

Errata = Literal["linux", "none"]
Bits = Literal[32, 64]

CODE = 0x400000
EXIT_AX = "89c7" + (EXIT := "b83c0000000f05")
"""mov %eax,%edi, then exit."""
DEFECTS = [value for value in vars(concerns).values() if isinstance(value, Defect)]


def machine(errata: Errata = "linux", kernel: str = "6.18", bits: Bits = 64) -> Config:
    return configure(link("x86", Abi(bits, "little")), Options(errata=errata, kernel=kernel))


def ops(code: str, errata: Errata, bits: Bits = 64) -> XolOps:
    data = bytes.fromhex(code).ljust(16, b"\0")
    return analyze(data, bits, machine(errata, bits=bits)).ops


@dataclass(frozen=True)
class Outcome:
    status: int | None
    signal: Signal | None
    hits: int
    equal: bool | None


@dataclass
class Probed:
    """A program with one probe: the instruction between *before* and *after*."""

    folder: Path

    def __call__(
        self,
        before: str,
        probed: str,
        after: str,
        *,
        errata: Errata,
        compare: bool = True,
        bits: Bits = 64,
    ) -> Outcome:
        code = bytes.fromhex(before + probed + after)
        elf = Elf(
            segments=(Segment(CODE, code),),
            abi=Abi(bits, "little"),
            machine=62 if bits == 64 else 3,
            entry=CODE,
        )
        path = self.folder / "program"
        path.write_bytes(elf.build())
        events: list[Event] = []
        site = f"{CODE + len(bytes.fromhex(before)):#x}"
        options = Options(errata=errata, compare=compare)
        status = run(path, (), [site], options, stdin=BytesIO(), emit=events.append)
        last = events[-1]
        assert isinstance(last, Summary), events
        equal = None if last.compared is None else last.compared.equal
        assert status == (equal is False)
        return Outcome(last.exit_status, last.signal, last.hits[site], equal)


@pytest.fixture
def probed(tmp_path: Path) -> Probed:
    return Probed(tmp_path)


GETPID = "b827000000"
ACTING = [
    pytest.param(
        ("b80500000041b807000000", "4990", EXIT_AX),
        Outcome(5, None, 1, False),
        Outcome(7, None, 1, True),
        id="xchg r8",
    ),
    pytest.param(
        ("", "9c", "58c1e80883e001" + EXIT_AX),
        Outcome(1, None, 1, False),
        Outcome(0, None, 1, True),
        id="pushf stores TF",
    ),
    pytest.param(
        ("", "669c", "6658c1e80883e001" + EXIT_AX),
        Outcome(1, None, 1, False),
        Outcome(0, None, 1, True),
        id="pushf of 16 bits stores TF",
    ),
    pytest.param(
        ("", "9c", "9d31ff" + EXIT),
        Outcome(None, Signal.SIGTRAP, 1, False),
        Outcome(0, None, 1, True),
        id="popf of what pushf stored",
    ),
    pytest.param(
        ("e80900000031ff" + EXIT + GETPID, "0f05", "c3"),
        Outcome(None, Signal.SIGSEGV, 1, False),
        Outcome(0, None, 1, True),
        id="ret behind syscall in the slot",
    ),
    pytest.param(
        (GETPID, "0f05", "89c8" + EXIT_AX),
        Outcome(0x82, None, 1, False),
        Outcome(0x07, None, 1, True),
        id="rcx after syscall tells of the slot",
    ),
    pytest.param(
        (GETPID, "0f05", "4489d8c1e80883e001" + EXIT_AX),
        Outcome(1, None, 1, False),
        Outcome(0, None, 1, True),
        id="r11 after syscall has TF",
    ),
    pytest.param(
        ("b904000000488d7c24e0", "f3aa", "31ff" + EXIT),
        Outcome(0, None, 4, True),
        Outcome(0, None, 1, True),
        id="rep counts iterations",
    ),
    pytest.param(
        ("31c9488d7c24e0", "f3aa", "31ff" + EXIT),
        Outcome(0, None, 1, True),
        Outcome(0, None, 1, True),
        id="rep without an iteration",
    ),
    pytest.param(
        ("31c0", "f20f440500000000", "0fb6c0" + EXIT_AX),
        Outcome(None, Signal.SIGSEGV, 1, False),
        Outcome(0x0F, None, 1, True),
        id="memory relative to ip, overlooked",
    ),
    pytest.param(
        ("", "0f0b78656e90", "31ff" + EXIT),
        Outcome(0, None, 1, False),
        Outcome(None, Signal.SIGILL, 1, True),
        id="ud2 xen before a no-op",
    ),
    pytest.param(
        ("", "d50090", "31ff" + EXIT),
        Outcome(0, None, 1, False),
        Outcome(None, Signal.SIGILL, 1, True),
        id="REX2 before a no-op",
    ),
    pytest.param(
        ("", "498b05f9ffffff", "31ff" + EXIT),
        Outcome(0, None, 1, False),
        Outcome(0, None, 1, True),
        id="a rewritten prefix is written back",
    ),
]


@pytest.mark.parametrize(("code", "linux", "none"), ACTING)
def test_a_defect_acts_as_on_linux_or_not_at_all(
    code: tuple[str, str, str], linux: Outcome, none: Outcome, probed: Probed
) -> None:
    assert probed(*code, errata="linux") == linux
    assert probed(*code, errata="none") == none


def test_pushf_of_a_32_bit_task_stores_tf(probed: Probed) -> None:
    code = ("", "9c", "5bc1eb0883e301b801000000cd80")

    assert probed(*code, errata="linux", bits=32).status == 1
    assert probed(*code, errata="none", bits=32) == Outcome(0, None, 1, True)


@pytest.mark.parametrize(
    ("code", "linux"),
    [
        pytest.param(("", "c5f9ebc0", "31ff" + EXIT), 0, id="vpor: skipped"),
        pytest.param(("", "c5f877", "31ff" + EXIT), 0, id="vzeroupper: skipped"),
        pytest.param(
            ("48c7c0ffffffff85c0", "c5fb70c00c", "bf09000000" + EXIT + "bf0b000000" + EXIT),
            11,
            id="vpshuflw: jumps by its immediate",
        ),
        pytest.param(("", "c5f1e8c2", "58" + EXIT_AX), 4, id="vpsubsb: pushes the next address"),
    ],
)
def test_an_avx_instruction_is_not_executed(
    code: tuple[str, str, str], linux: int, probed: Probed
) -> None:
    """Without the defect it is, and the engine says that it cannot."""
    assert probed(*code, errata="linux", compare=False).status == linux

    with pytest.raises(EngineError, match="no AVX"):
        probed(*code, errata="none", compare=False)


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
    from uprobes_sim.memory import Mm
    from uprobes_sim.task import Task, UprobeTask
    from uprobes_sim_x86.regs import PtRegs

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

    assert [caution.rule for caution in found] == ["x86.trap_nr_lost"]


def test_every_defect_is_an_erratum_and_every_erratum_a_defect() -> None:
    assert [row.erratum.id for row in ROWS] == list(dict.fromkeys(row.erratum.id for row in ROWS))
    assert {row.erratum.id: row.concerns for row in ROWS} == {
        defect.id: defect.concerns for defect in DEFECTS
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.erratum.id)
def test_an_erratum_ends_after_it_began(row: object) -> None:
    erratum = next(each.erratum for each in ROWS if each is row)

    assert erratum.in_force(parse_release(".".join(map(str, erratum.since))), "generic")
    assert erratum.until is None or erratum.since < erratum.until
