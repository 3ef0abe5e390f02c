"""Where bytes leave us: streams that may be closed, full, or that nobody reads any more."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final, TextIO

import typer

STDOUT: Final = "standard output"
STDERR: Final = "standard error"


class Sink:
    """A stream that bytes go to, under the name that a complaint gives it."""

    def __init__(self, name: str, stream: BinaryIO | None = None) -> None:
        """Write to *stream*; None: to the file *name*, which stays as it is until `open`."""
        self.name = name
        self.stream = stream
        self._ours = stream is None

    def open(self) -> BinaryIO:
        """Open the file, and empty it, unless that was done."""
        if self.stream is None:
            self.stream = _create(self.name)
        return self.stream

    def write(self, data: bytes) -> None:
        """Take *data*, perhaps into a buffer."""
        try:  # not `writing`, which takes longer than the writing itself
            self.open().write(data)
        except OSError as exc:
            raise _failure(self.name, exc) from None

    def flush(self) -> None:
        """Bring all that was written to where it goes."""
        with writing(self.name):
            self.open().flush()

    def isatty(self) -> bool:
        """Tell whether a person reads it. A file that is not open yet is for programs."""
        return self.stream is not None and self.stream.isatty()

    def close(self) -> None:
        """Write what is still in the buffer; the standard streams stay open."""
        if self.stream is None:
            return
        with writing(self.name):
            if self._ours:
                self.stream.close()
            else:
                self.stream.flush()


def _create(name: str) -> BinaryIO:
    with writing(name):
        return open(name, "wb")


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Say what became of the bytes for *name*; a reader who has gone is no failure.

    Raises:
        UprobesSimError: they cannot be written: the disk is full, say.
    """
    try:
        yield
    except OSError as exc:
        raise _failure(name, exc) from None


def _failure(name: str, exc: OSError) -> Exception:
    if isinstance(exc, BrokenPipeError):
        return exc
    from uprobes_sim.errors import UprobesSimError  # `--help` does not pay for it

    return UprobesSimError(f"cannot write {name}: {exc.strerror}")


def open_closed() -> None:
    """Open standard streams that are closed: results cannot be written, complaints vanish."""
    if sys.stdout is None:
        sys.stdout = _nowhere(os.O_RDONLY)
    if sys.stderr is None:
        sys.stderr = _nowhere(os.O_WRONLY)


def _nowhere(mode: int) -> TextIO:
    """Open what is written to; with O_RDONLY it answers EBADF, as what is closed does."""
    return open(os.open(os.devnull, mode), "w")


def forget_no_width() -> None:
    """Let a terminal be as wide as usual of which COLUMNS says that it has no room."""
    if set(os.environ.get("COLUMNS", "")) == {"0"}:
        del os.environ["COLUMNS"]


def drop_unwritable() -> None:
    """Drop what cannot be written: the interpreter would fail, and say so, as it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(message: str) -> None:
    """Write one line to standard error, behind all that went to standard output."""
    with suppress(OSError):  # it will fail again, for somebody whom that concerns
        sys.stdout.flush()
    with suppress(OSError):
        typer.echo(f"uprobes-sim: {' '.join(message.split())}", err=True)
