"""Where events go: to people, line by line, or to programs, as JSON."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

import typer

from uprobes_sim.errors import UprobesSimError
from uprobes_sim.events import (
    Event,
    Hit,
    Output,
    ProbeRefused,
    ProbeWarning,
    Return,
    Summary,
    UnknownSyscall,
)
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Format
from uprobes_sim_cli.group import complain

FormatHit = Callable[[Hit | Return], str]


class Writer(Protocol):
    """Somebody who is shown every event of a run."""

    def show(self, event: Event) -> None:
        """Write *event*."""
        ...

    def close(self) -> None:
        """Write what belongs at the end."""
        ...


class Lines:
    """Lines between what a program writes; each begins where a line begins."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to *stream*."""
        self.stream = stream
        self._seen = stream.isatty() or stream is sys.stderr.buffer
        self._at_start = True

    def raw(self, data: bytes) -> None:
        """Pass on *data* of the program, untouched."""
        self.stream.write(data)
        self._at_start = data.endswith(b"\n") if data else self._at_start
        self._flush()

    def line(self, text: str) -> None:
        """Write a line of ours."""
        newline = "" if self._at_start else "\n"
        self.stream.write(f"{newline}{text}\n".encode(errors="surrogateescape"))
        self._at_start = True
        self._flush()

    def _flush(self) -> None:
        """Let a person see it at once."""
        if self._seen:
            self.stream.flush()


class TextWriter:
    """For people: hits as *format_hit* writes them, a summary in words."""

    def __init__(self, stream: BinaryIO, format_hit: FormatHit, intro: str) -> None:
        """Write *intro*, hits and summary to *stream*, the program's output where it belongs."""
        self._out = Lines(sys.stdout.buffer)
        self._err = Lines(sys.stderr.buffer)
        shared = {id(sys.stdout.buffer): self._out, id(sys.stderr.buffer): self._err}
        self._trace = shared.get(id(stream)) or Lines(stream)
        self._format_hit = format_hit
        self._intro = intro
        self._colours = _wants_colours(stream)

    def show(self, event: Event) -> None:
        """Write *event*."""
        if self._intro:
            self._trace.line(self._intro)
            self._intro = ""
        match event:
            case Hit() | Return():
                self._trace.line(self._dim(self._format_hit(event)))
            case Output():
                (self._out if event.fd == 1 else self._err).raw(event.data)
            case Summary():
                for line in render.summary_lines(event):
                    self._trace.line(line)
            case _:
                _report(event)

    def close(self) -> None:
        """Do nothing: every event is complete."""

    def _dim(self, line: str) -> str:
        return typer.style(line, fg="cyan") if self._colours else line


class JsonWriter:
    """For programs: one object a line, or one array of them."""

    def __init__(self, stream: BinaryIO, *, array: bool, pass_output: bool) -> None:
        """Write to *stream*; *pass_output*: the program's output goes its own way as well."""
        self._stream = stream
        self._before, self._after = ("[\n", "\n]\n") if array else ("", "\n")
        self._between = ",\n" if array else "\n"
        self._pass_output = pass_output
        self._empty = True

    def show(self, event: Event) -> None:
        """Write *event*."""
        before = self._before if self._empty else self._between
        self._empty = False
        self._stream.write((before + render.json_line(render.as_json(event))).encode())
        if isinstance(event, Output) and self._pass_output:
            (sys.stdout if event.fd == 1 else sys.stderr).buffer.write(event.data)
        _report(event)

    def close(self) -> None:
        """End the last line, and the array."""
        if self._empty and self._before:
            self._stream.write(b"[]\n")
        elif not self._empty:
            self._stream.write(self._after.encode())


def _report(event: Event) -> None:
    """Tell people, whatever the format, what they must not miss."""
    match event:
        case ProbeRefused():
            complain(render.refusal(event))
        case ProbeWarning():
            complain(render.warning(event))
        case UnknownSyscall():
            complain(render.unknown_syscall(event))


def _wants_colours(stream: BinaryIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ


@contextmanager
def open_writer(
    format_: Format, trace: str | None, format_hit: FormatHit, intro: str = ""
) -> Iterator[Writer]:
    """Open the writer of *format_*, to standard output or to the file *trace*.

    *format_hit* and *intro*, which comes before the first event, are for people only.

    Raises:
        UprobesSimError: the file cannot be written.
    """
    stream = _open(trace)
    if format_ is Format.TEXT:
        writer: Writer = TextWriter(stream, format_hit, intro)
    else:
        writer = JsonWriter(stream, array=format_ is Format.JSON, pass_output=trace is not None)
    try:
        yield writer
    finally:
        writer.close()
        stream.flush()
        if stream not in (sys.stdout.buffer, sys.stderr.buffer):
            stream.close()


def _open(trace: str | None) -> BinaryIO:
    if trace is None:
        return sys.stdout.buffer
    if trace == "-":
        return sys.stderr.buffer
    try:
        return open(trace, "wb")
    except OSError as exc:
        raise UprobesSimError(f"{trace}: cannot be written: {exc.strerror}") from exc
