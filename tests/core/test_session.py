"""core/uprobes_sim/session.py: whole runs of real programs."""

from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from elf_programs import TARGETS, program
from uprobes_sim.errno import Errno
from uprobes_sim.errors import ProgramError, UnknownKernelError, UprobesSimError
from uprobes_sim.events import Event, Hit, Output, ProbeRefused, Return, Summary
from uprobes_sim.session import Options, demonstration, run

DEFAULT = Options()


def events_of(
    path: Path, *probes: str, options: Options = DEFAULT, status: int = 0, stdin: bytes = b""
) -> list[Event]:
    """Run a program under *probes*; the exit status must be *status*."""
    events: list[Event] = []

    assert run(path, (), probes, options, stdin=BytesIO(stdin), emit=events.append) == status
    return events


def summary(events: list[Event]) -> Summary:
    last = events[-1]
    assert isinstance(last, Summary)
    return last


@pytest.mark.parametrize("target", TARGETS)
def test_probes_cost_the_program_no_instruction(target: str) -> None:
    """Emulated and stepped ones count as the program's own; traps and trampolines do not."""
    add3 = program(target, "add3")

    plain = summary(events_of(add3, options=replace(DEFAULT, compare=False)))
    probed = summary(events_of(add3, "add3", "add3%return", "main", "printf"))

    assert probed.insns == plain.insns > 1000
    assert probed.compared is not None
    assert probed.compared.equal


def test_every_event_is_counted_once_and_in_order() -> None:
    events = events_of(program("powerpc64le", "add3"), "add3", "add3%return")

    assert [event.step for event in events] == list(range(1, len(events) + 1))
    kinds = Counter(type(event) for event in events)
    assert summary(events).hits == {"add3": kinds[Hit], "add3%return": kinds[Return]}


def test_the_same_run_gives_the_same_events() -> None:
    path = program("powerpc64le", "calls")

    assert events_of(path, "fib", "leaf%return") == events_of(path, "fib", "leaf%return")


def test_a_hit_tells_where_and_how() -> None:
    events = events_of(program("powerpc64le", "add3"), "add3", options=replace(DEFAULT, regs=True))

    hit = next(event for event in events if isinstance(event, Hit))
    assert (hit.probe, hit.pid, hit.tid, hit.comm) == ("add3", 1000, 1000, "add3")
    assert hit.how == "emulate"
    assert hit.text.startswith("add ")
    assert hit.regs is not None
    assert hit.regs["nip"] == hit.vaddr


def test_two_probes_at_one_place_are_both_hit() -> None:
    events = events_of(program("x86_64", "add3"), "add3", "add3+0")

    hits = summary(events).hits
    assert hits["add3"] == hits["add3+0"] > 0


def test_what_the_kernel_refuses_is_not_run() -> None:
    events = events_of(program("powerpc", "endings"), "main", "trap_here", status=1)

    assert len(events) == 1
    refused = events[0]
    assert isinstance(refused, ProbeRefused)
    assert (refused.probe, refused.errno, refused.rule) == (
        "trap_here",
        Errno.ENOTSUPP,
        "powerpc.trap",
    )


def test_standard_input_is_read_once_and_given_to_both_runs() -> None:
    events = events_of(program("powerpc64le", "filter"), "upper", stdin=b"once\n")

    output = b"".join(e.data for e in events if isinstance(e, Output) and e.fd == 1)
    compared = summary(events).compared
    assert output == b"ONCE\n"
    assert compared is not None
    assert compared.equal


def test_a_backend_that_was_not_asked_for_is_not_taken() -> None:
    with pytest.raises(ProgramError, match="x86 does not run EM_PPC64, 64-bit little-endian"):
        events_of(program("powerpc64le", "add3"), options=Options(arch="x86"))


def test_a_machine_without_backend_is_named(tmp_path: Path) -> None:
    alien = tmp_path / "alien"
    image = bytearray(program("x86_64", "add3").read_bytes())
    image[18:20] = (22).to_bytes(2, "little")
    alien.write_bytes(image)

    with pytest.raises(ProgramError, match=r"no plugin runs EM_S390, .*powerpc, .*x86"):
        events_of(alien)


def test_an_unknown_processor_is_refused_with_those_there_are() -> None:
    with pytest.raises(UprobesSimError, match="no processor z80; it knows power10"):
        events_of(program("powerpc", "add3"), options=Options(cpu="z80"))


def test_powerpc_has_no_uprobes_before_3_7() -> None:
    """8b7b80b9ebb4 powerpc: Uprobes port to powerpc."""
    with pytest.raises(UnknownKernelError, match=r"3\.7 is the first, or 3\.6\+powerpc-v3"):
        events_of(program("powerpc", "add3"), "add3", options=Options(kernel="3.6"))


@pytest.mark.parametrize("kernel", ["3.7", "3.6+powerpc-v3"])
def test_powerpc_has_them_since_3_7_and_in_the_patches_before(kernel: str) -> None:
    options = Options(kernel=kernel, compare=False)

    events = events_of(program("powerpc", "add3"), "add3", options=options)

    assert isinstance(events[-1], Summary)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("arch", ["powerpc", "x86"])
def test_a_demonstration_shows_both_ways_and_a_return(arch: str, bits: int) -> None:
    events: list[Event] = []

    status = demonstration(arch, Options(bits=bits), emit=events.append)  # type: ignore[arg-type]

    hits = [event for event in events if isinstance(event, Hit)]
    assert status == 0
    assert {hit.how for hit in hits} == {"emulate", "xol"}
    assert len({hit.text for hit in hits}) >= 5
    assert any(isinstance(event, Return) for event in events)


def test_a_probe_that_sends_the_program_round_for_ever_is_a_difference() -> None:
    """On 6.1 the emulated `addi r27,r27,1` of a loop counter is lost (powerpc.lost_nonvolatile)."""
    events = events_of(
        program("powerpc64le", "add3"), "0x1011510", options=Options(kernel="6.1"), status=1
    )

    end = summary(events)
    assert (end.exit_status, end.signal) == (None, None)
    assert end.compared is not None
    assert ("exit_status", "still running", "0") in [
        (each.what, each.probed, each.unprobed) for each in end.compared.differences
    ]
