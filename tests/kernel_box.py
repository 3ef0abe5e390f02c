"""A task of the toy architecture that makes system calls, and the memory for their arguments."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

from system_calls import syscalls

from toy_arch import ABI, RW, PtRegs
from toy_arch import linked as link_toy
from uprobes_sim.arch import Abi
from uprobes_sim.linker import Linked
from uprobes_sim.memory import Mm
from uprobes_sim.syscalls import Syscalls
from uprobes_sim.task import Task
from uprobes_sim.uapi import Uapi
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config, Kernel
from uprobes_sim.vfs import Stdin, Vfs

SCRATCH: Final = 0x100000
SCRATCH_SIZE: Final = 0x100000
BUF: Final = SCRATCH + 0x80000
"""Where calls put what they answer; strings come before it."""

NUMBERS: Final = syscalls()


class KernelBox:
    """Calls by name; answers are numbers, errors negative."""

    def __init__(
        self,
        cwd: Path,
        *,
        abi: Abi = ABI,
        uapi: Uapi | None = None,
        table: str = "x86_64",
        stdin: Stdin | None = None,
        release: tuple[int, ...] = (6, 18),
    ) -> None:
        toy = link_toy()
        info = replace(toy.info, abi=abi, syscall_table=table, uapi=uapi or toy.info.uapi)
        self.abi = abi
        self.table = table
        self.output: list[tuple[int, bytes]] = []
        self.unknown: list[tuple[str, int]] = []
        self.vfs = Vfs(
            stdin=stdin or Stdin(BytesIO(b"")),
            on_output=lambda fd, data: self.output.append((fd, data)),
            exe=Path("/bin/prog"),
            cwd=str(cwd),
        )
        self.mm = Mm(abi, task_size=info.task_size, mmap_base=info.mmap_base)
        self.mm.mmap(SCRATCH, SCRATCH_SIZE, RW)
        self.mm.start_brk = self.mm.brk = 0x400000
        config = Config(Kernel(release), "generic")
        self.regs = PtRegs(Vaddr(0))
        self.task = Task(1000, "prog", self.mm, self.regs, config)
        self.task.files = self.vfs.new_files()
        self._at = SCRATCH
        linked = Linked(toy.hook, info)
        self.dispatch: Callable[[Task], None] = Syscalls(
            linked, config, self.vfs, on_unknown=lambda *call: self.unknown.append(call)
        ).dispatch

    def __call__(self, name: str, *args: int | str | bytes) -> int:
        """Make a call; a text becomes a C string in memory, bytes are put there as they are."""
        values = [arg if isinstance(arg, int) else self.put(arg) for arg in args]
        mask = (1 << self.abi.bits) - 1
        self.regs.r[0] = NUMBERS.get(name, self.table)
        self.regs.r[1:7] = [value & mask for value in [*values, 0, 0, 0, 0, 0, 0][:6]]
        self.dispatch(self.task)
        return self.regs.r[0]

    def put(self, data: str | bytes) -> int:
        """Put something into memory; answer where."""
        raw = data.encode() + b"\0" if isinstance(data, str) else data
        at, self._at = self._at, self._at + (len(raw) + 15 & ~15)
        self.mm.write(at, raw)
        return at

    def got(self, size: int, at: int = BUF) -> bytes:
        """Read what a call has answered in memory."""
        return self.mm.read(at, size)

    def word(self, at: int = BUF, size: int | None = None) -> int:
        """Read an unsigned number, by default a long."""
        return int.from_bytes(self.got(size or self.abi.bits // 8, at), self.abi.byteorder)

    def text(self, name: str, *, size: int = 4096) -> bytes:
        """Read a whole file by open and read."""
        fd = self("open", name, 0)
        assert fd >= 0, fd
        count = self("read", fd, BUF, size)
        self("close", fd)
        return self.got(count)

    def names(self, fd: int, room: int = 4096) -> list[str]:
        """List a directory by getdents64."""
        found: list[str] = []
        while (size := self("getdents64", fd, BUF, room)) > 0:
            data = self.got(size)
            while data:
                length = int.from_bytes(data[16:18], self.abi.byteorder)
                found.append(data[19:length].split(b"\0")[0].decode())
                data = data[length:]
        assert size == 0, size
        return found
