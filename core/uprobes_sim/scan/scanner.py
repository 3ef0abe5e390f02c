"""Every instruction of a file, judged: each form of them once, by the questions that a probe asks.

So the answers of a scan are those of `explain`; what is fast is that few forms are asked about.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from uprobes_sim.choice import Options, configure
from uprobes_sim.errors import ProgramError
from uprobes_sim.linker import Linked
from uprobes_sim.scan.ahead import ahead
from uprobes_sim.scan.arrays import Bools, Int64s, Uint8s, Uint64s
from uprobes_sim.scan.code import Code, Range
from uprobes_sim.scan.columns import TOLD, columns
from uprobes_sim.scan.memory import Answers, Memory
from uprobes_sim.scan.sweep import Piece, Sweep
from uprobes_sim.units import Vaddr
from uprobes_sim.version import Config

if TYPE_CHECKING:
    from uprobes_sim.scan.bench import Bench

PIECE: Final = 1 << 19
"""Bytes of code that are in memory at once."""


class Part(NamedTuple):
    """A piece of a file after the sweep."""

    range: Range
    piece: Piece
    sweep: Sweep

    @property
    def vaddr(self) -> Uint64s:
        """Address of each instruction."""
        return self.sweep.at.view(np.uint64) + np.uint64(self.piece.vaddr)

    def vaddrs(self, chosen: Int64s) -> Uint64s:
        """Address of each of the *chosen* instructions."""
        return self.sweep.at[chosen].view(np.uint64) + np.uint64(self.piece.vaddr)

    def insn(self, index: int, room: int) -> bytes:
        """Copy one instruction, as the kernel does: *room* bytes, zeros behind the file's end."""
        at = int(self.sweep.at[index])
        return self.piece.code[at : at + room].ljust(room, b"\0")

    def before(self, index: int, room: int) -> bytes:
        """Copy what lies before an instruction: *room* bytes, fewer at the start of the code."""
        at = int(self.sweep.at[index])
        near = self.piece.before if at < room else b""
        return (near + self.piece.code[max(at - room, 0) : at])[-room:]


class Judge:
    """One backend: it cuts code of one ABI, and answers for several kernels."""

    def __init__(self, linked: Linked, options: Sequence[Options]) -> None:
        """Answer for the machines that *options* choose.

        Raises:
            UprobesSimError: as `configure`.
        """
        self.hook = linked.hook
        self.info = linked.info
        self.configs: tuple[Config, ...] = tuple(configure(linked, each) for each in options)
        self.forms: list[Answers] = []
        """What is answered to each form, by their numbers."""
        self.told: Bools = np.zeros(0, np.bool_)
        """Of each form, whether people want to hear where it is."""
        self.columns: Uint8s = columns(())
        """Of each form, what it counts as."""
        self._linked = linked
        self._memory = Memory(linked, self.configs, options[0])
        self._sweeper = self.hook.arch_sweeper(abi=self.info.abi, configs=self.configs)

    def parts(self, code: Code) -> Iterator[Part]:
        """Cut the code of a file; the forms that are met are judged."""
        parts = self._swept(code)
        large = sum(each.size for each in code.ranges) > PIECE
        for part in ahead(parts) if large and self._sweeper.asks_nobody else parts:
            self._meet(part)
            yield part

    def _swept(self, code: Code) -> Iterator[Part]:
        for each in code.ranges:
            yield from self._parts(code, each)

    def _parts(self, code: Code, stretch: Range) -> Iterator[Part]:
        room, at = self.info.max_insn_bytes, 0
        bounds = np.array([stretch.vaddr, stretch.end], np.uint64)
        inside = code.starts[slice(*np.searchsorted(code.starts, bounds))]
        starts = (inside - bounds[0]).astype(np.int64)
        while at < stretch.size:
            stop = min(PIECE, stretch.size - at)
            ahead = min(room, at)  # an instruction before the piece, but not before the code
            data = code.source.read(stretch.offset + at - ahead, ahead + stop + room)
            if len(data) < ahead + stop:
                raise ProgramError(
                    f"{code.path} has become shorter since it was opened; scan it again"
                )
            near = slice(*np.searchsorted(starts, np.array([at, at + len(data)])))
            piece = Piece(
                data[ahead:], stretch.vaddr + at, stop, starts[near] - at, before=data[:ahead]
            )
            part = Part(stretch, piece, self._sweeper.sweep(piece))
            yield part
            at += part.sweep.end

    def _meet(self, part: Part) -> None:
        if not part.sweep.new:
            return
        for name, index in part.sweep.new:
            answers = self._memory.recall(name)
            if answers is None:
                _, _, answers = self.ask(part, index)
                self._memory.learn(name, answers)
            self.forms.append(answers)
        fresh = columns([answers[0] for answers in self.forms[len(self.told) :]])
        self.columns = np.concatenate((self.columns, fresh))
        self.told = np.concatenate((self.told, fresh[:, TOLD].any(axis=1)))

    def save(self) -> None:
        """Keep for the next run what was learnt."""
        self._memory.save()

    def ask(self, part: Part, index: int) -> tuple[bytes, Vaddr, Answers]:
        """Judge one instruction; answer its bytes and its address as well."""
        room = self.info.max_insn_bytes
        insn = part.insn(index, room)
        vaddr = Vaddr(part.piece.vaddr + int(part.sweep.at[index]))
        return insn, vaddr, self.answers(insn, vaddr, part.before(index, room))

    def ask_at(self, code: Code, vaddr: Vaddr) -> tuple[bytes, Answers]:
        """Judge the instruction at *vaddr* of a file; answer its bytes as well."""
        before, insn = self._read(code, vaddr)
        return insn, self.answers(insn, vaddr, before)

    def refusal(self, code: Code, vaddr: Vaddr) -> str:
        """Say why the instruction at *vaddr* of a file is refused."""
        before, insn = self._read(code, vaddr)
        key = f"{vaddr:x} {before.hex()} {insn.hex()}"
        known = self._memory.refusals
        if key not in known:
            known[key] = self.answers(insn, vaddr, before)[0].reason
        return known[key]

    def _read(self, code: Code, vaddr: Vaddr) -> tuple[bytes, bytes]:
        """Read what lies before an instruction, and the instruction."""
        room, offset = self.info.max_insn_bytes, code.offset_of(vaddr)
        ahead = min(room, vaddr - code.range_of(vaddr).vaddr)
        data = code.source.read(offset - ahead, ahead + room)
        return data[:ahead], data[ahead:].ljust(room, b"\0")

    def mnemonic(self, insn: bytes, vaddr: Vaddr) -> str:
        """Name an instruction, without its operands."""
        known = self._memory.mnemonics
        name = known.get(insn.hex())
        if name is None:
            text = self.hook.arch_insn_text(insn=insn, vaddr=vaddr, abi=self.info.abi)
            name = known[insn.hex()] = text.partition(" ")[0]
        return name

    def answers(self, insn: bytes, vaddr: Vaddr, before: bytes) -> Answers:
        """Judge *insn* at *vaddr*, behind the bytes *before*, as each kernel does."""
        return self._bench.answers(insn, vaddr, before)

    @cached_property
    def _bench(self) -> "Bench":
        from uprobes_sim.scan.bench import (
            Bench,
        )  # with half of the core: what is known needs it not

        return Bench(self._linked, self.configs)
