"""The kernel of this machine, and programs that wait while it is asked."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Final, Literal

from elf_maker import PAGE, Elf, R, Segment, W, X
from uprobes_sim.arch import Abi

Bits = Literal[32, 64]

CODE: Final = 0x400000
DATA: Final = 0x600000
SLOT: Final = 16
"""Bytes that the kernel copies, so that no encoding sees its neighbour."""
MACHINE: Final = {64: 62, 32: 3}
WAIT: Final = {
    64: bytes.fromhex("b801000000bf01000000be00004000ba010000000f0531c031ff0f05"),
    32: bytes.fromhex("b804000000bb01000000b900004000ba01000000cd80b80300000031dbcd80"),
}
"""Write a byte, then read until end of file: a program is ready, and is let go."""
EXIT: Final = {64: bytes.fromhex("b83c00000031ff0f05"), 32: bytes.fromhex("b80100000031dbcd80")}


def unfit() -> str | None:
    """Say why this kernel is none that the tables were measured on; None: it is."""
    release, machine = platform.release(), platform.machine()
    if platform.system() != "Linux" or machine != "x86_64":
        return f"{platform.system()} on {machine} has no x86 uprobes"
    if release.split(".")[:2] != ["6", "18"]:
        return f"the kernel is {release}, the tables are those of 6.18"
    return None


def write_program(path: Path, text: bytes, bits: Bits) -> Path:
    """Write an executable that starts at the start of *text*; its file offset is one page."""
    data = Segment(DATA, bytes(PAGE), flags=R | W)
    elf = Elf(
        segments=(Segment(CODE, text, flags=R | X), data),
        abi=Abi(bits, "little"),
        machine=MACHINE[bits],
        entry=CODE,
    )
    path.write_bytes(elf.build())
    path.chmod(0o755)
    return path


@contextmanager
def running(path: Path) -> Iterator[Popen[bytes]]:
    """Run a program that begins with `WAIT`, up to its read."""
    with Popen([path], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.read(1), "the program did not start"
            yield process
        finally:
            if process.poll() is None:
                process.kill()
