"""The next piece is made on one processor while another looks at this one."""

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Generic, TypeVar

_T = TypeVar("_T")


class _Maker(Generic[_T]):
    """Runs an iterator in a thread, no further than it is let."""

    def __init__(self, items: Iterator[_T]) -> None:
        self._items = items
        self._let = Semaphore(1)
        self._stopped = False
        self._made = SimpleQueue[list[_T] | BaseException]()
        """One item each; at the end an empty list, or what was raised."""
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self._let.acquire() and not self._stopped:
                item = next(self._items, None)
                self._made.put([] if item is None else [item])
                if item is None:
                    return
        except BaseException as exc:  # is raised to whoever waits
            self._made.put(exc)

    def next(self) -> list[_T]:
        """Wait for an item, and let the one after it be made."""
        made = self._made.get()
        if isinstance(made, BaseException):
            raise made
        self._let.release()
        return made

    def stop(self) -> None:
        """Let no more be made, and wait for the last."""
        self._stopped = True
        self._let.release()
        self._thread.join()


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Give *items* while a thread makes the next one: two of them are in use at a time."""
    maker = _Maker(items)
    try:
        while made := maker.next():
            yield from made
    finally:
        maker.stop()
