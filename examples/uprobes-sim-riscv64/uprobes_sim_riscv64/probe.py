"""`struct arch_uprobe` of riscv64."""

from dataclasses import dataclass

from uprobes_sim_riscv64.encoding import insn_size
from uprobes_sim_riscv64.table import Row


@dataclass(slots=True)
class RiscvUprobe:
    """An accepted instruction. `insn` and `ixol` are one array there."""

    insn: bytes
    ixol: bytes
    row: Row
    simulated: bool

    @property
    def word(self) -> int:
        """The instruction, and what lies behind a compressed one."""
        return int.from_bytes(self.insn[:4], "little")

    @property
    def insn_size(self) -> int:
        """Its length, in bytes."""
        return insn_size(self.word)

    @property
    def fields(self) -> dict[str, int]:
        """Its fields, by the names of the manual."""
        return self.row.encoding.take_apart(self.word)
