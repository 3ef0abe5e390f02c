"""Recorded verdicts of kernels on x86: their tables, and instructions that tell releases apart."""

from pathlib import Path
from typing import Final, Literal

from uprobes_sim_x86.tables import opcodes

Bits = Literal[32, 64]

RECORDED: Final = Path(__file__).parent / "arches" / "x86"

_BOTH: Final = (
    "90 6690 666690 f390 f290 0f1f00 0f1f4000 0f1f440000 660f1f440000 0f1f8000000000 "
    "0f1f840000000000 660f1f840000000000 0f1f01 660f1f00 f30f1efa 50 53 54 57 6650 f350 6a00 "
    "eb03 e903000000 e803000000 7003 7403 7503 7f03 0f8403000000 0f8503000000 e303 e203 f2eb03 "
    "9c 98 99 f5 f9 fc c9 89c0 87db 8d00 d9d0 0fa2 2e90 3e90 2690 660fefc0 a4 f3a4 0fb6c0 "
    "c5f9ebc0 c5f877 c5f9efc0 c5f975c0 c5f9e8c0 c5f97fc8 c5f958c0 c5f9fec0 c5f9d4c0 c5f9c6c003 "
    "c5f970c003 c5fb70c003 c5f972f003 c4e27918c0 c4e37902c003 c4e27940c0"
)
_ONLY_64: Final = (
    "4190 4890 4990 4090 664190 4150 4157 4050 4850 4855 4889c0 48660f1f00 f20f44c0 c4e2fbf6c0 "
    "488d0500000000 488d3500000000 488d3d00000000 4c8d3500000000 488b0500000000 8b3d00000000 "
    "0fb63500000000 c5f9580500000000 c4e2cbf63d00000000"
)
NAMED: Final[dict[Bits, list[bytes]]] = {
    64: [bytes.fromhex(code) for code in f"{_BOTH} {_ONLY_64}".split()],
    32: [bytes.fromhex(code) for code in _BOTH.split()],
}
"""Instructions that can be executed with any registers: no-ops, branches, AVX, relative to ip."""

Table = tuple[Bits, str, str]


def lead(table: str) -> bytes:
    """Bytes in front of the opcode, for the name of a recorded table."""
    words = table.split()
    match words:
        case ["one_byte", *prefix]:
            return bytes.fromhex("".join(prefix))
        case [("0f" | "0f38" | "0f3a") as escape, *prefix]:
            return bytes.fromhex("".join(prefix)) + bytes.fromhex(escape)
    number, pp = (int(word.lstrip("map")) for word in words[1:])
    return {
        "vex": bytes([0xC4, 0xE0 | number, 0x78 | pp]),
        "evex": bytes([0x62, 0xF0 | number, 0x7C | pp, 0x48]),
        "xop": bytes([0x8F, 0xE0 | number, 0x78 | pp]),
    }[words[0]]


def recorded(release: str) -> list[Table]:
    """Read the tables of a release: mode, name, and one letter for each opcode."""
    tables = list[Table]()
    for line in _lines(f"verdicts_{release}.txt"):
        bits, table, *lists = line.split(" | ")
        letters = ["."] * 256
        for refused in lists:
            for opcode in opcodes(refused[1:]):
                letters[opcode] = refused[0]
        tables.append((64 if bits == "64" else 32, table, "".join(letters)))
    return tables


def sampled(release: str) -> list[tuple[Bits, str, bytes]]:
    """Read the answers to a sample of encodings by rule: mode, letter, code."""
    found = list[tuple[Bits, str, bytes]]()
    for line in _lines(f"sample_{release}.txt"):
        bits, letter, code = line.split()
        found.append((64 if bits == "64" else 32, letter, bytes.fromhex(code)))
    return found


def executed(release: str) -> list[tuple[Bits, bytes, str]]:
    """Read how a release executes the named instructions: mode, code, how."""
    found = list[tuple[Bits, bytes, str]]()
    for line in _lines(f"executed_{release}.txt"):
        bits, code, how = line.split(" ", 2)
        found.append((64 if bits == "64" else 32, bytes.fromhex(code), how))
    return found


def _lines(name: str) -> list[str]:
    text = (RECORDED / name).read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]
