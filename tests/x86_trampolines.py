"""A program that shows what probes on it have made of its memory and registers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from elf_maker import PAGE, Elf, Segment
from uprobes_sim.arch import Abi

CODE: Final = 0x400000
UPROBES: Final = 0x7FFF_FFFF_E000
"""Where Linux maps `[uprobes]` in a 64-bit process whose highest pages are free."""
SHOWN: Final = 32
"""Bytes of each page of trampolines that are shown."""

_NOP5_AT: Final = 0x400
_RETURNS_AT: Final = 0x410
_EXIT: Final = bytes.fromhex("b83c00000031ff0f05")
_SHOW_AND_POP: Final = bytes.fromhex("b801000000bf010000004889e60f05")


@dataclass
class Shower:
    """An assembler for the one program. Everything is written to descriptor 1."""

    text: bytearray = field(default_factory=bytearray)

    def call(self, at: int) -> None:
        """Call the function at offset *at* of the text."""
        self.text += b"\xe8" + (at - len(self.text) - 5).to_bytes(4, "little", signed=True)

    def show(self, vaddr: int, count: int) -> None:
        """Write *count* bytes of memory."""
        self.text += b"\xb8\1\0\0\0\xbf\1\0\0\0\x48\xbe" + vaddr.to_bytes(8, "little")
        self.text += b"\xba" + count.to_bytes(4, "little") + b"\x0f\x05"

    def show_pushed(self, pushes: str) -> None:
        """Push registers by the code *pushes*, write them and drop them."""
        self.text += bytes.fromhex(pushes)
        size = 8 * len([each for each in bytes.fromhex(pushes) if each >> 4 == 5])
        self.text += b"\xba" + size.to_bytes(4, "little") + _SHOW_AND_POP
        self.text += b"\x48\x83\xc4" + bytes([size])


NOP5: Final = PAGE + _NOP5_AT
"""File offset of a function of a no-op of five bytes and a return."""
RETURNS: Final = PAGE + _RETURNS_AT
"""File offset of a function that shows the address that it returns to."""
SITE: Final = CODE + _NOP5_AT


def write_shower(path: Path, room_at: int) -> Path:
    """Write the program. At *room_at* is the first free page behind its text."""
    code = Shower()
    for _ in range(3):
        code.call(_NOP5_AT)
        code.show(SITE, 5)
    code.show(room_at, SHOWN)
    code.call(_RETURNS_AT)
    code.show(UPROBES, SHOWN)
    # mov $0x11223344,%eax; mov $0x55667788,%ecx; mov $0x99aabbcc,%r11d; then the call
    code.text += bytes.fromhex("b844332211 b988776655 41bbccbbaa99")
    code.call(_NOP5_AT)
    code.show_pushed("50 51 4153")
    code.text += bytes.fromhex("b850010000 0f05")  # uprobe, from nowhere
    code.show_pushed("50")
    code.text += _EXIT
    assert len(code.text) <= _NOP5_AT
    code.text += bytes(_NOP5_AT - len(code.text)) + bytes.fromhex("0f1f440000c3")
    code.text += bytes(_RETURNS_AT - len(code.text))
    code.text += b"\xba\x08\0\0\0" + _SHOW_AND_POP + b"\xc3"
    elf = Elf(
        segments=(Segment(CODE, bytes(code.text)),),
        abi=Abi(64, "little"),
        machine=62,
        entry=CODE,
    )
    path.write_bytes(elf.build())
    path.chmod(0o755)
    return path
