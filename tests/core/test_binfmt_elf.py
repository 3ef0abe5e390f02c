"""core/uprobes_sim/binfmt_elf.py"""

from dataclasses import replace
from pathlib import Path

import pytest

from elf_maker import ET_DYN, PT_INTERP, Elf, R, Segment, W
from toy_arch import ABI, linked
from uprobes_sim.arch import Abi
from uprobes_sim.binfmt_elf import RANDOM_BYTES, STACK_SIZE, Exec, exec_program
from uprobes_sim.errors import ProgramError
from uprobes_sim.linker import Linked
from uprobes_sim.loader import load
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.version import Config, Kernel
from uprobes_sim.vfs.nodes import GID, UID

CONFIG = Config(Kernel((6, 18)), "generic")
MAY = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
TOP = linked().info.stack_top


def start(
    tmp_path: Path,
    elf: Elf,
    argv: tuple[str, ...] = ("prog",),
    envp: tuple[str, ...] = (),
) -> tuple[Exec, Mm, Inode]:
    path = tmp_path / "prog"
    path.write_bytes(elf.build())
    program = load(path)
    toy = linked()
    toy = Linked(toy.hook, replace(toy.info, abi=elf.abi))
    mm = Mm(elf.abi, task_size=toy.info.task_size, mmap_base=toy.info.mmap_base)
    inode = Inode(1, str(path), program.data)
    done = exec_program(program, argv, envp, linked=toy, mm=mm, config=CONFIG, inode=inode)
    return done, mm, inode


def words(mm: Mm, at: int, count: int) -> list[int]:
    size = mm.abi.bits // 8
    data = mm.read(at, size * count)
    chunks = (data[i : i + size] for i in range(0, len(data), size))
    return [int.from_bytes(chunk, mm.abi.byteorder) for chunk in chunks]


def string(mm: Mm, at: int) -> str:
    return mm.read_cstring(at).decode()


def test_text_is_a_private_mapping_of_the_file(tmp_path: Path) -> None:
    _, mm, inode = start(tmp_path, Elf(segments=(Segment(0x10000, b"code"),)))

    vma = mm.find_vma(0x10000)

    assert vma is not None
    assert (vma.inode, vma.start, vma.end, vma.offset(0x10000)) == (inode, 0x10000, 0x11000, 0x1000)
    assert vma.flags == VmFlags.READ | VmFlags.EXEC | MAY
    assert inode.i_mmap == [vma]


def test_bss_is_zero_from_the_middle_of_the_last_page_on(tmp_path: Path) -> None:
    data = Segment(0x20000, b"data", memsz=0x2345, flags=R | W)
    behind = Segment(0x30000, b"\xff" * 0x100)  # its bytes follow data's in the file
    _, mm, _ = start(tmp_path, Elf(segments=(Segment(0x10000, b"code"), data, behind)))

    assert mm.read(0x20000, 8) == b"data\0\0\0\0"
    assert mm.read(0x20000, 0x3000)[4:] == bytes(0x2FFC)
    bss = mm.find_vma(0x22344)
    assert bss is not None
    assert bss.inode is None
    assert bss.flags == VmFlags.READ | VmFlags.WRITE | MAY


def test_the_heap_starts_behind_the_last_segment(tmp_path: Path) -> None:
    _, mm, _ = start(tmp_path, Elf(segments=(Segment(0x10000, b"code", memsz=0x1801),)))

    assert mm.start_brk == mm.brk == 0x12000


@pytest.mark.parametrize("abi", [ABI, Abi(32, "big"), Abi(64, "big"), Abi(32, "little")], ids=str)
def test_the_stack_holds_what_libc_looks_for(tmp_path: Path, abi: Abi) -> None:
    elf = Elf(abi=abi, segments=(Segment(0x10000, b"x" * 8),))
    done, mm, _ = start(tmp_path, elf, ("prog", "one", ""), ("A=1", "B=2"))
    sp = done.regs.sp

    argc, *rest = words(mm, sp, 40)

    assert sp % 16 == 0
    assert argc == 3
    assert [string(mm, at) for at in rest[:3]] == ["prog", "one", ""]
    assert rest[3] == 0
    assert [string(mm, at) for at in rest[4:6]] == ["A=1", "B=2"]
    assert rest[6] == 0
    auxv = dict(zip(rest[7:37:2], rest[8:38:2], strict=True))
    assert (auxv[6], auxv[9], auxv[17], auxv[23], auxv[7]) == (4096, 0x10000, 100, 0, 0)
    assert [auxv[key] for key in (11, 12, 13, 14)] == [UID, UID, GID, GID]
    assert mm.read(auxv[25], 16) == RANDOM_BYTES
    assert string(mm, auxv[31]) == str(tmp_path / "prog")
    assert (auxv[5], rest[37:39]) == (1, [0, 0])
    stack = mm.find_vma(sp)
    assert stack is not None
    assert (stack.name, stack.end, stack.end - stack.start) == ("[stack]", TOP, STACK_SIZE)
    assert VmFlags.GROWSDOWN in stack.flags


def test_program_headers_are_found_in_memory(tmp_path: Path) -> None:
    """AT_PHDR: libc finds its thread-local storage by it."""
    data = bytearray(Elf(segments=(Segment(0x10000, b"x"),)).build())
    data[64 + 8 : 64 + 16] = bytes(8)  # p_offset 0: the headers are in the segment
    data[64 + 32 : 64 + 48] = (0x1001).to_bytes(8, "little") * 2
    path = tmp_path / "prog"
    path.write_bytes(data)
    toy = linked()
    mm = Mm(ABI, task_size=toy.info.task_size, mmap_base=toy.info.mmap_base)

    done = exec_program(
        load(path), [], [], linked=toy, mm=mm, config=CONFIG, inode=Inode(1, "x", bytes(data))
    )

    argc, argv_end, envp_end, *auxv = words(mm, done.regs.sp, 33)
    assert (argc, argv_end, envp_end) == (0, 0, 0)
    assert dict(zip(auxv[::2], auxv[1::2], strict=True))[3] == 0x10040


def test_a_position_independent_program_goes_to_the_load_bias(tmp_path: Path) -> None:
    elf = Elf(e_type=ET_DYN, entry=0x10, segments=(Segment(0, b"\x11" * 32),))
    done, mm, _ = start(tmp_path, elf)
    bias = linked().info.load_bias

    assert (done.bias, done.regs.ip) == (bias, bias + 0x10)
    assert mm.read(bias, 2) == b"\x11\x11"


@pytest.mark.parametrize(
    ("elf", "message"),
    [
        pytest.param(
            Elf(
                segments=(
                    Segment(0x10000, b"code"),
                    Segment(0x30000, b"ld.so\0", flags=R, kind=PT_INTERP),
                )
            ),
            "dynamically linked; link it with -static",
            id="dynamic",
        ),
        pytest.param(Elf(e_type=ET_DYN, entry=0), "is a shared library", id="library"),
        pytest.param(
            Elf(e_type=ET_DYN, entry=0, segments=(Segment(0, b"code"),)),
            "is a shared library",
            id="library, mapped from 0",
        ),
        pytest.param(Elf(entry=0), "has no entry point", id="no entry"),
        pytest.param(
            Elf(segments=(Segment(0x10000, b"code", memsz=1 << 60),)),
            "does not fit into the address space",
            id="huge",
        ),
    ],
)
def test_what_cannot_run_is_told_in_one_line(tmp_path: Path, elf: Elf, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        start(tmp_path, elf)


def test_too_many_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="E2BIG"):
        start(tmp_path, Elf(), ("prog", "x" * (STACK_SIZE // 4)))
