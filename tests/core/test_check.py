"""core/uprobes_sim/check"""

import time
import zipfile
from pathlib import Path

import pytest

from check_cases import (
    CASES,
    CODE,
    EXCEPTIONS,
    EXTRA,
    FUNCTION,
    MOVE,
    Case,
    archived,
    compiled,
    opd,
    x86,
)
from elf_maker import Elf, Part, R, Segment, Sym, X
from elf_programs import program
from uprobes_sim.arch import Abi
from uprobes_sim.check.archive import Held, load_held
from uprobes_sim.check.checker import Checked, Checker, link_to_check
from uprobes_sim.check.dynamic import relative_targets
from uprobes_sim.check.inlined import copies_of
from uprobes_sim.check.plt import stub_names
from uprobes_sim.check.rules import RULES, SEVERITIES
from uprobes_sim.choice import Options, link_for
from uprobes_sim.errors import ProbeError
from uprobes_sim.loader import Program, load
from uprobes_sim.loader import Segment as Loaded
from uprobes_sim.symbols import SymbolTable
from uprobes_sim.units import Vaddr


def checker(path: Path, kernel: str = "6.18") -> Checker:
    options = Options(kernel=kernel)
    program = load(path)
    return Checker(program, link_for(program, options), options)


def checker_of(held: Held) -> Checker:
    options = Options()
    return Checker(held.program, link_for(held.program, options), options, base=held.base)


def rules_of(found: list[Checked]) -> set[str]:
    return {warning.rule for each in found for warning in each.verdict.warnings}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_rule_warns(case: Case, tmp_path: Path) -> None:
    found = checker(case.build(tmp_path)).check(case.probe)

    warning = next(
        warning for each in found for warning in each.verdict.warnings if warning.rule == case.rule
    )
    assert warning.severity == RULES[case.rule].severity


IMPORTS = "#include <math.h>\nint main(int c, char **v) { return (int)cosh(c); }"
ONLY_INLINED = """
static inline __attribute__((always_inline)) int twice(int a) { return a * 2 + 1; }
int main(int argc, char **argv) { return twice(argc); }
"""
ERRORS = (
    Case("check.undefined", compiled(IMPORTS, "-lm"), "cosh", "main"),
    Case("check.inlined", compiled(ONLY_INLINED, "-g", "-O2"), "twice", "main"),
)
"""What is no place at all: an error that names the rule."""


def test_every_rule_has_a_test_with_a_file_that_has_it() -> None:
    tested = {case.rule for case in (*CASES, *ERRORS)} | {"check.archive", "check.abi"}

    assert tested == set(RULES)


MANY = 100
COPIED = "".join(
    f"static inline __attribute__((always_inline)) int t{i}(int a) {{ return a * 2 + {i}; }}\n"
    f"int f{i}(int a) {{ volatile int b = t{i}(a); return b; }}\n"
    for i in range(MANY)
)


def test_copies_of_all_functions_cost_one_reading_of_the_file(tmp_path: Path) -> None:
    source = f"{COPIED}int main(void) {{ return f0(1); }}"
    read = load(compiled(source, "-g", "-O2")(tmp_path))

    start = time.process_time()
    first = copies_of(read, "t0")
    middle = time.process_time()
    others = [copies_of(read, f"t{i}") for i in range(1, MANY)]
    end = time.process_time()

    assert first
    assert all(others)
    assert end - middle < middle - start


def test_a_32_bit_arm_program_cannot_be_probed_on_arm64(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(Elf(abi=Abi(32, "little"), machine=40).build())

    with pytest.raises(ProbeError, match=r"no plugin runs EM_ARM.*EOPNOTSUPP") as caught:
        link_to_check(load(path), Options())

    assert caught.value.rule == "check.abi"


def test_a_stub_is_named_after_the_function_that_it_leads_to(tmp_path: Path) -> None:
    found = checker(compiled(IMPORTS, "-lm")(tmp_path))
    (stub,) = (at for at, name in stub_names(found.program).items() if name == "cosh")

    (answer,) = found.check(hex(stub))

    (plt,) = (each for each in answer.verdict.warnings if each.rule == "check.plt")
    assert "own calls of cosh go" in plt.reason
    assert "libm.so.6" in plt.reason


def test_a_library_that_has_the_symbol_is_named(tmp_path: Path) -> None:
    found = checker(compiled("int main(void) { return 0; }")(tmp_path))

    with pytest.raises(ProbeError, match=r"no symbol strtok, but \S*/libc\.so\.6"):
        found.check("strtok")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (ERRORS[0], r"imports cosh; \S*/libm\.so\.6 defines it"),
        (ERRORS[1], "no symbol twice, only copies of it in its callers, at 0x"),
    ],
    ids=str,
)
def test_what_is_no_place_is_told_by_rule(case: Case, message: str, tmp_path: Path) -> None:
    found = checker(case.build(tmp_path))

    with pytest.raises(ProbeError, match=message) as caught:
        found.check(case.probe)

    assert caught.value.rule == case.rule


@pytest.mark.parametrize("case", [case for case in CASES if case.harmless], ids=str)
def test_the_rule_keeps_silent_beside_it(case: Case, tmp_path: Path) -> None:
    assert case.harmless is not None

    found = checker(case.build(tmp_path)).check(case.harmless)

    assert found
    assert case.rule not in rules_of(found)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_loudest_warning_comes_first(case: Case, tmp_path: Path) -> None:
    for each in checker(case.build(tmp_path)).check(case.probe):
        ranks = [SEVERITIES.index(warning.severity) for warning in each.verdict.warnings]

        assert ranks == sorted(ranks)


@pytest.mark.parametrize(("start", "warned"), [(0x1000, False), (0x1001, True)])
def test_an_elf_file_in_an_archive_must_start_at_a_page(
    start: int, warned: bool, tmp_path: Path
) -> None:
    held = load_held(str(archived(start)(tmp_path)))

    (found,) = checker_of(held).check("f")

    assert held.base == start
    assert found.reading is not None
    assert ("check.archive" in rules_of([found])) == warned


def test_offsets_are_those_of_the_archive(tmp_path: Path) -> None:
    """So the kernel counts them, whichever way they are written."""
    held = load_held(str(archived(0x1000)(tmp_path)))
    found = checker_of(held)

    (by_name,) = found.check("f")
    (by_offset,) = found.check("@0x2000")
    (by_line,) = found.check(f"p {tmp_path / 'app.apk'}:0x2000")

    readings = [each.reading for each in (by_name, by_offset, by_line)]
    assert [reading and (reading.vaddr, reading.offset) for reading in readings] == [
        (CODE, 0x2000)
    ] * 3
    assert by_offset.insn == by_name.insn == "b844332211"
    with pytest.raises(ProbeError, match="is before the file, which starts at 0x1000"):
        found.check("@0x10")


def test_a_compressed_file_in_an_archive_cannot_be_probed(tmp_path: Path) -> None:
    path = tmp_path / "app.apk"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(CASES[0].build(tmp_path), "lib/f.so")

    with pytest.raises(ProbeError, match="is compressed") as caught:
        load_held(str(path))

    assert caught.value.rule == "check.archive"
    assert caught.value.rule in RULES


NEAR = x86(
    code=bytes.fromhex("4889e5c5f9ebc84889e5555d7400c3"),
    symbols=(Sym("f", CODE, size=15),),
)
"""mov; vpor, which is emulated wrongly; mov; push; pop; je; ret."""


@pytest.mark.parametrize(
    ("offset", "distance", "same_path"), [(0, 10, True), (7, 3, True), (14, -2, False)]
)
def test_the_nearest_emulated_instruction_is_one_that_does_no_harm(
    offset: int, distance: int, same_path: bool, tmp_path: Path
) -> None:
    (found,) = checker(NEAR(tmp_path)).check(f"f+{offset}")

    assert found.nearby is not None
    assert (found.nearby.distance, found.nearby.same_path) == (distance, same_path)


def test_padding_behind_a_return_is_no_cheaper_place(tmp_path: Path) -> None:
    """Nobody comes there: mov; ret; nop; nop; end of the function."""
    code = bytes.fromhex("4889e5c39090")
    build = x86(code=code, symbols=(Sym("f", CODE, size=len(code)),))

    (found,) = checker(build(tmp_path)).check("f")

    assert (found.verdict.verdict, found.nearby) == ("xol", None)


def test_constants_among_the_code_are_no_code(tmp_path: Path) -> None:
    """Older linkers put both into one segment."""
    build = x86(
        segments=(Segment(EXTRA, bytes(16), flags=R | X),), parts=(Part(".rodata", EXTRA, 16),)
    )

    (found,) = checker(build(tmp_path)).check(hex(EXTRA))

    assert "check.not_code" in rules_of([found])
    assert "check.unsure" not in rules_of([found])


def test_an_emulated_instruction_needs_no_other(tmp_path: Path) -> None:
    (found,) = checker(NEAR(tmp_path)).check("f+10")

    assert (found.verdict.verdict, found.nearby) == ("emulate", None)


def test_a_number_is_read_in_both_senses(tmp_path: Path) -> None:
    """The code is loaded at CODE, and starts at 0x1000 of the file; so does another, elsewhere."""
    low = Segment(0x1000, bytes([0x55, 0xC3]), flags=R | X)
    found = checker(x86(segments=(low,))(tmp_path))

    (as_offset,) = found.check("@0x1000")
    (as_address,) = found.check("0x1000")

    for one, two in ((as_offset, as_address), (as_address, as_offset)):
        assert one.reading is not None
        assert one.reading == two.other
        assert one.reading.section == (".text" if one is as_offset else None)
    assert as_offset.reading is not None
    assert as_offset.reading.vaddr == CODE
    assert [as_offset.insn, as_address.insn] == ["b844332211", "55"]


@pytest.mark.parametrize(
    ("at", "starts", "confident"), [(7 * 12, True, False), (7 * 12 + 2, False, True)]
)
def test_a_stripped_file_is_read_from_many_places(
    at: int, starts: bool, confident: bool, tmp_path: Path
) -> None:
    code = checker(x86(symbols=(), code=FUNCTION * 20)(tmp_path)).code

    found = code.boundary(Vaddr(CODE + at))

    assert found.starts == starts
    assert 0.5 < found.confidence < 1
    assert "readings" in found.basis


def test_frames_tell_starts_where_there_are_no_symbols(tmp_path: Path) -> None:
    path = compiled(EXCEPTIONS, "-s", language="c++")(tmp_path)
    code = checker(path).code

    (start,) = {start for start in code.frames.starts if code.frames.at(start).handles}  # type: ignore[union-attr]
    found = code.boundary(Vaddr(start + 2))  # push %rbp; mov %rsp,%rbp

    assert (found.starts, found.confidence, found.basis) == (False, 1.0, ".eh_frame")


def test_a_descriptor_is_called_as_the_user_calls_it(tmp_path: Path) -> None:
    found = checker(opd(tmp_path))
    table = found.program.symbols
    (symbol,) = table.find("f")
    aliases = SymbolTable((symbol, symbol._replace(name="g")), table.sections)
    found.program.__dict__["symbols"] = aliases

    for name in ("f", "g"):
        (answer,) = found.check(name)
        (note,) = (each for each in answer.verdict.warnings if each.rule == "check.descriptor")
        assert note.reason.startswith(f"{name} is a descriptor")


def test_a_trap_that_nobody_maps_is_worse_than_no_hits_on_powerpc(tmp_path: Path) -> None:
    code = bytes.fromhex("0800e07f2000804e")  # trap; blr
    elf = Elf(
        segments=(Segment(CODE, code, flags=R | X),),
        symbols=(Sym("f", CODE, size=8),),
        machine=21,
        flags=2,
    )
    path = tmp_path / "program"
    path.write_bytes(elf.build())

    (trap,) = checker(path).check("f")
    (plain,) = checker(path).check("f+4")

    assert (trap.verdict.rule, trap.verdict.warnings[0].severity) == ("powerpc.trap", "kills")
    assert trap.verdict.warnings[0].rule == "powerpc.trap_livelock"
    assert "powerpc.trap_livelock" not in rules_of([plain])


def test_a_trap_that_nobody_maps_is_worse_than_no_hits_on_x86(tmp_path: Path) -> None:
    code = bytes.fromhex("ccc3")  # int3; ret
    elf = Elf(
        segments=(Segment(CODE, code, flags=R | X),),
        symbols=(Sym("f", CODE, size=2),),
        machine=62,
    )
    path = tmp_path / "program"
    path.write_bytes(elf.build())

    (trap,) = checker(path).check("f")
    (plain,) = checker(path).check("f+1")

    assert (trap.verdict.rule, trap.verdict.warnings[0].severity) == ("x86.trap", "kills")
    assert trap.verdict.warnings[0].rule == "x86.trap_livelock"
    assert "x86.trap_livelock" not in rules_of([plain])


def test_return_probes_are_warned_of_their_own_defects(tmp_path: Path) -> None:
    path = program("powerpc64le", "add3")

    assert "powerpc.retval_negated" in rules_of(checker(path).check("add3%return"))
    assert "powerpc.retval_negated" not in rules_of(checker(path).check("add3"))


@pytest.mark.parametrize(("target", "warned"), [("x86_64", True), ("x86", False)])
def test_the_system_call_of_a_trampoline_concerns_64_bit_tasks(target: str, warned: bool) -> None:
    found = checker(program(target, "add3"), "6.12").check("add3%return")

    assert ("x86.return_seccomp" in rules_of(found)) == warned


def test_exits_of_many_functions_are_found_by_a_wildcard() -> None:
    found = checker(program("powerpc64le", "add3")).exits("add*")

    assert [each.exit.kind for each in found if each.exit] == ["return"]


@pytest.mark.parametrize(
    ("offset", "rule", "warned"),
    [
        pytest.param(0, "powerpc.emulate.compute", set[str](), id="a prefixed instruction"),
        pytest.param(4, "powerpc.emulate.compute", {"powerpc.suffix"}, id="its suffix"),
        pytest.param(2, "powerpc.alignment", set[str](), id="half a word"),
        pytest.param(60, "powerpc.prefixed_line", set[str](), id="across 64 bytes"),
    ],
)
def test_prefixed_instructions_of_powerpc(
    offset: int, rule: str, warned: set[str], tmp_path: Path
) -> None:
    paddi, nop = bytes.fromhex("0000000601006338"), bytes.fromhex("00000060")
    code = paddi + nop * 13 + paddi + bytes.fromhex("2000804e")
    elf = Elf(
        segments=(Segment(CODE, code, flags=R | X),),
        symbols=(Sym("f", CODE, size=len(code)),),
        machine=21,
        flags=2,
    )
    path = tmp_path / "program"
    path.write_bytes(elf.build())

    (found,) = checker(path).check(f"f+{offset}")

    assert found.verdict.rule == rule
    assert warned <= rules_of([found])
    assert ("powerpc.suffix" in rules_of([found])) == bool(warned)


POINTED_AT = """
static int one(int a) { return a * 3 + 1; }
static int two(int a) { return a * 5 + 2; }
int (*table[])(int) = {one, two};
int main(int argc, char **argv) { return table[argc & 1](argc); }
"""


@pytest.mark.parametrize("packed", [False, True])
def test_relative_relocations_point_at_functions(packed: bool, tmp_path: Path) -> None:
    flags = ("-O1", "-fpie", "-pie", *(["-Wl,-z,pack-relative-relocs"] if packed else []))
    read = load(compiled(POINTED_AT, *flags)(tmp_path))
    (one,), (two,) = read.symbols.find("one"), read.symbols.find("two")

    assert {one.value, two.value} <= set(relative_targets(read))


def test_relocations_tell_starts_where_there_is_nothing_else(tmp_path: Path) -> None:
    flags = (
        "-s",
        "-O1",
        "-fpie",
        "-pie",
        "-fno-asynchronous-unwind-tables",
        "-fcf-protection=none",
    )
    code = checker(compiled(POINTED_AT, *flags)(tmp_path)).code
    places = [Vaddr(at) for at in code._pointers if code._is_code(at) and at != code.program.entry]
    alone = [at for at in places if code.function_at(at) is None]

    found = [code.boundary(Vaddr(at + distance)) for at in alone for distance in (0, 1, 2)]

    # lea 1(%rdi,%rdi,2),%eax has four bytes, lea 2(%rdi,%rdi,4),%eax as well.
    assert [each.starts for each in found][-6:] == [True, False, False] * 2
    assert {each.basis.partition(",")[0] for each in found[-6:]} == {"a relocation"}


VERSIONED = """
int f_old(int a) { return a + 1; }
int f_new(int a) { return a + 2; }
__asm__(".symver f_old,f@V1\\n.symver f_new,f@@V2");
"""


@pytest.mark.parametrize("stripped", [False, True])
def test_a_version_tells_symbols_of_one_name_apart(stripped: bool, tmp_path: Path) -> None:
    (tmp_path / "map").write_text("V1 { };\nV2 { } V1;\n")
    script = f"-Wl,--version-script={tmp_path / 'map'}"
    flags = ("-shared", "-fPIC", script, *(["-s"] if stripped else []))
    found = checker(compiled(VERSIONED, *flags)(tmp_path))

    places = {
        text: [each.reading and each.reading.vaddr for each in found.check(text)]
        for text in ("f@V1", "f@@V2", "f@V2", "f")
    }

    assert places["f@V1"] != places["f@V2"]
    assert places["f"] == places["f@V2"] == places["f@@V2"]
    with pytest.raises(ProbeError, match="has no symbol f@V3; it has f@V1, f@V2"):
        found.check("f@V3")


def test_the_version_of_an_import_is_known(tmp_path: Path) -> None:
    found = checker(compiled(IMPORTS, "-lm", "-s")(tmp_path))
    (imported,) = found.program.symbols.by_name["cosh"]

    assert imported.version.startswith("GLIBC_2.")
    with pytest.raises(ProbeError, match=f"imports cosh@{imported.version}; .* defines it"):
        found.check(f"cosh@{imported.version}")


MANY_FUNCTIONS = "".join(
    f".globl f{i}\n.type f{i},@function\nf{i}: ret\n.size f{i},1\n" for i in range(2000)
)
TABLE = ".data\n" + "".join(f".quad f{i}\n" for i in range(2000))


@pytest.mark.parametrize("flags", [(), ("-s", "-Wl,-Bsymbolic")], ids=["symbols", "relocations"])
def test_one_probe_looks_at_few_of_many_functions(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = MANY_FUNCTIONS.replace(".globl", ".hidden" if flags else ".globl")
    build = compiled(hidden + TABLE, "-shared", "-nostdlib", *flags, language="assembler")
    found, asked = checker(build(tmp_path)), list[int]()
    segment_of = Program.segment_of

    def counted(program: Program, vaddr: int) -> Loaded | None:
        asked.append(vaddr)
        return segment_of(program, vaddr)

    monkeypatch.setattr(Program, "segment_of", counted)
    (answer,) = found.check(hex(found.program.segments[1].vaddr + 1000))

    assert answer.reading is not None
    assert answer.text == "ret"
    assert answer.reading.symbol == (None if flags else "f1000")
    assert len(asked) < 200


def test_few_readings_that_agree_are_no_certainty(tmp_path: Path) -> None:
    """Behind bytes that are no instructions there are few places to start from."""
    code = checker(x86(symbols=(), code=b"\x06" * 80 + MOVE + b"\xc3")(tmp_path)).code

    found = code.boundary(Vaddr(CODE + 80 + 1))

    assert found.basis.startswith("1 of 1 readings")
    assert found.confidence == 0.5


def test_a_name_that_is_there_is_no_wildcard(tmp_path: Path) -> None:
    """Methods of Go have an asterisk in their names."""
    names = (Sym("a.(*T).M", CODE, size=7), Sym("a.(*UT).M", CODE + 7, size=7))
    found = checker(x86(symbols=names, code=FUNCTION * 2)(tmp_path))

    assert found.matching("a.(*T).M") == []
    assert len(found.check("a.(*T).M")) == 1
    assert len(found.matching("a.(*).M")) == 2


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        pytest.param("4889e5c3cccccc", ["return"], id="padding"),
        pytest.param("7401c3cc", ["return", "trap"], id="a target"),
        pytest.param("4889e50f0b", ["trap"], id="the end"),
    ],
)
def test_traps_that_fill_up_are_no_exits(code: str, kinds: list[str], tmp_path: Path) -> None:
    insns = bytes.fromhex(code)
    build = x86(code=insns, symbols=(Sym("f", CODE, size=len(insns)),))

    found = checker(build(tmp_path)).exits("f")

    assert [each.exit.kind for each in found if each.exit] == kinds


@pytest.mark.parametrize("flags", [(), ("-fcf-protection=full", "-Wl,-z,ibtplt")], ids=str)
def test_a_stub_is_entered_like_a_function(flags: tuple[str, ...], tmp_path: Path) -> None:
    """The return address is on top of the stack, although one frame is made of all stubs."""
    found = checker(compiled(IMPORTS, "-lm", "-Wl,-z,lazy", *flags)(tmp_path))

    (answer,) = found.check("cosh@plt%return")

    assert answer.reading is not None
    assert stub_names(found.program)[answer.reading.vaddr or Vaddr(0)] == "cosh"
    assert "check.plt" in rules_of([answer])
    assert "check.return_inside" not in rules_of([answer])
    with pytest.raises(ProbeError, match="has no symbol nosuch@plt"):
        found.check("nosuch@plt")
