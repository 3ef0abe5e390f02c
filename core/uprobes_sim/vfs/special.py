"""/dev, /proc and /sys as this kernel has them: little, and the same on every host."""

import os
import stat
from collections.abc import Callable
from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.vfs.nodes import Attr, Device, Directory, Symlink

MakeAttr = Callable[[int], Attr]
"""Makes the attributes of something new, given its mode."""

_STREAMS: Final = ("stdin", "stdout", "stderr")


def make_special(root: Directory, exe: str, attr: MakeAttr, random: Callable[[int], bytes]) -> None:
    """Put the special directories into *root*; *exe* is the program's path."""
    dev, proc, _sys = (_make_directory(root, name, attr) for name in ("dev", "proc", "sys"))
    for name, device in _devices(attr, random).items():
        dev.entries[name] = device
    self_directory = _make_directory(proc, "self", attr)
    self_directory.entries["exe"] = Symlink(attr(stat.S_IFLNK | 0o777), exe)
    fds = _make_directory(self_directory, "fd", attr)
    for fd, name in enumerate(_STREAMS):
        fds.entries[str(fd)] = dev.entries[name]
    dev.entries["fd"] = Symlink(attr(stat.S_IFLNK | 0o777), "/proc/self/fd")


def _make_directory(parent: Directory, name: str, attr: MakeAttr) -> Directory:
    made = Directory(attr(stat.S_IFDIR | 0o555), name, parent, special=True)
    made.attr.uid = made.attr.gid = 0
    parent.entries[name] = made
    return made


def _devices(attr: MakeAttr, random: Callable[[int], bytes]) -> dict[str, Device]:
    def device(minor: int, read: Callable[[int], bytes], errno: Errno | None = None) -> Device:
        made = attr(stat.S_IFCHR | 0o666)
        made.uid = made.gid = 0
        made.rdev = os.makedev(1, minor)
        return Device(made, read, errno)

    found = {
        "null": device(3, lambda _: b""),
        "zero": device(5, bytes),
        "full": device(7, bytes, Errno.ENOSPC),
        "random": device(8, random),
        "urandom": device(9, random),
    }
    for fd, name in enumerate(_STREAMS):
        found[name] = Device(attr(stat.S_IFCHR | 0o620), same_as=fd)
    return found
