"""ELF files inside of ZIP archives, such as Android's packages, that are mapped where they lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from uprobes_sim.errors import ProbeError, ProgramError
from uprobes_sim.regular import open_regular
from uprobes_sim.units import PAGE_SIZE

if TYPE_CHECKING:  # costs 10 ms
    from zipfile import ZipFile, ZipInfo

    from uprobes_sim.loader import Program

SEPARATOR: Final = "!/"
"""Between an archive and what it holds, as Android's linker writes it."""

_MAGIC: Final = b"PK\3\4"
_HEADER_SIZE: Final = 30
_NAME_AT: Final = 26
"""Place in the local header of the lengths of the name and of what follows it, 2 bytes each."""
_ELF: Final = b"\x7fELF"
_STORED: Final = 0
"""The method of what is not compressed (ZIP_STORED)."""


@dataclass(frozen=True, slots=True)
class Held:
    """An ELF file in an archive."""

    program: "Program"
    base: int
    """Where it starts in the archive, in bytes: the kernel counts from the archive's start."""

    @property
    def mappable(self) -> bool:
        """Tell whether a loader can map it where it lies."""
        return self.base % PAGE_SIZE == 0


def is_archive(path: str) -> bool:
    """Tell whether *path* names an archive, or something in one."""
    name, separator, _ = path.partition(SEPARATOR)
    try:
        with open(open_regular(name), "rb") as file:
            return bool(separator) or file.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False


def load_held(path: str) -> Held:
    """Load the ELF file that `ARCHIVE!/NAME` names, or the only one of an archive.

    Raises:
        ProgramError: the archive or the file cannot be read, or there is a choice.
        ProbeError: the file is compressed, so there is nothing to probe.
    """
    from zipfile import BadZipFile, ZipFile

    from uprobes_sim.loader import parse

    archive, _, name = path.partition(SEPARATOR)
    try:
        with ZipFile(archive) as zipped, open(archive, "rb") as file:
            info = _find(zipped, file, archive, name)
            base = first_byte(info, file)
            file.seek(base)
            data = file.read(info.file_size)
    except (OSError, BadZipFile, ValueError, NotImplementedError) as exc:
        raise ProgramError(f"{archive} cannot be read as an archive: {exc}") from None
    return Held(parse(Path(f"{archive}{SEPARATOR}{info.filename}"), data), base)


def _find(zipped: "ZipFile", file: IO[bytes], archive: str, name: str) -> "ZipInfo":
    stored = [each for each in zipped.infolist() if each.filename == name or not name]
    found = stored if name else [each for each in stored if _is_elf(each, file)]
    if not found:
        names = [each.filename for each in zipped.infolist() if each.filename.endswith(".so")]
        has = f"; it has {', '.join(names[:5])}" if names else ""
        raise ProgramError(f"{archive} holds no {name or 'uncompressed ELF file'}{has}")
    if len(found) > 1:
        raise ProgramError(
            f"{archive} holds several ELF files; name one: {archive}{SEPARATOR}{found[0].filename}"
        )
    if found[0].compress_type != _STORED:
        raise ProbeError(
            f"{archive}{SEPARATOR}{found[0].filename} is compressed: what runs is an unpacked "
            "copy; check that",
            "check.archive",
        )
    return found[0]


def _is_elf(info: "ZipInfo", file: IO[bytes]) -> bool:
    if info.compress_type != _STORED:
        return info.filename.endswith(".so")
    file.seek(first_byte(info, file))
    return file.read(len(_ELF)) == _ELF


def first_byte(info: "ZipInfo", file: IO[bytes]) -> int:
    """Find the first byte of an entry: its header is followed by a name and more."""
    file.seek(info.header_offset + _NAME_AT)
    lengths = file.read(4)
    name, more = (int.from_bytes(lengths[at : at + 2], "little") for at in (0, 2))
    return info.header_offset + _HEADER_SIZE + name + more
