"""core/uprobes_sim/cache.py and memory.py"""

import os
from pathlib import Path

import numpy as np
import pytest

from elf_programs import program
from uprobes_sim import cache
from uprobes_sim.choice import Options
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry

ADD3 = Entry(program("x86_64", "add3"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "uprobes-sim"


def test_what_was_learnt_is_told_again(folder: Path) -> None:
    first = Judges([Options()])
    report = first.report(ADD3, detail=True)
    first.save()

    again = Judges([Options()]).report(ADD3, detail=True)

    assert list(folder.glob("*.json"))
    assert again == report


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"answers": [[1]], "forms": {}}'])
def test_a_broken_file_is_as_good_as_none(rubbish: bytes, folder: Path) -> None:
    first = Judges([Options()])
    report = first.report(ADD3)
    first.save()
    for file in folder.iterdir():
        file.write_bytes(rubbish)

    assert Judges([Options()]).report(ADD3) == report


def test_another_kernel_has_another_memory() -> None:
    new = Judges([Options()])
    new.report(ADD3)
    new.save()

    old = Judges([Options(kernel="3.5")]).report(ADD3)

    assert old.rules != new.report(ADD3).rules


def test_arrays_are_built_once(tmp_path: Path) -> None:
    built = []

    def build() -> cache.Arrays:
        built.append(1)
        return {"a": np.arange(3)}

    for _ in range(2):
        assert cache.arrays(tmp_path / "a.npz", build)["a"].tolist() == [0, 1, 2]

    assert built == [1]


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"PK\3\4rubbish"])
def test_broken_arrays_are_built_again(rubbish: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(rubbish)

    assert cache.arrays(path, lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]
    assert cache.arrays(path, lambda: {})["a"].tolist() == [0, 1, 2]


def test_what_cannot_be_built_is_not_kept(tmp_path: Path) -> None:
    def build() -> cache.Arrays:
        raise OSError("no compiler")

    with pytest.raises(OSError, match="no compiler"):
        cache.arrays(tmp_path / "a.npz", build)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    judges = Judges([Options()])

    judges.report(ADD3)

    judges.save()


def test_old_files_are_forgotten(tmp_path: Path) -> None:
    for number in range(120):
        cache.write_json(tmp_path / f"{number:03}.json", number)
        os.utime(tmp_path / f"{number:03}.json", (number, number))

    assert len(list(tmp_path.iterdir())) <= 101
    assert cache.read_json(tmp_path / "000.json") is None
    assert cache.read_json(tmp_path / "119.json") == 119


def test_what_is_kept_is_bounded_by_its_size(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / f"{number}.json"
        cache.write_json(path, "x" * (8 << 20))
        os.utime(path, (number, number))

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 72 << 20
    assert "0.json" not in kept
    assert "9.json" in kept


def test_a_relative_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert cache.folder() == tmp_path / ".cache" / "uprobes-sim"
