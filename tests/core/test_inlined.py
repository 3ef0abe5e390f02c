"""core/uprobes_sim/check/inlined, check/copies and debug_file"""

import lzma
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from check_cases import compiled
from uprobes_sim.check import copies
from uprobes_sim.check.inlined import copies_of, unread
from uprobes_sim.check.search import find_symbol
from uprobes_sim.errors import ProbeError, ProgramError
from uprobes_sim.loader import load
from uprobes_sim.probes import ProbeSpec
from uprobes_sim.sections import read_sections
from uprobes_sim.units import Vaddr

COPIED: Final = """
#include <stdio.h>
#include <stdlib.h>
struct pair { int one, two; };
static inline int twice(int a) { if (a > 100) { puts("big"); a -= 7; } return a * 2 + rand(); }
__attribute__((noinline)) int part(int a) { return twice(a) + 3; }
int both(struct pair *a) { if (a->one > 3) printf("%d", a->one); return a->two ^ rand(); }
int user(struct pair *a) { return both(a + 1) * 3; }
__attribute__((section(".text.cold"))) int other(struct pair *a) { return both(a) + twice(7); }
int main(int c, char **v) {
  struct pair p[2] = {{c, c}, {c, 1}};
  return user(p) + part(c) + both(p) + twice(c) + other(p);
}
"""
FORMS: Final = (
    ("-gdwarf-3",),
    ("-gdwarf-4",),
    ("-gdwarf-5",),
    ("-gdwarf-5", "-gz"),
    ("-gdwarf-4", "-gz", "-ffunction-sections"),
    ("-gdwarf-5", "-flto"),
    ("-gdwarf-4", "-fdebug-types-section"),
    ("-gdwarf-5", "-fdebug-types-section"),
)


def built(folder: Path, *flags: str) -> Path:
    return compiled(COPIED, "-O2", *(flags or ("-gdwarf-5",)))(folder)


def tool(name: str, *arguments: object) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    subprocess.run([name, *map(str, arguments)], check=True, timeout=60)


def as_pyelftools_reads(path: Path) -> dict[str, set[int]]:
    """Starts of the copies by the plain name, as another reader of DWARF finds them."""
    found = dict[str, set[int]]()
    dwarf = ELFFile(BytesIO(path.read_bytes())).get_dwarf_info()
    for unit in dwarf.iter_CUs():
        top = unit.get_top_DIE().attributes
        for die in unit.iter_DIEs():
            if die.tag != "DW_TAG_inlined_subroutine":
                continue
            entry = die.attributes.get("DW_AT_entry_pc") or die.attributes.get("DW_AT_low_pc")
            if entry is None:
                base = top["DW_AT_low_pc"].value
                lists = dwarf.range_lists()
                assert lists is not None
                rows = lists.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, unit)
                for row in rows:
                    if not isinstance(row, BaseAddressEntry):
                        start = row.begin_offset + (0 if row.is_absolute else base)
                        break
                    base = row.base_address
            else:
                start = entry.value
            while "DW_AT_name" not in die.attributes:
                die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
            found.setdefault(die.attributes["DW_AT_name"].value.decode(), set()).add(start)
    return found


def told(path: Path, *names: str) -> dict[str, set[int]]:
    program = load(path)
    return {name: set(copies_of(program, name, plain=True)) for name in names}


@pytest.mark.parametrize("flags", FORMS, ids=" ".join)
def test_copies_are_where_another_reader_finds_them(flags: tuple[str, ...], tmp_path: Path) -> None:
    path = built(tmp_path, *flags)
    expected = as_pyelftools_reads(path)

    assert told(path, *expected) == expected
    assert len(expected["twice"]) >= 2


@pytest.mark.parametrize("version", [4, 5])
def test_copies_made_by_clang_are_found(version: int, tmp_path: Path) -> None:
    """It gives ranges relative to the unit, and addresses and names by number."""
    pytest.importorskip("ziglang")
    source, path = tmp_path / "a.c", tmp_path / "program"
    source.write_text(COPIED)
    command = [sys.executable, "-m", "ziglang", "cc", f"-gdwarf-{version}", "-O2", source]
    subprocess.run([*map(str, command), "-o", str(path)], check=True, timeout=300)
    expected = as_pyelftools_reads(path)
    code = next(segment for segment in load(path).segments if segment.executable)

    assert told(path, "twice", "both") == {
        name: {at for at in expected[name] if code.holds(at)} for name in ("twice", "both")
    }
    assert all(len(copies) >= 2 for copies in told(path, "twice", "both").values())


def test_a_debug_file_beside_a_stripped_program_is_read(tmp_path: Path) -> None:
    path = built(tmp_path, "-gdwarf-5", "-Wl,--build-id=none")
    expected, apart = told(path, "twice", "both"), tmp_path / ".debug" / "program.debug"
    value = load(path).symbols.find("part")[0].value
    apart.parent.mkdir()
    tool("objcopy", "--only-keep-debug", path, apart)
    tool("strip", path)
    assert told(path, "twice", "both") == {"twice": set(), "both": set()}

    tool("objcopy", f"--add-gnu-debuglink={apart}", path)

    assert told(path, "twice", "both") == expected
    assert [symbol.value for symbol in load(path).symbols.find("part")] == [value]


def test_a_debug_file_of_another_build_is_not_read(tmp_path: Path) -> None:
    path, apart = built(tmp_path, "-gdwarf-5"), tmp_path / "program.debug"
    tool("objcopy", "--only-keep-debug", path, apart)
    tool("strip", path)
    tool("objcopy", f"--add-gnu-debuglink={apart}", path)
    assert load(path).symbols.find("part")
    (tmp_path / "other").mkdir()
    shutil.copy(built(tmp_path / "other", "-gdwarf-5", "-DOTHER", "-fno-inline"), apart)

    assert not load(path).symbols.find("part")
    assert told(path, "twice") == {"twice": set()}


def test_a_debug_file_has_no_code_to_be_probed(tmp_path: Path) -> None:
    path, apart = built(tmp_path), tmp_path / "program.debug"
    tool("objcopy", "--only-keep-debug", path, apart)

    with pytest.raises(ProgramError, match="holds debugging information and no code; name the"):
        load(apart)


def test_symbols_that_are_packed_into_the_program_are_read(tmp_path: Path) -> None:
    path, packed = built(tmp_path), tmp_path / "packed"
    value = load(path).symbols.find("part")[0].value
    tool("objcopy", "--only-keep-debug", "-S", "--keep-symbol=part", path, packed)
    packed.write_bytes(lzma.compress(packed.read_bytes()))
    tool("strip", path)
    assert not load(path).symbols.find("part")

    tool("objcopy", f"--add-section=.gnu_debugdata={packed}", path)

    assert [symbol.value for symbol in load(path).symbols.find("part")] == [value]


SHARED: Final = """
.section .note.gnu.build-id,"a",@note
.long 4, 4, 3
.asciz "GNU"
.byte 1, 2, 3, 4
.section .debug_str,"",@progbits
.asciz "thrice"
.section .debug_abbrev,"",@progbits
.byte 1, 0x3c, 1, 0, 0 /* partial unit */
.byte 2, 0x2e, 0, 0x03, 0x0e, 0x20, 0x0b, 0, 0, 0 /* function: name, inline */
.section .debug_info,"",@progbits
.long 2f - 1f
1: .short 4
.long 0
.byte 8, 1
.byte 2
.long 0
.byte 3, 0
2:
"""
USER: Final = """
.text
.globl main
.type main,@function
main: xor %eax,%eax
copy: ret
.size main,.-main
.section .gnu_debugaltlink,"",@progbits
.asciz "shared"
.byte 1, 2, 3, 4
.section .debug_abbrev,"",@progbits
.byte 1, 0x11, 1, 0, 0 /* unit */
.byte 2, 0x1d, 0, 0x31, 0xa0, 0x3e, 0x11, 0x01, 0, 0, 0 /* copy: origin elsewhere, address */
.section .debug_info,"",@progbits
.long 2f - 1f
1: .short 4
.long 0
.byte 8, 1
.byte 2
.long 12
.quad copy
.byte 0
2:
"""


@pytest.mark.parametrize(("build", "known"), [("01020304", True), ("01020305", False)])
def test_what_dwz_has_moved_to_a_shared_file_is_read(
    build: str, known: bool, tmp_path: Path
) -> None:
    """Both files as `dwz -m` leaves them, by hand; only the shared file of that build counts."""
    numbers = ", ".join(str(each) for each in bytes.fromhex(build))
    source = SHARED.replace("1, 2, 3, 4", numbers)
    compiled(source, "-c", language="assembler")(tmp_path).rename(tmp_path / "shared")
    path = compiled(USER, "-nostdlib", "-static", "-Wl,-e,main", language="assembler")(tmp_path)
    program = load(path)

    (main,) = program.symbols.find("main")
    assert copies_of(program, "thrice") == ((main.value + 2,) if known else ())
    missing = "" if known else f"the rest of it, {tmp_path / 'shared'}, is not there"
    assert missing in unread(program, "thrice")
    assert bool(unread(program, "thrice")) != known


NAMESPACES: Final = """
#include <cstdlib>
namespace shop { struct till { int open(int a); };
inline __attribute__((always_inline)) int till::open(int a) { return a * 3 + std::rand(); }
inline __attribute__((always_inline)) int main(int a) { return a + std::rand(); } }
int main(int argc, char **) { shop::till t; return t.open(argc) + shop::main(argc); }
"""


def test_a_name_in_the_source_is_no_symbol_where_symbols_are_mangled(tmp_path: Path) -> None:
    """The main of a namespace, or of a Rust program, is not the C function main."""
    program = load(compiled(NAMESPACES, "-g", "-O2", language="c++")(tmp_path))

    assert copies_of(program, "main") == ()
    assert len(copies_of(program, "main", plain=True)) == 1
    assert len(copies_of(program, "_ZN4shop4till4openEi")) == 1
    assert len(copies_of(program, "open", plain=True)) == 1


def test_broken_dwarf_is_as_good_as_none(tmp_path: Path) -> None:
    path, draw = built(tmp_path), random.Random(1)
    whole = path.read_bytes()
    elf = ELFFile(BytesIO(whole))
    names = (".debug_info", ".debug_abbrev", ".debug_rnglists", ".debug_str")
    places = [
        (section["sh_offset"], section["sh_size"])
        for section in map(elf.get_section_by_name, names)
        if section is not None
    ]
    right, found = len(copies_of(load(path), "twice")), set[int]()
    for _ in range(300):
        data = bytearray(whole)
        for start, size in draw.choices(places, k=3):
            data[start + draw.randrange(size)] = draw.randrange(256)
        path.write_bytes(data)
        found.add(len(copies_of(load(path), "twice")))

    assert {0, right} <= found


def test_a_number_without_an_end_is_not_read_to_the_end(tmp_path: Path) -> None:
    """To read one of a megabyte takes pyelftools a minute."""
    path = built(tmp_path, "-gdwarf-4")
    endless = tmp_path / "endless"
    endless.write_bytes(bytes([0xFF]) * (1 << 20))
    tool("objcopy", f"--update-section=.debug_abbrev={endless}", path)

    assert "it is broken" in unread(load(path), "twice")


def zstd(path: Path) -> None:
    """Say that a section is packed by zstd."""
    data = bytearray(path.read_bytes())
    info = read_sections(bytes(data)).named(".debug_info")
    assert info is not None
    data[info.offset] = 2
    path.write_bytes(data)


def nothing(path: Path) -> None:
    """Leave the file as it is."""


UNREAD: Final = (
    pytest.param(("-g", "-gsplit-dwarf"), nothing, "it is in .dwo files", id="split"),
    pytest.param(("-g", "-gz"), zstd, "it is packed in another way than by zlib", id="zstd"),
    pytest.param(
        ("-g",),
        lambda path: tool("objcopy", "--compress-debug-sections=zlib-gnu", path),
        "it is packed as before 2015, in sections called .zdebug",
        id="zdebug",
    ),
    pytest.param(
        ("-g",),
        lambda path: tool("objcopy", "--update-section", f".debug_abbrev={path}", path),
        "it is broken",
        id="broken",
    ),
)


@pytest.mark.parametrize(("flags", "change", "why"), UNREAD)
def test_of_dwarf_that_is_not_read_the_reason_is_told(
    flags: tuple[str, ...], change: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    path = built(tmp_path, *flags)
    change(path)
    program = load(path)
    command = f"gdb -batch -ex 'break twice' -ex 'info breakpoints' {path}"

    assert copies_of(program, "twice") == ()
    assert unread(program, "twice") == (
        f"copies of twice in its callers were not looked for in the DWARF: {why}; "
        f"gdb may find them: {command}"
    )
    with pytest.raises(ProbeError, match=f"has no symbol twice.*{why}") as caught:
        find_symbol(program, ProbeSpec("twice", symbol="twice"), "twice")
    assert caught.value.rule == "check.inlined_unknown"


@pytest.mark.parametrize("flags", [("-g0",), ("-g0", "-s"), *FORMS], ids=" ".join)
def test_of_dwarf_that_is_read_or_not_there_nothing_is_told(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    program = load(built(tmp_path, *flags))

    assert [unread(program, name) for name in ("twice", "main", "nothing")] == [""] * 3


def test_only_units_that_have_the_name_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, short = tmp_path / "long.c", tmp_path / "short.c"
    long.write_text(COPIED + "".join(f"int f{i}(int a) {{ return a; }}\n" for i in range(2000)))
    short.write_text(COPIED.replace("twice", "thrice").replace("int main", "int start"))
    short.write_text(re.sub(r"\b(part|both|user|other)\b", r"\1_2", short.read_text()))
    path = tmp_path / "program"
    tool("gcc", "-O2", "-g", long, short, "-o", path)
    monkeypatch.setattr(copies, "_MOST", 20_000)
    program = load(path)

    assert len(copies_of(program, "thrice")) >= 2
    assert unread(program, "thrice") == ""
    assert copies_of(program, "twice") == ()
    assert "MiB of it have the name, which takes too long to read" in unread(program, "twice")


def test_a_place_that_is_no_code_is_no_copy(tmp_path: Path) -> None:
    """Linkers leave the DWARF of functions that they drop."""
    path = built(tmp_path, "-gdwarf-4", "-ffunction-sections", "-Wl,--gc-sections")
    program = load(path)
    code = next(segment for segment in program.segments if segment.executable)

    assert all(code.holds(Vaddr(at)) for at in copies_of(program, "twice"))


def test_of_many_copies_a_few_are_named(tmp_path: Path) -> None:
    calls = " + ".join(f"t(c + {number})" for number in range(12))
    source = f"""#include <stdlib.h>
    static inline __attribute__((always_inline)) int t(int a) {{ return a * rand(); }}
    int main(int c, char **v) {{ return {calls}; }}"""
    program = load(compiled(source, "-g", "-O2")(tmp_path))
    copies = copies_of(program, "t")

    with pytest.raises(ProbeError) as caught:
        find_symbol(program, ProbeSpec("t", symbol="t"), "t")

    assert len(copies) == 12
    assert hex(copies[7]) in str(caught.value)
    assert str(caught.value).endswith("and 4 more")


def test_a_name_that_is_no_text_has_no_copies(tmp_path: Path) -> None:
    """As an argument of the command line that is no UTF-8."""
    assert copies_of(load(built(tmp_path)), "tw\udcffice") == ()
