"""For each rule of `check` an ELF file that has it, the probe, and one beside it that has not."""

import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from elf_maker import Elf, Part, R, Segment, Sym, W, X
from elf_programs import program
from uprobes_sim.arch import Abi

CODE, DATA, EXTRA = 0x400000, 0x600000, 0x500000
EM_386, EM_PPC64, EM_X86_64 = 3, 21, 62

MOVE: Final = bytes.fromhex("b844332211")
"""mov $0x11223344,%eax."""
FUNCTION: Final = MOVE + b"\x90\xc3"
"""Move, nop, return."""


@dataclass(frozen=True)
class Case:
    """A file, and two probes on it."""

    rule: str
    build: Callable[[Path], Path]
    """Writes the file into a folder."""
    probe: str
    """Gets the warning."""
    harmless: str | None
    """Does not; None: no probe on this file is without it."""

    def __str__(self) -> str:
        return self.rule


def x86(
    *,
    segments: tuple[Segment, ...] = (),
    symbols: tuple[Sym, ...] = (Sym("f", CODE, size=len(FUNCTION)),),
    parts: tuple[Part, ...] = (),
    code: bytes = FUNCTION,
    e_type: int = 2,
) -> Callable[[Path], Path]:
    """Write an ELF file by hand: *code* at CODE, and what else is given."""

    def build(folder: Path) -> Path:
        elf = Elf(
            segments=(Segment(CODE, code, flags=R | X), *segments),
            symbols=symbols,
            parts=parts,
            machine=EM_X86_64,
            entry=CODE,
            e_type=e_type,
        )
        path = folder / "program"
        path.write_bytes(elf.build())
        return path

    return build


def compiled(source: str, *flags: str, language: str = "c") -> Callable[[Path], Path]:
    """Compile *source* with gcc."""

    def build(folder: Path) -> Path:
        compiler = {"c++": "g++"}.get(language, "gcc")
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not installed (Debian: {compiler})")
        path = folder / "program"
        command = [compiler, "-x", language, "-", "-o", str(path), *flags]
        subprocess.run(command, input=source.encode(), check=True, timeout=60)
        return path

    return build


def existing(target: str, name: str) -> Callable[[Path], Path]:
    """Take a program of tests/programs."""
    return lambda folder: program(target, name)


def opd(folder: Path) -> Path:
    """A big-endian file of ELFv1: the symbol names a descriptor in .opd."""
    code = bytes.fromhex("386300014e800020")  # addi r3,r3,1; blr
    descriptor = struct.pack(">QQQ", CODE, DATA + 0x8000, 0)
    elf = Elf(
        segments=(Segment(CODE, code, flags=R | X), Segment(DATA, descriptor, flags=R | W)),
        symbols=(Sym("f", DATA, size=8, section=2),),
        parts=(Part(".opd", DATA, len(descriptor)),),
        abi=Abi(64, "big"),
        machine=EM_PPC64,
        flags=1,
        entry=DATA,
    )
    path = folder / "program"
    path.write_bytes(elf.build())
    return path


def note(place: int, semaphore: int, name: str) -> bytes:
    """A note as <sys/sdt.h> leaves it."""
    desc = struct.pack("<QQQ", place, 0, semaphore) + b"shop\0" + name.encode() + b"\0\0"
    desc += bytes(-len(desc) % 4)
    return struct.pack("<III", 8, len(desc), 3) + b"stapsdt\0" + desc


def tracepoints(*notes: bytes, flags: int = R | W) -> Callable[[Path], Path]:
    """A program with tracepoints, and a segment for their semaphores."""
    return x86(
        segments=(Segment(DATA, bytes(16), flags=flags),),
        parts=(Part(".note.stapsdt", data=b"".join(notes), kind=7),),
    )


def archived(padding: int) -> Callable[[Path], Path]:
    """A program in a ZIP archive, *padding* bytes before which there is something else."""

    def build(folder: Path) -> Path:
        path = folder / "app.apk"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("first", bytes(padding - len("first") - len("lib/f.so") - 60))
            archive.write(x86()(folder), "lib/f.so")
        return path

    return build


def in_long_path(folder: Path) -> Path:
    """A program whose path is as long as those of the Nix store."""
    deep = folder / "0123456789abcdfghijklmnpqrsvwxyz-shop-1.0" / "bin"
    deep.mkdir(parents=True)
    return x86()(deep)


INLINED: Final = """
static inline __attribute__((always_inline)) int twice(int a) { return a * 2 + 1; }
int (*volatile pointer)(int) = twice;
int main(int argc, char **argv) { return twice(argc) + pointer(argc); }
"""
IFUNC: Final = """
static int one(void) { return 1; }
static void *choose(void) { return one; }
int chosen(void) __attribute__((ifunc("choose")));
int plain(void) { return 2; }
int main(void) { return chosen() + plain(); }
"""
EXCEPTIONS: Final = """
__attribute__((noinline)) int thrower(int a) { if (a > 0) throw a; return a; }
int main(int argc, char **argv) { try { return thrower(argc); } catch (int) { return 0; } }
"""
SWITCH: Final = """
#include <ucontext.h>
static ucontext_t one, two;
int f(int a) { return a + 1; }
int main(int argc, char **argv) { if (argc > 9) swapcontext(&one, &two); return f(argc); }
"""
ENDS: Final = """
#include <stdlib.h>
__attribute__((noinline)) void ends(int a) { exit(a); }
__attribute__((noinline)) int goes_on(int a) { return a + 1; }
int main(int argc, char **argv) { if (argc > 9) ends(1); return goes_on(argc); }
"""

CASES: Final = (
    Case("check.inside_insn", x86(), "f+2", "f+5"),
    Case(
        "check.not_code",
        x86(segments=(Segment(EXTRA, b"constants", flags=R),)),
        hex(EXTRA),
        "f",
    ),
    Case("check.return_inside", x86(), "f+5%return", "f%return"),
    Case("check.return_start", existing("x86_64", "endings"), "_start%return", "main%return"),
    Case("check.return_start", existing("x86", "endings"), "_start%return", "_start"),
    Case("check.return_start", existing("x86_64", "add3-pie"), "_start%return", "add3%return"),
    Case("check.no_caller", existing("powerpc64le", "endings"), "_start%return", "main%return"),
    Case("check.no_caller", existing("powerpc64", "endings"), "_start%return", "main%return"),
    Case("check.no_caller", opd, "f%return", "f"),
    Case("check.no_caller", existing("powerpc", "endings"), "_start%return", "_start"),
    Case(
        "check.return_go",
        x86(
            segments=(Segment(DATA, b"\xff Go buildinf:\x08\x02", flags=R | W),),
            parts=(Part(".go.buildinfo", DATA, 16),),
        ),
        "f%return",
        "f",
    ),
    Case("check.return_stack_switch", compiled(SWITCH), "f%return", "f"),
    Case(
        "check.return_exceptions",
        compiled(EXCEPTIONS, language="c++"),
        "_Z7throweri%return",
        "_Z7throweri",
    ),
    Case("check.refused_at_mmap", x86(code=b"\xcc" + FUNCTION), "f", "f+1"),
    Case("check.unmapped", x86(), "@0x100", "@0x1000"),
    Case(
        "check.writable_segment",
        x86(segments=(Segment(EXTRA, FUNCTION, flags=R | W | X),)),
        hex(EXTRA),
        "f",
    ),
    Case("check.other_reading", x86(), f"@{CODE:#x}", "f"),
    Case("check.global_entry", existing("powerpc64le", "calls"), "main%global", "main"),
    Case("check.descriptor", opd, "f", hex(CODE)),
    Case("check.ifunc", compiled(IFUNC), "chosen", "plain"),
    Case(
        "check.plt",
        x86(
            segments=(Segment(EXTRA, bytes.fromhex("ff2500000000") + b"\x90" * 10, flags=R | X),),
            parts=(Part(".plt", EXTRA, 16, executable=True),),
        ),
        hex(EXTRA),
        "f",
    ),
    Case("check.inlined", compiled(INLINED, "-g", "-O2"), "twice", "main"),
    Case("check.inlined_unknown", compiled(INLINED, "-g", "-gsplit-dwarf", "-O2"), "twice", None),
    Case("check.no_return", compiled(ENDS, "-O1"), "ends%return", "goes_on%return"),
    Case(
        "check.semaphore_differs",
        tracepoints(note(CODE + 5, DATA, "sale"), note(CODE + 5, DATA + 2, "gift")),
        "f+5",
        "f",
    ),
    Case(
        "check.semaphore_unreachable",
        tracepoints(note(CODE + 5, DATA, "sale"), flags=R),
        "f+5",
        "f",
    ),
    Case("check.semaphore", tracepoints(note(CODE + 5, DATA, "sale")), "f+5", "f"),
    Case("check.event_name", in_long_path, "f", None),
    Case("check.unsure", x86(symbols=(), code=FUNCTION * 20), hex(CODE + 7 * 12), None),
)
"""Those that `check` answers with a verdict."""
