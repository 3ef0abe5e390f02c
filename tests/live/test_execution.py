"""What a probed instruction leaves behind, and how it is executed: beside the running kernel."""

from pathlib import Path

import pytest

from live.blocks import SLOT_BYTES, Blocks, write_blocks, write_drawn
from live.draw_vector import missing
from live.execution import different, live, predicted_slots, simulated, without_probes
from live.forms import every_form
from live.kernel import Bits
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.session import Options

SEED, COUNT = 618, 500


@pytest.fixture(params=["64", "32", "64 VEX", "32 VEX", "64 forms", "32 forms"])
def blocks(request: pytest.FixtureRequest, tmp_path: Path) -> Blocks:
    bits: Bits = 64 if "64" in request.param else 32
    if "forms" in request.param:
        return write_drawn(tmp_path / "blocks", bits, every_form(bits), SEED)
    vectors = "VEX" in request.param
    if vectors and missing():
        pytest.skip(f"the processor lacks {' '.join(sorted(missing()))}")
    return write_blocks(tmp_path / "blocks", bits, SEED, COUNT, vectors=vectors)


def test_probed_instructions_leave_what_they_leave_on_the_live_kernel(
    blocks: Blocks, kernel: LiveKernel
) -> None:
    ours, hits = simulated(blocks, Options(compare=False))
    theirs = live(blocks, kernel)

    assert list(different(blocks, ours.state, theirs.state)) == []
    assert ours.slots == theirs.slots
    assert hits["emulate"] > len(blocks.drawn) // 20
    assert hits["xol"] > len(blocks.drawn)  # the markers alone are as many


def test_each_is_emulated_or_stepped_as_we_say_and_so_is_the_copy(
    blocks: Blocks, kernel: LiveKernel
) -> None:
    """A slot that still holds what was stepped before tells that this was not."""
    theirs = live(blocks, kernel)

    assert list(different(blocks, predicted_slots(blocks), theirs.slots, SLOT_BYTES)) == []


def test_without_defects_they_leave_what_they_leave_without_probes(blocks: Blocks) -> None:
    ours, hits = simulated(blocks, Options(compare=False, errata="none"))
    theirs = without_probes(blocks)

    assert list(different(blocks, ours.state, theirs.state)) == []
    assert hits.total() == len(blocks.sites)
    assert theirs.slots == b""
