"""The kernel of this machine, asked through BPF: a link of type uprobe_multi is a probe."""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
ACCEPTED: Final = "accepted"
TOGETHER: Final = 512
"""Probes of one link."""
THREADS: Final = 384
"""Each registration waits for the others' RCU grace periods; side by side they share them."""

MACHINE: Final = {64: 62, 32: 3}
_ENOTSUPP: Final = 524
_SYS_BPF: Final = 321
_BPF_PROG_LOAD, _BPF_LINK_CREATE = 5, 28
_BPF_F_UPROBE_MULTI_RETURN: Final = 1
_BPF_PROG_TYPE_KPROBE, _BPF_TRACE_UPROBE_MULTI = 2, 48
_RETURN_0: Final = struct.pack("<QQ", 0xB7, 0x95)
"""r0 = 0; exit."""

_SYSCALL: Final = ctypes.CDLL(None, use_errno=True).syscall

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


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    answer: int = _SYSCALL(_SYS_BPF, command, buffer, len(attributes))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, "ENOTSUPP" if number == _ENOTSUPP else os.strerror(number))
    return answer


def name(code: int) -> str:
    """Name an errno; the kernel's own 524 is no errno of user space."""
    return "ENOTSUPP" if code == _ENOTSUPP else errno.errorcode[code]


class LiveKernel:
    """Probes on the running kernel. All of them go when they were asked for."""

    def __init__(self) -> None:
        """Load the BPF program that each probe runs: it does nothing.

        Raises:
            OSError: not allowed.
        """
        code = ctypes.create_string_buffer(_RETURN_0, len(_RETURN_0))
        licence = ctypes.create_string_buffer(b"GPL")
        attributes = struct.pack(
            "<IIQQ44xI",
            _BPF_PROG_TYPE_KPROBE,
            2,
            ctypes.addressof(code),
            ctypes.addressof(licence),
            _BPF_TRACE_UPROBE_MULTI,
        )
        self._program = _bpf(_BPF_PROG_LOAD, attributes)

    def close(self) -> None:
        """Unload the program."""
        os.close(self._program)

    def _register(self, path: bytes, offsets: Sequence[int], *, returns: bool = False) -> int:
        buffer = (ctypes.c_uint64 * len(offsets))(*offsets)
        where = ctypes.create_string_buffer(path)
        attributes = struct.pack(
            "<IIIIQQQQIIII",
            self._program,
            0,
            _BPF_TRACE_UPROBE_MULTI,
            0,
            ctypes.addressof(where),
            ctypes.addressof(buffer),
            0,
            0,
            len(offsets),
            _BPF_F_UPROBE_MULTI_RETURN if returns else 0,
            0,
            0,
        )
        return _bpf(_BPF_LINK_CREATE, attributes)

    def _verdict(self, path: bytes, offsets: Sequence[int]) -> str:
        try:
            link = self._register(path, offsets)
        except OSError as exc:
            return name(exc.errno or 0)
        os.close(link)
        return ACCEPTED

    def verdicts(self, path: Path, offsets: Sequence[int], likely: Sequence[str]) -> list[str]:
        """Register a probe on each of *offsets* of a file that a running program maps.

        *likely* makes it fast, and cannot make it wrong: what will be accepted
        is asked for many at a time, and one by one where any of them was not.
        """
        where, found = bytes(path), dict[int, str]()
        hopeful = [offset for offset, word in zip(offsets, likely, strict=True) if word == ACCEPTED]
        for at in range(0, len(hopeful), TOGETHER):
            group = hopeful[at : at + TOGETHER]
            if self._verdict(where, group) == ACCEPTED:
                found.update(dict.fromkeys(group, ACCEPTED))
        alone = [offset for offset in offsets if offset not in found]
        with ThreadPoolExecutor(THREADS) as pool:
            answers = pool.map(lambda offset: self._verdict(where, [offset]), alone)
            found.update(zip(alone, answers, strict=True))
        return [found[offset] for offset in offsets]

    @contextmanager
    def probing(
        self, path: Path, offsets: Sequence[int], *, returns: bool = False
    ) -> Iterator[None]:
        """Keep probes, or return probes, on *offsets* of a file."""
        link = self._register(bytes(path), offsets, returns=returns)
        try:
            yield
        finally:
            os.close(link)


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
