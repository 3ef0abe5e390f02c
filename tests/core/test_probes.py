"""core/uprobes_sim/probes.py and core/uprobes_sim/symbols.py"""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elf_maker import Elf, R, Segment, Sym, W
from uprobes_sim.arch import Abi
from uprobes_sim.errors import ProbeError
from uprobes_sim.hookspecs import ArchHooks
from uprobes_sim.loader import Program, load
from uprobes_sim.probes import ProbeSpec, parse_probe, resolve
from uprobes_sim.symbols import Image, Symbol
from uprobes_sim.units import Offset, Vaddr

TEXT, DATA = 0x10000, 0x20000
SEGMENTS = (Segment(TEXT, bytes(0x100)), Segment(DATA, bytes(0x100), flags=R | W))
SYMBOLS = (
    Sym("main", TEXT, size=0x20),
    Sym("printf", TEXT + 0x20, size=0x10),
    Sym("label", TEXT + 0x80, kind="NOTYPE"),
    Sym("table", DATA, kind="OBJECT"),
    Sym("puts", 0, section=0),
    Sym("both", 0, section=0),
    Sym("both", TEXT + 0x40, size=4),
    Sym("twice", TEXT + 0x50, size=4, local=True),
    Sym("twice", TEXT + 0x60, size=4, local=True),
    Sym("shadowed", TEXT + 0x54, kind="OBJECT"),
    Sym("shadowed", TEXT + 0x70, size=8),
    Sym("memcpy@@GLIBC_2.17", TEXT + 0x90, size=8),
)


def two_entries(symbol: Symbol, image: Image, want_global: bool) -> Vaddr:
    """Like ELFv2: the local entry is 8 bytes behind the global one."""
    return Vaddr(symbol.value if want_global else symbol.value + 8)


ELFV2 = cast(ArchHooks, SimpleNamespace(arch_symbol_entry=two_entries))
PLAIN = cast(
    ArchHooks,
    SimpleNamespace(arch_symbol_entry=lambda symbol, image, want_global: symbol.value),
)


def program(tmp_path: Path, elf: Elf | None = None) -> Program:
    path = tmp_path / "prog"
    path.write_bytes((elf or Elf(segments=SEGMENTS, symbols=SYMBOLS)).build())
    return load(path)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("main", ProbeSpec("main", symbol="main")),
        ("main+8", ProbeSpec("main+8", symbol="main", addend=8)),
        ("main+0x1C", ProbeSpec("main+0x1C", symbol="main", addend=0x1C)),
        ("main%return", ProbeSpec("main%return", symbol="main", is_return=True)),
        ("main%global", ProbeSpec("main%global", symbol="main", want_global=True)),
        ("main+4%return", ProbeSpec("main+4%return", symbol="main", addend=4, is_return=True)),
        ("0x10000", ProbeSpec("0x10000", vaddr=Vaddr(0x10000))),
        ("65536", ProbeSpec("65536", vaddr=Vaddr(65536))),
        ("0x1f%return", ProbeSpec("0x1f%return", vaddr=Vaddr(0x1F), is_return=True)),
        ("@0x40", ProbeSpec("@0x40", offset=Offset(0x40))),
        ("@64", ProbeSpec("@64", offset=Offset(64))),
        ("_ZN3fooEv", ProbeSpec("_ZN3fooEv", symbol="_ZN3fooEv")),
        ("f.part.0", ProbeSpec("f.part.0", symbol="f.part.0")),
        ("memcpy@@GLIBC_2.17", ProbeSpec("memcpy@@GLIBC_2.17", symbol="memcpy@@GLIBC_2.17")),
    ],
)
def test_the_grammar(text: str, spec: ProbeSpec) -> None:
    assert parse_probe(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "+8", "main+", "main+x", "main%", "main%foo", "%return", "a b", "@", "@main", "0xg"],
)
def test_what_is_no_probe_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(ProbeError, match="is no probe; write SYMBOL"):
        parse_probe(text)


@given(st.text(max_size=12))
def test_any_text_is_a_probe_or_refused(text: str) -> None:
    try:
        spec = parse_probe(text)
    except ProbeError:
        return
    assert spec.text == text
    assert sum(part is not None for part in (spec.symbol, spec.vaddr, spec.offset)) == 1


@pytest.mark.parametrize(
    ("text", "vaddr", "symbol", "label"),
    [
        ("main", TEXT, "main", "main"),
        ("main+8", TEXT + 8, "main", "main+0x8"),
        ("0x10024", TEXT + 0x24, "printf", "printf+0x4"),
        ("@0x1024", TEXT + 0x24, "printf", "printf+0x4"),
        ("0x10038", TEXT + 0x38, None, "0x10038"),
        ("0x10084", TEXT + 0x84, "label", "label+0x4"),
        ("both", TEXT + 0x40, "both", "both"),
        ("shadowed", TEXT + 0x70, "shadowed", "shadowed"),
        ("memcpy", TEXT + 0x90, "memcpy", "memcpy"),
        ("memcpy@GLIBC_2.17", TEXT + 0x90, "memcpy@GLIBC_2.17", "memcpy@GLIBC_2.17"),
    ],
)
def test_a_probe_finds_its_place(
    tmp_path: Path, text: str, vaddr: int, symbol: str | None, label: str
) -> None:
    place = resolve(parse_probe(text), program(tmp_path), PLAIN)

    assert (place.vaddr, place.offset) == (vaddr, vaddr - TEXT + 0x1000)
    assert (place.symbol, place.label) == (symbol, label)


@pytest.mark.parametrize(
    ("text", "distance"),
    [("main", 8), ("main%return", 8), ("main%global", 0), ("main+4", 4), ("main+0", 0)],
)
def test_only_a_bare_symbol_means_the_local_entry(tmp_path: Path, text: str, distance: int) -> None:
    """With an explicit offset one counts from the global entry, as in a disassembly."""
    place = resolve(parse_probe(text), program(tmp_path), ELFV2)

    assert place.vaddr == TEXT + distance


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mian", "no symbol mian; did you mean main?"),
        ("zzz", "no symbol zzz; nm lists"),
        ("puts", "imports puts from a library"),
        ("twice", "twice is at 0x10050, 0x10060; give one of these"),
        ("table", "table: is at 0x20000, which is in no executable segment; code is at 0x10000-"),
        ("0x20000", "0x20000: is in no executable segment"),
        ("main+0x100", r"is at 0x10100, which is in no executable segment"),
        ("@0x2000", "nothing executable is loaded from there"),
        ("@0xffffff", "has only 0x[0-9a-f]+ bytes; an address is written without the @"),
    ],
)
def test_a_probe_without_a_place_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        resolve(parse_probe(text), program(tmp_path), PLAIN)


def test_a_stripped_program_is_probed_by_address_only(tmp_path: Path) -> None:
    stripped = program(tmp_path, Elf(segments=SEGMENTS))

    assert resolve(parse_probe("0x10010"), stripped, PLAIN).offset == 0x1010
    with pytest.raises(ProbeError, match="stripped, it has no symbols; give 0xVADDR or @0xOFFSET"):
        resolve(parse_probe("main"), stripped, PLAIN)


def test_a_stripped_file_says_that_names_are_missing(tmp_path: Path) -> None:
    some = program(tmp_path, Elf(segments=SEGMENTS, symbols=SYMBOLS, dynsym=True))
    with pytest.raises(
        ProbeError, match=r"no symbol put and is stripped of all but .*; nm -D lists"
    ):
        resolve(parse_probe("put"), some, PLAIN)
    imports = (Sym("puts", 0, section=0),)
    none = program(tmp_path, Elf(segments=SEGMENTS, symbols=imports, dynsym=True))
    with pytest.raises(ProbeError, match="is stripped, it has no symbols"):
        resolve(parse_probe("put"), none, PLAIN)


def test_dynamic_symbols_serve_where_there_are_no_others(tmp_path: Path) -> None:
    elf = Elf(segments=SEGMENTS, symbols=SYMBOLS, dynsym=True)

    assert resolve(parse_probe("main"), program(tmp_path, elf), PLAIN).vaddr == TEXT


@pytest.mark.parametrize("abi", [Abi(32, "big"), Abi(32, "little"), Abi(64, "big")], ids=str)
def test_symbols_of_every_abi_are_read(tmp_path: Path, abi: Abi) -> None:
    elf = Elf(segments=SEGMENTS, symbols=(Sym("f", TEXT + 4, size=12, other=0x60),), abi=abi)

    (symbol,) = program(tmp_path, elf).symbols.symbols

    assert symbol == Symbol("f", Vaddr(TEXT + 4), 12, 0x60, "STT_FUNC")


def test_a_backend_sees_the_file_it_is_asked_about(tmp_path: Path) -> None:
    elf = Elf(segments=(Segment(TEXT, b"opcode"),), symbols=SYMBOLS, flags=2)
    image = program(tmp_path, elf).image

    assert (image.e_flags, image.read(TEXT + 2, 9), image.section(TEXT)) == (2, b"code", ".text")
    assert image.section(0x50000) is None
