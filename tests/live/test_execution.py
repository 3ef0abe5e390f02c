"""What a probed instruction leaves behind, and how it is executed: beside the running kernel."""

import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from elf_maker import PAGE
from live.blocks import SHOWN, Blocks, write_blocks
from live.kernel import CODE, Bits, LiveKernel, running
from uprobes_sim.events import Event, Hit, Output
from uprobes_sim.session import Options, run


def simulated(blocks: Blocks, options: Options) -> tuple[bytes, list[Hit]]:
    """Run the program under our probes: what it writes, and the hits."""
    sites = [f"{CODE + offset - PAGE:#x}" for offset in blocks.offsets]
    events: list[Event] = []

    run(blocks.path, (), sites, options, stdin=BytesIO(), emit=events.append)

    written = b"".join(event.data for event in events if isinstance(event, Output))
    return written[1:], [event for event in events if isinstance(event, Hit)]


def live(blocks: Blocks, kernel: LiveKernel) -> bytes:
    """Run it under the kernel's probes, all of them in place before the first instruction."""
    with kernel.probing(blocks.path, blocks.offsets), running(blocks.path) as process:
        memory = Path(f"/proc/{process.pid}/mem")
        with memory.open("rb") as file:
            file.seek(CODE)
            text = file.read(max(blocks.offsets) - PAGE + 1)
        assert {text[offset - PAGE] for offset in blocks.offsets} == {0xCC}
        return process.communicate(timeout=60)[0]


def without_probes(blocks: Blocks) -> bytes:
    done = subprocess.run([blocks.path], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return done.stdout[1:]


def different(blocks: Blocks, ours: bytes, theirs: bytes) -> list[str]:
    """List the instructions after which the two differ."""
    assert len(ours) == len(theirs) == SHOWN * len(blocks.codes)
    pieces = range(0, len(ours), SHOWN)
    return [
        code.hex()
        for code, at in zip(blocks.codes, pieces, strict=True)
        if ours[at : at + SHOWN] != theirs[at : at + SHOWN]
    ]


@pytest.mark.parametrize("bits", [64, 32])
def test_a_thousand_probed_instructions_leave_what_they_leave_on_the_live_kernel(
    bits: Bits, kernel: LiveKernel, tmp_path: Path
) -> None:
    blocks = write_blocks(tmp_path / "blocks", bits, seed=34 + bits, count=1_000)

    ours, hits = simulated(blocks, Options(compare=False))
    theirs = live(blocks, kernel)

    assert different(blocks, ours, theirs) == []
    assert len(hits) >= len(blocks.codes)
    assert {hit.how for hit in hits} == {"emulate", "xol"}


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("seed", range(5))
def test_so_do_many_more(bits: Bits, seed: int, kernel: LiveKernel, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path / "blocks", bits, seed, count=1_000)

    ours, _ = simulated(blocks, Options(compare=False))

    assert different(blocks, ours, live(blocks, kernel)) == []


@pytest.mark.parametrize("bits", [64, 32])
def test_without_defects_they_leave_what_they_leave_without_probes(
    bits: Bits, kernel: LiveKernel, tmp_path: Path
) -> None:
    blocks = write_blocks(tmp_path / "blocks", bits, seed=34 + bits, count=1_000)

    ours, hits = simulated(blocks, Options(compare=False, errata="none"))

    assert different(blocks, ours, without_probes(blocks)) == []
    assert len(hits) == len(blocks.codes)
