"""Emulated or stepped: a page named [uprobes] is there after a step, and only then."""

from pathlib import Path

import pytest

from elf_maker import PAGE
from live.kernel import EXIT, SLOT, WAIT, Bits, running, write_program
from uprobes_sim.arch import Abi
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.session import Options, configure
from uprobes_sim.units import Vaddr

BOTH = (
    "90 6690 f390 0f1f00 0f1f4000 0f1f440000 660f1f440000 0f1f8000000000 0f1f840000000000 "
    "660f1f840000000000 0f1f0400 660f1f00 f30f1efa d9d0 8d00 89c0 87db eb00 e900000000 e800000000 "
    "7400 7500 0f8400000000 e300 e200 50 55 6650 6a00 9c f9 c5f9ebc0 c5f97fc8 c5f877 c5f9fec0 "
    "c5f95ec0 c5fb70c01b c5f9e8c0 660fefc0 0fa2"
)
WIDE = "4190 4990 4890 4150 4157 4050 4850 8d0500000000 488d0500000000 f20f44c0 4889c0 66480fc7f0"


def how(code: bytes, bits: Bits) -> str:
    """Tell what we say of an ordinary hit."""
    linked = link("x86", Abi(bits, "little"))
    machine = Machine(linked, configure(linked, Options()))
    insn = code.ljust(SLOT, b"\0")
    auprobe = machine.uprobes.analyze_insn(insn, machine.new_mm(), Vaddr(0x400000))
    found = machine.hook.arch_uprobe_mechanism(
        auprobe=auprobe, abi=linked.info.abi, config=machine.config
    )
    return found.how


@pytest.mark.parametrize(
    ("code", "bits"),
    [(code, 64) for code in f"{BOTH} {WIDE}".split()] + [(code, 32) for code in BOTH.split()],
)
def test_a_page_of_slots_appears_for_what_is_stepped(
    code: str, bits: Bits, kernel: LiveKernel, tmp_path: Path
) -> None:
    insn = bytes.fromhex(code)
    path = write_program(tmp_path / "program", insn + WAIT[bits] + EXIT[bits], bits)

    with kernel.probing(path, [PAGE]), running(path) as process:
        maps = Path(f"/proc/{process.pid}/maps").read_text().splitlines()

    stepped = any(line.endswith("[uprobes]") for line in maps)
    assert how(insn, bits) == ("xol" if stepped else "emulate")
