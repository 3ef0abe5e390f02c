"""The conformance suite, tried on an architecture that does everything right."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def conformance(*args: str, arch: str = "reference_arch:") -> subprocess.CompletedProcess[str]:
    """Run the command in the folder of tests, where plugins lie that nobody has installed."""
    return subprocess.run(
        [sys.executable, "-m", "uprobes_sim_cli", "conformance", "--arch", arch, *args],
        cwd=TESTS,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_right_architecture_passes_and_is_told_what_it_claims(tmp_path: Path) -> None:
    done = conformance("--examples", "50", "--report", str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "reference_arch:: tasks 64le, 32be"
    assert "step       claimed" in done.stdout
    assert "qemu       not claimed" in done.stdout
    assert lines[-1] == "passed"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"]
    assert report["levels"]["step"]["failed"] == 0
    assert "passed</span>" in (tmp_path / "report.html").read_text()


def test_two_runs_write_the_same_report(tmp_path: Path) -> None:
    for run in ("first", "second"):
        conformance("--examples", "20", "--report", str(tmp_path / run))

    first, second = ((tmp_path / run / "report.json").read_text() for run in ("first", "second"))
    assert first == second


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["--level", "setp"], "there is no level setp; there are link", id="level"),
        pytest.param(["--level", "oracle"], "does not claim qemu", id="not claimed"),
        pytest.param(["--oracle", "qemu"], "does not claim qemu", id="no oracle"),
        pytest.param(["--examples", "0"], "greater than or equal to 1", id="examples"),
        pytest.param(["--xfails", "no such file"], "cannot read no such file", id="no file"),
        pytest.param(["--oracle", "bochs"], "bochs", id="oracle"),
    ],
)
def test_bad_input_is_one_line(args: list[str], says: str) -> None:
    done = conformance(*args)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert says in line


def test_a_module_that_is_not_there_is_one_line() -> None:
    done = conformance(arch="no_such_module:thing")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "there is no module no_such_module; installed plugins: " in line
    assert {"powerpc", "x86"} <= set(line.split(": ")[-1].split(", "))


def test_failures_that_are_expected_must_happen(tmp_path: Path) -> None:
    xfails = tmp_path / "xfails.txt"
    name = "link::test_every_variant_links[64le]"
    xfails.write_text(f"# known\n{name}  # for a reason\n")

    done = conformance("--level", "link", "--xfails", str(xfails))

    assert done.returncode == 1
    assert f"failed {name}: [XPASS(strict)]" in done.stdout


def test_an_expected_failure_that_is_no_test_is_bad_input(tmp_path: Path) -> None:
    xfails = tmp_path / "xfails.txt"
    xfails.write_text("link::test_nothing\n")

    done = conformance("--level", "link", "--xfails", str(xfails))

    assert done.returncode == 2
    assert "names link::test_nothing, and no such test is run" in done.stderr


def test_it_is_a_pytest_plugin_as_well() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", "."]
    options = ["--uprobes-arch", "reference_arch:", "--uprobes-examples", "20"]

    done = subprocess.run(
        [*command, "--pyargs", "uprobes_sim.conformance", *options],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


@pytest.mark.skipif(shutil.which("qemu-ppc64le") is None, reason="qemu-user is not installed")
def test_engines_are_judged_by_qemu() -> None:
    """One case of each row that QEMU is asked about."""
    done = conformance("--oracle", "qemu", "--level", "oracle", "--examples", "1", arch="powerpc")

    assert done.returncode == 0, done.stdout
    assert "judged" in done.stdout
    assert done.stdout.splitlines()[-1] == "passed"


@pytest.mark.parametrize("arch", ["powerpc", "x86"])
def test_our_own_backends_pass(arch: str) -> None:
    done = conformance("--examples", "50", arch=arch)

    assert done.returncode == 0, done.stdout
