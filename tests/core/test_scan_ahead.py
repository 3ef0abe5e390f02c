"""core/uprobes_sim/scan/ahead.py"""

import threading
from collections.abc import Iterator

import pytest

from uprobes_sim.scan.ahead import ahead


def test_items_come_in_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))


def test_no_more_than_one_is_made_ahead() -> None:
    made = list[int]()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    for number in ahead(items()):
        assert len(made) <= number + 2


def test_what_is_raised_is_raised_behind_what_was_made() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    found = ahead(items())

    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_who_leaves_early_leaves_no_thread() -> None:
    before = threading.active_count()
    found = ahead(iter(range(100)))
    next(found)

    found.close()  # type: ignore[attr-defined]  # it is a generator

    assert threading.active_count() == before
