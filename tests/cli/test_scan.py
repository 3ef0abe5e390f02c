"""cli/uprobes_sim_cli/scan"""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from elf_maker import Elf, Segment, Sym
from elf_programs import program
from uprobes_sim_cli.app import app

ADD3 = program("x86_64", "add3")
CODE = 0x401000
PROBED = bytes.fromhex(
    "c5f9ebc8"  # vpor: taken for a jump
    "c5f8c2c101"  # vcmpps: taken for ret
    "55"  # push: emulated
    "f00fc103"  # lock xadd: refused
    "4889c8"  # mov: stepped
    "c3"
)


def scan(*args: object) -> Any:
    return CliRunner().invoke(app, ["scan", *map(str, args)])


def objects(*args: object) -> list[dict[str, Any]]:
    done = scan("--format", "json", *args)
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Six instructions, each of another kind, in two functions."""
    text = Segment(CODE, PROBED)
    symbols = (Sym("first", CODE, size=9), Sym("second", CODE + 9, size=9))
    path = tmp_path / "small"
    path.write_bytes(Elf((text,), symbols, machine=62, entry=CODE).build())
    return path


def test_the_object_of_a_file(small: Path) -> None:
    (found,) = objects(small)

    assert found == {
        "path": str(small),
        "arch": "x86",
        "kernel": "6.18",
        "build_id": None,
        "insns": 6,
        "verdicts": {"emulate": 2, "xol": 3, "reject": 1},
        "rules": {
            "x86.xol.jump": 2,
            "x86.emulate.jmp": 1,
            "x86.emulate.push": 1,
            "x86.prefix": 1,
            "x86.xol.plain": 1,
        },
        "errnos": {"ENOTSUPP": 1},
        "warnings": {"x86.avx_as_jump": 1, "x86.avx_as_return": 1, "x86.trap_nr_lost": 1},
    }


def test_each_instruction_is_answered_as_explain_does(small: Path) -> None:
    done = scan("--format", "jsonl", small)
    listed = [json.loads(line) for line in done.stdout.splitlines()]

    vaddrs = [each["vaddr"] for each in listed]
    explained = CliRunner().invoke(app, ["explain", "--format", "jsonl", str(small), *vaddrs])
    answers = [json.loads(line) for line in explained.stdout.splitlines()]

    assert len(listed) == 6
    for answer in answers:  # which tell of the place as well, as check does
        answer["warnings"] = [
            each for each in answer["warnings"] if not each["rule"].startswith("check.")
        ]
    assert listed == [{key: answer[key] for key in listed[0]} for answer in answers]


def test_damage_comes_first(small: Path) -> None:
    lines = scan(small).stdout.splitlines()

    severities = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert severities == ["damages", "kills", "verdicts", "refused", "note"]


def test_a_function_is_counted(small: Path) -> None:
    rows = list(csv.DictReader(scan("--format", "csv", small).stdout.splitlines()))

    assert [(r["symbol"], r["insns"], r["reject"], r["damages"], r["kills"]) for r in rows] == [
        ("first", "2", "0", "1", "1"),
        ("second", "4", "1", "0", "0"),
    ]


def test_functions_are_in_json_where_they_are_wanted(small: Path) -> None:
    (found,) = objects("--functions", small)

    assert [each["symbol"] for each in found["functions"]] == ["first", "second"]


@pytest.mark.parametrize(
    ("only", "count"),
    [("damages", 2), ("kills", 1), ("reject", 1), ("x86.prefix", 1), ("x86.avx_as_jump", 1)],
)
def test_only_some_instructions_are_listed(only: str, count: int, small: Path) -> None:
    assert len(scan("--format", "jsonl", "--only", only, small).stdout.splitlines()) == count


def test_without_errata_the_warnings_are_the_same(small: Path) -> None:
    """As with explain: the kernel has its defects, whether they are acted out or not."""
    (linux,), (none,) = objects(small), objects("--errata", "none", small)

    assert linux["warnings"] == none["warnings"]


@pytest.mark.parametrize(
    ("condition", "status"),
    [("reject", 1), ("damages", 1), ("x86.avx_as_return", 1), ("x86.masking", 0)],
)
def test_fail_on_makes_the_status(condition: str, status: int, small: Path) -> None:
    assert scan("--fail-on", condition, small).exit_code == status


@pytest.mark.parametrize("option", ["--fail-on", "--only"])
@pytest.mark.parametrize("condition", ["damage", "vax.prefix"])
def test_a_condition_that_nothing_can_meet_is_refused(
    option: str, condition: str, small: Path
) -> None:
    done = scan(option, condition, small)

    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "names nothing" in line


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("x86.avx_as_jmp", "did you mean x86.avx_as_jump"),
        ("x86.nonsense", "`errata --arch x86` lists some"),
        ("powerpc.emulate.lode", "no such rule"),
        ("powerpc.nonsense", "no such rule"),
    ],
)
def test_a_rule_that_the_backend_does_not_have_is_refused(
    rule: str, says: str, small: Path
) -> None:
    done = scan("--fail-on", rule, small)

    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert says in line


@pytest.mark.parametrize(
    "rule",
    ["x86.word_nop_refused", "x86.xol.popf", "powerpc.emulate.load", "uprobes.not_configured"],
)
def test_a_rule_of_a_backend_need_not_be_met(rule: str, small: Path) -> None:
    assert scan("--fail-on", rule, small).exit_code == 0


@pytest.mark.parametrize("format_", ["text", "json", "jsonl", "csv", "sarif", "junit", "html"])
def test_a_name_that_is_no_unicode_is_written_as_far_as_can_be(
    format_: str, small: Path, tmp_path: Path
) -> None:
    path = tmp_path / os.fsdecode(b"name-\xff")
    small.rename(path)

    done = scan("--format", format_, path)

    assert done.exit_code == 0, done.stderr
    assert "name-" in done.stdout_bytes.decode()


def test_what_cannot_be_read_is_one_line_and_the_others_are_done(
    small: Path, tmp_path: Path
) -> None:
    (tmp_path / "a-broken").write_bytes(ADD3.read_bytes()[:40])
    (tmp_path / "z-foreign").write_bytes(Elf(machine=22).build())

    done = scan("--format", "json", tmp_path)

    assert done.exit_code == 2
    assert [each["path"] for each in json.loads(done.stdout)] == [str(small)]
    first, second = done.stderr.splitlines()
    assert "a-broken is cut off" in first
    assert "EM_S390" in second


def test_a_folder_without_elf_files_is_an_empty_array_and_a_failure(tmp_path: Path) -> None:
    done = scan("--format", "json", tmp_path)

    assert (done.exit_code, json.loads(done.stdout)) == (2, [])
    assert f"there is no ELF file in {tmp_path}" in done.stderr


@pytest.mark.parametrize("size", [100, 5000])
def test_a_file_that_lost_its_end_is_refused_as_check_does(size: int, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(ADD3.read_bytes()[:size])

    done = scan(path)
    checked = CliRunner().invoke(app, ["check", str(path), "main"])

    assert (done.exit_code, done.stderr) == (2, checked.stderr)
    assert "is cut off" in done.stderr


def test_offsets_in_an_archive_are_those_of_check(tmp_path: Path) -> None:
    apk = tmp_path / "app.apk"
    with zipfile.ZipFile(apk, "w") as archive:
        archive.write(ADD3, "lib/x.so")
    member = f"{apk}!/lib/x.so"

    listed = [json.loads(line) for line in scan("--format", "jsonl", apk).stdout.splitlines()]
    checked = CliRunner().invoke(app, ["check", "--format", "json", member, "add3"])

    (found,) = json.loads(checked.stdout)
    (ours,) = [each for each in listed if each["vaddr"] == found["vaddr"]]
    assert (ours["path"], ours["offset"]) == (member, found["offset"])


def test_of_a_compressed_file_it_is_said_that_a_copy_runs(tmp_path: Path) -> None:
    apk = tmp_path / "app.apk"
    with zipfile.ZipFile(apk, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(ADD3, "lib/x.so")

    done = scan(apk)

    assert (done.exit_code, len(done.stderr.splitlines())) == (0, 1)
    assert "!/lib/x.so is compressed: what runs is an unpacked copy" in done.stderr


@pytest.mark.parametrize("format_", ["json", "csv", "junit"])
def test_only_is_refused_where_no_instructions_are_listed(format_: str, small: Path) -> None:
    done = scan("--format", format_, "--only", "reject", small)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "--only is for text, jsonl, html, sarif" in done.stderr


def test_no_name_makes_a_terminal_obey_or_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines"
    symbols = (Sym("\x1b[31mred\n", CODE, size=len(PROBED)),)
    path.write_bytes(Elf((Segment(CODE, PROBED),), symbols, machine=62, entry=CODE).build())

    done = scan("--functions", "--only", "damages", path)

    assert done.stdout.splitlines()[0].startswith(f"{tmp_path}/two\\nlines: x86")
    assert "\x1b" not in done.stdout
    assert "\\x1b[31mred\\n+0x0: vpor" in done.stdout


def test_other_commands_do_not_have_the_formats_of_scan() -> None:
    done = CliRunner().invoke(app, ["arches", "--format", "csv"])

    assert done.exit_code == 2
    assert "is for scan" in done.stderr


def test_it_says_that_it_compiles_where_that_cannot_be_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uprobes_sim_cli", "scan", ADD3],
        env={**os.environ, "XDG_CACHE_HOME": "/proc/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )

    (line,) = done.stderr.splitlines()
    assert line.startswith("uprobes-sim: compiling")
    assert line.endswith("/proc/nowhere/uprobes-sim cannot be written")


def in_a_process(
    *more: str, env: dict[str, str], check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Scan in a process of its own, behind some lines of Python."""
    lines = "\n".join([*more, "from uprobes_sim_cli.entry import main", "main()"])
    return subprocess.run(
        [sys.executable, "-c", lines, "scan", ADD3],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=check,
    )


SLOWLY = "uprobes-sim: x86 code is scanned by Python's cutter, ninety times slower: "


@pytest.mark.parametrize(
    "error", ["ModuleNotFoundError: No module named 'numba'", "AttributeError: no attribute '_tm'"]
)
def test_it_says_that_it_is_slow_where_numba_does_not_compile(error: str, tmp_path: Path) -> None:
    (tmp_path / "numba").mkdir()
    kind, _, message = error.partition(": ")
    (tmp_path / "numba/__init__.py").write_text(f"raise {kind}({message!r})")

    done = in_a_process(env={"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)})

    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{SLOWLY}numba does not compile: {error}; known to work: pip install")


def test_it_says_that_it_is_slow_where_memory_cannot_be_made_code() -> None:
    mdwe = "import ctypes, sys; sys.exit(9) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else 0"
    done = in_a_process(mdwe, env={}, check=False)

    if done.returncode == 9:
        pytest.skip("the kernel has no PR_SET_MDWE (Linux 6.3)")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{SLOWLY}executable memory is denied (")
    assert "MemoryDenyWriteExecute=no" in line


def test_it_says_that_it_is_slow_where_nothing_temporary_can_be_written(tmp_path: Path) -> None:
    tempfile = "import tempfile; tempfile.tempdir = '/proc/nowhere'"

    done = in_a_process(tempfile, env={"XDG_CACHE_HOME": str(tmp_path)})

    (line,) = done.stderr.splitlines()
    assert line == f"{SLOWLY}No such file or directory; set TMPDIR to a folder that can be written"
