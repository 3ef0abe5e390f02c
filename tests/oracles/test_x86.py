"""The x86 engine against this machine's processor: random instructions on random operands."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uprobes_sim_cli.app import app
from uprobes_sim_x86.host.processor import available
from x86_judge.draw import ROWS, Bits, legacy_case, vex_case
from x86_judge.judge import Judge, Verdict, show
from x86_judge.known import beyond_the_end, unexplained, wide_in_32_bits

pytestmark = [
    pytest.mark.processor("avx2", "bmi1", "bmi2"),
    pytest.mark.skipif(not available(), reason="this machine lets nobody trace a child"),
]


def told(verdict: Verdict, fields: set[str]) -> str:
    """Say in which of *fields* the engine and the processor differ."""
    lines = [f"{verdict.case.code.hex()} {verdict.text}"]
    for name in sorted(fields):
        ours, theirs = show(getattr(verdict.ours, name)), show(getattr(verdict.theirs, name))
        lines.append(f"{name}: {ours} by the engine, {theirs} by the processor")
    return "\n".join(lines)


def judge_vex(bits: Bits, cases: int, seed: int) -> None:
    rng, judge = random.Random(seed), Judge(bits)
    for number in range(cases):
        verdict = judge.judge(vex_case(rng, bits, ROWS[number % len(ROWS)]))
        fields = verdict.different - beyond_the_end(verdict) - wide_in_32_bits(verdict)
        assert not fields, told(verdict, fields)


def judge_legacy(bits: Bits, cases: int, seed: int) -> None:
    rng, judge = random.Random(seed), Judge(bits)
    for _ in range(cases):
        verdict = judge.judge(legacy_case(rng, bits))
        fields = unexplained(verdict)
        assert not fields, told(verdict, fields)


@pytest.mark.parametrize("bits", [64, 32])
def test_our_vex_instructions_are_the_processors(bits: Bits) -> None:
    judge_vex(bits, cases=1100, seed=1)


@pytest.mark.parametrize("bits", [64, 32])
def test_unicorn_is_wrong_only_where_we_know(bits: Bits) -> None:
    judge_legacy(bits, cases=1000, seed=2)


@pytest.mark.campaign
@pytest.mark.parametrize("bits", [64, 32])
def test_many_more_vex_instructions_are_the_processors(bits: Bits) -> None:
    judge_vex(bits, cases=10_000, seed=3)


@pytest.mark.campaign
@pytest.mark.parametrize("bits", [64, 32])
def test_unicorn_is_wrong_nowhere_else(bits: Bits) -> None:
    judge_legacy(bits, cases=10_000, seed=4)


def test_our_own_tables_execute_each_of_their_rows() -> None:
    """What they leave to the host would be judged by itself."""
    rng, judge = random.Random(5), Judge(64)

    left = [
        row for row in ROWS if not any(judge.is_ours(vex_case(rng, 64, row)) for _ in range(400))
    ]

    assert not left


COMPILER = "x86_64-linux-gnu-gcc"
PROBES = ("multiply", "multiply%return", "weigh", "upper", "bits")


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"{COMPILER} is not installed")
@pytest.mark.parametrize(
    "target",
    [
        "x86-64",
        pytest.param("x86-64-v3", marks=pytest.mark.processor("avx2", "fma", "bmi2")),
        pytest.param("x86-64-v4", marks=pytest.mark.processor("avx512bw", "avx512vl", "avx512dq")),
    ],
)
def test_a_compiled_program_prints_what_it_prints_natively(target: str, tmp_path: Path) -> None:
    program, source = tmp_path / "vectors", Path(__file__).with_name("vectors.c")
    options = ["-O3", f"-march={target}", "-static", "-o", str(program), str(source), "-lm"]
    subprocess.run([COMPILER, *options], check=True)
    probes = [option for probe in PROBES for option in ("-p", probe)]

    done = CliRunner().invoke(app, ["run", str(program), *probes, "--trace", str(tmp_path / "t")])

    assert done.exit_code == 0, done.output
    assert done.stdout.encode() == subprocess.run([program], capture_output=True, check=True).stdout
