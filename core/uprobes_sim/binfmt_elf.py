"""Starting a program: its mappings, its stack, its first registers (fs/binfmt_elf.c)."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from uprobes_sim.arch import Abi, ArchInfo, Regs
from uprobes_sim.elf import ET_DYN, PF_R, PF_W, PF_X
from uprobes_sim.errors import ProgramError
from uprobes_sim.linker import Linked
from uprobes_sim.loader import Program, Segment
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, Vaddr, page_align
from uprobes_sim.version import Config
from uprobes_sim.vfs.nodes import GID, UID

STACK_SIZE: Final = 8 << 20
"""Length of the stack mapping, in bytes: it does not grow, it is there (RLIMIT_STACK)."""

_MAY_ALL: Final = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
_ARGS_MAX: Final = STACK_SIZE // 4

RANDOM_BYTES: Final = bytes.fromhex("5eed5eed00c0ffee7ea5e7c0de0b5e55")
"""What AT_RANDOM points to: no secret, and the same in every run."""

_AT: Final = {
    "AT_NULL": 0,
    "AT_PHDR": 3,
    "AT_PHENT": 4,
    "AT_PHNUM": 5,
    "AT_PAGESZ": 6,
    "AT_BASE": 7,
    "AT_FLAGS": 8,
    "AT_ENTRY": 9,
    "AT_UID": 11,
    "AT_EUID": 12,
    "AT_GID": 13,
    "AT_EGID": 14,
    "AT_CLKTCK": 17,
    "AT_SECURE": 23,
    "AT_RANDOM": 25,
    "AT_EXECFN": 31,
}
"""Names of <linux/auxvec.h>."""


@dataclass(frozen=True, slots=True)
class Exec:
    """A program that has been mapped and is about to start."""

    regs: Regs
    bias: int
    """Address in the task minus address in the ELF file."""


def exec_program(
    program: Program,
    argv: Sequence[str],
    envp: Sequence[str],
    *,
    linked: Linked,
    mm: Mm,
    config: Config,
    inode: Inode,
) -> Exec:
    """Map *program* into the empty *mm* and make its first registers.

    *inode* holds the bytes of *program*; its mappings are what probes go into.
    Kernel: fs/binfmt_elf.c, load_elf_binary.

    Raises:
        ProgramError: it is dynamically linked or a library; it does not fit into
            the address space; too many arguments.
    """
    info = linked.info
    _check_runnable(program)
    bias = _load_bias(program, info)
    _check_room(program, bias, info)
    for segment in program.segments:
        _map_segment(segment, bias, mm, inode)
    end = max(segment.vaddr + segment.memsz for segment in program.segments)
    mm.start_brk = mm.brk = page_align(bias + end)

    auxv: dict[int, int | bytes] = dict(linked.hook.arch_auxv(abi=info.abi, config=config))
    auxv |= _auxv(program, bias)
    sp = _make_stack(argv, envp, auxv, mm, info)
    regs = linked.hook.start_thread(
        entry=Vaddr(program.entry + bias), sp=sp, mm=mm, e_flags=program.e_flags, config=config
    )
    return Exec(regs, bias)


def _check_runnable(program: Program) -> None:
    if program.dynamic:
        raise ProgramError(f"{program.path} is dynamically linked; link it with -static")
    if not program.entry or program.offset_of(program.entry) is None:
        kind = "is a shared library" if program.e_type == ET_DYN else "has no entry point"
        raise ProgramError(f"{program.path} {kind}; name a program that is linked with -static")


def _load_bias(program: Program, info: ArchInfo) -> int:
    if program.e_type != ET_DYN:
        return 0
    align = max(segment.align for segment in program.segments)
    if align & (align - 1):
        return info.load_bias
    return info.load_bias & ~max(align - 1, PAGE_MASK)


def _check_room(program: Program, bias: int, info: ArchInfo) -> None:
    for segment in program.segments:
        end = bias + segment.vaddr + segment.memsz
        if page_align(end) > info.stack_top - STACK_SIZE:
            raise ProgramError(
                f"{program.path} does not fit into the address space: its segment at "
                f"{segment.vaddr:#x} would end at {end:#x}; link it to a lower address"
            )


def _map_segment(segment: Segment, bias: int, mm: Mm, inode: Inode) -> None:
    """Map what the file has, then zeros up to `memsz` (elf_load)."""
    if not segment.memsz:
        return
    start = bias + segment.vaddr
    page = start & ~PAGE_MASK
    file_end, end = start + segment.filesz, start + segment.memsz
    flags = _vm_flags(segment.flags)
    bss = page
    if segment.filesz:
        pgoff = segment.offset >> PAGE_SHIFT
        mm.mmap(page, file_end - page, flags, inode=inode, pgoff=pgoff, name=inode.name)
        bss = page_align(file_end)
        if end > file_end and bss > file_end:
            mm.write(file_end, bytes(bss - file_end), force=True)
    if page_align(end) > bss:
        mm.mmap(bss, end - bss, flags)


def _vm_flags(p_flags: int) -> VmFlags:
    flags = _MAY_ALL
    for bit, flag in ((PF_R, VmFlags.READ), (PF_W, VmFlags.WRITE), (PF_X, VmFlags.EXEC)):
        if p_flags & bit:
            flags |= flag
    return flags


def _auxv(program: Program, bias: int) -> dict[int, int | bytes]:
    phdr = program.vaddr_of(program.phoff)
    values: dict[str, int | bytes] = {
        "AT_PAGESZ": PAGE_SIZE,
        "AT_CLKTCK": 100,
        "AT_PHDR": 0 if phdr is None else phdr + bias,
        "AT_PHENT": program.phentsize,
        "AT_PHNUM": program.phnum,
        "AT_BASE": 0,
        "AT_FLAGS": 0,
        "AT_ENTRY": program.entry + bias,
        "AT_UID": UID,
        "AT_EUID": UID,
        "AT_GID": GID,
        "AT_EGID": GID,
        "AT_SECURE": 0,
        "AT_RANDOM": RANDOM_BYTES,
        "AT_EXECFN": os.fsencode(program.path) + b"\0",
    }
    return {_AT[name]: value for name, value in values.items()}


def _make_stack(
    argv: Sequence[str],
    envp: Sequence[str],
    auxv: dict[int, int | bytes],
    mm: Mm,
    info: ArchInfo,
) -> Vaddr:
    """Map the stack and fill it; answer where argc lies (create_elf_tables)."""
    mm.mmap(
        info.stack_top - STACK_SIZE,
        STACK_SIZE,
        VmFlags.READ | VmFlags.WRITE | VmFlags.GROWSDOWN | _MAY_ALL,
        name="[stack]",
    )
    strings = _Strings(info.stack_top - info.abi.bits // 8)
    pointed = {
        key: strings.push(value) if isinstance(value, bytes) else value
        for key, value in sorted(auxv.items(), reverse=True)
    }
    env = [strings.push(os.fsencode(text) + b"\0") for text in reversed(envp)][::-1]
    args = [strings.push(os.fsencode(text) + b"\0") for text in reversed(argv)][::-1]
    if info.stack_top - strings.at > _ARGS_MAX:
        raise ProgramError(f"arguments and environment are longer than {_ARGS_MAX} bytes (E2BIG)")

    words = [len(args), *args, 0, *env, 0]
    for key, value in sorted(pointed.items()):
        words += [key, value]
    words += [_AT["AT_NULL"], 0]
    table = _words(words, info.abi)
    sp = (strings.at - len(table)) & ~15
    mm.write(strings.at, strings.data())
    mm.write(sp, table)
    return Vaddr(sp)


def _words(values: Sequence[int], abi: Abi) -> bytes:
    order, char = "<" if abi.byteorder == "little" else ">", "Q" if abi.bits == 64 else "I"
    mask = (1 << abi.bits) - 1
    return struct.pack(f"{order}{len(values)}{char}", *(value & mask for value in values))


class _Strings:
    """What the initial stack points to, put down from the top."""

    def __init__(self, top: int) -> None:
        self.at = top
        self._parts: list[bytes] = []

    def push(self, data: bytes) -> int:
        """Put *data* below the last; answer its address."""
        self.at -= len(data)
        self._parts.append(data)
        return self.at

    def data(self) -> bytes:
        """Give all of it, as it lies from `at` up."""
        return b"".join(reversed(self._parts))
