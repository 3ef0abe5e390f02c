"""A package for a new architecture: it installs, and the suite lists what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from uprobes_sim.conformance.target import REQUIRED


def command(*args: str, folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_suite_lists_every_hook_that_is_to_be_written(tmp_path: Path) -> None:
    written = command("uprobes_sim_cli", "new-arch", "toy", "toy", folder=tmp_path)

    done = command(
        "uprobes_sim_cli",
        *("conformance", "--arch", "uprobes_sim_toy:uprobes"),
        folder=tmp_path / "toy",
    )

    assert (written.returncode, written.stderr) == (0, "")
    assert (done.returncode, done.stderr) == (1, "")
    head, *lines = done.stdout.splitlines()
    assert head.endswith(f"{len(REQUIRED)} required hooks are still to be written")
    assert [line.split()[0] for line in lines] == list(REQUIRED)


def test_a_hook_that_is_written_is_missing_no_more(tmp_path: Path) -> None:
    command("uprobes_sim_cli", "new-arch", "toy", "toy", folder=tmp_path)
    module = tmp_path / "toy" / "uprobes_sim_toy" / "uprobes.py"
    before, _, after = module.read_text().rpartition("raise NotImplementedError")
    module.write_text(f"{before}return None{after}")

    done = command(
        "uprobes_sim_cli",
        *("conformance", "--arch", "uprobes_sim_toy:uprobes"),
        folder=tmp_path / "toy",
    )

    assert done.returncode == 1
    assert "syscall_set_return_value" not in done.stdout
    assert len(done.stdout.splitlines()) == len(REQUIRED)


@pytest.mark.slow
def test_the_package_installs_and_is_found_by_name(tmp_path: Path) -> None:
    command("uprobes_sim_cli", "new-arch", "toy", "toy", folder=tmp_path)
    installed = command(
        *("pip", "install", "-q", "--no-deps", "--target", "site", "./toy"), folder=tmp_path
    )
    assert installed.returncode == 0, installed.stderr

    done = command("uprobes_sim_cli", "conformance", "--arch", "toy", folder=tmp_path, path="site")

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("toy: 16 required hooks are still to be written")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["Not-A-Name"], "cannot name a module", id="name"),
        pytest.param(["powerpc"], "a plugin is named powerpc already", id="taken"),
        pytest.param(["toy", "there"], "there is there already", id="folder"),
        pytest.param(["toy", "file"], "file is there already", id="file"),
    ],
)
def test_bad_input_is_one_line(args: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "something").touch()
    (tmp_path / "file").touch()

    done = command("uprobes_sim_cli", "new-arch", *args, folder=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert says in line
