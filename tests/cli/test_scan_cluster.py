"""cli/uprobes_sim_cli/scan/cluster.py"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from elf_programs import PROGRAMS, TARGETS, program

FILES = 500
CLUSTER = """
import json, sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        pids = [worker.pid for worker in cluster.workers.values()]
        print(json.dumps([cluster.scheduler_address, pids]), flush=True)
        sys.stdin.read()
"""
VANISHING = """
import sys
from pathlib import Path
from uprobes_sim.choice import Options
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim_cli.scan.cluster import reports

def entries(path):
    path.unlink()
    yield Entry(path)

if __name__ == "__main__":
    judges, files = Judges([Options()]), entries(Path(sys.argv[1]))
    (found,) = reports(judges, files, detail=False, cluster="local")
    assert isinstance(found[1], Failure)
    print(found[1].reason)
"""


def fill(folder: Path, count: int) -> None:
    """Copy programs, and among them one that is damaged."""
    sources = sorted(path for target in TARGETS for path in (PROGRAMS / target).iterdir())
    for number in range(count):
        shutil.copy(sources[number % len(sources)], folder / f"{number:03}")
    (folder / "100-damaged").write_bytes(sources[0].read_bytes()[:50])


def command(folder: Path, *args: str) -> list[str]:
    return [sys.executable, "-m", "uprobes_sim_cli", "scan", "--format", "json", *args, str(folder)]


@contextmanager
def two_workers(script: Path) -> Iterator[tuple[str, list[int]]]:
    """Start a scheduler with two workers; answer its address, and their process ids."""
    script.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as cluster:
        assert cluster.stdout is not None
        address, pids = json.loads(cluster.stdout.readline())
        try:
            yield address, pids
        finally:
            cluster.communicate(timeout=60)


@pytest.mark.slow
def test_a_worker_that_dies_half_way_changes_no_byte(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    fill(folder, FILES)
    alone = subprocess.run(command(folder), capture_output=True, timeout=300, check=False)

    with two_workers(tmp_path / "cluster.py") as (address, pids):
        scan = subprocess.Popen(
            command(folder, "--cluster", address),
            bufsize=0,  # or communicate would miss what was read ahead
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert scan.stdout is not None
        half = b"".join(scan.stdout.readline() for _ in range(FILES // 2))
        os.kill(pids[0], signal.SIGKILL)
        rest, errors = scan.communicate(timeout=300)

    assert half + rest == alone.stdout
    assert errors == alone.stderr
    assert b"100-damaged is cut off" in errors
    assert (scan.returncode, alone.returncode) == (2, 2)
    assert len(json.loads(alone.stdout)) == FILES


def test_a_local_cluster_reports_as_one_process_does(tmp_path: Path) -> None:
    fill(tmp_path, 12)

    alone, together = (
        subprocess.run(command(tmp_path, *args), capture_output=True, timeout=300, check=False)
        for args in ([], ["--cluster", "local"])
    )

    assert (together.stdout, together.stderr) == (alone.stdout, alone.stderr)
    assert together.returncode == alone.returncode == 2


def test_a_file_that_vanishes_is_one_line(tmp_path: Path) -> None:
    path = Path(shutil.copy(program("x86_64", "add3"), tmp_path / "file"))
    script = tmp_path / "script.py"
    script.write_text(VANISHING)

    done = subprocess.run(
        [sys.executable, script, path], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.stdout == f"{path} cannot be read: No such file or directory\n", done.stderr


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, "--cluster", "tcp://127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("uprobes-sim: --cluster tcp://127.0.0.1:1 does not answer")
