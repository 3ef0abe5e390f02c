"""Small programs that a probe on one instruction hurts, and how they end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from elf_maker import PAGE, Elf, Segment
from uprobes_sim.arch import Abi
from uprobes_sim.signals import Signal

CODE: Final = 0x400000
EXIT: Final = "b83c0000000f05"
EXIT_AX: Final = "89c7" + EXIT
"""mov %eax,%edi, then exit."""
GETPID: Final = "b827000000"
_FORK: Final = "b839000000"
_END_OF_CHILD: Final = "4883ec40bfffffffff4889e631d24531d2b83d0000000f058b3c2483e77f" + EXIT
"""wait4(-1, ...), then exit with the signal that has ended the child."""
_THREE_REGISTERS: Final = "b80a000000b90900000041bb0b000000"
"""mov $0xa,%eax; mov $9,%ecx; mov $0xb,%r11d."""


@dataclass(frozen=True)
class Case:
    """A program in hexadecimal with the probe between *before* and *after*.

    An end is an exit status, or a signal as a negative number.
    """

    name: str
    before: str
    probed: str
    after: str
    linux: int
    """How it ends under the probe on Linux."""
    right: int
    """How it ends without a probe. What differs from one processor to the next is no case."""
    hits: int = 1
    """Hits on Linux."""
    right_hits: int = 1
    """Hits where nothing goes wrong."""
    equal: bool = False
    """The program ends alike in every respect: the defect shows in the hits alone."""
    bits: Literal[32, 64] = 64
    needs: frozenset[str] = frozenset()
    """Extensions of the processor that it has beyond SSE2."""

    def __str__(self) -> str:
        return self.name

    @property
    def offset(self) -> int:
        """Of the probe, in the file."""
        return PAGE + len(bytes.fromhex(self.before))

    def write(self, path: Path) -> Path:
        """Write the program."""
        code = bytes.fromhex(self.before + self.probed + self.after)
        elf = Elf(
            segments=(Segment(CODE, code),),
            abi=Abi(self.bits, "little"),
            machine=62 if self.bits == 64 else 3,
            entry=CODE,
        )
        path.write_bytes(elf.build())
        path.chmod(0o755)
        return path


def _far(before: str, room: int) -> str:
    """Jump to *before*, which is to end *room* bytes before the end of the page."""
    gap = PAGE - room - len(before) // 2 - 5
    return "e9" + gap.to_bytes(4, "little").hex() + "90" * gap + before


CASES: Final = (
    Case("xchg r8", "b80500000041b807000000", "4990", EXIT_AX, linux=5, right=7),
    Case("xchg r8d", "b80500000041b807000000", "4190", EXIT_AX, linux=5, right=7),
    Case("pushf stores TF", "", "9c", "58c1e80883e001" + EXIT_AX, linux=1, right=0),
    Case("pushf of 16 bits", "", "669c", "6658c1e80883e001" + EXIT_AX, linux=1, right=0),
    Case("pushf, 32 bits", "", "9c", "5bc1eb0883e301b801000000cd80", linux=1, right=0, bits=32),
    Case("popf after pushf", "", "9c", "9d31ff" + EXIT, linux=-Signal.SIGTRAP, right=0),
    Case(
        "ret behind syscall",
        "e80900000031ff" + EXIT + GETPID,
        "0f05",
        "c3",
        linux=-Signal.SIGSEGV,
        right=0,
    ),
    Case("rcx after syscall", GETPID, "0f05", "89c8" + EXIT_AX, linux=0x82, right=0x07),
    Case("r11 after syscall", GETPID, "0f05", "4489d8c1e80883e001" + EXIT_AX, linux=1, right=0),
    Case(
        "child of fork by syscall",
        _FORK,
        "0f05",
        f"85c0750931ff{EXIT}" + _END_OF_CHILD,
        linux=Signal.SIGSEGV,
        right=0,
    ),
    Case(
        "rep",
        "b904000000488d7c24e0",
        "f3aa",
        "31ff" + EXIT,
        linux=0,
        right=0,
        hits=4,
        equal=True,
    ),
    Case("rep of nothing", "31c9488d7c24e0", "f3aa", "31ff" + EXIT, linux=0, right=0, equal=True),
    Case(
        "memory relative to ip",
        "90" * 6 + "31c0",
        "f20f4405f0ffffff",
        "0fb6c0" + EXIT_AX,
        linux=0,
        right=0x90,
    ),
    Case(
        "int3 of its own, after a page fault",
        "6a006a00680400000468400040004889e6bf0500000031d241ba08000000b80d0000000f05"  # SIGTRAP
        "48c7042456004000bf0b000000b80d0000000f05"  # SIGSEGV: goes on at the probe
        "880425000000008bbac0000000c1e70403bac8000000" + EXIT,  # %al to 0; 16 err + trapno
        "90",
        "cc",
        linux=16 * 6 + 14,
        right=3,
    ),
    Case("ud2 xen nop", "", "0f0b78656e90", "31ff" + EXIT, linux=0, right=-Signal.SIGILL),
    Case("REX2 nop", "", "d50090", "31ff" + EXIT, linux=0, right=-Signal.SIGILL),
    *(
        Case(
            f"red zone, word {word}",
            f"bb02000000{_THREE_REGISTERS}48c74424{256 - 8 * word:02x}07000000",
            "0f1f440000",
            f"ffcb75f78b4424{256 - 8 * word:02x}{EXIT_AX}",
            linux=found,
            right=7,
            hits=2,
            right_hits=2,
        )
        for word, found in enumerate((0x23, 0x9, 0xB, 0xA), start=1)
    ),
    Case(
        "red zone, one hit",
        f"bb01000000{_THREE_REGISTERS}48c74424f007000000",
        "0f1f440000",
        "ffcb75f78b4424f0" + EXIT_AX,
        linux=7,
        right=7,
        equal=True,
    ),
    *(
        Case(
            f"red zone, {room} bytes left in the page",
            _far(f"bb02000000{_THREE_REGISTERS}48c74424f007000000", room),
            "0f1f440000",
            "ffcb75f78b4424f0" + EXIT_AX,
            linux=found,
            right=7,
            hits=2,
            right_hits=2,
            equal=found == 7,
        )
        for room, found in ((5, 9), (4, 7))
    ),
    Case(
        "child of fork after the call",
        "31db",
        "0f1f440000",
        f"ffc383fb01740931ff{EXIT}{_FORK}0f0585c074e0{_END_OF_CHILD}",
        linux=Signal.SIGSEGV,
        right=0,
        right_hits=2,
    ),
    Case("a rewritten prefix", "", "498b05f9ffffff", "31ff" + EXIT, linux=0, right=0),
)

_AVX: Final = frozenset({"avx2", "fma"})
_FILL: Final = "b8ff0000006648" + "0f6ec0"
"""mov $0xff,%eax; movq %rax,%xmm0."""
_LOW: Final = "66480f7ec0" + EXIT_AX
"""movq %xmm0,%rax, whose low byte is the exit status."""
_TWO_EXITS: Final = "bf09000000" + EXIT + "bf0b000000" + EXIT

AVX: Final = (
    Case(
        "vpcmpeqd: skipped",
        _FILL,
        "c5f976c8",
        "66480f7ec8" + EXIT_AX,
        linux=0,
        right=0xFF,
        needs=_AVX,
    ),
    Case(
        "vpor: skipped", _FILL, "c5f9ebc8", "66480f7ec8" + EXIT_AX, linux=0, right=0xFF, needs=_AVX
    ),
    Case(
        "vpsllq: astray", _FILL, "c5f973f004", _LOW, linux=-Signal.SIGSEGV, right=0xF0, needs=_AVX
    ),
    Case("vpshuflw: jumps", "b07f0401", "c5fb70c00c", _TWO_EXITS, linux=11, right=9, needs=_AVX),
    Case("vpsubsb: pushes", "6a03", "c5f9e8c0", "58" + EXIT_AX, linux=0x06, right=3, needs=_AVX),
)
"""Programs with AVX that Linux does not execute."""

_FURTHER: Final = "90" * 32 + "31ff" + EXIT
"""More than a slot holds, so that whoever is left in the slot does not get away with it."""
_FURTHER_32: Final = "90" * 32 + "b80100000031dbcd80"
_DEAD: Final = -Signal.SIGSEGV

AVX_STEPPED: Final = (
    Case("vcmpps", "", "c5f8c2c101", _FURTHER, linux=_DEAD, right=0, needs=_AVX),
    Case(
        "vcmpps, relative to ip",
        "",
        "c5f8c205f7ffffff01",
        _FURTHER,
        linux=_DEAD,
        right=0,
        needs=_AVX,
    ),
    Case("vfnmadd132ss", "", "c4e2719dc2", _FURTHER, linux=-Signal.SIGTRAP, right=0, needs=_AVX),
    Case(
        "vcmpps, 32 bits", "", "c5f8c2c101", _FURTHER_32, linux=_DEAD, right=0, bits=32, needs=_AVX
    ),
    Case(
        "vpminsw, 32 bits", "", "c5f1eac2", _FURTHER_32, linux=_DEAD, right=0, bits=32, needs=_AVX
    ),
    Case(
        "vfmsub132ps, 32 bits",
        "",
        "c4e2719ac2",
        _FURTHER_32,
        linux=_DEAD,
        right=0,
        bits=32,
        needs=_AVX,
    ),
)
"""Programs with AVX that the kernel steps and repairs wrongly."""

_VL: Final = frozenset({"avx512f", "avx512vl", "avx512bw"})
_FP16: Final = frozenset({"avx512_fp16"})

EVEX: Final = (
    Case("vpord", _FILL, "62f17d08ebc8", "66480f7ec8" + EXIT_AX, linux=0, right=0xFF, needs=_VL),
    Case("vpsubsb, EVEX", "6a03", "62f17d08e8c0", "58" + EXIT_AX, linux=0x08, right=3, needs=_VL),
    Case(
        "kmovw",
        "b805000000c5f892c0",
        "c4e17890c8",
        "c5f893c1" + EXIT_AX,
        linux=0,
        right=5,
        needs=_VL,
    ),
    Case("vcmpps, EVEX", "", "62f17c48c2c900", _FURTHER, linux=_DEAD, right=0, needs=_VL),
    Case("vcmpph", "", "62f37c48c2c900", _FURTHER, linux=_DEAD, right=0, needs=_FP16),
    Case(
        "vfnmadd132ss, EVEX",
        "",
        "62f27d089dc1",
        _FURTHER,
        linux=-Signal.SIGTRAP,
        right=0,
        needs=_VL,
    ),
    *(
        Case(name, "", code, _FURTHER_32, linux=_DEAD, right=0, bits=32, needs=_VL)
        for name, code in (
            ("vcmpps, EVEX, 32 bits", "62f17c48c2c900"),
            ("vpminsw, EVEX, 32 bits", "62f16d08eac2"),
            ("vfmsub132ps, EVEX, 32 bits", "62f27d089ac2"),
        )
    ),
)
"""The same with AVX-512."""
