"""Where events go: to people, line by line, or to programs, as JSON."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Protocol

import typer

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
from uprobes_sim_cli.streams import STDERR, STDOUT, Sink, complain

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

    def __init__(self, sink: Sink) -> None:
        """Write to *sink*."""
        self._sink = sink
        self._seen = sink.isatty() or sink.stream is sys.stderr.buffer
        self._at_start = True

    def raw(self, data: bytes) -> None:
        """Pass on *data* of the program, untouched."""
        self._sink.write(data)
        self._at_start = data.endswith(b"\n") if data else self._at_start
        self._flush()

    def line(self, text: str) -> None:
        """Write a line of ours."""
        newline = "" if self._at_start else "\n"
        self._sink.write(f"{newline}{text}\n".encode(errors="surrogateescape"))
        self._at_start = True
        self._flush()

    def _flush(self) -> None:
        """Let a person see it at once."""
        if self._seen:
            self._sink.flush()


class TextWriter:
    """For people: hits as *format_hit* writes them, a summary in words."""

    def __init__(self, sink: Sink, format_hit: FormatHit, intro: str) -> None:
        """Write *intro*, hits and summary to *sink*, the program's output where it belongs."""
        self._out, self._err = Lines(_stdout()), Lines(_stderr())
        shared = {id(sys.stdout.buffer): self._out, id(sys.stderr.buffer): self._err}
        self._trace = shared.get(id(sink.stream)) or Lines(sink)
        self._sink = sink
        self._format_hit = format_hit
        self._intro = intro
        self._colours = _wants_colours(sink)

    def show(self, event: Event) -> None:
        """Write *event*."""
        self._sink.open()
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

    def __init__(self, sink: Sink, *, array: bool, pass_output: bool) -> None:
        """Write to *sink*; *pass_output*: the program's output goes its own way as well."""
        self._sink = sink
        self._before, self._after = ("[\n", "\n]\n") if array else ("", "\n")
        self._between = ",\n" if array else "\n"
        self._pass_output = pass_output
        self._empty = True

    def show(self, event: Event) -> None:
        """Write *event*."""
        before = self._before if self._empty else self._between
        self._empty = False
        self._sink.write((before + render.json_line(render.as_json(event))).encode())
        if isinstance(event, Output) and self._pass_output:
            (_stdout() if event.fd == 1 else _stderr()).write(event.data)
        _report(event)

    def close(self) -> None:
        """End the last line, and the array."""
        if self._empty and self._before:
            self._sink.write(b"[]\n")
        elif not self._empty:
            self._sink.write(self._after.encode())


def _report(event: Event) -> None:
    """Tell people, whatever the format, what they must not miss."""
    match event:
        case ProbeRefused():
            complain(render.refusal(event))
        case ProbeWarning():
            complain(render.warning(event))
        case UnknownSyscall():
            complain(render.unknown_syscall(event))


def _wants_colours(sink: Sink) -> bool:
    return sink.isatty() and "NO_COLOR" not in os.environ


@contextmanager
def open_writer(
    format_: Format, trace: str | None, format_hit: FormatHit, intro: str = ""
) -> Iterator[Writer]:
    """Open the writer of *format_*, to standard output or to the file *trace*.

    The file is emptied when there is something to write, so not for a mistake that was typed.
    *format_hit* and *intro*, which comes before the first event, are for people only.

    Raises:
        UprobesSimError: something cannot be written.
    """
    sink = _sink(trace)
    if format_ is Format.TEXT:
        writer: Writer = TextWriter(sink, format_hit, intro)
    else:
        writer = JsonWriter(sink, array=format_ is Format.JSON, pass_output=trace is not None)
    with closing(sink):
        try:
            yield writer
        finally:
            if sink.stream is not None:
                writer.close()


def _sink(trace: str | None) -> Sink:
    if trace is None:
        return _stdout()
    return _stderr() if trace == "-" else Sink(trace)


def _stdout() -> Sink:
    return Sink(STDOUT, sys.stdout.buffer)


def _stderr() -> Sink:
    return Sink(STDERR, sys.stderr.buffer)
