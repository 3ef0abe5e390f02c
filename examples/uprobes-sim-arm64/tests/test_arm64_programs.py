"""Programs built by zig under probes: what they do is what they do under QEMU."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from judged import (
    CASES,
    COUNTED,
    Case,
    hits_of,
    outcome_of,
    params,
    passed_by_qemu,
    returns_of,
    run_by_qemu,
    run_probed,
)
from uprobes_sim_cli.app import app

PROGRAMS = Path(__file__).parent / "programs"
QEMU = "qemu-aarch64"


@pytest.mark.parametrize("case", params(CASES))
def test_a_probed_program_does_what_it_does_under_qemu(case: Case, tmp_path: Path) -> None:
    path, folder = PROGRAMS / case.name, tmp_path / "work"
    folder.mkdir()
    events = run_probed(path, case, folder)

    assert events[-1]["compared"] == {"equal": True, "differences": []}
    assert outcome_of(events) == run_by_qemu(QEMU, path, case, folder)


def test_a_step_leaves_its_mark_in_signal_frames(tmp_path: Path) -> None:
    """Linux does not give thread.fault_code back, and it becomes a record of an exception."""
    path = PROGRAMS / "ticks"
    command = ["run", str(path), "-p", "scale", "--format", "jsonl", "--", "2"]

    result = CliRunner().invoke(app, command)

    compared = json.loads(result.stdout.splitlines()[-1])["compared"]
    (mark,) = compared["differences"]
    assert result.exit_code == 1
    assert mark["what"] == "memory"
    assert "ffffffff00000000" in mark["probed"]


@pytest.mark.parametrize("case", params(COUNTED))
def test_hits_and_results_are_those_that_qemu_sees(case: Case, tmp_path: Path) -> None:
    path, folder = PROGRAMS / case.name, tmp_path / "work"
    folder.mkdir()
    events = run_probed(path, case, folder)
    hits, returns = hits_of(events), returns_of(events)
    assert min(len(hits), len(returns)) >= 4

    places = {*hits, *(at for at, _ in returns)}
    passed = passed_by_qemu(QEMU, path, case, folder, sorted(places))

    assert [at for at, _ in passed if at in hits] == hits
    assert [each for each in passed if each[0] in dict(returns)] == returns
