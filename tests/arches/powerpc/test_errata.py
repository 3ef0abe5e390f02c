"""arches/powerpc/uprobes_sim_powerpc/errata.py, defects.py and writes.py"""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from elf_maker import Elf, Segment, Sym
from uprobes_sim_cli.app import app
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.concerns import CONCERNS
from uprobes_sim_powerpc.decode import decoder
from uprobes_sim_powerpc.defects import DEFECTS
from uprobes_sim_powerpc.errata import ERRATA, LOST_BCTAR, LOST_NONVOLATILE
from uprobes_sim_powerpc.writes import written_gprs

EM_PPC64, ELF_V2 = 21, 2
START = 0x10000

EXIT = (0x38000001, 0x44000002)  # li r0,1; sc
ADD_R31 = (0x3BE00005, 0x3BFF0002, 0x7FE3FB78, *EXIT)  # li r31,5; addi r31,r31,2; mr r3,r31
ADD_R13 = (0x39A00005, 0x39AD0002, 0x7DA36B78, *EXIT)  # the same with r13
LOAD_R30 = (0x3BC00003, 0xBBC10000, 0x7FC3F378, *EXIT)  # li r30,3; lmw r30,0(r1); mr r3,r30
BCTAR = (
    0x3C600001,  # lis r3,1
    0x38630018,  # addi r3,r3,0x18
    0x7C6FCBA6,  # mtspr TAR,r3
    0x4E800460,  # bctar 20,0
    0x38600007,  # li r3,7
    0x48000008,  # b .+8
    0x38600000,  # 0x10018: li r3,0
    *EXIT,
)


def write(tmp_path: Path, words: tuple[int, ...]) -> Path:
    """Write a program of *words*."""
    path = tmp_path / "prog"
    code = struct.pack(f"<{len(words)}I", *words)
    elf = Elf((Segment(START, code),), (Sym("f", START),), machine=EM_PPC64, flags=ELF_V2)
    path.write_bytes(elf.build())
    return path


def run(tmp_path: Path, words: tuple[int, ...], at: int, *options: str) -> dict[str, Any]:
    """Run *words* with a probe on the one at *at*; answer the summary."""
    path = write(tmp_path, words)
    args = ["run", str(path), "-p", hex(START + 4 * at), "--format", "jsonl", *options]
    done = CliRunner().invoke(app, args)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert done.exit_code == int(not summary["compared"]["equal"])
    return summary


@pytest.mark.parametrize(
    ("words", "options", "status", "warnings"),
    [
        pytest.param(ADD_R31, ["--kernel", "6.1"], 5, [LOST_NONVOLATILE], id="r31"),
        pytest.param(LOAD_R30, ["--kernel", "6.1"], 3, [LOST_NONVOLATILE], id="lmw"),
        pytest.param(ADD_R31, ["--kernel", "6.1", "--errata", "none"], 7, [], id="none"),
        pytest.param(ADD_R31, ["--kernel", "6.12"], 7, [], id="repaired"),
        pytest.param(ADD_R13, ["--kernel", "6.1"], 7, [], id="r13"),
    ],
)
def test_6_1_loses_what_an_emulated_instruction_writes_to_r14_and_up(
    tmp_path: Path, words: tuple[int, ...], options: list[str], status: int, warnings: list[str]
) -> None:
    """powerpc-live: of 20000 probed `addi 31,31,1`, 0 counted."""
    summary = run(tmp_path, words, 1, *options)

    assert summary["exit_status"] == status
    assert [*summary["warnings"].values()] == ([warnings] if warnings else [])
    assert summary["compared"]["equal"] == (not warnings)


@pytest.mark.parametrize(
    ("errata", "status", "warnings"), [("linux", 7, [[LOST_BCTAR]]), ("none", 0, [])]
)
def test_a_probed_bctar_is_lost(
    tmp_path: Path, errata: str, status: int, warnings: list[list[str]]
) -> None:
    summary = run(tmp_path, BCTAR, 3, "--errata", errata)

    assert (summary["exit_status"], [*summary["warnings"].values()]) == (status, warnings)


def test_a_probe_on_a_suffix_kills(tmp_path: Path) -> None:
    """powerpc-live, 3: SIGILL at the prefix, for paddi."""
    paddi = (0x06000000, 0x38600000, *EXIT)

    summary = run(tmp_path, paddi, 1)

    assert (summary["signal"], summary["hits"]) == ("SIGILL", {"0x10004": 0})
    assert [*summary["warnings"].values()] == [["check.inside_insn", "powerpc.suffix"]]


def test_explain_looks_around_in_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, (0x06000000, 0x38600000, *EXIT))
    args = ["explain", str(path), "f+4", "f+8", "--format", "jsonl"]

    answers = map(json.loads, CliRunner().invoke(app, args).stdout.splitlines())

    warned = [[w["rule"] for w in each["warnings"] if w["severity"] != "note"] for each in answers]
    assert warned == [["check.inside_insn", "powerpc.suffix"], []]


def test_ids_are_unique_and_bear_the_name_of_the_backend() -> None:
    ids = [erratum.id for erratum in ERRATA]

    assert len(ids) == len(set(ids))
    assert [each for each in ids if not each.startswith("powerpc.")] == []


def test_what_is_warned_of_is_an_erratum() -> None:
    assert CONCERNS.keys() <= {erratum.id for erratum in ERRATA}


def test_an_erratum_ends_after_it_began() -> None:
    wrong = [e.id for e in ERRATA if e.until is not None and e.until <= e.since]

    assert wrong == []


def test_what_acts_has_a_row_and_stands_in_for_an_instruction_that_is_defined() -> None:
    ids = {erratum.id for erratum in ERRATA}
    rows = {row.name: row for row in isa.load()}

    for name, defect in DEFECTS.items():
        code = defect.meaning.__code__
        assert defect.erratum in ids
        assert code.co_varnames[: code.co_argcount] == rows[name].fields


@pytest.mark.parametrize(
    ("insn", "written"),
    [
        pytest.param(0x3BFF0002, {31}, id="addi r31"),
        pytest.param(0x7FE3FB78, {3}, id="mr r3,r31"),
        pytest.param(0x849F0004, {4, 31}, id="lwzu r4,4(r31)"),
        pytest.param(0x909F0004, set(), id="stw r4,4(r31)"),
        pytest.param(0x949F0004, {31}, id="stwu r4,4(r31)"),
        pytest.param(0xE0C40000, {6, 7}, id="lq r6"),
        pytest.param(0xBB810000, {28, 29, 30, 31}, id="lmw r28"),
        pytest.param(0x7FC464AA, {30, 31, 0}, id="lswi r30,r4,12"),
        pytest.param(0x7C642C2A, set(range(32)), id="lswx"),
        pytest.param(0x4E800020, set(), id="blr"),
        pytest.param(0xFFE2182A, set(), id="fadd f31"),
    ],
)
def test_registers_that_an_instruction_writes(insn: int, written: set[int]) -> None:
    row = decoder(64, "3.1").find(insn)
    assert row is not None

    assert written_gprs(row, insn) == written
