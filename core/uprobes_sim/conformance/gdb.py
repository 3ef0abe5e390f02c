"""The remote protocol of gdb, as far as QEMU is asked to execute single instructions."""

import re
import socket
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree

from uprobes_sim.errors import UprobesSimError

_CHUNK: Final = 1024
"""Bytes of memory in one packet."""
_SECONDS: Final = 20.0


class NoAnswer(UprobesSimError):
    """QEMU has gone, or says something that is not understood."""


@dataclass(frozen=True, slots=True)
class Register:
    """A register as QEMU describes it."""

    number: int
    size: int
    """In bytes."""


class Gdb:
    """A stopped program in QEMU."""

    def __init__(self, link: socket.socket, byteorder: Literal["little", "big"]) -> None:
        """Speak over *link*; learn what registers there are."""
        self._link = link
        self._order = byteorder
        self._input = b""
        link.settimeout(_SECONDS)
        self._ask("qSupported:xmlRegisters=i386")
        self.registers = self._describe()

    # --- packets --------------------------------------------------------------

    def _ask(self, packet: str) -> str:
        body = packet.encode()
        self._link.sendall(b"$%s#%02x" % (body, sum(body) & 0xFF))
        while True:
            match = re.search(rb"\$([^#]*)#..", self._input, re.DOTALL)
            if match is not None:
                break
            more = self._link.recv(1 << 16)
            if not more:
                raise NoAnswer("QEMU has ended")
            self._input += more
        self._input = self._input[match.end() :]
        self._link.sendall(b"+")
        return match[1].decode("latin-1")

    def _describe(self) -> dict[str, Register]:
        found, number = dict[str, Register](), 0
        for name in self._features("target.xml"):
            for node in ElementTree.fromstring(self._read_feature(name)).iter("reg"):
                number = int(node.get("regnum", number))
                size = int(node.get("bitsize", "0")) // 8
                found.setdefault(node.get("name", ""), Register(number, size))
                number += 1
        return found

    def _features(self, name: str) -> list[str]:
        names = re.findall(r'href="([^"]+)"', self._read_feature(name))
        return names or [name]

    def _read_feature(self, name: str) -> str:
        text = ""
        while True:
            part = self._ask(f"qXfer:features:read:{name}:{len(text):x},{_CHUNK:x}")
            text += part[1:]
            if part[:1] != "m":
                return text

    # --- state ----------------------------------------------------------------

    def write_memory(self, vaddr: int, data: bytes) -> None:
        """Write memory of the program."""
        for at in range(0, len(data), _CHUNK):
            piece = data[at : at + _CHUNK]
            if self._ask(f"M{vaddr + at:x},{len(piece):x}:{piece.hex()}") != "OK":
                raise NoAnswer(f"QEMU cannot write memory at {vaddr + at:#x}")

    def read_memory(self, vaddr: int, size: int) -> bytes:
        """Read memory of the program."""
        sizes = (min(_CHUNK, size - at) for at in range(0, size, _CHUNK))
        places = range(vaddr, vaddr + size, _CHUNK)
        pairs = zip(places, sizes, strict=True)
        return b"".join(bytes.fromhex(self._ask(f"m{at:x},{count:x}")) for at, count in pairs)

    def write(self, name: str, value: int) -> None:
        """Write a register."""
        register = self.registers[name]
        data = (value & (1 << 8 * register.size) - 1).to_bytes(register.size, self._order)
        if self._ask(f"P{register.number:x}={data.hex()}") != "OK":
            raise NoAnswer(f"QEMU cannot write {name}")

    def read(self, name: str) -> int:
        """Read a register."""
        return int.from_bytes(
            bytes.fromhex(self._ask(f"p{self.registers[name].number:x}")), self._order
        )

    def step(self) -> int:
        """Execute one instruction; answer the signal that came of it, 5 (SIGTRAP) for none."""
        found = self._ask("s")
        if found[:1] not in "TS":
            raise NoAnswer(f"QEMU answers {found[:20]!r} to a step")
        number = int(found[1:3], 16)
        return 7 if number == 10 else number  # gdb's own number of SIGBUS
