"""Two folders, archives or files, their members paired by relative path."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from uprobes_sim.errors import ProgramError
from uprobes_sim.scan.paths import Entry, Failure, find
from uprobes_sim.scan.source import Source

_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Tree:
    """What a path names, by path from there; the path itself is the empty one."""

    root: Path
    entries: dict[str, Entry] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Tell whether it is one file and holds no other."""
        return set(self.entries) == {""}


def tree(root: Path) -> Tree:
    """Find all members of *root*; of several of one name, the second is `name#2`.

    Raises:
        ProgramError: it cannot be read, or has no ELF file.
    """
    found = Tree(root)
    for each in find([root]):
        if isinstance(each, Failure):
            key = _relative(root, each.path)
            if not key:
                raise ProgramError(each.reason)
            found.failures[key] = each
        else:
            found.entries[_free(_relative(root, each.label), found.entries)] = each
    return found


def pairs(old: Tree, new: Tree) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    """Pair the members of two trees; what could not be read in one is missing in neither.

    Raises:
        ProgramError: one is a file, and the other holds several.
    """
    if old.is_file != new.is_file:
        file, other = (old, new) if old.is_file else (new, old)
        raise ProgramError(
            f"{file.root} is one file and {other.root} holds several: name the one that is its "
            "other build"
        )
    failed = tuple({*old.failures, *new.failures})
    for key in sorted({*old.entries, *new.entries}):
        if not any(key == each or key.startswith((f"{each}(", f"{each}!/")) for each in failed):
            yield key, old.entries.get(key), new.entries.get(key)


def same_bytes(one: Source, other: Source) -> bool:
    """Tell whether two files are the same, byte for byte."""
    if one.size != other.size:
        return False
    return all(one.read(at, _CHUNK) == other.read(at, _CHUNK) for at in range(0, one.size, _CHUNK))


def _relative(root: Path, label: str) -> str:
    """Say where below *root* that is which *label* names: folder/file, member, file(member)."""
    if root == Path():
        return label
    below = label.removeprefix(str(root))
    if below.startswith("(") and below.endswith(")"):
        return below[1:-1]
    return below.removeprefix("!").removeprefix("/")


def _free(key: str, taken: dict[str, Entry]) -> str:
    if key not in taken:
        return key
    return next(name for n in count(2) if (name := f"{key}#{n}") not in taken)
