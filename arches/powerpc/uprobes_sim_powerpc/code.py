"""The code side of memory: instructions fetched, decoded and kept until they change."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from uprobes_sim.errors import EngineError
from uprobes_sim.insn_text import capstone_text
from uprobes_sim.memory import Access, Mm
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, Vaddr
from uprobes_sim_powerpc.abi import CPUS, capstone_mode, has_isa_300
from uprobes_sim_powerpc.decode import UNASSIGNED, Decoder, decoder, operands
from uprobes_sim_powerpc.insn import is_prefix
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.interrupts import Illegal, Lacking, Misaligned
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.op import Call, Op
from uprobes_sim_powerpc.trace import MAX_TRACE, Trace, make
from uprobes_sim_powerpc.translate import Mode

MAX_OPS: Final = 1 << 16
"""Most instructions that are kept decoded one by one."""

MAX_BLOCK: Final = 64
"""Most instructions of a block."""

PREFIX_BOUNDARY: Final = 64
"""Bytes; no prefixed instruction may cross a multiple of this."""


_WHOLE_PREFIX_TYPES: Final = (0x04, 0x06)
"""First bytes of prefixes (8LS, MLS) all of whose instructions are defined."""


@dataclass(eq=False, slots=True)
class Block:
    """Instructions that are executed one after the other; only the last may branch."""

    ops: list[Op]
    calls: list[Call] = field(init=False)
    end: int = field(init=False)
    """Address behind the last one."""
    runs: int = 0

    def __post_init__(self) -> None:
        """Lay the calls out as the engine's loop wants them."""
        self.calls = [op.call for op in self.ops]
        self.end = self.ops[-1].nia


class Code:
    """All that the engine keeps of one address space: `mm.context` points here."""

    def __init__(self, mm: Mm, decoder: Decoder) -> None:
        """Know nothing yet; hear of every change from now on."""
        self.mm = mm
        self.decoder = decoder
        bits = mm.abi.bits
        self.mode = Mode(bits, (1 << bits) - 1, has_isa_300(mm.abi, decoder.level))
        self.memory = Memory(mm, self.stored_into)
        self.blocks: dict[int, Block] = {}
        self.traces: dict[int, Trace] = {}
        self.pages: defaultdict[int, set[int]] = defaultdict(set)
        """Addresses of blocks and traces that have instructions in a page, by page number."""
        self.changes = 0
        """How often code was forgotten."""
        self._ops: dict[tuple[int, int], Op] = {}
        """Instructions by address and word: they stay what they are, whatever lies there."""
        mm.notifiers.append(self.flush)

    def flush(self, start: int, end: int) -> None:
        """Forget what lies from *start* up to *end*: data and code."""
        self.memory.flush(start, end)
        first, last = start >> PAGE_SHIFT, end + PAGE_MASK >> PAGE_SHIFT
        for vpn in [vpn for vpn in self.pages if first <= vpn < last]:
            self.forget_code(vpn)

    def forget_code(self, vpn: int) -> None:
        """Forget the blocks and traces that have instructions in a page."""
        for cia in self.pages.pop(vpn, ()):
            self.blocks.pop(cia, None)
            self.traces.pop(cia, None)
            self.changes += 1

    def stored_into(self, vpn: int) -> bool:
        """Hear of a store into page *vpn*; it may be kept for more until code is found in it."""
        self.forget_code(vpn)
        return True

    def block(self, cia: int) -> Block:
        """Find the block at *cia*, or make it.

        Raises:
            PageFault, Interrupt: the first instruction cannot be fetched or is none.
        """
        block = self.blocks.get(cia)
        if block is None:
            block = self.blocks[cia] = self._make(cia)
        return block

    def _make(self, cia: int) -> Block:
        ops = [self.fetch(cia)]
        vpn = cia >> PAGE_SHIFT
        self.pages[vpn].add(cia)
        self.memory.w.pop(vpn, None)
        while not ops[-1].row.ends_block and len(ops) < MAX_BLOCK:
            nia = ops[-1].nia
            if nia >> PAGE_SHIFT != vpn:
                break
            try:
                ops.append(self.fetch(nia))
            except (Illegal, Lacking, Misaligned):
                break
        return Block(ops)

    def keep_trace(self, path: Sequence[Op], follows: int) -> None:
        """Translate what was executed, for the next time."""
        trace = make(path, follows, self.memory, self.mode)
        self.traces[trace.head] = trace
        for vpn in trace.pages:
            self.pages[vpn].add(trace.head)

    def fetch(self, cia: int) -> Op:
        """Read and decode the instruction at *cia*.

        Raises:
            PageFault: it cannot be read.
            Illegal, Misaligned: the processor does not take it.
            Lacking: this engine does not.
        """
        page = self.mm.fault(cia, Access.EXEC).data
        at = cia & PAGE_MASK
        word = self._word(page, at)
        if not is_prefix(word):
            return self.op(cia, word, 4)
        if self.decoder.level < "3.1":
            raise Illegal
        if at % PREFIX_BOUNDARY == PREFIX_BOUNDARY - 4:
            raise Misaligned(cia)
        return self.op(cia, word << 32 | self._word(page, at + 4), 8)

    def _word(self, page: memoryview, at: int) -> int:
        return int.from_bytes(page[at : at + 4], self.mm.abi.byteorder)

    def op(self, cia: int, insn: int, size: int) -> Op:
        """Decode *insn* as if it lay at *cia*.

        Raises:
            Illegal, Lacking: as `fetch`.
        """
        op = self._ops.get((cia, insn))
        if op is None:
            if len(self._ops) == MAX_OPS:
                self._ops.clear()
            op = self._ops[cia, insn] = self._decode(cia, insn, size)
        return op

    def _decode(self, cia: int, insn: int, size: int) -> Op:
        row = self.decoder.find(insn)
        if row is None:
            if insn >> 26 in UNASSIGNED or insn >> 56 in _WHOLE_PREFIX_TYPES:
                raise Illegal
            raise Lacking
        if not self.decoder.has(row) or not row.is_valid(insn):
            raise Illegal
        return self.bind(row, cia, insn, size)

    def bind(self, row: Insn, cia: int, insn: int, size: int) -> Op:
        """Give *insn* at *cia* the meaning of *row*, be its form valid or not."""
        given: dict[str, object] = {
            **operands(row, insn),
            "m": self.memory,
            "CIA": cia,
            "NIA": cia + size & self.mode.mask,
        }
        args = tuple(given[name] for name in row.fields[1:])
        return Op(cia, size, row, insn, (row.meaning, args))

    def lacks(self, cia: int) -> EngineError:
        """Make the error that names the instruction at *cia*."""
        insn = self.mm.read(cia, min(8, PAGE_SIZE - (cia & PAGE_MASK)), force=True)
        text = capstone_text(capstone_mode(self.mm.abi), insn, Vaddr(cia))
        word = self._word(memoryview(insn), 0)
        return EngineError(f"the powerpc engine has no {text} ({word:#010x}) at {cia:#x}")


def code_of(mm: Mm, cpu: str) -> Code:
    """Give what the engine for the processor *cpu* keeps of *mm*; start it at first sight."""
    wanted = decoder(mm.abi.bits, CPUS[cpu][0])
    code = mm.context
    if not isinstance(code, Code) or code.decoder is not wanted:
        code = mm.context = Code(mm, wanted)
    return code


class Recorder:
    """The path from a hot block on, while it is executed for once more by calls."""

    def __init__(self, code: Code) -> None:
        """Wait for the first block."""
        self._code = code
        self._path: list[Op] = []
        self._heads: set[int] = set()
        self._changes = code.changes

    def add(self, block: Block) -> bool:
        """Note that *block* is next; False: the path has come to its end before it."""
        start = block.ops[0].cia
        if start in self._heads or len(self._path) + len(block.ops) > MAX_TRACE:
            self.close(start)
            return False
        self._heads.add(start)
        self._path += block.ops
        return True

    def cut(self, cia: int) -> None:
        """End the path before the instruction at *cia*, which has led into the kernel."""
        while self._path.pop().cia != cia:
            pass
        self.close(cia)

    def close(self, follows: int) -> None:
        """Translate the path, after which comes *follows*, if its code is still what it was."""
        if self._path and self._changes == self._code.changes:
            self._code.keep_trace(self._path, follows)
