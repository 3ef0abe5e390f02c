"""Doing to the host what a program has done to its files (`--write`)."""

import os
from collections.abc import Callable, Iterator

from uprobes_sim.errors import ProgramError
from uprobes_sim.vfs import filemap
from uprobes_sim.vfs.nodes import Attr, Directory, Node, Regular, Symlink


def commit_directory(directory: Directory) -> None:
    """Write the changes in and below *directory* to the host.

    Raises:
        ProgramError: the host does not let us; what was done before stays done.
    """
    for name, node in sorted(directory.gone.items()):
        _delete(_below(directory.path, name), node)
    for name, node in sorted(directory.entries.items()):
        _write(_below(directory.path, name), node)


def changes(directory: Directory) -> Iterator[tuple[str, bytes]]:
    """List what the program has made of the files in and below *directory*: path and state.

    The state of a file is its kind, permissions and contents; of one that is gone, nothing.
    """
    for name in sorted(directory.gone.keys() - directory.entries.keys()):
        yield _below(directory.path, name), b""
    for name, node in sorted(directory.entries.items()):
        path = _below(directory.path, name)
        kind = oct(node.attr.mode).encode()
        match node:
            case Directory(special=False):
                if node.host is None:
                    yield path, kind
                yield from changes(node)
            case Regular(changed=True):
                yield path, kind + b" " + filemap.read(node.inode, 0, node.size)
            case Symlink(changed=True):
                yield path, kind + b" " + os.fsencode(node.target)
            case Regular() if node.attr.changed:
                yield path, kind


def _below(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _delete(path: str, node: Node) -> None:
    if isinstance(node, Directory):
        # Only what the program has deleted: rmdir refuses if somebody has put in more since.
        for name, inner in sorted(node.gone.items()):
            _delete(_below(path, name), inner)
        _on_host("deleted", path, os.rmdir)
    else:
        _on_host("deleted", path, os.unlink)


def _write(path: str, node: Node) -> None:
    match node:
        case Directory(special=True):
            return
        case Directory():
            if node.host is None:
                _on_host("made", path, os.mkdir)
            commit_directory(node)
            if node.host is None:
                _set_attr(path, node.attr)
        case Regular(changed=True):
            _on_host("written", path, lambda path: _write_file(path, node))
            _set_attr(path, node.attr)
            return
        case Symlink(changed=True):
            _on_host("made", path, lambda path: os.symlink(node.target, path))
    if node.attr.changed and not isinstance(node, Symlink):
        _set_attr(path, node.attr)


def _write_file(path: str, node: Regular) -> None:
    with open(path, "wb") as file:
        file.write(filemap.read(node.inode, 0, node.size))


def _set_attr(path: str, attr: Attr) -> None:
    _on_host("changed", path, lambda path: os.chmod(path, attr.mode & 0o7777))
    _on_host("changed", path, lambda path: os.utime(path, ns=(attr.atime, attr.mtime)))


def _on_host(what: str, path: str, action: Callable[[str], None]) -> None:
    try:
        action(path)
    except FileNotFoundError:
        if what != "deleted":
            raise ProgramError(f"{path} cannot be {what}: its directory is gone") from None
    except (OSError, OverflowError) as exc:  # a time may be too far for the host
        reason = getattr(exc, "strerror", None) or exc
        raise ProgramError(f"{path} cannot be {what}: {reason}") from exc
