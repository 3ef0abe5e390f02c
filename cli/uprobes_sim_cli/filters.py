"""Commands that are asked one question, several, or one a line on standard input."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

from uprobes_sim.errors import UprobesSimError
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Format

T = TypeVar("T")

STANDARD_INPUT: Final = "-"


class Answers(Generic[T]):
    """Answers, printed one by one in the chosen format; a person sees each at once."""

    def __init__(
        self,
        format_: Format,
        as_json: Callable[[T], render.Json],
        as_text: Callable[[T], Iterable[str]],
    ) -> None:
        """Print in *format_*, with *as_json* or *as_text*."""
        self._format = format_
        self._as_json = as_json
        self._as_text = as_text
        self._count = 0

    def show(self, answer: T) -> None:
        """Print one."""
        if self._format is Format.TEXT:
            self._print("\n".join(self._as_text(answer)))
        else:
            self._print(render.json_line(self._as_json(answer)))

    def show_error(self, question: str, error: str) -> None:
        """Print, in the place of an answer, why there is none."""
        if self._format is Format.TEXT:
            self._print(f"{question}: {error}")
        else:
            self._print(render.json_line({"insn": question, "error": error}))

    def _print(self, text: str) -> None:
        if self._format is Format.JSON:
            text = ("[\n" if self._count == 0 else ",\n") + text
            sys.stdout.write(text)
        else:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        self._count += 1

    def close(self) -> None:
        """End the array, if it is one."""
        if self._format is Format.JSON:
            print("\n]" if self._count else "[]")


def filter_lines(answers: Answers[T], answer: Callable[[str], T]) -> Iterator[T]:
    """Answer each line of standard input, in order; yields the answers.

    A line that cannot be answered gets its error. Raises `BadLines` at the end if there was one.
    """
    bad = 0
    for line in _lines():
        try:
            found = answer(line)
        except UprobesSimError as exc:
            answers.show_error(line, str(exc))
            bad += 1
        else:
            answers.show(found)
            yield found
    if bad:
        raise BadLines(bad)


class BadLines(Exception):
    """Some lines were no questions; each has been told why."""


def _lines() -> Iterator[str]:
    if sys.stdin is None:  # closed by whoever started us
        return
    for line in sys.stdin.buffer:
        yield line.decode(errors="replace").rstrip("\r\n")
