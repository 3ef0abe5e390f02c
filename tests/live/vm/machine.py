"""A virtual machine that boots a kernel, asks it by `init.c`, and gives the answers back."""

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_DIRECTORY, _EXECUTABLE = 0o40755, 0o100755
_COMMAND: Final = (
    "qemu-system-x86_64 -M pc -m 1024 -nographic -no-reboot -monitor none "
    "-cpu max,la57=off"  # or the page of slots lies elsewhere
)
_APPEND: Final = "console=ttyS0 quiet panic=-1 rcupdate.rcu_expedited=1"


@dataclass(frozen=True)
class Job:
    """A program that waits for the end of its input, and where to probe it."""

    program: bytes
    sites: Sequence[int]
    keep: bool
    """Leave the probes in place, and let the program run."""


@dataclass(frozen=True)
class Answer:
    """The errno at each site (0: accepted), and what the program wrote under the probes."""

    errnos: tuple[int, ...]
    stdout: bytes
    stderr: bytes


def ask(kernel: Path, jobs: Sequence[Job], folder: Path, timeout: float) -> list[Answer]:
    """Boot *kernel* and do *jobs*. Wants gcc and qemu-system-x86_64."""
    init, initramfs, answers = folder / "init", folder / "initramfs", folder / "answers"
    compiler = ["gcc", "-static", "-O1", "-o", str(init), str(_HERE / "init.c")]
    subprocess.run(compiler, check=True)
    files = {"dev": b"", "proc": b"", "sys": b"", "jobs": b"", "init": init.read_bytes()}
    for number, job in enumerate(jobs):
        files[f"jobs/{number}"] = job.program
        files[f"jobs/{number}.sites"] = struct.pack(f"<{len(job.sites)}Q", *job.sites)
        if job.keep:
            files[f"jobs/{number}.keep"] = b"yes"
    initramfs.write_bytes(_cpio(files))
    command = [*_COMMAND.split(), "-kernel", str(kernel), "-initrd", str(initramfs)]
    command += ["-append", _APPEND]
    command += ["-serial", "stdio", "-serial", f"file:{answers}"]
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=timeout, check=True)
    return _parse(answers.read_bytes(), jobs)


def _parse(data: bytes, jobs: Sequence[Job]) -> list[Answer]:
    found, at = list[Answer](), 0
    for job in jobs:
        count = len(job.sites)
        errnos = struct.unpack_from(f"<{count}H", data, at)
        out, err = struct.unpack_from("<2I", data, at + 2 * count)
        at += 2 * count + 8
        found.append(Answer(errnos, data[at : at + out], data[at + out : at + out + err]))
        at += out + err
    assert at == len(data), "the answers do not end where they should"
    return found


def _cpio(files: dict[str, bytes]) -> bytes:
    """Pack an initramfs in the format `newc`; an empty file is a folder."""
    archive = bytearray()
    for number, (name, data) in enumerate([*files.items(), ("TRAILER!!!", b"")], start=1):
        mode = _EXECUTABLE if data else _DIRECTORY
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        archive += b"070701" + "".join(f"{field:08X}" for field in fields).encode()
        archive += name.encode() + b"\0"
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)
