"""Plugins that other people install, good and bad, as the command line meets them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elf_programs import program


def distribution(folder: Path, name: str, plugin: str, source: str, module: str = "") -> None:
    """Lay a distribution into *folder* that brings *plugin*, a module of *source*."""
    module = module or f"{name}_module"
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[uprobes_sim.arch]\n{plugin} = {module}\n")
    (folder / f"{module}.py").write_text(source)


def uprobes_sim(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the distributions of *folder* installed."""
    return subprocess.run(
        [sys.executable, "-m", "uprobes_sim_cli", *args],
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


IMPORT_FAILS = [
    pytest.param("raise RuntimeError('two\\nlines')", "RuntimeError: two lines", id="raises"),
    pytest.param("import there_is_no_such_module", "ModuleNotFoundError", id="import"),
    pytest.param("def x(:", "SyntaxError", id="syntax"),
    pytest.param("raise SystemExit(3)", "SystemExit", id="exits"),
]
LINK_FAILS = [
    pytest.param("", "interface None", id="no interface"),
    pytest.param("INTERFACE = 0", "interface 0", id="old interface"),
    pytest.param("INTERFACE = 1", "undefined", id="no hooks"),
]


@pytest.mark.parametrize(("source", "says"), IMPORT_FAILS)
def test_a_plugin_that_fails_to_import_is_one_line(source: str, says: str, tmp_path: Path) -> None:
    distribution(tmp_path, "thirdparty", "vax", source)

    done = uprobes_sim(tmp_path, "--arch", "vax")

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("uprobes-sim: plugin vax")
    assert says in line


@pytest.mark.parametrize(("source", "says"), [*IMPORT_FAILS, *LINK_FAILS])
def test_a_broken_plugin_is_listed_with_its_error(source: str, says: str, tmp_path: Path) -> None:
    distribution(tmp_path, "thirdparty", "vax", source)

    done = uprobes_sim(tmp_path, "arches", "--format", "json")

    assert done.returncode == 1
    backends = {each["name"]: each for each in json.loads(done.stdout)}
    assert says in " ".join(backends["vax"]["error"].split())
    assert backends["powerpc"]["error"] is None
    assert done.stderr == ""


def test_a_broken_plugin_does_not_disturb_the_others(tmp_path: Path) -> None:
    distribution(tmp_path, "thirdparty", "vax", "raise RuntimeError")

    done = uprobes_sim(tmp_path, "run", str(program("x86_64", "add3")), "-p", "add3")

    assert (done.returncode, done.stderr) == (0, "")


def test_two_plugins_of_one_name_are_one_line(tmp_path: Path) -> None:
    distribution(tmp_path, "one", "vax", "INTERFACE = 1")
    distribution(tmp_path, "two", "vax", "INTERFACE = 1")

    done = uprobes_sim(tmp_path, "--arch", "vax")

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "two plugins are named vax" in line
    assert "one_module" in line
    assert "two_module" in line


def test_a_second_plugin_called_x86_is_refused_where_x86_is_asked_for(tmp_path: Path) -> None:
    distribution(tmp_path, "other", "x86", "INTERFACE = 1")

    done = uprobes_sim(tmp_path, "run", str(program("x86_64", "add3")))

    assert done.returncode == 2
    assert "two plugins are named x86" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_without_a_demonstration_says_so(tmp_path: Path) -> None:
    distribution(tmp_path, "thin", "thin", "INTERFACE = 1")

    done = uprobes_sim(tmp_path, "--arch", "thin")

    assert (done.returncode, done.stdout) == (2, "")
    assert "ships no demonstration" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_that_raises_is_one_line(tmp_path: Path) -> None:
    """Who uses it cannot mend it, and who wrote it gets the place."""
    source = (
        "import uprobes_sim\n"
        "from uprobes_sim_x86 import uprobes\n"
        "globals().update(vars(uprobes), __name__=__name__)\n"
        "@uprobes_sim.hookimpl\n"
        "def start_thread(entry, sp, mm, e_flags, config):\n"
        "    return {}['no such key']\n"
    )
    distribution(tmp_path, "odd", "odd", source)
    add3 = str(program("x86_64", "add3"))

    done = uprobes_sim(tmp_path, "run", add3, "--arch", "odd")

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "uprobes-sim: plugin odd raised KeyError: 'no such key' (in start_thread"
    )


def test_arches_tells_where_each_backend_comes_from(tmp_path: Path) -> None:
    done = uprobes_sim(tmp_path, "arches", "--format", "jsonl")

    found = {each["name"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0
    ours = [name for name, each in found.items() if each["distribution"] == "uprobes-sim"]
    assert ours == ["powerpc", "x86"]
    powerpc = found["powerpc"]
    assert powerpc["interface"] == 1
    assert powerpc["variants"] == ["upstream", "ananth-2012"]
    assert {"is_trap_insn", "uprobe_get_swbp_addr"} <= set(powerpc["overrides"])
    assert "arch_uprobe_analyze_insn" not in powerpc["overrides"]


def test_arches_is_a_table_with_a_line_for_each(tmp_path: Path) -> None:
    done = uprobes_sim(tmp_path, "arches")

    head, *lines = done.stdout.splitlines()
    assert head.split()[:4] == ["name", "distribution", "version", "interface"]
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert [name for name in names if name in ("powerpc", "x86")] == ["powerpc", "x86"]
    assert len(set(names)) == len(names)
