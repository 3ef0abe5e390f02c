"""Each script around a reproducer of x86 shows its defect on the running kernel, by its tool."""

import re
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options, configure
from uprobes_sim.emit import Reproducer
from uprobes_sim.linker import link
from uprobes_sim_cli.app import app

X86 = link("x86", Abi(64, "little"))
IN_FORCE = configure(X86, Options(kernel="6.18")).in_force
PACKAGES = {"bpftrace": "bpftrace", "perf": "linux-perf"}
VALUE = re.compile(r"^(0|0x\w+)$", re.MULTILINE)
HITS = re.compile(r"^(?:@hits: (\d+)|\s+(\d+) +reproducer_\d+:spot.*)$", re.MULTILINE)
RIGHT = re.compile(r"(as without one|\w+); hits: (\d+)\. No value: killed by a signal\n")


def reproducers() -> dict[str, Reproducer]:
    """Give those that scripts can show."""
    every = {
        each.id: X86.hook.arch_reproducer(erratum=each.id)[1] for each in X86.hook.arch_errata()
    }
    return {
        erratum: found
        for erratum, found in every.items()
        if found is not None and found.bits == 64 and not found.holds_probe
    }


def run(erratum: str, tool: str) -> str:
    """Run the script around a reproducer; answer what it and its tool print."""
    for needed, package in ((tool, PACKAGES[tool]), ("gcc", "gcc")):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed (Debian: {package})")
    emitted = CliRunner().invoke(app, ["errata", erratum, "--emit", tool])
    done = subprocess.run(
        ["sh"], input=emitted.stdout, capture_output=True, text=True, timeout=60, check=False
    )
    if "tracefs" in done.stderr or "root" in done.stderr:
        pytest.skip(f"{tool} may not probe: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    counts = done.stderr if tool == "perf" else ""
    return done.stdout.replace("right with a probe", counts + "right with a probe")


def first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return None if found is None else found[found.lastindex or 0]


@pytest.mark.parametrize("tool", PACKAGES)
@pytest.mark.parametrize("erratum", reproducers())
def test_the_script_shows_the_defect_where_it_is_in_force(erratum: str, tool: str) -> None:
    text = run(erratum, tool)

    _, without, with_, told = re.split("^(?:without|with|right with) a probe: ?", text, flags=re.M)
    right = RIGHT.fullmatch(told)
    assert right is not None, text
    wanted = first(VALUE, without) if right[1] == "as without one" else hex(int(right[1], 0))
    hits = first(HITS, with_)
    assert hits is not None, text
    is_right = first(VALUE, with_) == wanted and hits == right[2]
    assert is_right == (erratum not in IN_FORCE), text


def test_perf_keeps_no_event() -> None:
    run("x86.rep_hits", "perf")

    listed = subprocess.run(
        ["perf", "probe", "--list"], capture_output=True, text=True, check=True, timeout=60
    )

    assert "reproducer" not in listed.stdout + listed.stderr
