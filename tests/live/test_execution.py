"""What a probed instruction leaves behind, and how it is executed: beside the running kernel."""

from pathlib import Path

import pytest

from live.blocks import SLOT_BYTES, Blocks, write_blocks
from live.execution import different, live, predicted_slots, simulated, without_probes
from live.kernel import Bits, LiveKernel
from uprobes_sim.session import Options

SEED = 618


@pytest.fixture(params=[64, 32])
def blocks(request: pytest.FixtureRequest, tmp_path: Path) -> Blocks:
    bits: Bits = request.param
    return write_blocks(tmp_path / "blocks", bits, SEED, count=1_000)


def test_a_thousand_probed_instructions_leave_what_they_leave_on_the_live_kernel(
    blocks: Blocks, kernel: LiveKernel
) -> None:
    ours, hits = simulated(blocks, Options(compare=False))
    theirs = live(blocks, kernel)

    assert list(different(blocks, ours.state, theirs.state)) == []
    assert ours.slots == theirs.slots
    assert hits["emulate"] > 100
    assert hits["xol"] > 1_100  # the markers, and more iterations than instructions


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
