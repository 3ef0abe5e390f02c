"""Which instructions may be probed: our answer beside the running kernel's."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from live.encodings import every_opcode, random_encodings
from live.kernel import SLOT, Bits, LiveKernel
from uprobes_sim.arch import Abi
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.session import Options, configure
from uprobes_sim.units import Vaddr


def verdicts(codes: Sequence[bytes], bits: Bits) -> list[str]:
    """Answer for the newest kernel, in the words of the live one."""
    linked = link("x86", Abi(bits, "little"))
    machine = Machine(linked, configure(linked, Options()))
    mm = machine.new_mm()

    def verdict(code: bytes) -> str:
        try:
            machine.uprobes.analyze_insn(code.ljust(SLOT, b"\0"), mm, Vaddr(0x400000))
        except KernelError as exc:
            return exc.errno.name
        return "accepted"

    return [verdict(code) for code in codes]


def disagreements(
    codes: Sequence[bytes], bits: Bits, kernel: LiveKernel, folder: Path
) -> list[tuple[str, str, str]]:
    """List the encodings on which we differ: bytes, live, ours."""
    live, ours = kernel.verdicts(codes, bits, folder), verdicts(codes, bits)

    assert len(Counter(live)) == 3, "the sample is one-sided, or the kernel refuses everything"
    return [
        (code.hex(), theirs, our)
        for code, theirs, our in zip(codes, live, ours, strict=True)
        if theirs != our
    ]


@pytest.mark.parametrize("bits", [64, 32])
def test_random_encodings_are_judged_alike(bits: Bits, kernel: LiveKernel, tmp_path: Path) -> None:
    codes = random_encodings(seed=2026 + bits, count=6_000)

    assert disagreements(codes, bits, kernel, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 32])
def test_every_opcode_is_judged_alike_behind_each_prefix(
    bits: Bits, kernel: LiveKernel, tmp_path: Path
) -> None:
    codes = list(every_opcode())

    assert len(codes) == 14 * 4 * 256
    assert disagreements(codes, bits, kernel, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 32])
def test_many_random_encodings_are_judged_alike(
    bits: Bits, kernel: LiveKernel, tmp_path: Path
) -> None:
    codes = random_encodings(seed=6_18 + bits, count=100_000)

    assert disagreements(codes, bits, kernel, tmp_path) == []
