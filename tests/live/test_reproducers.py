"""Each reproducer of a known defect of x86 shows it on the running kernel."""

import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options, configure
from uprobes_sim.linker import link
from uprobes_sim_cli.app import app

X86 = link("x86", Abi(64, "little"))
IN_FORCE = configure(X86, Options(kernel="6.18")).in_force
IDS = [erratum.id for erratum in X86.hook.arch_errata()]
CPUINFO = Path("/proc/cpuinfo")


def emitted(erratum: str, language: str = "c") -> str:
    done = CliRunner().invoke(app, ["errata", erratum, "--emit", language])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def built(erratum: str, folder: Path) -> Path:
    source, program = folder / "reproducer.c", folder / "reproducer"
    source.write_text(emitted(erratum))
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-o", str(program), str(source)]
    try:
        subprocess.run(command, check=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("gcc is not installed (Debian: gcc)")
    return program


@pytest.mark.parametrize("erratum", IDS)
def test_the_defect_shows_where_it_is_in_force(erratum: str, tmp_path: Path) -> None:
    if "avx" in erratum and not {"avx2", "fma"} <= set(CPUINFO.read_text().split()):
        pytest.skip("the processor has no AVX2 or no FMA")

    done = subprocess.run(
        [built(erratum, tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )

    if done.returncode == 2:
        pytest.skip(f"it cannot be tried: {done.stderr.strip()}")
    shows = erratum in IN_FORCE
    without, with_, last = done.stdout.splitlines()
    assert last == f"{erratum} {'shows' if shows else 'does not show'}"
    assert done.returncode == int(shows)
    assert re.match("without a probe: ", without)
    assert re.match("with a probe   : ", with_)
