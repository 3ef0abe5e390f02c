"""Small static programs, of which the suite lets others tell what they do."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from uprobes_sim.arch import ArchInfo
from uprobes_sim.conformance.bench import CODE
from uprobes_sim.units import PAGE_SIZE

R, W, X = 4, 2, 1
_ET_EXEC: Final = 2
_E_FLAGS: Final = 2
"""On powerpc64: the entry is code, not a descriptor. Others do not look."""


def write_program(
    path: Path, info: ArchInfo, code: bytes, more: Sequence[tuple[int, int, int]] = ()
) -> None:
    """Write a static program of *code*, and of *more* segments that hold zeros.

    Each is its address, size and what may be done with it. The code lies a page into the file.
    """
    segments = ((CODE, len(code), R | X), *more)
    wide = info.abi.bits == 64
    order, word = ("<" if info.abi.byteorder == "little" else ">"), ("Q" if wide else "I")
    header, entry = (64, 56) if wide else (52, 32)
    text = bytearray(PAGE_SIZE)
    machine = min(info.elf_machines)
    ident = bytes([0x7F, *b"ELF", 2 if wide else 1, 1 if order == "<" else 2, 1]).ljust(16, b"\0")
    numbers = struct.pack(
        f"{order}HHI3{word}I6H",
        *(_ET_EXEC, machine, 1, CODE, header, 0, _E_FLAGS),
        *(header, entry, len(segments), 0, 0, 0),
    )
    text[: len(ident) + len(numbers)] = ident + numbers
    at = header
    for vaddr, size, flags in segments:
        offset = PAGE_SIZE if vaddr == CODE else PAGE_SIZE + len(code)
        places = offset, vaddr, vaddr, size, size
        if wide:
            packed = struct.pack(f"{order}II6Q", 1, flags, *places, PAGE_SIZE)
        else:
            packed = struct.pack(f"{order}8I", 1, *places, flags, PAGE_SIZE)
        text[at : at + entry] = packed
        at += entry
    path.write_bytes(bytes(text) + code + bytes(max((size for _, size, _ in more), default=0)))
    path.chmod(0o755)
