"""From paths as users type them to files: folders and archives, in an order that never varies."""

import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from uprobes_sim.check.archive import SEPARATOR, first_byte
from uprobes_sim.errors import ProgramError
from uprobes_sim.scan.source import BytesSource, FileSource, Source

MAX_MEMBER: Final = 1 << 30
"""Bytes of the largest member of an archive that is unpacked."""

_ELF: Final = b"\x7fELF"
_AR: Final = b"!<arch>\n"
_THIN_AR: Final = b"!<thin>\n"
_ZIP: Final = b"PK\x03\x04"
_AR_HEADER: Final = 60
_NAMED: Final = 5
"""Members that are named to somebody who named none of them."""
_GIVEN: Final = "give an ELF file, an archive (.a, .zip, .apk) or a folder"


class Entry(NamedTuple):
    """One file to scan: on disk, or a member of an archive."""

    path: Path
    member: str | None = None
    offset: int = 0
    """Of a member that is not compressed, in the archive."""
    size: int = 0
    """Of such a member."""
    zipped: bool = False
    """It is a member of a ZIP archive."""

    @property
    def label(self) -> str:
        """Name it: `lib.a(member.o)`, `app.apk!/lib/x.so`."""
        if self.member is None:
            return str(self.path)
        if self.zipped:
            return f"{self.path}{SEPARATOR}{self.member}"
        return f"{self.path}({self.member})"

    @property
    def compressed(self) -> bool:
        """Tell whether what runs can only be an unpacked copy."""
        return self.zipped and not self.size

    @property
    def base(self) -> int:
        """Where the kernel counts from: loaders map what lies in a ZIP archive as it is."""
        return self.offset if self.zipped else 0


class Failure(NamedTuple):
    """What could not be read, in one line."""

    path: str
    reason: str


def find(paths: Iterable[Path]) -> Iterator[Entry | Failure]:
    """List the ELF files that *paths* name, in folders only those that are ELF files or archives.

    Symbolic links in folders are not followed.
    """
    for path in paths:
        if _is_folder(path):
            yield from _folder(path)
        elif SEPARATOR in str(path) and not os.path.lexists(path):
            yield from _named_member(path)
        else:
            yield from _some(path, _entries(path, named=True))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # such as a name that is too long; reading it tells
        return False


def _folder(path: Path) -> Iterator[Entry | Failure]:
    found = chain.from_iterable(
        [each] if isinstance(each, Failure) else _entries(each, named=False) for each in _walk(path)
    )
    yield from _some(path, found)


def _some(path: Path, found: Iterator[Entry | Failure]) -> Iterator[Entry | Failure]:
    """Give what is *found*, or say that it is nothing."""
    first = next(found, None)
    yield Failure(str(path), f"there is no ELF file in {path}") if first is None else first
    yield from found


def _named_member(path: Path) -> Iterator[Entry | Failure]:
    """Find the one member that `ARCHIVE!/NAME` names."""
    archive, _, name = str(path).partition(SEPARATOR)
    found = list(_entries(Path(archive), named=True))
    failures = [each for each in found if isinstance(each, Failure)]
    entries = [each for each in found if isinstance(each, Entry) and each.zipped]
    wanted: list[Entry | Failure] = [each for each in entries if each.member == name]
    wanted += [each for each in failures if each.path in (archive, str(path))]
    if not wanted:
        names = [each.member or "" for each in entries[:_NAMED]]
        has = f"; it has {', '.join(names)}" if names else ""
        yield Failure(str(path), f"{archive} holds no ELF file {name}{has}")
    yield from wanted


def _walk(folder: Path) -> Iterator[Path | Failure]:
    closed = list[OSError]()
    for parent, folders, files in os.walk(folder, onerror=closed.append):
        folders.sort()
        yield from _unread(closed)
        for name in sorted(files):
            file = Path(parent, name)
            try:
                if stat.S_ISREG(file.lstat().st_mode):
                    yield file
            except OSError as exc:
                closed.append(exc)
    yield from _unread(closed)


def _unread(closed: list[OSError]) -> Iterator[Failure]:
    """Tell of what could not be looked at, and forget it."""
    for exc in closed:
        yield Failure(str(exc.filename), f"{exc.filename} cannot be read: {exc.strerror}")
    closed.clear()


def _entries(path: Path, *, named: bool) -> Iterator[Entry | Failure]:
    """List what *path* holds; *named*: the user did, and wants to hear what is wrong with it."""
    try:
        file = FileSource(path)
    except ProgramError as exc:
        yield Failure(str(path), str(exc))
        return
    try:
        start = file.read(0, 8)
        if start[:4] == _ELF:
            yield Entry(path)
        elif start == _AR:
            yield from _ar_members(path, file)
        elif start[:4] == _ZIP:
            yield from _zip_members(path)
        elif start == _THIN_AR:
            yield Failure(str(path), f"{path} is a thin archive; scan the files that it names")
        elif named:
            what = "is empty" if not start else "is no ELF file"
            yield Failure(str(path), f"{path} {what}; {_GIVEN}")
    except ProgramError as exc:
        yield Failure(str(path), str(exc))
    finally:
        file.close()


def _ar_members(path: Path, file: Source) -> Iterator[Entry | Failure]:
    """List the objects of an archive of ar, with the long names of GNU and of BSD."""
    at, long_names = len(_AR), b""
    while at < file.size:
        header = file.read(at, _AR_HEADER)
        at += _AR_HEADER
        try:
            size = int(header[48:58])
            if len(header) < _AR_HEADER or header[58:] != b"`\n" or at + size > file.size:
                raise ValueError
        except ValueError:
            yield Failure(str(path), f"{path} is damaged: no member at {at - _AR_HEADER:#x}")
            return
        name = header[:16].rstrip()
        start, length = at, size
        if name == b"//":
            long_names = file.read(at, size)
        elif name.startswith(b"#1/") and name[3:].isdigit():
            inside = min(int(name[3:]), size)
            name = file.read(at, inside).rstrip(b"\0")
            start, length = at + inside, size - inside
        elif name[:1] == b"/" and name[1:].isdigit():
            name = long_names[int(name[1:]) :].partition(b"\n")[0]
        entry = Entry(path, name.rstrip(b"/").decode(errors="replace"), start, length)
        begin = file.read(start, min(length, 8))
        if begin[:4] == _ELF:
            yield entry
        elif _is_archive(begin):
            yield _nested(entry)
        at += size + size % 2


def _is_archive(begin: bytes) -> bool:
    return begin in (_AR, _THIN_AR) or begin[:4] == _ZIP


def _nested(entry: Entry) -> Failure:
    return Failure(entry.label, f"{entry.label} is an archive in an archive; unpack it first")


def _zip_members(path: Path) -> Iterator[Entry | Failure]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                if not info.is_dir():
                    yield from _zip_member(path, archive, info)
    except Exception as exc:  # zipfile raises a dozen kinds for what is damaged
        yield Failure(str(path), f"{path} is a damaged archive: {exc or type(exc).__name__}")


def _zip_member(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> Iterator[Entry | Failure]:
    entry = Entry(path, info.filename, zipped=True)
    try:
        with archive.open(info) as member:
            begin = member.read(8)
            if _is_archive(begin):
                yield _nested(entry)
            if begin[:4] != _ELF:
                return
            if info.compress_type == zipfile.ZIP_STORED:
                with path.open("rb") as file:
                    entry = entry._replace(offset=first_byte(info, file), size=info.file_size)
            yield entry
    except Exception as exc:  # as above; the other members may be whole
        why = str(exc) or type(exc).__name__
        yield Failure(entry.label, f"{entry.label} cannot be unpacked: {why}")


@contextmanager
def opened(entry: Entry) -> Iterator[Source]:
    """Open the file of *entry*.

    Raises:
        ProgramError: it cannot be read, or unpacked.
    """
    if entry.compressed:
        yield BytesSource(_unpack(entry))
        return
    file = FileSource(entry.path)
    try:
        yield BytesSource(file.read(entry.offset, entry.size)) if entry.size else file
    finally:
        file.close()


def _unpack(entry: Entry) -> bytes:
    assert entry.member is not None
    try:
        with zipfile.ZipFile(entry.path) as archive:
            size = archive.getinfo(entry.member).file_size
            if size > MAX_MEMBER:
                raise ProgramError(f"{entry.label} has {size} bytes; unpack it first")
            return archive.read(entry.member)
    except ProgramError:
        raise
    except Exception as exc:  # zipfile raises a dozen kinds for what is damaged
        why = str(exc) or type(exc).__name__
        raise ProgramError(f"{entry.label} cannot be unpacked: {why}") from None
