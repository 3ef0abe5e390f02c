"""cli/uprobes_sim_cli/scan/diff.py and core/uprobes_sim/scan/pairs.py"""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from elf_maker import Elf, Segment, Sym
from elf_programs import program
from uprobes_sim_cli.app import app

CODE = 0x401000


def diff(old: Path, new: Path, *args: str) -> Any:
    return CliRunner().invoke(app, ["scan", str(old), "--diff", str(new), *args])


def objects(old: Path, new: Path) -> list[dict[str, Any]]:
    done = diff(old, new, "--format", "json")
    assert done.exit_code == 1, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def build(path: Path, **functions: str) -> Path:
    """Write a program of functions in hexadecimal."""
    text, symbols = b"", list[Sym]()
    for name, code in functions.items():
        insns = bytes.fromhex(code)
        symbols.append(Sym(name, CODE + len(text), size=len(insns)))
        text += insns
    path.parent.mkdir(parents=True, exist_ok=True)
    elf = Elf((Segment(CODE, text),), tuple(symbols), machine=62, entry=CODE)
    path.write_bytes(elf.build())
    return path


@pytest.fixture
def builds(tmp_path: Path) -> tuple[Path, Path]:
    """Give two builds of a package of four files: one differs, and each lacks one."""
    old, new = tmp_path / "old", tmp_path / "new"
    for root in (old, new):
        build(root / "bin/same", f="90c3")
        build(root / "lib/changed", f="55c3" if root == old else "5dc3")
    build(old / "lib/gone", f="c3")
    build(new / "lib/come", f="c3")
    return old, new


def zipped(root: Path) -> Path:
    archive = root.with_suffix(".apk")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(root.rglob("*")):
            file.write(path, path.relative_to(root))
    return archive


def test_members_of_folders_are_paired_by_their_path(builds: tuple[Path, Path]) -> None:
    old, new = builds

    changed, come, gone = objects(old, new)

    assert come == {"path": "lib/come", "symbol": None, "offset": None, "only_in": str(new)}
    assert gone == {"path": "lib/gone", "symbol": None, "offset": None, "only_in": str(old)}
    assert (changed["path"], changed["symbol"], changed["offset"]) == ("lib/changed", "f", 0)
    assert changed["before"]["rule"] == "x86.emulate.push"
    assert changed["after"]["rule"] == "x86.xol.plain"


def test_the_same_in_words(builds: tuple[Path, Path]) -> None:
    old, new = builds

    done = diff(old, new)

    assert done.stdout.splitlines() == [
        "lib/changed: f+0x0: push rbp: emulated [x86.emulate.push]; "
        "now pop rbp: stepped out of line [x86.xol.plain]",
        f"lib/come: only in {new}",
        f"lib/gone: only in {old}",
    ]


def test_an_archive_is_compared_with_another_or_with_a_folder(builds: tuple[Path, Path]) -> None:
    old, new = builds
    names = ["lib/changed", "lib/come", "lib/gone"]

    assert [each["path"] for each in objects(zipped(old), zipped(new))] == names
    assert [each["path"] for each in objects(zipped(old), new)] == names


def test_members_of_an_archive_in_a_folder_are_paired(
    builds: tuple[Path, Path], tmp_path: Path
) -> None:
    for root in builds:
        (tmp_path / "dist" / root.name).mkdir(parents=True)
        zipped(root).rename(tmp_path / "dist" / root.name / "app.apk")

    found = objects(tmp_path / "dist/old", tmp_path / "dist/new")

    assert [each["path"] for each in found] == [
        "app.apk!/lib/changed",
        "app.apk!/lib/come",
        "app.apk!/lib/gone",
    ]


def test_members_of_one_name_are_told_apart_by_their_order(tmp_path: Path) -> None:
    for root, second in (("old", "55c3"), ("new", "5dc3")):
        for folder, code in (("a", "90c3"), ("b", second)):
            build(tmp_path / root / folder / "x.o", f=code)
        command = ["ar", "qS", "lib.a", "a/x.o", "b/x.o"]
        subprocess.run(command, cwd=tmp_path / root, check=True, timeout=60)

    (found,) = objects(tmp_path / "old/lib.a", tmp_path / "new/lib.a")

    assert found["path"] == "x.o#2"


def test_folders_that_do_not_differ(builds: tuple[Path, Path], tmp_path: Path) -> None:
    old, _ = builds
    shutil.copytree(old, tmp_path / "copy")

    done = diff(old, tmp_path / "copy")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_what_cannot_be_read_is_one_line_and_missing_in_neither(
    builds: tuple[Path, Path],
) -> None:
    old, new = builds
    (old / "lib/come").write_bytes(b"\x7fELF")
    (new / "lib/gone").write_bytes(b"PK\3\4 damaged")

    done = diff(old, new)

    assert done.exit_code == 2
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["lib/changed"]
    assert ["lib/gone is a damaged" in done.stderr, "lib/come is cut" in done.stderr] == [True] * 2


def test_two_architectures_cannot_be_compared(builds: tuple[Path, Path]) -> None:
    old, new = builds
    shutil.copy(program("powerpc64le", "add3"), new / "bin/same")

    done = diff(old, new)

    (line,) = done.stderr.splitlines()
    assert (done.exit_code, len(done.stdout.splitlines())) == (2, 3)
    assert "bin/same (x86, 64-bit little-endian) and " in line
    assert "compare builds of one architecture" in line


def test_a_file_is_not_compared_with_a_folder(builds: tuple[Path, Path]) -> None:
    old, new = builds

    done = diff(old / "bin/same", new)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{old}/bin/same is one file and {new} holds several" in done.stderr


def test_files_of_different_names_are_compared(builds: tuple[Path, Path]) -> None:
    old, _ = builds

    (found,) = objects(old / "lib/changed", build(old / "lib/other", f="5dc3"))

    assert (found["path"], found["symbol"]) == (None, "f")


def test_harm_where_only_one_build_has_an_instruction_is_told(tmp_path: Path) -> None:
    old = build(tmp_path / "old", f="55c3")
    new = build(tmp_path / "new", f="55c3" + "90" + "c5f9ebc8" + "c3")

    done, (found,) = diff(old, new), objects(old, new)

    assert (found["offset"], found["before"]) == (3, None)
    assert [each["rule"] for each in found["after"]["warnings"]] == ["x86.avx_as_jump"]
    assert done.stdout.startswith("f+0x3: no instruction; now vpor")
    assert "x86.avx_as_jump]" in done.stdout


def test_instructions_in_no_named_function_are_counted(tmp_path: Path) -> None:
    old = build(tmp_path / "old", f="55c3")
    new = build(tmp_path / "new", f="5dc3")
    for path, code in ((old, "55c39090"), (new, "5dc390")):
        elf = Elf((Segment(CODE, bytes.fromhex(code)),), (Sym("f", CODE, size=2),), machine=62)
        path.write_bytes(elf.build())

    done = diff(old, new)

    assert "3 of 7 instructions in files that differ are in no named function" in done.stderr


@pytest.mark.parametrize(
    "more",
    [
        ["--fail-on", "reject"],
        ["--only", "reject"],
        ["--functions"],
        ["--cluster", "local"],
        ["--format", "csv"],
    ],
    ids=" ".join,
)
def test_what_diff_takes_no_notice_of_is_refused(
    more: list[str], builds: tuple[Path, Path]
) -> None:
    done = diff(*builds, *more)

    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_an_archive_without_elf_files_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "notes.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("notes", "nothing")

    done = CliRunner().invoke(app, ["scan", str(archive)])

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"there is no ELF file in {archive}" in done.stderr
