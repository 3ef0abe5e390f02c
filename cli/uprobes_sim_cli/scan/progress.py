"""A bar on standard error while many files are scanned, if a person reads it."""

import sys
from contextlib import ExitStack
from typing import Any, Final

_FEW: Final = 8
"""Files that are scanned without a bar."""


class Progress:
    """Counts files."""

    def __init__(self, stack: ExitStack) -> None:
        """Show it until *stack* ends."""
        self._stack = stack
        self._seen = sys.stderr.isatty()
        self._found = self._done = 0
        self._bar: Any = None

    def found(self) -> None:
        """Count a file that is to be scanned."""
        self._found += 1

    def done(self) -> None:
        """Count a file that was scanned."""
        self._done += 1
        if not self._seen or self._done < _FEW:
            return
        if self._bar is None:
            from rich import progress
            from rich.console import Console

            self._bar = self._stack.enter_context(
                progress.Progress(console=Console(stderr=True), transient=True)
            )
            self._task = self._bar.add_task("files", total=None)
        self._bar.update(self._task, completed=self._done, total=max(self._found, self._done))
