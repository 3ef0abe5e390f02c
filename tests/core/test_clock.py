"""core/uprobes_sim/clock.py"""

import os
from pathlib import Path

from uprobes_sim.clock import START, TICK, Clock

NEWER = START + 5 * 10**9


def made_at(path: Path, time: int) -> Path:
    path.write_text("")
    os.utime(path, ns=(time, time))
    return path


def test_time_moves_when_it_is_looked_at_and_never_else() -> None:
    clock = Clock()
    clock.look()
    clock.sleep(50)
    clock.sleep(-50)

    assert (clock.now, clock.now) == (START + TICK + 50, START + TICK + 50)


def test_a_run_starts_when_its_youngest_file_was_made(tmp_path: Path) -> None:
    """`ls -l` would print the year of a file from the future."""
    old = made_at(tmp_path / "old", START - 1)
    new = made_at(tmp_path / "new", NEWER + 1)

    assert Clock.after(old, tmp_path / "none").now == START
    assert Clock.after(old, new).now == NEWER + 10**9


def test_a_folder_brings_along_what_lies_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    made_at(folder / "file", NEWER)
    os.utime(folder, ns=(START, START))

    assert Clock.after(folder).now == NEWER
