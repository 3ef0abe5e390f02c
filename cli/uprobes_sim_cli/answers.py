"""Commands that answer questions: those on the command line, or one a line on standard input."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Final, cast

from uprobes_sim.errors import UprobesSimError
from uprobes_sim_cli import output
from uprobes_sim_cli.app import Format
from uprobes_sim_cli.streams import STDOUT, writing

STANDARD_INPUT: Final = "-"

_CHUNK: Final = 1 << 16
"""Bytes of standard input that are read at once, if there are so many."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in both shapes."""

    value: output.Json
    lines: Callable[[], Iterable[str]]
    """Writes it for people."""
    found: bool = False
    """It is something that makes the exit status 1."""


def answer_all(format_: Format, questions: Sequence[str], answer: Callable[[str], Answer]) -> int:
    """Print an answer to each of *questions*, in their order; the one question `-`: to each line.

    A line that is no question gets its error in place of an answer; the exit
    status, which this answers, is 2 then. Else it is 1 when something was found.

    Raises:
        UprobesSimError: a question on the command line is none.
    """
    as_filter = list(questions) == [STANDARD_INPUT]
    printer, status = Printer(format_), 0
    try:
        for question in lines_of_stdin(printer.flush) if as_filter else questions:
            try:
                got = answer(question)
            except UprobesSimError as exc:
                if not as_filter:
                    raise
                status = 2
                got = _no_answer(question, str(exc))
            printer.show(got)
            status = status or int(got.found)
    finally:
        printer.close()
    return status


def _no_answer(question: str, error: str) -> Answer:
    return Answer({"insn": question, "error": error}, lambda: [f"{question}: {error}"])


def lines_of_stdin(before_waiting: Callable[[], None]) -> Iterator[str]:
    """Read lines as they come; *before_waiting* is called when there is none yet."""
    if sys.stdin is None:  # closed by whoever started us
        return
    rest = b""
    stdin = cast(BufferedReader, sys.stdin.buffer)
    while chunk := stdin.read1(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
        before_waiting()
    if rest:
        yield rest.decode(errors="replace").rstrip("\r")


class Printer:
    """Prints answers, at the latest when there is no question: somebody may wait to ask one."""

    def __init__(self, format_: Format) -> None:
        """Print as *format_*."""
        self._format = format_
        self._before = "[\n" if format_ is Format.JSON else ""

    def show(self, answer: Answer) -> None:
        """Print *answer*, perhaps into a buffer."""
        if self._format is Format.TEXT:
            text = "\n".join(answer.lines()) + "\n"
        else:
            text = self._before + output.json_line(answer.value)
            if self._format is Format.JSON:
                self._before = ",\n"
            else:
                text += "\n"
        self._print(text)

    def close(self) -> None:
        """End the array, and print what is in the buffer."""
        if self._format is Format.JSON:
            self._print("[]\n" if self._before == "[\n" else "\n]\n")
        self.flush()

    def flush(self) -> None:
        """Print what is in the buffer."""
        with writing(STDOUT):
            sys.stdout.buffer.flush()

    def _print(self, text: str) -> None:
        with writing(STDOUT):
            sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
