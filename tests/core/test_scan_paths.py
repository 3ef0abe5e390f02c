"""core/uprobes_sim/scan/paths.py and source.py"""

import os
import zipfile
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from elf_programs import program
from uprobes_sim.errors import ProgramError
from uprobes_sim.scan.paths import Entry, Failure, find, opened

ADD3 = program("x86_64", "add3").read_bytes()


def labels(*paths: Path) -> list[str]:
    return [each.label if isinstance(each, Entry) else f"! {each.reason}" for each in find(paths)]


def ar(*members: tuple[bytes, bytes]) -> bytes:
    """Write an archive; a name is that of its header."""
    data = b"!<arch>\n"
    for name, content in members:
        head = name.ljust(16) + b"0".ljust(12) + b"0".ljust(6) * 2 + b"644".ljust(8)
        data += head + str(len(content)).encode().ljust(10) + b"`\n" + content
        data += b"\n" * (len(content) % 2)
    return data


def test_a_folder_gives_its_elf_files_in_order_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b", "a", "sub/c"):
        (tmp_path / name).write_bytes(ADD3)
    (tmp_path / "readme").write_text("no ELF file")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")

    assert labels(tmp_path) == [str(tmp_path / name) for name in ("a", "b", "sub/c")]


def test_members_of_an_archive_have_the_names_of_gnu_and_of_bsd(tmp_path: Path) -> None:
    lib = tmp_path / "lib.a"
    lib.write_bytes(
        ar(
            (b"//", b"a_rather_long_name.o/\n"),
            (b"short.o/", ADD3),
            (b"/0", ADD3),
            (b"#1/8", b"bsd.o\0\0\0" + ADD3),
            (b"text/", b"no ELF file"),
        )
    )

    assert labels(lib) == [
        f"{lib}({name})" for name in ("short.o", "a_rather_long_name.o", "bsd.o")
    ]


def test_the_members_of_a_zip_are_unpacked(tmp_path: Path) -> None:
    apk = tmp_path / "app.apk"
    with zipfile.ZipFile(apk, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lib/x.so", ADD3)
        archive.writestr("res/x.png", b"no ELF file")

    (entry,) = find([apk])

    assert isinstance(entry, Entry)
    assert entry.label == f"{apk}!/lib/x.so"
    assert entry.compressed
    with opened(entry) as source:
        assert source.read(0, source.size) == ADD3


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    """Two libraries that are stored, and thus run from where they lie."""
    path = tmp_path / "app.apk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lib/x.so", ADD3)
        archive.writestr("lib/y.so", ADD3)
    return path


def test_a_stored_member_lies_in_its_archive(apk: Path) -> None:
    entry, _ = find([apk])

    assert isinstance(entry, Entry)
    assert apk.read_bytes()[entry.base :].startswith(ADD3)
    assert not entry.compressed


def test_one_member_can_be_named(apk: Path) -> None:
    assert labels(Path(f"{apk}!/lib/y.so")) == [f"{apk}!/lib/y.so"]


@pytest.mark.parametrize(
    ("name", "says"),
    [("app.apk!/lib/z.so", "it has lib/x.so, lib/y.so"), ("no.apk!/lib/x.so", "No such file")],
)
def test_a_member_that_is_not_there_is_missed(name: str, says: str, apk: Path) -> None:
    (found,) = labels(apk.parent / name)

    assert found.startswith("! ")
    assert says in found


def test_a_folder_without_elf_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("no ELF file")

    assert labels(tmp_path) == [f"! there is no ELF file in {tmp_path}"]


def test_a_damaged_archive_gives_what_it_can(tmp_path: Path) -> None:
    lib = tmp_path / "lib.a"
    lib.write_bytes(ar((b"good.o/", ADD3)) + b"rubbish" * 10)

    first, second = find([lib])

    assert isinstance(first, Entry)
    assert isinstance(second, Failure)
    assert "is damaged" in second.reason


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"#!/bin/sh\n", "is no ELF file", id="script"),
        pytest.param(b"!<thin>\n", "thin archive", id="thin archive"),
        pytest.param(b"PK\3\4rubbish", "damaged archive", id="zip"),
    ],
)
def test_what_was_named_is_not_passed_over_in_silence(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    (found,) = labels(path)

    assert found.startswith(f"! {path}")
    assert says in found


def test_a_device_is_no_file() -> None:
    assert labels(Path("/dev/null")) == ["! /dev/null is no regular file; name an ELF file"]


def test_a_file_that_vanishes_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(ADD3)
    (entry,) = find([path])
    path.unlink()

    assert isinstance(entry, Entry)
    with pytest.raises(ProgramError, match="No such file"), opened(entry):
        pass


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root reads all, so the folder is refused by hand."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").write_bytes(program("x86_64", "add3").read_bytes())
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path == str(tmp_path / "closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    found, failure = find([tmp_path])

    assert found == Entry(tmp_path / "open")
    assert isinstance(failure, Failure)
    assert failure.reason == f"{tmp_path}/closed cannot be read: Permission denied"


def test_an_archive_in_an_archive_is_told(tmp_path: Path) -> None:
    inner, outer, static = (tmp_path / name for name in ("inner.zip", "outer.zip", "lib.a"))
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(program("x86_64", "add3"), "x.so")
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "inner.zip")
    data = inner.read_bytes()
    header = f"{'inner.zip/':16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n"
    static.write_bytes(b"!<arch>\n" + header.encode() + data)

    found = [each for path in (outer, static) for each in find([path])]

    assert [each.reason for each in found if isinstance(each, Failure)] == [
        f"{outer}!/inner.zip is an archive in an archive; unpack it first",
        f"{static}(inner.zip) is an archive in an archive; unpack it first",
    ]


def test_a_socket_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket(AF_UNIX) as made:
        made.bind(str(path))

        (found,) = find([path])

    assert isinstance(found, Failure)
    assert "is no regular file" in found.reason
