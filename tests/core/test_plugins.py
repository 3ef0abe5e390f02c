"""core/uprobes_sim/plugins.py"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
import sys
from uprobes_sim.linker import installed
print(*installed())
print("importlib.metadata" in sys.modules)
"""
LONG_AGO = 1_000_000_000


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that Python imports from."""
    site = tmp_path / "site"
    site.mkdir()
    distribution(site, "oak")
    return site


def distribution(site: Path, name: str) -> None:
    """Install a plugin there, long ago."""
    info = site / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[uprobes_sim.arch]\n{name} = {name}_arch\n")
    os.utime(site, (LONG_AGO + len(name), LONG_AGO + len(name)))


def ask(site: Path) -> tuple[set[str], bool]:
    """Name the plugins that a process finds, and tell whether it asked importlib.metadata."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "XDG_CACHE_HOME": str(site.parent / "cache"),
    }
    command = [sys.executable, "-P", "-c", ASK]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    names, asked = answer.stdout.splitlines()
    return set(names.split()), asked == "True"


def test_the_second_run_need_not_ask(site: Path) -> None:
    names, asked = ask(site)
    assert "oak" in names
    assert asked

    assert ask(site) == (names, False)


def test_a_plugin_that_is_installed_is_found_at_once(site: Path) -> None:
    names, _ = ask(site)
    distribution(site, "maple")

    assert ask(site) == (names | {"maple"}, True)


def test_a_folder_that_was_changed_just_now_is_not_believed(site: Path) -> None:
    os.utime(site)
    ask(site)

    assert ask(site)[1]


@pytest.mark.parametrize("rubbish", ["", "[]", '{"folders": {}, "plugins": 3}'])
def test_a_broken_file_is_as_good_as_none(rubbish: str, site: Path) -> None:
    found = ask(site)
    (kept,) = (site.parent / "cache/uprobes-sim").glob("plugins-*.json")
    kept.write_text(rubbish)

    assert ask(site) == found
