"""What a scan of this machine's C library calls damaged, damaged by the running kernel."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from live.test_errata import run
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.scan.columns import HARMFUL
from uprobes_sim.signals import Signal
from uprobes_sim_cli.app import app
from x86_defects import AVX, AVX_STEPPED, CASES, EXIT, Case

LIBRARIES: Final = Path("/usr/lib/x86_64-linux-gnu")

EVIDENCE: Final = {
    "x86.avx_as_jump": ("vpcmpeqd: skipped", "vpor: skipped", "vpsllq: astray", "vpshuflw: jumps"),
    "x86.avx_as_call": ("vpsubsb: pushes",),
    "x86.avx_as_return": ("vcmpps", "vcmpps, relative to ip"),
    "x86.avx_as_popf": ("vfnmadd132ss",),
    "x86.xchg_r8": ("xchg r8", "xchg r8d"),
    "x86.pushf_trap_flag": ("popf after pushf", "pushf stores TF"),
    "x86.red_zone": ("red zone, word 1",),
    "x86.riprel_missed": ("memory relative to ip",),
    "x86.syscall_in_slot": ("ret behind syscall",),
    "x86.fork_optimised": ("a child of fork",),
}
"""Programs by the erratum that hurts them."""

_CHILD: Final = "41ffc4ffc3ebe0"
"""inc %r12d; inc %ebx; jmp to the no-op."""
_PARENT: Final = "bfffffffff4889e631d24531d2b83d0000000f05" + "8b3c2483e77f" + EXIT
"""wait4 for any; exit with the signal that has killed it."""
FORK: Final = Case(
    "a child of fork",
    "bb020000004531e4",  # mov $2,%ebx; xor %r12d,%r12d
    "0f1f440000",
    # dec %ebx; jnz to the no-op; test %r12d,%r12d; jnz to the end; fork
    "ffcb75f74585e4"
    + "7533"
    + "b8390000000f05"
    + "85c0"
    + "7507"
    + _CHILD
    + _PARENT
    + "31ff"
    + EXIT,
    linux=Signal.SIGSEGV,
    right=0,
)

BY_NAME: Final = {case.name: case for case in (*CASES, *AVX, *AVX_STEPPED, FORK)}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the C library."""
    path = LIBRARIES / "libc.so.6"
    if not path.exists():
        pytest.skip(f"no {path}")
    return Path(shutil.copy(path, tmp_path_factory.mktemp("library")))


@pytest.fixture(scope="module")
def damaged(library: Path) -> dict[str, list[dict[str, object]]]:
    """The instructions that the scan warns of most loudly, by erratum."""
    arguments = ["scan", "--kernel", "running", "--format", "jsonl", "--only", "damages"]
    done = CliRunner().invoke(app, [*arguments, str(library)])
    assert done.exit_code == 0, done.stderr
    found = dict[str, list[dict[str, object]]]()
    for line in done.stdout.splitlines():
        insn = json.loads(line)
        for warning in insn["warnings"]:
            if warning["severity"] in HARMFUL:
                found.setdefault(warning["rule"], []).append(insn)
    return found


def test_the_count_is_that_of_a_disassembler(
    library: Path, damaged: dict[str, list[dict[str, object]]]
) -> None:
    """Vector instructions whose opcode byte means a jump or a no-op without them."""
    text = subprocess.run(
        ["objdump", "-d", "-w", library], capture_output=True, text=True, check=True
    ).stdout
    taken = 0
    for code in re.findall(r"^ *[0-9a-f]+:\t((?:[0-9a-f]{2} )+) *\tv", text, re.MULTILINE):
        insn = bytes.fromhex(code)
        opcode = insn[{0xC5: 2, 0xC4: 3, 0x62: 4}.get(insn[0], 0)]
        taken += opcode in (0x90, 0xE9, 0xEB, *range(0x70, 0x80))

    assert len(damaged["x86.avx_as_jump"]) == taken
    assert taken > 1000


def test_every_class_of_damage_has_a_case(damaged: dict[str, list[dict[str, object]]]) -> None:
    assert damaged.keys() <= EVIDENCE.keys()


def test_every_case_is_an_instruction_of_its_class() -> None:
    """So that no case confirms what it does not show."""
    for erratum, names in EVIDENCE.items():
        for name in names:
            done = CliRunner().invoke(
                app, ["--arch", "x86", "explain", "--format", "jsonl", BY_NAME[name].probed]
            )
            rules = [warning["rule"] for warning in json.loads(done.stdout)["warnings"]]
            assert erratum in rules, f"{name}: {rules}"


def cases() -> list[tuple[str, Case]]:
    return [(erratum, BY_NAME[name]) for erratum, names in EVIDENCE.items() for name in names]


@pytest.mark.parametrize(("erratum", "case"), cases(), ids=lambda each: str(each))
def test_the_running_kernel_does_the_damage(
    erratum: str, case: Case, kernel: LiveKernel, tmp_path: Path
) -> None:
    path = case.write(tmp_path / "program")

    with kernel.probing(path, [case.offset]):
        under_probe = run(case, path)

    assert (under_probe, run(case, path)) == (case.linux, case.right)
    assert under_probe != case.right
