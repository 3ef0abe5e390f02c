"""cli/uprobes_sim_cli/render.py"""

import json

import pytest

from uprobes_sim.errno import Errno
from uprobes_sim.events import (
    Compared,
    Difference,
    Event,
    Hit,
    Output,
    ProbeRefused,
    ProbeWarning,
    Return,
    Summary,
    UnknownSyscall,
)
from uprobes_sim.signals import Signal
from uprobes_sim.units import Vaddr
from uprobes_sim_cli import render

HIT = Hit(3, "add3", 1000, 1000, "prog", Vaddr(0x10000), "emulate", "mflr r0", None)
RETURN = Return(4, "add3%return", 1000, 1000, "prog", Vaddr(0x10040), Vaddr(0x10000), 6)
EQUAL = Compared((), 0)


def test_a_hit_is_a_line_of_trace_pipe() -> None:
    assert render.trace_line(HIT) == (
        '            prog-1000    [000] .....     3: add3: (0x10000) how=emulate insn="mflr r0"'
    )


def test_a_return_names_where_it_goes_and_whence() -> None:
    assert render.trace_line(RETURN).endswith(
        "     4: add3%return: (0x10040 <- 0x10000) retval=0x6"
    )


def test_registers_follow_a_hit_unless_they_are_zero() -> None:
    regs = {"gpr1": 0xFFF0, "gpr2": 0, "fpr1": 1}
    hit = Hit(1, "p", 1, 1, "c", Vaddr(0), "xol", "nop", regs)

    assert render.trace_line(hit).endswith(" gpr1=0xfff0 fpr1=0x0000000000000001")


def test_a_hit_in_json_has_numbers_and_addresses_as_promised() -> None:
    assert render.as_json(HIT) == {
        "event": "hit",
        "step": 3,
        "probe": "add3",
        "pid": 1000,
        "tid": 1000,
        "comm": "prog",
        "vaddr": "0x10000",
        "how": "emulate",
        "text": "mflr r0",
    }


def test_registers_in_json_are_strings_and_vectors_have_full_width() -> None:
    regs = {"gpr3": 255, "xer": 0, "fpr1": 1, "vr2": 2, "vsr34": 2}
    hit = Hit(1, "p", 1, 1, "c", Vaddr(0), "xol", "nop", regs)

    assert render.as_json(hit)["regs"] == {
        "gpr3": "0xff",
        "xer": "0x0",
        "fpr1": "0x" + "1".rjust(16, "0"),
        "vr2": "0x" + "2".rjust(32, "0"),
        "vsr34": "0x" + "2".rjust(32, "0"),
    }


def test_a_return_in_json_has_func_and_the_whole_value() -> None:
    told = render.as_json(RETURN)

    assert (told["event"], told["vaddr"], told["func"], told["retval"]) == (
        "return",
        "0x10040",
        "0x10000",
        "0x6",
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(b"caf\xc3\xa9\n", {"data": "café\n"}, id="utf-8"),
        pytest.param(b"\xff\x00", {"data_base64": "/wA="}, id="binary"),
    ],
)
def test_output_is_text_where_it_can_be(data: bytes, told: dict[str, str]) -> None:
    assert render.as_json(Output(1, 2, data)) == {"event": "output", "step": 1, "fd": 2, **told}


def test_a_refusal_has_name_number_rule_and_reason() -> None:
    refused = ProbeRefused(1, "p", Errno.ENOTSUPP, "powerpc.trap", "it is a trap")

    assert render.refusal(refused) == "probe p: ENOTSUPP (524): it is a trap [powerpc.trap]"
    assert render.as_json(refused) == {
        "event": "refused",
        "step": 1,
        "probe": "p",
        "errno": "ENOTSUPP",
        "errno_value": 524,
        "rule": "powerpc.trap",
        "reason": "it is a trap",
    }


def test_a_summary_in_words() -> None:
    summary = Summary(9, {"a": 4, "b%return": 0}, 0, None, 1234, EQUAL)

    assert list(render.summary_lines(summary)) == [
        "hits: a 4, b%return 0",
        "exit status 0 after 1234 instructions",
        "probed run equals unprobed run (output, exit status, registers, memory)",
    ]


def test_a_summary_tells_each_difference() -> None:
    difference = Difference("register", "gpr3", "0x1", "0x2")
    summary = Summary(9, {}, None, Signal.SIGSEGV, 7, Compared((difference,), 0))

    assert list(render.summary_lines(summary)) == [
        "SIGSEGV after 7 instructions",
        "probed run differs from unprobed run:",
        "  register gpr3: 0x1 probed, 0x2 unprobed",
    ]


def test_a_summary_in_json() -> None:
    difference = Difference("memory", "0x1000", "00", "01")
    summary = Summary(9, {"a": 4}, 3, None, 12, Compared((difference,), 2))

    assert render.as_json(summary) == {
        "event": "summary",
        "step": 9,
        "hits": {"a": 4},
        "exit_status": 3,
        "signal": None,
        "insns": 12,
        "compared": {
            "equal": False,
            "differences": [
                {"what": "memory", "where": "0x1000", "probed": "00", "unprobed": "01"}
            ],
        },
        "trampoline_values": 2,
        "warnings": {},
    }


def test_no_comparison_is_null() -> None:
    assert render.as_json(Summary(1, {}, 0, None, 1, None))["compared"] is None


@pytest.mark.parametrize(
    "event",
    [HIT, RETURN, Output(1, 1, b"x\n"), UnknownSyscall(1, "bpf", 321)],
    ids=lambda event: type(event).__name__,
)
def test_every_object_is_one_line_of_json(event: Event) -> None:
    line = render.json_line(render.as_json(event))

    assert "\n" not in line
    assert json.loads(line)["step"] == event.step


def test_warnings_are_named_behind_the_comparison() -> None:
    summary = Summary(1, {"a": 1}, 0, None, 1, EQUAL, {"a": ("x.lost", "x.slow")})

    assert [*render.summary_lines(summary)][-1].startswith("probe a was warned of: x.lost")
    assert render.as_json(summary)["warnings"] == {"a": ("x.lost", "x.slow")}


def test_a_warning() -> None:
    event = ProbeWarning(1, "main", "x.lost", "damages", "it loses a register")

    assert render.warning(event) == "probe main damages: it loses a register [x.lost]"
    assert render.as_json(event) == {
        "event": "warning",
        "step": 1,
        "probe": "main",
        "rule": "x.lost",
        "severity": "damages",
        "reason": "it loses a register",
    }
