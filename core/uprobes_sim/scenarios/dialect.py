"""The few instructions that scenarios are written in, for each architecture.

A program is words between semicolons, `probed: stepped; call f; exit`. What a word does is the
same everywhere; that is why a scenario can play on any of these architectures.
"""

from dataclasses import dataclass, field
from typing import Final

from uprobes_sim.arch import Abi

WORDS: Final = """
nop          nothing; the kernel emulates it
stepped      add one to the result; the kernel steps a copy
load         read where the pointer points; a copy is stepped, or it is emulated
swbp         the breakpoint that uprobes writes
foreign      another trap instruction that traps, if there is one
never        a trap instruction that never traps, if there is one
enter        open a frame
leave        close it
mark         remember the stack, as setjmp does
back LABEL   drop the frames since, as longjmp does, and go on at LABEL
peek         make the return address the result
call LABEL   call
jump LABEL   jump
ret          return
fork         make a child, which goes on like its parent
exit         end, with the result as exit status
"""
"""What each does."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one architecture writes them."""

    abi: Abi
    words: dict[str, bytes]
    result: str
    """Register that `stepped` adds to, `load` loads and `exit` passes."""
    pointer: str
    passed: str | None = None
    """Register to which `exit` copies the result first, if it does."""
    one: str | None = None
    """Register that has to be 1, where `stepped` needs one."""
    link: str | None = None
    """Register with the return address; None: it is on the stack."""
    calls: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    """Opcodes of words with a label, and the length of the whole."""

    def relative(self, word: str, distance: int) -> bytes:
        """Write a word that goes *distance* bytes from its own start."""
        opcode, size = self.calls[word]
        if len(opcode) == size:  # one word with the distance in it
            number = int.from_bytes(opcode, self.abi.byteorder) | distance & 0x03FF_FFFC
            return number.to_bytes(size, self.abi.byteorder)
        return opcode + (distance - size).to_bytes(size - len(opcode), "little", signed=True)


def _ppc(*words: int) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in words)


POWERPC: Final = Dialect(
    Abi(64, "little"),
    {
        "nop": _ppc(0x60000000),
        "stepped": _ppc(0x7C63F614),  # addo r3,r3,r30
        "load": _ppc(0xE8640000),  # ld r3,0(r4)
        "swbp": _ppc(0x7FE00008),
        "foreign": _ppc(0x7D821008),  # tw 12,2,2: gdb's
        "never": _ppc(0x7C021008),  # tw 0,2,2
        "enter": _ppc(
            0x7C0802A6, 0xF8010010, 0xF821FFE1
        ),  # mflr r0; std r0,16(r1); stdu r1,-32(r1)
        "leave": _ppc(0x38210020, 0xE8010010, 0x7C0803A6),  # addi r1,r1,32; ld r0,16(r1); mtlr r0
        "mark": _ppc(0x7C3F0B78),  # mr r31,r1
        "back": _ppc(0x7FE1FB78),  # mr r1,r31, and a jump
        "peek": _ppc(0x7C6802A6),  # mflr r3
        "ret": _ppc(0x4E800020),
        "fork": _ppc(0x38000002, 0x44000002, 0x38600000),  # li r0,2; sc; li r3,0
        "exit": _ppc(0x38000001, 0x44000002),  # li r0,1; sc
    },
    result="gpr3",
    pointer="gpr4",
    one="gpr30",
    link="link",
    calls={"call": (_ppc(0x48000001), 4), "jump": (_ppc(0x48000000), 4)},
)

X86: Final = Dialect(
    Abi(64, "little"),
    {
        "nop": b"\x90",
        "stepped": b"\xff\xc0",  # inc %eax
        "load": b"\x48\x8b\x06",  # mov (%rsi),%rax
        "swbp": b"\xcc",
        "enter": b"\x48\x83\xec\x08",  # sub $8,%rsp
        "leave": b"\x48\x83\xc4\x08",  # add $8,%rsp
        "mark": b"\x48\x89\xe3",  # mov %rsp,%rbx
        "back": b"\x48\x89\xdc",  # mov %rbx,%rsp, and a jump
        "peek": b"\x48\x8b\x04\x24",  # mov (%rsp),%rax
        "ret": b"\xc3",
        "fork": b"\xb8\x39\x00\x00\x00\x0f\x05\x31\xc0",  # mov $57,%eax; syscall; xor %eax,%eax
        "exit": b"\x48\x89\xc7\xb8\x3c\x00\x00\x00\x0f\x05",  # mov %rax,%rdi; mov $60,%eax; syscall
    },
    result="ax",
    pointer="si",
    passed="di",
    calls={"call": (b"\xe8", 5), "jump": (b"\xe9", 5)},
)

DIALECTS: Final = {"powerpc": POWERPC, "x86": X86}


@dataclass(frozen=True, slots=True)
class Code:
    """A program: its bytes, and where its labels are."""

    data: bytes
    labels: dict[str, int]


def assemble(dialect: Dialect, source: str) -> Code:
    """Write the program *source* for one architecture."""
    parts: list[tuple[int, str, str]] = []
    labels: dict[str, int] = {}
    at = 0
    for statement in source.split(";"):
        *names, text = statement.split(":")
        labels |= {name.strip(): at for name in names}
        for word, label in _split(*text.split()):
            parts.append((at, word, label))
            at += dialect.calls[word][1] if label else len(dialect.words[word])
    data = b"".join(
        dialect.relative(word, labels[label] - start) if label else dialect.words[word]
        for start, word, label in parts
    )
    return Code(data, labels)


def _split(word: str, label: str = "") -> list[tuple[str, str]]:
    """Take `back LABEL` for what it is: restore the stack, and jump."""
    return [("back", ""), ("jump", label)] if word == "back" else [(word, label)]
