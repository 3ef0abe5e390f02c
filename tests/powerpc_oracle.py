"""Programs that execute instructions on many operands, for QEMU and for the powerpc engine."""

import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from uprobes_sim.arch import Abi
from uprobes_sim.cpu import Stop
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim_powerpc.cpu import PowerpcCpu
from uprobes_sim_powerpc.regs import PtRegs

BASE = 0x10000000
TABLE = BASE + 0x80000
SCRATCH = BASE + 0x100000
"""Memory that the words under test may load and store; the output lies behind it."""
SCRATCH_BYTES = 256
MEMORY_BYTES = 0x300000
CASE_REGS = 8  # r3 to r10; then XER, CR, CTR
Case = tuple[int, ...]
"""r3 to r10, XER, CR, CTR."""
QEMU = {
    Abi(64, "little"): "qemu-ppc64le",
    Abi(64, "big"): "qemu-ppc64",
    Abi(32, "big"): "qemu-ppc",
}

EDGES: tuple[int, ...] = (
    0,
    1,
    2,
    3,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
EDGES += (0x100000000, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF)


def make_cases(rng: random.Random, count: int, bits: int) -> list[Case]:
    """Draw operands: edges, and numbers of all lengths."""
    mask = (1 << bits) - 1

    def value() -> int:
        kind = rng.randrange(3)
        if kind == 0:
            return rng.choice(EDGES) & mask
        return rng.getrandbits(bits) >> rng.randrange(bits) * (kind - 1)

    return [
        (
            *(value() for _ in range(CASE_REGS)),
            rng.getrandbits(32) & 0xE00C007F,
            rng.getrandbits(32),
            rng.choice((0, 1, 2, value())),
        )
        for _ in range(count)
    ]


class Assembler:
    """Words of a program that runs each word under test on each case."""

    def __init__(self, abi: Abi) -> None:
        self.size = abi.bits // 8
        self.wide = abi.bits == 64
        self.words: list[int] = []

    def d(self, opcode: int, rt: int, ra: int, immediate: int) -> None:
        self.words.append(opcode << 26 | rt << 21 | ra << 16 | immediate & 0xFFFF)

    def load(self, rt: int, slot: int) -> None:
        self.d(58 if self.wide else 32, rt, 31, slot * self.size)

    def store(self, rs: int, slot: int) -> None:
        self.d(62 if self.wide else 36, rs, 30, slot * self.size)

    def li(self, rt: int, value: int) -> None:
        self.d(15, rt, 0, value >> 16)
        self.d(24, rt, rt, value)

    def word_under_test(self, word: int, cases: int, table: int, bytes_per_case: int) -> None:
        self.li(31, table)
        self.li(29, cases)
        loop = len(self.words)
        for n in range(CASE_REGS):
            self.load(3 + n, n)
        for n, move in enumerate((0x7F8103A6, 0x7F8FF120, 0x7F8903A6)):  # mtxer, mtcr, mtctr r28
            self.load(28, CASE_REGS + n)
            self.words.append(move)
        if word >> 32:
            if len(self.words) % 16 == 15:  # a prefixed instruction may not cross 64 bytes
                self.d(24, 0, 0, 0)
            self.words.append(word >> 32)
        self.words.append(word & 0xFFFFFFFF)
        for n in range(CASE_REGS):
            self.store(3 + n, n)
        for n, move in enumerate((0x7F8102A6, 0x7F800026, 0x7F8902A6)):  # mfxer, mfcr, mfctr r28
            self.words.append(move)
            self.store(28, CASE_REGS + n)
        self.d(14, 31, 31, bytes_per_case)
        self.d(14, 30, 30, bytes_per_case)
        self.d(14, 29, 29, -1)
        self.d(11, 0, 29, 0)  # cmpwi r29, 0
        self.d(16, 4, 2, (loop - len(self.words)) * 4)  # bne

    def finish(self, output: int, size: int) -> None:
        self.d(14, 0, 0, 4)  # write
        self.d(14, 3, 0, 1)
        self.li(4, output)
        self.li(5, size)
        self.words.append(0x44000002)
        self.d(14, 0, 0, 234)  # exit_group
        self.d(14, 3, 0, 0)
        self.words.append(0x44000002)


def build(abi: Abi, words: Sequence[int], cases: Sequence[Case]) -> bytes:
    """Make the memory image of a program that prints all results, and scratch memory first."""
    endian = "<" if abi.byteorder == "little" else ">"
    packed = [
        struct.pack(f"{endian}{len(case)}{'Q' if abi.bits == 64 else 'I'}", *case) for case in cases
    ]
    assembler = Assembler(abi)
    assembler.li(30, SCRATCH + SCRATCH_BYTES)
    for word in words:
        assembler.word_under_test(word, len(cases), TABLE, len(packed[0]))
    assembler.finish(SCRATCH, SCRATCH_BYTES + len(words) * len(cases) * len(packed[0]))
    code = struct.pack(f"{endian}{len(assembler.words)}I", *assembler.words)
    pattern = bytes(range(256))[:SCRATCH_BYTES]
    image = code.ljust(TABLE - BASE, b"\0") + b"".join(packed)
    return image.ljust(SCRATCH - BASE, b"\0") + pattern


def as_elf(abi: Abi, image: bytes) -> bytes:
    """Wrap *image* into an executable file with one segment that may do everything."""
    endian = "<" if abi.byteorder == "little" else ">"
    wide = abi.bits == 64
    ident = b"\x7fELF" + bytes([1 + wide, 1 if endian == "<" else 2, 1]) + bytes(9)
    header, segment = (64, 56) if wide else (52, 32)
    word = "Q" if wide else "I"
    ehdr = struct.pack(
        f"{endian}HHI{word}{word}{word}IHHHHHH",
        2, 21 if wide else 20, 1, BASE, header, 0, 2 if wide else 0, header, segment, 1, 0, 0, 0,
    )  # fmt: skip
    if wide:
        phdr = struct.pack(
            f"{endian}IIQQQQQQ", 1, 7, 0x1000, BASE, BASE, len(image), MEMORY_BYTES, 0x1000
        )
    else:
        phdr = struct.pack(
            f"{endian}IIIIIIII", 1, 0x1000, BASE, BASE, len(image), MEMORY_BYTES, 7, 0x1000
        )
    return (ident + ehdr + phdr).ljust(0x1000, b"\0") + image


def run_engine(abi: Abi, image: bytes, cpu: str) -> bytes:
    """Execute the program here, up to its first system call, which writes the results."""
    mm = Mm(abi, task_size=0xC0000000, mmap_base=0xB0000000)
    mm.mmap(BASE, MEMORY_BYTES, VmFlags(0x77))
    mm.write(BASE, image)
    regs = PtRegs(abi.bits, isa_300=abi.bits == 64 and cpu != "power8")
    regs.nip = BASE

    stop = PowerpcCpu(abi, cpu).run(regs, mm, 10**9)
    assert stop.stop is Stop.SYSCALL, f"{stop} at {regs.nip:#x}"
    return mm.read(regs.gpr[4], regs.gpr[5])


def execute(
    folder: Path, abi: Abi, words: Sequence[int], cases: Sequence[Case], cpu: str = "power10"
) -> tuple[list[bytes], list[bytes]]:
    """Execute words on cases; results of QEMU and of the engine, word by word, scratch first."""
    emulator = shutil.which(QEMU[abi])
    if emulator is None:
        pytest.skip(f"{QEMU[abi]} is not installed (Debian: qemu-user)")
    image = build(abi, words, cases)
    program = folder / "program"
    program.write_bytes(as_elf(abi, image))
    program.chmod(0o755)
    options = ["-cpu", cpu] if abi.bits == 64 else []
    done = subprocess.run([emulator, *options, program], capture_output=True, timeout=60)
    assert done.returncode == 0, done
    theirs, ours = done.stdout, run_engine(abi, image, cpu)
    return _split(abi, theirs, len(cases)), _split(abi, ours, len(cases))


def _split(abi: Abi, output: bytes, cases: int) -> list[bytes]:
    """Cut an output into the results for each word; scratch memory comes first."""
    each = cases * (CASE_REGS + 3) * abi.bits // 8
    rest = output[SCRATCH_BYTES:]
    return [output[:SCRATCH_BYTES], *(rest[at : at + each] for at in range(0, len(rest), each))]
