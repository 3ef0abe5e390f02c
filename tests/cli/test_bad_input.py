"""Whatever is wrong with the input: one line, an exit status, no traceback."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from elf_programs import program
from uprobes_sim_cli.app import app

ADD3 = program("x86_64", "add3")
PT_GNU_STACK = struct.pack("<I", 0x6474E551)
PT_INTERP = struct.pack("<I", 3)


def refusal(*args: str, status: int) -> str:
    """Run a command that must fail; answer its one line."""
    result = CliRunner().invoke(app, ["run", *args])

    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert (result.exit_code, result.stdout) == (status, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("uprobes-sim: ")
    return line


@pytest.mark.parametrize(
    "args", [["run", "{}"], ["check", "{}", "main"], ["explain", "{}", "main"], ["scan", "{}"]]
)
def test_a_fifo_is_not_waited_for(args: list[str], tmp_path: Path) -> None:
    fifo = tmp_path / "ff"
    os.mkfifo(fifo)

    command = [sys.executable, "-m", "uprobes_sim_cli", *(arg.format(fifo) for arg in args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)

    said = f"uprobes-sim: {fifo} is no regular file; name an ELF file\n"
    assert (done.returncode, done.stderr) == (2, said)


def patched(offset: int, data: bytes) -> bytes:
    """Change a few bytes of a good program."""
    good = ADD3.read_bytes()
    return good[:offset] + data + good[offset + len(data) :]


def without_sections() -> bytes:
    """Take the section headers away, and with them the symbols."""
    good = bytearray(ADD3.read_bytes())
    good[0x28:0x30] = bytes(8)  # e_shoff
    good[0x3C:0x40] = bytes(4)  # e_shnum, e_shstrndx
    return bytes(good)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(lambda: b"", "empty", id="empty"),
        pytest.param(lambda: b"#!/bin/sh\nexit 0\n", "ELF", id="text"),
        pytest.param(lambda: ADD3.read_bytes()[:40], "is cut off", id="truncated header"),
        pytest.param(lambda: ADD3.read_bytes()[:100], "is cut off", id="truncated headers"),
        pytest.param(lambda: ADD3.read_bytes()[:9000], "is cut off", id="truncated segments"),
        pytest.param(lambda: patched(0x10, b"\4\0"), "core", id="core file"),
        pytest.param(lambda: patched(0x10, b"\1\0"), "relocatable", id="object file"),
        pytest.param(lambda: patched(0x12, b"\x16\0"), "EM_S390", id="foreign architecture"),
        pytest.param(
            lambda: patched(ADD3.read_bytes().index(PT_GNU_STACK), PT_INTERP),
            "-static",
            id="dynamically linked",
        ),
    ],
)
def test_a_file_that_is_no_program(content: Callable[[], bytes], says: str, tmp_path: Path) -> None:
    path = tmp_path / "prog"
    path.write_bytes(content())

    line = refusal(str(path), status=2)

    assert str(path) in line
    assert says in line


def test_no_such_file(tmp_path: Path) -> None:
    assert "does not exist" in refusal(str(tmp_path / "none"), status=2)


def test_a_directory(tmp_path: Path) -> None:
    assert "directory" in refusal(str(tmp_path), status=2)


def test_an_unknown_symbol_comes_with_a_suggestion() -> None:
    line = refusal(str(ADD3), "-p", "ad3", status=2)

    assert "ad3" in line
    assert "add3" in line.replace(str(ADD3), "").replace("ad3:", "")


def test_a_symbol_of_a_stripped_program(tmp_path: Path) -> None:
    path = tmp_path / "stripped"
    path.write_bytes(without_sections())

    assert "0xVADDR" in refusal(str(path), "-p", "add3", status=2)


@pytest.mark.parametrize("probe", ["0xdead0000", "@0x7fffffff"])
def test_an_address_outside_the_file(probe: str) -> None:
    assert probe[1:] in refusal(str(ADD3), "-p", probe, status=2)


@pytest.mark.parametrize("probe", ["", "%return", "main+", "main%foo", "0x", "@main"])
def test_what_is_no_probe(probe: str) -> None:
    assert "probe" in refusal(str(ADD3), "-p", probe, status=2)


@pytest.mark.parametrize("target", ["powerpc64le", "powerpc64", "powerpc"])
def test_an_odd_address_on_powerpc_is_einval(target: str) -> None:
    path = str(program(target, "add3"))

    assert "EINVAL (22)" in refusal(path, "-p", "add3+1", status=1)


@pytest.mark.parametrize("target", ["powerpc64le", "powerpc64", "powerpc", "x86_64", "x86"])
def test_a_probe_on_a_trap_is_enotsupp(target: str) -> None:
    line = refusal(str(program(target, "endings")), "-p", "trap_here", status=1)

    assert "ENOTSUPP (524)" in line
    assert ".trap]" in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--arch", "vax"),
        ("--arch", "powerpc"),
        ("--kernel", "2.6.39"),
        ("--kernel", "99.1"),
        ("--kernel", "newest"),
        ("--cpu", "z80"),
        ("--variant", "nobody-2030"),
    ],
)
def test_an_option_that_does_not_fit(option: str, value: str) -> None:
    refusal(str(ADD3), option, value, status=2)


def test_a_trace_file_that_cannot_be_written(tmp_path: Path) -> None:
    line = refusal(str(ADD3), "--trace", str(tmp_path), status=2)

    assert line == f"uprobes-sim: cannot write {tmp_path}: Is a directory"


@pytest.mark.parametrize("format_", ["text", "json", "jsonl"])
def test_a_mistake_leaves_the_old_trace_as_it_is(format_: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("kept")

    CliRunner().invoke(
        app, ["run", str(ADD3), "-p", "ad3", "--trace", str(trace), "--format", format_]
    )

    assert trace.read_text() == "kept"


def test_the_trace_is_not_written_over_the_program(tmp_path: Path) -> None:
    path, link = tmp_path / "prog", tmp_path / "link"
    path.write_bytes(ADD3.read_bytes())
    link.hardlink_to(path)

    line = refusal(str(path), "--trace", str(link), status=2)

    assert "--trace would write over the program" in line
    assert path.read_bytes() == ADD3.read_bytes()
