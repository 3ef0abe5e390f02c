"""The kernel's emulation of one instruction, on registers and memory that somebody gives."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast

from uprobes_sim.arch import ArchInfo, ComparableRegs, Regs
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.linker import Linked
from uprobes_sim.memory import Access, Fault, Mm, PageFault
from uprobes_sim.page_cache import Frame
from uprobes_sim.task import Task
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config

MAX_MEMORY: Final = 1 << 20
"""Bytes that may be given to one instruction."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """What became of one instruction."""

    result: int
    """1: emulated; 0: it would be stepped out of line; -1: it must not be stepped."""
    regs: dict[str, int]
    """Registers that have changed."""
    mem: dict[Vaddr, bytes]
    """Runs of bytes that have changed, by address."""


class GivenMemory(Mm):
    """An address space that holds the bytes it was given, and not one more. It has no pages."""

    def __init__(self, info: ArchInfo) -> None:
        """Start empty."""
        super().__init__(info.abi, task_size=info.task_size, mmap_base=info.mmap_base)
        self._given: list[tuple[int, bytes]] = []
        self._held: list[tuple[int, bytearray]] = []

    def give(self, mem: Mapping[int, bytes]) -> None:
        """Hold *mem*, bytes by address, in place of what was held.

        Raises:
            UprobesSimError: too much, beyond the last address, or twice the same.
        """
        if not mem:
            self._given, self._held = [], []
            return
        if sum(map(len, mem.values())) > MAX_MEMORY:
            raise UprobesSimError(f"more than {MAX_MEMORY} bytes of memory; give less")
        self._given = list(_joined(mem))
        if self._given[-1][0] + len(self._given[-1][1]) > 1 << self.abi.bits:
            raise UprobesSimError(f"memory at {self._given[-1][0]:#x} ends beyond the last address")
        self._held = [(start, bytearray(data)) for start, data in self._given]

    def changes(self) -> dict[Vaddr, bytes]:
        """List the runs of bytes that are not what was given."""
        return {
            Vaddr(start + first): bytes(held[first:last])
            for (start, given), (_, held) in zip(self._given, self._held, strict=True)
            if given != held
            for first, last in _differing(given, held)
        }

    def _find(self, vaddr: int, size: int, access: Access) -> tuple[bytearray, int]:
        for start, data in self._held:
            if start <= vaddr and vaddr + size <= start + len(data):
                return data, vaddr - start
        raise PageFault(vaddr, access, Fault.UNMAPPED)

    def read(self, vaddr: int, size: int, *, force: bool = False) -> bytes:
        """Read *size* bytes at *vaddr*.

        Raises:
            PageFault: one of them was not given.
        """
        if not size:
            return b""
        data, at = self._find(vaddr, size, Access.READ)
        return bytes(data[at : at + size])

    def write(self, vaddr: int, data: bytes, *, force: bool = False) -> None:
        """Write *data* at *vaddr*.

        Raises:
            PageFault: one of the bytes was not given; none has been written.
        """
        if data:
            held, at = self._find(vaddr, len(data), Access.WRITE)
            held[at : at + len(data)] = data

    def fault(self, vaddr: int, access: Access, *, force: bool = False) -> Frame:
        """Refuse: there are no pages.

        Raises:
            PageFault: always.
        """
        raise PageFault(vaddr, access, Fault.UNMAPPED)


def _joined(mem: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """Order *mem* by address, neighbours put together, so that an access may span them."""
    ordered = sorted((start, data) for start, data in mem.items() if data)
    for (start, data), (following, _) in pairwise(ordered):
        if start + len(data) > following:
            raise UprobesSimError(f"memory at {following:#x} is given twice")
    at, run = 0, b""
    for start, data in ordered:
        if run and at + len(run) != start:
            yield at, run
            run = b""
        at, run = (at, run + data) if run else (start, data)
    yield at, run


def _differing(before: bytes, after: bytearray) -> Iterator[tuple[int, int]]:
    """Find the runs in which two equally long texts differ: first, and behind the last."""
    first = None
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        if old == new:
            if first is not None:
                yield first, at
            first = None
        elif first is None:
            first = at
    if first is not None:
        yield first, len(before)


class Emulator:
    """A kernel's emulation, for any number of instructions that know nothing of each other."""

    def __init__(self, linked: Linked, config: Config) -> None:
        """Emulate as the machine of *config* does."""
        self.hook = linked.hook
        self.info = linked.info
        self.config = config
        self._mm = GivenMemory(linked.info)
        self._task = Task(1, "step", self._mm, self._new_regs(), config)
        self._comparable = isinstance(self._task.regs, ComparableRegs)

    def step(self, insn: bytes, regs: Mapping[str, int], mem: Mapping[int, bytes]) -> Stepped:
        """Execute *insn* with *regs*, those not named as in a fresh task, and *mem*, and no more.

        Raises:
            UprobesSimError: no such register, a value that does not fit, memory as for `give`.
        """
        task = self._task
        before, task.regs = self._new_regs(), self._new_regs()
        for name, value in regs.items():
            self._set(before, name, value)
            task.regs.set(name, value)
        self._mm.give(mem)
        padded = insn.ljust(self.info.max_insn_bytes, b"\0")
        result = int(self.hook.arch_emulate(insn=padded, task=task))
        task.pending.clear()
        return Stepped(result, self._changed(before, task.regs), self._mm.changes())

    def _new_regs(self) -> Regs:
        return self.hook.arch_regs(abi=self.info.abi, config=self.config)

    def _set(self, regs: Regs, name: str, value: int) -> None:
        try:
            regs.set(name, value)
            fits = regs.get(name) == value
        except KeyError:
            raise UprobesSimError(self._no_register(name)) from None
        if not fits:
            raise UprobesSimError(f"{value:#x} does not fit into {name}")

    def _no_register(self, name: str) -> str:
        """Say that *name* cannot be set, and what there is: `gprN` stands for many."""
        names = self._task.regs.names()
        if name in names:
            return f"{name} of {self.info.name} cannot be set here"
        kinds = dict.fromkeys(re.sub(r"\d+$", "N", known) for known in names)
        return f"{self.info.name} has no register {name}; it has {', '.join(kinds)}"

    def _changed(self, before: Regs, now: Regs) -> dict[str, int]:
        if self._comparable:
            differing = cast(ComparableRegs, now).differing(before)
            return {name: now.get(name) for name in differing}
        return {name: now.get(name) for name in now.names() if now.get(name) != before.get(name)}
