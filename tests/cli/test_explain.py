"""cli/uprobes_sim_cli/explain.py and answers.py"""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from elf_programs import program
from uprobes_sim_cli.app import app

ADD3 = str(program("powerpc64le", "add3"))
FIVE = b"7fe00008\n7d8c0808\n0c000000\n44000002\n4e800020\n"


def invoke(*args: str, stdin: bytes = b"") -> Any:
    return CliRunner().invoke(app, args, input=stdin)


def explain(*args: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    done = invoke("--arch", "powerpc", "explain", "--format", "jsonl", *args, stdin=stdin)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_words_of_the_thread() -> None:
    answers = explain("-", stdin=FIVE)

    assert [(a["verdict"], a["errno"], a["rule"]) for a in answers] == [
        *[("reject", "ENOTSUPP", "powerpc.trap")] * 3,
        ("reject", "ENOTSUPP", "powerpc.single_step"),
        ("emulate", None, "powerpc.emulate.branch"),
    ]
    assert [a["errno_value"] for a in answers] == [524] * 4 + [None]


def test_the_keys_of_an_explanation() -> None:
    (answer,) = explain("3bff0001", "--kernel", "6.1")

    assert list(answer) == [
        "arch",
        "kernel",
        "path",
        "symbol",
        "vaddr",
        "offset",
        "size",
        "insn",
        "text",
        "verdict",
        "errno",
        "errno_value",
        "rule",
        "reason",
        "warnings",
        "fields",
        "by_kernel",
        "errata",
        "source",
    ]
    assert (answer["arch"], answer["kernel"], answer["size"]) == ("powerpc", "6.1", 4)
    assert [answer[key] for key in ("path", "symbol", "vaddr", "offset")] == [None] * 4
    assert [(w["rule"], w["severity"]) for w in answer["warnings"]] == [
        ("powerpc.lost_nonvolatile", "damages")
    ]
    assert answer["by_kernel"]["6.18"] == {"verdict": "emulate", "errno": None}
    assert answer["by_kernel"]["3.6"] == {"verdict": "reject", "errno": "ENOSYS"}


def test_a_filter_answers_each_line_in_its_place() -> None:
    done = invoke("--arch", "powerpc", "explain", "-", "--format", "json", stdin=b"x\n60000000\n\n")

    answers = json.loads(done.stdout)
    assert done.exit_code == 2
    assert [answer["insn"] for answer in answers] == ["x", "60000000", ""]
    assert ["error" in answer for answer in answers] == [True, False, True]
    assert list(answers[0]) == ["insn", "error"]


def test_a_filter_without_lines_has_no_answers() -> None:
    done = invoke("--arch", "powerpc", "explain", "-", "--format", "json")

    assert (done.exit_code, json.loads(done.stdout)) == (0, [])


def test_lines_that_are_not_text_are_bad_lines() -> None:
    done = invoke("--arch", "powerpc", "explain", "-", stdin=b"\xff\xfe\n60000000\r\n")

    assert done.exit_code == 2
    assert "60000000  nop" in done.stdout


@pytest.mark.parametrize(("insn", "status"), [("60000000", 0), ("7fe00008", 1)])
def test_a_refusal_is_something_found(insn: str, status: int) -> None:
    assert invoke("--arch", "powerpc", "explain", insn).exit_code == status


def test_text_tells_all() -> None:
    text = invoke("--arch", "powerpc", "explain", "44000002", "--kernel", "5.19").stdout

    assert text.splitlines() == [
        "44000002  sc",
        "  fields    name=sc PO=17",
        "  verdict   refused with ENOTSUPP (524) by Linux 5.19 on power10",
        "  reason    no trace interrupt follows the instruction, so it cannot be single-stepped "
        "[powerpc.single_step]",
        "  source    arch/powerpc/include/asm/probes.h, can_single_step; "
        "Power ISA, book I, 2.4, 2.6, 3.3.12",
        "  kernels   refused with ENOSYS since 3.5, emulated since 3.7, "
        "refused with ENOTSUPP since 5.19",
    ]


def test_a_probe_in_a_file() -> None:
    done = invoke("explain", ADD3, "add3", "main+4", "--format", "jsonl")

    first, second = map(json.loads, done.stdout.splitlines())
    assert (done.exit_code, first["path"], first["symbol"]) == (0, ADD3, "add3")
    assert int(second["vaddr"], 16) - second["offset"] == int(first["vaddr"], 16) - first["offset"]


@pytest.mark.parametrize(
    ("target", "name", "probe", "rules"),
    [
        pytest.param("x86_64", "text", "main+2", ["check.inside_insn"], id="inside"),
        pytest.param(
            "x86_64",
            "endings",
            "_start%return",
            ["check.return_start", "check.no_return"],
            id="the start",
        ),
    ],
)
def test_explain_and_run_warn_of_what_check_warns_of(
    target: str, name: str, probe: str, rules: list[str]
) -> None:
    path = str(program(target, name))

    checked = json.loads(invoke("check", path, probe, "--format", "jsonl").stdout)
    explained = invoke("explain", path, probe, "--format", "jsonl")
    lines = invoke("run", path, "-p", probe, "--format", "jsonl").stdout.splitlines()

    events = [json.loads(line) for line in lines]
    told = [
        {key: event[key] for key in ("rule", "severity", "reason")}
        for event in events
        if event["event"] == "warning"
    ]
    assert [warning["rule"] for warning in checked["warnings"]] == rules
    assert json.loads(explained.stdout)["warnings"] == told == checked["warnings"]
    assert explained.exit_code == 1
    assert [event["event"] for event in events[: len(rules)]] == ["warning"] * len(rules)


def test_x86_takes_bytes_in_memory_order() -> None:
    done = invoke("--arch", "x86", "explain", "e80500", "--format", "jsonl")

    answer = json.loads(done.stdout)
    assert (answer["insn"], answer["size"], answer["rule"]) == ("e805000000", 5, "x86.emulate.call")


def test_bits_choose_the_mode() -> None:
    args = ("--arch", "x86", "explain", "06", "--format", "jsonl")

    assert json.loads(invoke(*args).stdout)["verdict"] == "reject"
    assert json.loads(invoke(*args, "--bits", "32").stdout)["verdict"] == "xol"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        pytest.param(["explain", "60000000"], "name the backend: --arch", id="no backend"),
        pytest.param(["--arch", "powerpc", "explain", "zz"], "'zz' is no powerpc", id="no insn"),
        pytest.param(["explain", ADD3], "name a probe in it", id="no probe"),
        pytest.param(["--arch", "x86", "explain", "90" * 200], "copies 16", id="too long"),
        pytest.param(["--arch", "x86", "explain", ""], "'' is no x86 instruction", id="empty"),
        pytest.param(["--arch", "x86", "explain", "9"], "hexadecimal digits", id="half a byte"),
        pytest.param(["explain", "/nosuch", "main"], "/nosuch: no such file", id="no file"),
        pytest.param(["explain", ADD3, "nowhere"], "no symbol nowhere", id="no symbol"),
        pytest.param(["--arch", "x86", "explain", ADD3, "main"], "does not run", id="other arch"),
    ],
)
def test_bad_input_is_one_line(args: list[str], reason: str) -> None:
    done = invoke(*args)

    assert (done.exit_code, done.stdout) == (2, "")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert "fromhex" not in done.stderr


def test_runs_of_one_verdict_differ_in_errno() -> None:
    text = invoke("explain", ADD3, "add3+2").stdout

    (kernels,) = [line for line in text.splitlines() if line.startswith("  kernels")]
    runs = [run.strip() for run in kernels.removeprefix("  kernels").split(",")]
    answers = [run.partition(" since ")[0] for run in runs]
    assert len(answers) > 1
    assert all(one != other for one, other in pairwise(answers))


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_a_file_name_that_is_not_utf_8_is_still_json(format_: str, tmp_path: Path) -> None:
    path = tmp_path / "\udcffp"
    path.write_bytes(Path(ADD3).read_bytes())

    done = invoke("explain", str(path), "add3", "--format", format_)

    (answer,) = json.loads(done.stdout_bytes) if format_ == "json" else [json.loads(done.stdout)]
    assert answer["path"] == str(tmp_path / "\ufffdp")


def test_an_answer_comes_before_the_next_question() -> None:
    """Whoever asks one after the other must not wait for a buffer to fill."""
    command = [sys.executable, "-m", "uprobes_sim_cli", "--arch", "powerpc", "explain", "-"]
    with subprocess.Popen(
        [*command, "--format", "jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        got = []
        for word in (b"60000000", b"7fe00008"):
            running.stdin.write(word + b"\n")
            running.stdin.flush()
            got.append(json.loads(running.stdout.readline())["verdict"])
        running.stdin.close()

    assert got == ["emulate", "reject"]
