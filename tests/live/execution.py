"""What blocks leave behind: under our probes, under the running kernel's, and without any."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from elf_maker import PAGE
from live.blocks import SHOWN, SLOT_BYTES, Blocks, marker
from live.kernel import CODE, running
from uprobes_sim.arch import Abi
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.events import Event, Hit, Output
from uprobes_sim.linker import link
from uprobes_sim.machine import Machine
from uprobes_sim.session import Options, configure, run
from uprobes_sim.units import Vaddr

TIMEOUT: Final = 120


@dataclass(frozen=True)
class Shown:
    """What the blocks wrote: their state, and the slot after each (nothing without probes)."""

    state: bytes
    slots: bytes


def simulated(blocks: Blocks, options: Options) -> tuple[Shown, Counter[str]]:
    """Run the program under our probes; answer also the hits by how they were executed."""
    sites = [f"{CODE + offset - PAGE:#x}" for offset in blocks.sites]
    written: dict[int, list[bytes]] = {1: [], 2: []}
    hits = Counter[str]()

    def emit(event: Event) -> None:
        if isinstance(event, Output):
            written[event.fd].append(event.data)
        elif isinstance(event, Hit):
            hits[event.how] += 1

    run(blocks.path, (), sites, options, stdin=BytesIO(), emit=emit)
    return Shown(b"".join(written[1])[1:], b"".join(written[2])), hits


def live(blocks: Blocks, kernel: LiveKernel) -> Shown:
    """Run it under the kernel's probes, all of them in place before the first instruction."""
    with kernel.probing(blocks.path, blocks.sites), running(blocks.path) as process:
        memory = Path(f"/proc/{process.pid}/mem")
        with memory.open("rb") as file:
            file.seek(CODE)
            text = file.read(max(blocks.sites) - PAGE + 1)
        assert {text[offset - PAGE] for offset in blocks.sites} == {0xCC}
        state, slots = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
        return Shown(state, slots)


def without_probes(blocks: Blocks) -> Shown:
    """Run it as it is."""
    done = subprocess.run(
        [blocks.path], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=TIMEOUT
    )
    return Shown(done.stdout[1:], done.stderr)


def predicted_slots(blocks: Blocks) -> bytes:
    """Tell what each slot holds after its block: the marker, where the instruction is emulated."""
    linked = link("x86", Abi(blocks.bits, "little"))
    machine = Machine(linked, configure(linked, Options()))
    mm, data, found = machine.new_mm(), blocks.path.read_bytes(), b""
    for number, (before, offset) in enumerate(zip(blocks.markers, blocks.offsets, strict=True)):
        assert data[before : before + 5] == marker(number)
        insn = data[offset : offset + SLOT_BYTES]
        auprobe = machine.uprobes.analyze_insn(insn, mm, Vaddr(CODE + offset - PAGE))
        how = machine.hook.arch_uprobe_mechanism(
            auprobe=auprobe, abi=linked.info.abi, config=machine.config
        ).how
        found += auprobe.ixol if how == "xol" else data[before : before + SLOT_BYTES]
    return found


def different(blocks: Blocks, ours: bytes, theirs: bytes, size: int = SHOWN) -> Iterator[str]:
    """List the instructions after which the two differ; *size* bytes are shown by each."""
    assert len(ours) == len(theirs) == size * len(blocks.drawn)
    for number, drawn in enumerate(blocks.drawn):
        at = slice(number * size, (number + 1) * size)
        if ours[at] != theirs[at]:
            yield drawn.code.hex()
