"""core/uprobes_sim/vfs: what a program sees of files, and what the host sees of the program."""

import os
import stat
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from kernel_box import BUF, KernelBox
from uprobes_sim.errno import Errno
from uprobes_sim.errors import EngineError, ProgramError
from uprobes_sim.page_cache import Inode
from uprobes_sim.vfs import Stdin, filemap
from uprobes_sim.vfs.nodes import GID, UID

O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND = 1, 2, 0o100, 0o200, 0o1000, 0o2000
O_NONBLOCK = 0o4000
O_DIRECTORY, O_NOFOLLOW = 0o200000, 0o400000


@pytest.fixture
def box(tmp_path: Path) -> KernelBox:
    """A task in a directory of the host with a file, a folder and a link."""
    (tmp_path / "file").write_text("host text")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/inner").write_text("inner")
    (tmp_path / "link").symlink_to("file")
    return KernelBox(tmp_path)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All that is in a folder of the host."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def write(box: KernelBox, name: str, data: bytes, flags: int = O_CREAT | O_TRUNC) -> None:
    fd = box("open", name, O_WRONLY | flags, 0o644)
    assert fd >= 0, fd
    assert box("write", fd, data, len(data)) == len(data)
    assert box("close", fd) == 0


def rewrite(box: KernelBox) -> None:
    write(box, "file", b"new")


def append(box: KernelBox) -> None:
    write(box, "file", b"+", O_APPEND)


def make(box: KernelBox) -> None:
    write(box, "made", b"fresh")


def make_directory(box: KernelBox) -> None:
    box("mkdir", "new", 0o755)
    write(box, "new/file", b"deep")


def remove(box: KernelBox) -> None:
    box("unlink", "file")


def remove_tree(box: KernelBox) -> None:
    box("unlink", "dir/inner")
    box("rmdir", "dir")


def replace_tree(box: KernelBox) -> None:
    remove_tree(box)
    write(box, "dir", b"now a file")


def move(box: KernelBox) -> None:
    box("rename", "file", "dir/moved")


def move_over(box: KernelBox) -> None:
    box("rename", "dir/inner", "file")


def swap(box: KernelBox) -> None:
    box("rename", "file", "tmp")
    box("rename", "dir/inner", "file")
    box("rename", "tmp", "dir/inner")


def link(box: KernelBox) -> None:
    box("link", "file", "hard")
    box("symlink", "dir", "soft")


def change_mode(box: KernelBox) -> None:
    box("chmod", "file", 0o600)
    box("chmod", "dir", 0o700)


def cut(box: KernelBox) -> None:
    box("truncate", "file", 4)


CHANGES = [
    (rewrite, {"file": b"new"}),
    (append, {"file": b"host text+"}),
    (make, {"made": b"fresh"}),
    (make_directory, {"new": b"", "new/file": b"deep"}),
    (remove, {"file": None, "link": b""}),
    (remove_tree, {"dir": None, "dir/inner": None}),
    (replace_tree, {"dir": b"now a file", "dir/inner": None}),
    (move, {"file": None, "dir/moved": b"host text", "link": b""}),
    (move_over, {"dir/inner": None, "file": b"inner"}),
    (swap, {"file": b"inner", "dir/inner": b"host text"}),
    (link, {"hard": b"host text", "soft": b""}),
    (change_mode, {}),
    (cut, {"file": b"host"}),
]


@pytest.mark.parametrize(("change", "result"), CHANGES, ids=[c.__name__ for c, _ in CHANGES])
def test_only_commit_reaches_the_host(
    box: KernelBox,
    tmp_path: Path,
    change: Callable[[KernelBox], None],
    result: dict[str, bytes | None],
) -> None:
    before, untouched = snapshot(tmp_path), box.vfs.changes()

    change(box)

    assert snapshot(tmp_path) == before
    assert untouched == {}
    changed = [Path(path) for path in box.vfs.changes()]
    for name in result.keys() - {"link"}:
        assert any((tmp_path / name).is_relative_to(path) for path in changed), name
    box.vfs.commit()
    after = snapshot(tmp_path)
    assert after != before
    assert {name: after[name][1] if name in after else None for name in result} == {
        name: (b"host text" if name == "link" and after.get("file") else data)
        for name, data in result.items()
    }


def test_commit_keeps_modes(box: KernelBox, tmp_path: Path) -> None:
    change_mode(box)
    make_directory(box)
    box.vfs.commit()

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "dir").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o755


def test_commit_deletes_only_what_the_program_has_deleted(box: KernelBox, tmp_path: Path) -> None:
    remove_tree(box)
    (tmp_path / "dir/late").write_text("made on the host meanwhile")

    with pytest.raises(ProgramError, match="dir cannot be deleted"):
        box.vfs.commit()

    assert (tmp_path / "dir/late").exists()


def test_what_was_written_is_read_back(box: KernelBox) -> None:
    write(box, "file", b"new")

    assert box.text("file") == box.text("link") == b"new"


def test_a_listing_is_sorted_and_shows_the_changes(box: KernelBox) -> None:
    box("unlink", "file")
    write(box, "a", b"")
    box("mkdir", "z", 0o755)

    fd = box("open", ".", O_DIRECTORY)

    assert box.names(fd) == [".", "..", "a", "dir", "link", "z"]
    assert box.names(fd) == [], "it is read to its end"
    assert box("lseek", fd, 0, 0) == 0
    assert box.names(fd, room=40) == [".", "..", "a", "dir", "link", "z"]


def test_a_listing_survives_deletions(box: KernelBox) -> None:
    """rm -r reads and deletes in turns."""
    for name in "abcdef":
        write(box, f"dir/{name}", b"")
    fd = box("open", "dir", O_DIRECTORY)
    seen = []
    while (size := box("getdents64", fd, BUF, 32)) > 0:
        name = box.got(size)[19:].split(b"\0")[0].decode()
        seen.append(name)
        box("unlink", f"dir/{name}")

    assert seen == [".", "..", "a", "b", "c", "d", "e", "f", "inner"]
    assert box("rmdir", "dir") == 0


@pytest.mark.parametrize(
    ("call", "errno"),
    [
        pytest.param(("open", "nothing", 0), Errno.ENOENT, id="missing"),
        pytest.param(("open", "", 0), Errno.ENOENT, id="empty path"),
        pytest.param(("open", "file/x", 0), Errno.ENOTDIR, id="below a file"),
        pytest.param(("open", "file/", 0), Errno.ENOTDIR, id="file with slash"),
        pytest.param(("open", "nothing/x", O_CREAT | 1, 0o644), Errno.ENOENT, id="below nothing"),
        pytest.param(("open", "new/", O_CREAT | 1, 0o644), Errno.EISDIR, id="make with slash"),
        pytest.param(("open", "dir", O_WRONLY), Errno.EISDIR, id="write a directory"),
        pytest.param(("open", "file", O_DIRECTORY), Errno.ENOTDIR, id="O_DIRECTORY"),
        pytest.param(("open", "link", O_NOFOLLOW), Errno.ELOOP, id="O_NOFOLLOW"),
        pytest.param(("open", "file", O_CREAT | O_EXCL | 1), Errno.EEXIST, id="O_EXCL"),
        pytest.param(("open", "x" * 256, 0), Errno.ENAMETOOLONG, id="long name"),
        pytest.param(("open", "/" * 5000, 0), Errno.ENAMETOOLONG, id="long path"),
        pytest.param(("open", 8, 0), Errno.EFAULT, id="no memory"),
        pytest.param(("mkdir", "dir", 0o755), Errno.EEXIST, id="mkdir"),
        pytest.param(("mkdir", "a/b", 0o755), Errno.ENOENT, id="mkdir below nothing"),
        pytest.param(("rmdir", "dir"), Errno.ENOTEMPTY, id="rmdir"),
        pytest.param(("rmdir", "file"), Errno.ENOTDIR, id="rmdir a file"),
        pytest.param(("rmdir", "."), Errno.EBUSY, id="rmdir dot"),
        pytest.param(("unlink", "dir"), Errno.EISDIR, id="unlink a directory"),
        pytest.param(("unlink", "nothing"), Errno.ENOENT, id="unlink"),
        pytest.param(("rename", "dir", "dir2"), Errno.EXDEV, id="a directory of the host"),
        pytest.param(("rename", "file", "dir"), Errno.EISDIR, id="rename over a directory"),
        pytest.param(("rename", "nothing", "x"), Errno.ENOENT, id="rename"),
        pytest.param(("link", "dir", "x"), Errno.EPERM, id="link a directory"),
        pytest.param(("symlink", "x", "file"), Errno.EEXIST, id="symlink"),
        pytest.param(("readlink", "file", BUF, 9), Errno.EINVAL, id="readlink"),
        pytest.param(("chdir", "file"), Errno.ENOTDIR, id="chdir"),
        pytest.param(("access", "file", 9), Errno.EINVAL, id="access"),
        pytest.param(("chown", "file", UID + 1, GID), Errno.EPERM, id="chown"),
        pytest.param(("truncate", "file", -1), Errno.EINVAL, id="truncate"),
        pytest.param(("truncate", "dir", 0), Errno.EISDIR, id="truncate a directory"),
        pytest.param(("truncate", "file", 1 << 60), Errno.EFBIG, id="truncate far"),
        pytest.param(("openat", 77, "file", 0), Errno.EBADF, id="openat"),
        pytest.param(("openat", 1, "file", 0), Errno.ENOTDIR, id="openat stdout"),
    ],
)
def test_what_cannot_be_done_has_linux_errno(
    box: KernelBox, call: tuple[str, *tuple[int | str, ...]], errno: Errno
) -> None:
    assert box(*call) == -errno


def test_links_in_a_circle_are_a_loop(box: KernelBox) -> None:
    box("symlink", "b", "a")
    box("symlink", "a", "b")

    assert box("open", "a", 0) == -Errno.ELOOP
    assert box("readlink", "a", BUF, 9) == 1


def test_a_directory_of_ones_own_can_be_moved(box: KernelBox) -> None:
    make_directory(box)

    assert box("rename", "new", "new/inside") == -Errno.EINVAL
    assert box("rename", "new", "dir/moved") == 0
    assert box.text("dir/moved/file") == b"deep"
    assert box("chdir", "dir/moved") == 0
    size = box("getcwd", BUF, 4096)
    assert box.got(size).endswith(b"/dir/moved\0")
    assert box("open", "new/file", 0) == -Errno.ENOENT


def test_a_removed_file_is_read_on(box: KernelBox, tmp_path: Path) -> None:
    fd = box("open", "file", 0)
    box("unlink", "file")
    (tmp_path / "file").unlink()

    assert box("read", fd, BUF, 99) == 9
    assert box.got(9) == b"host text"


def test_a_file_without_rights_is_refused(box: KernelBox, tmp_path: Path) -> None:
    write(box, "made", b"x")
    box("chmod", "made", 0)

    assert box("open", "made", 0) == -Errno.EACCES
    assert box("access", "made", os.R_OK) == -Errno.EACCES
    assert box("access", "made", os.F_OK) == 0


def test_mappings_and_reads_agree() -> None:
    inode = Inode(1, "file", b"a" * 0x1800)
    page = inode.page(1)
    assert page is not None

    filemap.write(inode, 0x1000, b"bb")
    page.data[1:3] = b"cc"

    assert filemap.read(inode, 0xFFF, 5) == b"abcca"
    filemap.truncate(inode, 0x1001)
    assert filemap.read(inode, 0x1000, 9) == b"b"
    assert bytes(page.data[:3]) == b"b\0\0"
    filemap.write(inode, 0x1003, b"d")
    assert filemap.read(inode, 0x1000, 9) == b"b\0\0d"


def test_devices_are_the_same_on_every_host(box: KernelBox) -> None:
    other = KernelBox(Path("/"))

    assert box.text("/dev/null") == b""
    assert box.text("/dev/zero", size=5) == bytes(5)
    assert box.text("/dev/urandom", size=16) == other.text("/dev/urandom", size=16) != bytes(16)
    full, null = box("open", "/dev/full", O_WRONLY), box("open", "/dev/null", O_WRONLY)
    assert (box("write", full, b"x", 1), box("write", null, b"x", 1)) == (-Errno.ENOSPC, 1)
    assert box.names(box("open", "/proc", 0)) == [".", "..", "self"]
    assert box("readlink", "/proc/self/exe", BUF, 99) == 9
    assert box.got(9) == b"/bin/prog"


def test_standard_input_is_read_once_for_both_runs(tmp_path: Path) -> None:
    source = BytesIO(b"one two")
    stdin = Stdin(source)
    first, second = KernelBox(tmp_path, stdin=stdin), KernelBox(tmp_path, stdin=stdin)

    assert source.tell() == 0, "nobody has asked yet"
    assert first("read", 0, BUF, 3) == 3
    assert (first.got(3), source.tell()) == (b"one", 3)
    assert second("read", 0, BUF, 99) == 3
    assert second("read", 0, BUF, 99) == 4
    assert (first("read", 0, BUF, 99), first("read", 0, BUF, 9)) == (4, 0)
    assert second("read", 0, BUF, 99) == 0


def test_output_goes_to_who_watches(box: KernelBox) -> None:
    box("write", 1, b"out", 3)
    copy = box("dup", 2)
    box("write", copy, b"err", 3)
    to = box("open", "/dev/stdout", O_WRONLY)
    box("write", to, b"again", 5)

    assert box.output == [(1, b"out"), (2, b"err"), (1, b"again")]
    assert box("write", 0, b"x", 1) == -Errno.EBADF
    assert box("read", 1, BUF, 1) == -Errno.EBADF
    assert box("lseek", 1, 0, 0) == -Errno.ESPIPE
    assert box("ioctl", 1, 0x5401, BUF) == -Errno.ENOTTY


def pipe(box: KernelBox, flags: int = 0) -> tuple[int, int]:
    assert box("pipe2", BUF, flags) == 0
    return box.word(BUF, 4), box.word(BUF + 4, 4)


def test_a_pipe_hands_over_in_order(box: KernelBox) -> None:
    reading, writing = pipe(box)
    box("write", writing, b"abc", 3)
    box("write", writing, b"de", 2)

    assert box("read", reading, BUF, 4) == 4
    assert box.got(4) == b"abcd"
    box("close", writing)
    assert [box("read", reading, BUF, 4) for _ in range(2)] == [1, 0]


def test_a_pipe_that_nobody_reads_kills(box: KernelBox) -> None:
    reading, writing = pipe(box)
    box("close", reading)

    assert box("write", writing, b"x", 1) == -Errno.EPIPE
    assert [info.signal.name for info in box.task.pending] == ["SIGPIPE"]


def test_who_would_wait_for_ever_is_told(box: KernelBox) -> None:
    reading, writing = pipe(box)

    with pytest.raises(EngineError, match="waits for ever: the pipe is empty"):
        box("read", reading, BUF, 1)
    assert box("write", writing, bytes(0xFFFF), 0xFFFF) == 0xFFFF
    with pytest.raises(EngineError, match="the pipe is full"):
        box("write", writing, b"xx", 2)


def test_a_non_blocking_pipe_says_try_again(box: KernelBox) -> None:
    reading, _ = pipe(box, O_NONBLOCK)

    assert box("read", reading, BUF, 1) == -Errno.EAGAIN


def test_a_copied_table_shares_positions_and_not_numbers(box: KernelBox) -> None:
    """As fork has it."""
    fd = box("open", "file", 0)
    child = box.task.files.copy()

    box("read", fd, BUF, 5)

    assert child.file(fd).pos == 5
    box("close", fd)
    assert child.file(fd).read(99) == b"text"
