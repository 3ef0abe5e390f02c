"""arches/x86/uprobes_sim_x86/trampoline.py. tests/live/test_trampolines.py asks a kernel."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest

from elf_maker import PAGE, Elf, Segment
from uprobes_sim.arch import Abi
from uprobes_sim.events import Event, Output, Return, Summary
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.session import Options, configure, run
from uprobes_sim.signals import Signal
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.trampoline import Trampolines
from x86_trampolines import CODE, NOP5, RETURNS, SHOWN, UPROBES, write_shower

NOP = "0f1f440000"
NOWHERE = CODE + PAGE
PROBES = (f"@{NOP5:#x}", f"@{RETURNS:#x}%return")


def events(path: Path, probes: tuple[str, ...], options: Options) -> list[Event]:
    found: list[Event] = []
    run(path, (), probes, options, stdin=BytesIO(), emit=found.append)
    return found


def shown(path: Path, kernel: str, errata: Literal["linux", "none"] = "linux") -> list[str]:
    """Run the program that shows itself under its probes; cut what it shows."""
    options = Options(kernel=kernel, errata=errata, compare=False)
    found = events(write_shower(path, NOWHERE), PROBES, options)
    return [each.data.hex() for each in found if isinstance(each, Output)]


def program(path: Path, code: str) -> Path:
    elf = Elf(
        segments=(Segment(CODE, bytes.fromhex(code)),),
        abi=Abi(64, "little"),
        machine=62,
        entry=CODE,
    )
    path.write_bytes(elf.build())
    return path


def end(path: Path, options: Options, *probes: str) -> Summary:
    last = events(path, probes, options)[-1]
    assert isinstance(last, Summary)
    return last


def test_a_no_op_becomes_a_call_at_its_first_hit_and_stays_one(tmp_path: Path) -> None:
    first, second, third = shown(tmp_path / "program", "6.18")[:3]

    to_the_next_page = "e8" + (NOWHERE - (CODE + NOP5 - PAGE) - 5).to_bytes(4, "little").hex()
    assert (first, second, third) == (to_the_next_page,) * 3


def test_the_call_goes_to_code_that_calls_the_kernel(tmp_path: Path) -> None:
    page = shown(tmp_path / "program", "6.18")[3]

    assert page == "5141535048c7c0500100000f0558415b59c3cc".ljust(2 * SHOWN, "0")


@pytest.mark.parametrize(
    ("kernel", "code"), [("6.18", "5051415348c7c04f0100000f05415b59c3cc"), ("6.1", "cc")]
)
def test_a_probed_function_returns_to_code_that_calls_the_kernel(
    kernel: str, code: str, tmp_path: Path
) -> None:
    output = shown(tmp_path / "program", kernel)

    assert UPROBES.to_bytes(8, "little").hex() in output
    assert code.ljust(2 * SHOWN, "0") in output


def test_the_programs_registers_survive_the_call(tmp_path: Path) -> None:
    registers = shown(tmp_path / "program", "6.18")[-2]

    assert registers == "ccbbaa9900000000" + "8877665500000000" + "4433221100000000"


@pytest.mark.parametrize(
    ("kernel", "errata"), [("6.16", "linux"), ("6.18", "none")], ids=["before 6.18", "no defects"]
)
def test_otherwise_the_breakpoint_stays(
    kernel: str, errata: Literal["linux", "none"], tmp_path: Path
) -> None:
    output = shown(tmp_path / "program", kernel, errata)

    assert output[:3] == ["cc" + NOP[2:]] * 3


@pytest.mark.parametrize(
    ("kernel", "answer"), [("6.18", -6), ("6.16", -38)], ids=["ENXIO", "ENOSYS"]
)
def test_a_program_that_calls_the_kernel_so_itself_is_refused(
    kernel: str, answer: int, tmp_path: Path
) -> None:
    result = shown(tmp_path / "program", kernel)[-1]

    assert result == answer.to_bytes(8, "little", signed=True).hex()


@pytest.mark.parametrize(
    ("kernel", "signal"), [("6.18", Signal.SIGILL), ("6.1", None)], ids=["6.18", "6.1"]
)
def test_nobody_else_may_return_like_a_probed_function(
    kernel: str, signal: Signal | None, tmp_path: Path
) -> None:
    path = program(tmp_path / "program", "b84f0100000f05" + "b83c00000031ff0f05")

    summary = end(path, Options(kernel=kernel))

    assert summary.signal == signal


def test_a_return_probe_tells_where_the_function_returns_to(tmp_path: Path) -> None:
    path = write_shower(tmp_path / "program", NOWHERE)

    found = events(path, PROBES[1:], Options(compare=False))

    (returned,) = (each for each in found if isinstance(each, Return))
    assert returned.func == CODE + RETURNS - PAGE
    assert CODE < returned.vaddr < returned.func


def test_what_trampolines_push_below_the_stack_is_no_difference_and_is_counted(
    tmp_path: Path,
) -> None:
    call_twice = "e812000000e80d000000b83c00000031ff0f0590909090"
    path = program(tmp_path / "program", f"{call_twice}{NOP}c3")
    site = f"{CODE + len(call_twice) // 2:#x}"

    entry = end(path, Options(), site)
    both = end(path, Options(), site, f"{site}%return")

    assert list(entry.hits.values()) == [2]
    assert list(both.hits.values()) == [2, 2]
    assert entry.compared is not None
    assert entry.compared.equal
    assert entry.compared.trampoline_values > 0
    assert both.compared is not None
    assert both.compared.equal


def test_the_call_costs_the_program_no_instruction(tmp_path: Path) -> None:
    path = write_shower(tmp_path / "program", NOWHERE)

    probed = end(path, Options(compare=False), *PROBES)
    plain = end(path, Options(compare=False))

    assert probed.insns == plain.insns > 50


# --- where the page goes ---------------------------------------------------------


def space(*taken: tuple[int, int]) -> Mm:
    linked = link("x86", Abi(64, "little"))
    mm = Machine(linked, configure(linked, Options())).new_mm()
    for start, end_ in taken:
        mm.mmap(start, end_ - start, VmFlags.READ | VmFlags.MAYREAD)
    return mm


@pytest.mark.parametrize(
    ("vaddr", "page"),
    [
        pytest.param(0x400123, 0x3FF000, id="below"),
        pytest.param(0x402F00, 0x403000, id="above"),
        pytest.param(0x600800, 0x601000, id="above a single page"),
    ],
)
def test_the_nearest_free_page_is_taken(vaddr: int, page: int) -> None:
    mm = space((0x400000, 0x403000), (0x600000, 0x601000))

    assert Trampolines(mm).get(Vaddr(vaddr)) == page


def test_sites_in_reach_share_a_page_and_others_do_not() -> None:
    trampolines = Trampolines(space((0x400000, 0x401000)))

    near = trampolines.get(Vaddr(0x400000))

    assert trampolines.get(Vaddr(0x7000_0000)) == near
    assert trampolines.get(Vaddr(0x1_0000_0000)) != near
