"""Lines of uprobe_events: what the table says is what the running kernel answers."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from event_lines import REFUSED, TAKEN

TRACEFS: Final = Path("/sys/kernel/tracing")
EVENTS: Final = TRACEFS / "uprobe_events"
Write = Callable[[str], str | None]


def _write(line: str) -> None:
    fd = os.open(EVENTS, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write a line about a file of ours; answer the kernel's message. Take our events away."""
    if not os.access(EVENTS, os.W_OK):
        pytest.skip(f"{EVENTS} is not writable; run the tests as root")
    path = tmp_path / "file"
    path.write_bytes(b"\x90" * 64)

    def written(line: str) -> str | None:
        try:
            _write(line.replace("/f:", f"{path}:"))
        except OSError:
            log = (TRACEFS / "error_log").read_text().splitlines()
            return next(line for line in reversed(log) if " error: " in line).partition(": ")[2]
        return None

    yield written
    for event in EVENTS.read_text().splitlines():
        if str(path) in event:
            _write(f"-{event.split()[0][1:]}")


@pytest.mark.parametrize("line", TAKEN)
def test_the_running_kernel_takes_the_line(line: str, write: Write) -> None:
    assert write(line) is None


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_the_running_kernel_refuses_the_line(line: str, message: str, write: Write) -> None:
    found = write(line)

    assert found is not None
    assert found.endswith(message)
