"""From an instruction word to its definition."""

from collections import defaultdict
from functools import cache
from typing import Final, Literal

from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS, IMPLIED

UNASSIGNED: Final = frozenset({0, 5, 9, 22})
"""Primary opcodes that no Power ISA up to 3.1 gives to anyone."""

Level = str


class Decoder:
    """The instruction set of one processor, arranged for look-up."""

    def __init__(self, bits: Literal[32, 64], level: Level) -> None:
        """Take what a processor of *bits* bits that has the Power ISA *level* knows."""
        self.level = level
        rows = [row for row in isa.load() if row.bits <= bits]
        self._by_opcode: dict[int, list[tuple[int, dict[int, Insn]]]] = defaultdict(list)
        for row in rows:
            for opcode in range(64):
                if (opcode << 26 ^ row.form.value) & row.form.mask & 0xFC000000 == 0:
                    self._enter(row, opcode | row.prefixed << 6)

    def _enter(self, row: Insn, key: int) -> None:
        groups = self._by_opcode[key]
        group = dict(groups).get(row.form.mask)
        if group is None:
            group = {}
            groups.append((row.form.mask, group))
            groups.sort(key=lambda pair: -pair[0].bit_count())
        assert row.form.value not in group, f"{row.name} and {group[row.form.value].name}"
        group[row.form.value] = row

    def find(self, insn: int) -> Insn | None:
        """Find the definition of *insn*, prefix and all; None: there is none."""
        key = insn >> 26 & 63 | (insn > 0xFFFFFFFF) << 6
        for mask, group in self._by_opcode.get(key, ()):
            row = group.get(insn & mask)
            if row is not None:
                return row
        return None

    def has(self, row: Insn) -> bool:
        """Tell whether the processor is new enough for *row*."""
        return row.isa <= self.level


@cache
def decoder(bits: Literal[32, 64], level: Level) -> Decoder:
    """Give the decoder of a processor; it is made once."""
    return Decoder(bits, level)


def operands(row: Insn, insn: int) -> dict[str, int]:
    """Extract the fields of *insn* that its meaning takes."""
    return {name: FIELDS[name](insn) for name in row.fields if name not in IMPLIED}
