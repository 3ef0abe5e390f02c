"""cli/uprobes_sim_cli/writers.py"""

from io import BytesIO

import pytest

from uprobes_sim.events import Hit
from uprobes_sim.units import Vaddr
from uprobes_sim_cli import render
from uprobes_sim_cli.streams import Sink
from uprobes_sim_cli.writers import JsonWriter, TextWriter

HIT = Hit(1, "add3", 1000, 1000, "prog", Vaddr(0x10000), "emulate", "nop", None)


class Terminal(BytesIO):
    """A stream that says that a person reads it."""

    def isatty(self) -> bool:
        return True


def shown(stream: BytesIO) -> bytes:
    TextWriter(Sink("it", stream), render.trace_line, intro="").show(HIT)
    return stream.getvalue()


def test_a_hit_is_coloured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert shown(Terminal()).startswith(b"\x1b[")


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert b"\x1b" not in shown(Terminal())


def test_a_pipe_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert b"\x1b" not in shown(BytesIO())


@pytest.mark.parametrize(("array", "text"), [(True, b"[]\n"), (False, b"")])
def test_json_of_nothing_is_valid(array: bool, text: bytes) -> None:
    stream = BytesIO()

    JsonWriter(Sink("it", stream), array=array, pass_output=False).close()

    assert stream.getvalue() == text
