"""Programs of several tasks: the running kernel hits the same probes as often, in as many tasks."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from elf_programs import program
from test_programs import output_of, run_probed
from uprobes_sim.arch import Abi
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.linker import link
from uprobes_sim.loader import load
from uprobes_sim.probes import parse_probe, resolve

TRACEFS: Final = Path("/sys/kernel/tracing")
GROUP: Final = "uprobes_sim_tasks"

CASES: Final = {
    "threads": ("hammer", "hammer%return", "work%return"),
    "forks": ("child", "child%return", "fork%return", "wait%return"),
    "spawn": ("started", "started%return", "by_vfork%return", "report%return"),
    "signals": ("probed", "probed%return", "step_over", "compute%return", "on_stack%return"),
    "slots": ("get_syscall",),
}

REFUSED: Final = {("slots", "x86")}
"""int 0x80 may not be probed."""

Hits = dict[str, list[int]]
"""Hits of each probe by task: how often, in no order."""


def append(path: Path, text: str) -> None:
    """Add lines to a file of tracefs, which Python's own appending would seek in."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@contextmanager
def tracing(path: Path, probes: Sequence[str], bits: int) -> Iterator[None]:
    """Put events on *probes* of a file, named by their number."""
    if not (TRACEFS / "uprobe_events").exists():
        pytest.skip(f"{TRACEFS} is not mounted: mount -t tracefs tracefs {TRACEFS}")
    elf, hook = load(path), link("x86", Abi(64 if bits == 64 else 32, "little")).hook
    lines = []
    for number, text in enumerate(probes):
        spec = parse_probe(text)
        offset = resolve(spec, elf, hook).offset
        suffix = "%return" if spec.is_return else ""
        lines.append(f"p:{GROUP}/event{number} {path}:{offset:#x}{suffix}\n")
    events, switch = TRACEFS / "uprobe_events", TRACEFS / "events" / GROUP / "enable"
    append(events, "".join(lines))
    try:
        (TRACEFS / "trace").write_text("")
        switch.write_text("1")
        yield
    finally:
        switch.write_text("0")
        append(events, "".join(f"-:{GROUP}/event{n}\n" for n in range(len(probes))))


def live_hits(probes: Sequence[str]) -> Hits:
    found: dict[str, Counter[str]] = {probe: Counter() for probe in probes}
    for line in (TRACEFS / "trace").read_text().splitlines():
        task, _, event = line.partition(" [")
        for number, probe in enumerate(probes):
            if f": event{number}: " in event:
                found[probe][task] += 1
    return {probe: sorted(counts.values()) for probe, counts in found.items()}


@pytest.mark.parametrize(
    ("name", "target"),
    [pair for pair in product(CASES, ("x86_64", "x86")) if pair not in REFUSED],
)
def test_tasks_hit_probes_as_on_the_running_kernel(
    name: str, target: str, kernel: LiveKernel, tmp_path: Path
) -> None:
    probes, path = CASES[name], tmp_path / name
    shutil.copy(program(target, name), path)
    with tracing(path, probes, 64 if target == "x86_64" else 32):
        live = subprocess.run([path], capture_output=True, timeout=60, check=False)
        expected = live_hits(probes)  # they go with the events

    events = run_probed(path, probes, [], b"", warned=name == "slots")

    hits: dict[str, Counter[int]] = {probe: Counter() for probe in probes}
    for event in events:
        if event["event"] in ("hit", "return"):
            hits[event["probe"]][event["tid"]] += 1
    assert {probe: sorted(counts.values()) for probe, counts in hits.items()} == expected
    assert output_of(events, 1) == live.stdout
    assert all(expected.values()), "a probe was not hit"
