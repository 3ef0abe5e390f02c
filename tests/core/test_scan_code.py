"""core/uprobes_sim/scan/code.py and headers.py"""

import struct
from pathlib import Path

import numpy as np
import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from elf_maker import PAGE, Elf, Segment, Sym, W
from elf_programs import TARGETS, program
from uprobes_sim.errors import ProgramError
from uprobes_sim.scan.code import Code, read_code
from uprobes_sim.scan.source import BytesSource
from uprobes_sim.symbols import read_symbols

LIBC = Path("/usr/lib/x86_64-linux-gnu/libc.so.6")


def code(data: bytes) -> Code:
    return read_code(BytesSource(data), "file")


@pytest.mark.parametrize("target", TARGETS)
def test_code_is_what_pyelftools_says_it_is(target: str) -> None:
    path = program(target, "add3")
    with path.open("rb") as file:
        sections = [s for s in ELFFile(file).iter_sections() if s["sh_flags"] & 4]
        expected = [(s.name, s["sh_addr"], s["sh_offset"], s["sh_size"]) for s in sections]

    found = code(path.read_bytes())

    assert [(r.name, r.vaddr, r.offset, r.size) for r in found.ranges] == expected


@pytest.mark.parametrize("target", ["x86_64", "x86", "powerpc64le", "powerpc"])
def test_functions_have_the_names_that_others_read(target: str) -> None:
    data = program(target, "add3").read_bytes()
    table = read_symbols(data)

    functions = code(data).functions

    assert len(functions) > 10
    for index, start in enumerate(functions.start.tolist()):
        nearest = table.nearest(start)
        assert nearest is not None
        assert functions.name(index) == nearest.name


def test_a_function_holds_its_instructions_only() -> None:
    text = Segment(0x10000, bytes(64))
    functions = code(
        Elf((text,), (Sym("f", 0x10010, size=8), Sym("g", 0x10020, size=4))).build()
    ).functions

    held = functions.holders(np.array([0x10000, 0x10010, 0x10017, 0x10018, 0x10020], np.uint64))

    assert held.tolist() == [-1, 0, 0, -1, 1]


def test_of_two_names_the_global_one_counts() -> None:
    symbols = (Sym("ours", 0x10010, local=True), Sym("theirs", 0x10010))

    assert code(Elf(symbols=symbols).build()).functions.name(0) == "theirs"


def test_without_sections_a_segment_is_all_code() -> None:
    data = Segment(0x20000, b"data", flags=W)

    (found,) = code(Elf((Segment(0x10000, bytes(64)), data)).build()).ranges

    assert (found.name, found.vaddr, found.offset, found.size) == ("segment", 0x10000, PAGE, 64)


def test_eh_frame_tells_where_the_functions_of_a_stripped_file_begin() -> None:
    if not LIBC.exists():
        pytest.skip(f"no {LIBC}")
    with LIBC.open("rb") as file:
        frames = ELFFile(file).get_dwarf_info(relocate_dwarf_sections=False).EH_CFI_entries()
    pcs = {frame["initial_location"] for frame in frames if isinstance(frame, FDE)}

    starts = set(code(LIBC.read_bytes()).starts.tolist())

    assert len(pcs) > 1000
    assert pcs <= starts


def test_an_object_file_has_offsets_for_addresses() -> None:
    elf = Elf((Segment(0, bytes(64)),), (Sym("f", 0x10, size=8),), e_type=1)

    found = code(elf.build())

    assert (found.ranges[0].vaddr, found.ranges[0].offset) == (PAGE, PAGE)
    assert found.starts.tolist() == [PAGE + 0x10]


def test_code_that_lies_over_code_counts_once() -> None:
    data = bytearray(Elf((Segment(0x10000, bytes(64)), Segment(0x20000, bytes(64)))).build())
    second = 64 + 56 + 8
    data[second : second + 8] = struct.pack("<Q", PAGE + 16)  # p_offset

    assert [(r.offset, r.size) for r in code(bytes(data)).ranges] == [(PAGE, 64), (PAGE + 64, 16)]


def test_code_ends_where_addresses_do() -> None:
    high = (1 << 64) - 16

    (found,) = code(Elf((Segment(high, bytes(64)),), machine=62).build()).ranges

    assert (found.vaddr, found.end) == (high, (1 << 64) - 1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "no ELF file", id="empty"),
        pytest.param(Elf().build()[:50], "cut off", id="cut"),
        pytest.param(Elf(e_type=4).build(), "core dump", id="core"),
        pytest.param(Elf(changes={"phnum": 0}).build(), "neither segments nor", id="no headers"),
        pytest.param(b"\x7fELF\7\1" + bytes(60), "broken ELF header", id="class"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        code(data)
