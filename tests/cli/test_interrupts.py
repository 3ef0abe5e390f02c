"""Ends that nobody wants to read about."""

import fcntl
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import IO

import pytest

from elf_programs import program

COMMAND = [sys.executable, "-m", "uprobes_sim_cli", "run", str(program("powerpc64le", "filter"))]


def wait_until_read(pipe: IO[bytes]) -> None:
    """Wait until the program has read all that is in its standard input, and wants more."""
    for _ in range(400):
        (unread,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
        if not unread:
            return
        time.sleep(0.05)
    raise AssertionError("the program does not read")


def test_ctrl_c_is_silent() -> None:
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        running.stdin.write(b"x")
        running.stdin.flush()
        wait_until_read(running.stdin)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)

    assert (running.returncode, out, err) == (130, b"", b"")


def test_ctrl_c_is_silent_while_modules_are_imported() -> None:
    """The interpreter tells when one of the first is there; many more follow."""
    told = [COMMAND[0], "-X", "importtime", *COMMAND[1:]]
    with subprocess.Popen(told, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        while b"dataclasses" not in running.stderr.readline():
            pass
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)

    assert running.returncode == 130
    assert b"Traceback" not in err


def test_a_reader_that_goes_away_is_silent() -> None:
    many = [*COMMAND, "-p", "upper", "-p", "upper%return", "--format", "jsonl"]
    with subprocess.Popen(
        many, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        running.stdin.write(b"x" * 500)
        running.stdin.close()
        err = running.stderr.read()

    assert (running.returncode, err) == (141, b"")


@pytest.mark.parametrize("target", ["powerpc64le", "x86_64"])
def test_ctrl_c_ends_a_program_that_computes(target: str) -> None:
    """The engine is inside a block, and for x86 inside Unicorn, most of the time."""
    called = Path(__file__).parents[2] / "benchmarks" / target / "called"
    busy = [*COMMAND[:-1], str(called), "-p", "called", "--", "1000000000"]
    with subprocess.Popen(busy, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)

    assert (running.returncode, err) == (130, b"")
