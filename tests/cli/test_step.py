"""cli/uprobes_sim_cli/step.py"""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from uprobes_sim_cli.app import app


def invoke(*args: str, stdin: bytes = b"") -> Any:
    return CliRunner().invoke(app, args, input=stdin)


def step(*args: str, arch: str = "powerpc") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        invoke("--arch", arch, "--format", "jsonl", "step", *args).stdout
    )
    return answer


def test_the_object_of_a_result() -> None:
    assert step("7c642a14", "--reg", "gpr4=0xffffffffffffffff", "--reg", "gpr5=2") == {
        "insn": "7c642a14",
        "result": 1,
        "regs": {"gpr3": "0x1", "nip": "0x4"},
        "mem": {},
        "error": None,
    }


def test_vectors_are_written_in_full_and_byte_0_first() -> None:
    found = step("c8240000", "--reg", "gpr4=0x10", "--mem", "0x10=0100000000000000")["regs"]

    assert found == {
        "nip": "0x4",
        "fpr1": "0x0000000000000001",
        "vsr1": "0x00000000000000010000000000000000",
    }


def test_memory_is_in_memory_order() -> None:
    args = ["--reg", "gpr3=0x11223344", "--reg", "gpr4=4096", "--mem", "0x1000=00000000"]

    assert step("90640000", *args)["mem"] == {"0x1000": "44332211"}


@pytest.mark.parametrize(
    ("arch", "insn", "result"),
    [
        pytest.param("powerpc", "60000000", 1, id="nop"),
        pytest.param("powerpc", "fc22182a", 0, id="fadd"),
        pytest.param("powerpc", "44000002", -1, id="sc"),
        pytest.param("powerpc", "7fe00008", 0, id="a trap that fires"),
        pytest.param("x86", "90", 1, id="x86 nop"),
        pytest.param("x86", "4889d8", 0, id="x86 mov"),
        pytest.param("x86", "cc", -1, id="x86 int3"),
        pytest.param("x86", "f4", -1, id="x86 hlt"),
    ],
)
def test_results_and_exit_status(arch: str, insn: str, result: int) -> None:
    done = invoke("--arch", arch, "step", insn, "--format", "jsonl")

    assert json.loads(done.stdout)["result"] == result
    assert done.exit_code == (0 if result == 1 else 1)


def test_x86_pushes() -> None:
    args = ["--reg", "sp=0x1008", "--reg", "bp=0x1234", "--mem", "0x1000=0000000000000000"]

    found = step("55", *args, arch="x86")

    assert (found["regs"], found["mem"]) == ({"sp": "0x1000", "ip": "0x1"}, {"0x1000": "3412"})


def test_text() -> None:
    done = invoke("--arch", "powerpc", "step", "38600001")

    assert done.stdout.splitlines() == [
        "38600001  result 1, emulated by the kernel",
        "  gpr3     0x1",
        "  nip      0x4",
    ]


QUESTION = {"insn": "7c642a14", "regs": {"gpr4": "0x1", "gpr5": 5}}


def test_a_filter_answers_each_line_in_its_place() -> None:
    lines = [json.dumps(QUESTION), "nonsense", json.dumps({"insn": "44000002"})]

    done = invoke(
        "--arch", "powerpc", "step", "-", "--format", "jsonl", stdin="\n".join(lines).encode()
    )

    first, second, third = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 2
    assert (first["regs"], first["error"]) == ({"gpr3": "0x6", "nip": "0x4"}, None)
    assert second["insn"] == "nonsense"
    assert "no JSON" in second["error"]
    assert third["result"] == -1


def test_a_filter_that_understood_all_is_content() -> None:
    done = invoke("--arch", "powerpc", "step", "-", stdin=b'{"insn": "44000002"}\n')

    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("[]", "a question is an object", id="no object"),
        pytest.param('{"insn": 5}', "a question is an object", id="no text"),
        pytest.param('{"regs": {}}', "a question is an object", id="no instruction"),
        pytest.param('{"insn": "60000000", "reg": {}}', "has no reg", id="unknown key"),
        pytest.param('{"insn": "60000000", "regs": []}', "are objects", id="regs"),
        pytest.param('{"insn": "60000000", "mem": 1}', "are objects", id="mem"),
        pytest.param('{"insn": "zz"}', "'zz' is no instruction", id="no hex"),
        pytest.param('{"insn": "60000000", "regs": {"r3": 1}}', "no register r3", id="register"),
        pytest.param('{"insn": "60000000", "regs": {"gpr3": null}}', "no number", id="null"),
        pytest.param('{"insn": "60000000", "regs": {"gpr3": true}}', "no number", id="true"),
        pytest.param('{"insn": "60000000", "regs": {"gpr3": -1}}', "no number", id="negative"),
        pytest.param('{"insn": "60000000", "regs": {"gpr3": "0x"}}', "no number", id="no digits"),
        pytest.param('{"insn": "60000000", "mem": {"x": "00"}}', "no number", id="address"),
        pytest.param('{"insn": "60000000", "mem": {"0": "000"}}', "no bytes", id="odd digits"),
        pytest.param('{"insn": "60000000", "mem": {"0": 1}}', "no bytes", id="bytes"),
        pytest.param(
            '{"insn": "60000000", "mem": {"0x10000000000000000": "00"}}', "beyond", id="far"
        ),
        pytest.param('{"insn": "60000000", "regs": {"\\ud800": 1}}', "no register", id="surrogate"),
        pytest.param('{"insn": "60000000", "regs": {"gpr3": 1e999}}', "no number", id="float"),
        pytest.param("[" * 100_000, "no JSON", id="deep"),
    ],
)
def test_a_bad_line_gets_its_error(line: str, reason: str) -> None:
    done = invoke("--arch", "powerpc", "step", "-", "--format", "jsonl", stdin=line.encode())

    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["insn"]) == (2, line)
    assert reason in answer["error"]


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        pytest.param(["60000000", "--reg", "gpr3"], "is not --reg NAME=VALUE", id="no value"),
        pytest.param(["60000000", "--mem", "=00"], "is not --mem ADDR=HEX", id="no address"),
        pytest.param(
            ["60000000", "--reg", "gpr4=1", "--reg", "gpr4=2"], "gpr4 is given twice", id="two"
        ),
        pytest.param(
            ["60000000", "--mem", "0x1000=00", "--mem", "4096=0011"],
            "memory at 0x1000 is given twice",
            id="two at one address",
        ),
        pytest.param(
            ["60000000", "--mem", "0x1000=0011", "--mem", "0x1001=12"],
            "memory at 0x1001 is given twice",
            id="overlapping",
        ),
        pytest.param(["-", "--reg", "gpr3=1"], "come with each line", id="with a filter"),
        pytest.param(["6000000"], "is no instruction", id="digits"),
    ],
)
def test_bad_input_is_one_line(args: list[str], reason: str) -> None:
    done = invoke("--arch", "powerpc", "step", *args)

    assert (done.exit_code, done.stdout) == (2, "")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
