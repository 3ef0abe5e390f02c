"""core/uprobes_sim/loader.py"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elf_maker import ET_CORE, ET_DYN, ET_REL, PT_INTERP, Elf, Part, R, Segment, Sym, W, X
from uprobes_sim.arch import Abi
from uprobes_sim.elf import machine_name
from uprobes_sim.errors import ProgramError
from uprobes_sim.loader import load

ABIS = [Abi(64, "little"), Abi(64, "big"), Abi(32, "little"), Abi(32, "big")]


def put(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "prog"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("abi", ABIS, ids=str)
def test_headers_of_every_abi_are_read(tmp_path: Path, abi: Abi) -> None:
    elf = Elf(segments=(Segment(0x10000, b"code", memsz=0x99, flags=R | X),), abi=abi, flags=2)

    program = load(put(tmp_path, elf.build()))

    assert (program.abi, program.entry, program.e_flags) == (abi, 0x10000, 2)
    (segment,) = program.segments
    assert (segment.vaddr, segment.offset, segment.filesz) == (0x10000, 0x1000, 4)
    assert (segment.memsz, segment.flags) == (0x99, R | X)


def test_addresses_and_offsets_lead_to_each_other(tmp_path: Path) -> None:
    text, data = Segment(0x10000, b"text"), Segment(0x20000, b"data", memsz=0x100, flags=R | W)
    program = load(put(tmp_path, Elf(segments=(text, data)).build()))

    assert program.offset_of(0x20001) == 0x2001
    assert program.vaddr_of(0x2001) == 0x20001
    assert program.read(0x20002, 99) == b"ta"
    assert program.offset_of(0x20004) is None, "beyond the file's part of the segment"
    assert program.offset_of(0x20001, executable=True) is None
    assert program.vaddr_of(0x2001, executable=True) is None


def test_a_task_has_the_first_15_characters_of_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "a-rather-long-name"
    path.write_bytes(Elf().build())

    assert load(path).comm == "a-rather-long-n"


def test_a_program_with_an_interpreter_is_dynamic(tmp_path: Path) -> None:
    """It can be asked about, so reading it is no error."""
    interp = Segment(0x30000, b"/lib/ld.so\0", flags=R, kind=PT_INTERP)
    data = Elf(segments=(Segment(0x10000, b"code"), interp)).build()

    assert load(put(tmp_path, data)).dynamic
    assert not load(put(tmp_path, Elf().build())).dynamic


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "empty file", id="empty"),
        pytest.param(b"#!/bin/sh\n", "is a script", id="script"),
        pytest.param(b"hello\n", "not an ELF file", id="text"),
        pytest.param(b"!<arch>\nx", "is an archive", id="archive"),
        pytest.param(b"\x7fELF", "cut off inside the ELF header", id="magic only"),
        pytest.param(Elf().build()[:40], "cut off: an ELF header has 64 bytes", id="half header"),
        pytest.param(Elf().build()[:70], "program headers lie beyond", id="half phdr"),
        pytest.param(Elf().build()[:0x1010], "ends beyond the end of the file", id="half segment"),
        pytest.param(Elf(e_type=ET_CORE).build(), "is a core dump", id="core"),
        pytest.param(Elf(e_type=ET_REL).build(), "relocatable object file", id="object"),
        pytest.param(Elf(e_type=77).build(), "unknown e_type", id="type 77"),
        pytest.param(
            Elf(e_type=ET_REL, parts=(Part(".modinfo", data=b"license=GPL\0"),)).build(),
            "is a kernel module; .* kprobes",
            id="module",
        ),
        pytest.param(
            Elf(segments=(Segment(0xFFFFFFFF81000000, b"code"),)).build(),
            "is a kernel; .* kprobes",
            id="kernel",
        ),
        pytest.param(Elf(segments=()).build(), "no program headers", id="no phdr"),
        pytest.param(Elf(changes={"phentsize": 7}).build(), "headers of 7 bytes", id="phentsize"),
        pytest.param(
            Elf(changes={"phoff": (1 << 64) - 1}).build(), "program headers lie beyond", id="phoff"
        ),
        pytest.param(
            Elf(segments=(Segment(0, kind=PT_INTERP),)).build(), "nothing to load", id="no load"
        ),
        pytest.param(
            Elf(segments=(Segment(0x10000, b"xx", memsz=1),)).build(),
            "longer in the file than in memory",
            id="filesz",
        ),
        pytest.param(
            Elf(segments=(Segment(0x10000, b"xx", memsz=(1 << 64) - 1),)).build(),
            "leaves the address space",
            id="memsz",
        ),
        pytest.param(
            Elf(segments=(Segment(0x10001, b"xx"),)).build(), "disagree within a page", id="page"
        ),
        pytest.param(b"\x7fELF\x09\x09".ljust(99, b"\0"), "class 9, byte order 9", id="class"),
    ],
)
def test_what_is_no_program_is_told_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = put(tmp_path, data)

    with pytest.raises(ProgramError, match=message) as caught:
        load(path)

    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="does not exist"):
        load(tmp_path / "nothing")
    with pytest.raises(ProgramError, match="is a directory"):
        load(tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0x500), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    """Whatever the headers say, no other exception, no gigabytes."""
    data = bytearray(Elf(symbols=(Sym("main", 0x10000),)).build())
    for at, value in damage:
        data[at if at < 200 else len(data) - at] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)

    try:
        program = load(path)
    except ProgramError:
        return
    program.symbols.find("main")
    program.read(program.entry, 8)


def test_machines_have_the_names_of_elf_h() -> None:
    assert [machine_name(number) for number in (21, 20, 62, 3, 183)] == [
        "EM_PPC64",
        "EM_PPC",
        "EM_X86_64",
        "EM_386",
        "EM_AARCH64",
    ]
    assert machine_name(0x7070) == "e_machine 28784"


def test_a_library_is_read_too(tmp_path: Path) -> None:
    assert load(put(tmp_path, Elf(e_type=ET_DYN, entry=0).build())).e_type == ET_DYN
