"""core/uprobes_sim/gopclntab.py: Debian's gosu is a stripped Go program."""

import shutil
from pathlib import Path
from random import Random

import pytest

from uprobes_sim.check.checker import Checker
from uprobes_sim.choice import Options, link_for
from uprobes_sim.gopclntab import SECTION, read_functions
from uprobes_sim.loader import Program, load
from uprobes_sim.sections import read_sections
from uprobes_sim.symbols import read_symbols


@pytest.fixture
def gosu() -> Program:
    path = shutil.which("gosu")
    if path is None:
        pytest.skip("gosu is not installed (Debian: gosu)")
    return load(Path(path))


def test_a_stripped_go_program_names_its_functions(gosu: Program) -> None:
    functions = {symbol.name: symbol for symbol in gosu.symbols.symbols}

    assert read_sections(gosu.data).named(".symtab") is None
    assert {"main.main", "runtime.main", "runtime.mallocgc"} <= functions.keys()
    assert functions["_rt0_amd64_linux"].value == gosu.entry
    assert gosu.symbols.section_at(functions["main.main"].value) == ".text"


def test_go_is_told_before_a_return_probe_ends_it(gosu: Program) -> None:
    checker = Checker(gosu, link_for(gosu, Options()), Options())

    (returns,) = checker.check("runtime.main%return")
    (enters,) = checker.check("runtime.main")

    assert "check.return_go" in {each.rule for each in returns.verdict.warnings}
    assert "check.return_go" not in {each.rule for each in enters.verdict.warnings}


def test_the_exits_of_a_go_function_are_its_returns_and_panics(gosu: Program) -> None:
    checker = Checker(gosu, link_for(gosu, Options()), Options())

    exits = [found.exit for found in checker.exits("main.main")]

    assert {each.kind for each in exits if each} >= {"return", "no_return"}
    assert "runtime.panicIndex" in {each.target_name for each in exits if each}


def test_a_broken_table_names_fewer_functions_or_none(gosu: Program) -> None:
    section = read_sections(gosu.data).named(SECTION)
    assert section is not None
    random = Random(26)
    for _ in range(40):
        data = bytearray(gosu.data)
        for _ in range(8):
            at = section.offset + random.randrange(random.choice((72, section.size)))
            data[at] ^= 1 << random.randrange(8)
        names = [symbol.name for symbol in read_symbols(bytes(data)).symbols]

        assert len(names) <= len(gosu.symbols.symbols) + 1
    assert list(read_functions(read_sections(gosu.data[:64]), gosu.data[:64])) == []
