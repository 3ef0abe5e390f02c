"""`struct arch_uprobe` of arm64."""

from dataclasses import dataclass

from uprobes_sim_arm64.table import Row


@dataclass(slots=True)
class Arm64Uprobe:
    """An accepted instruction. `insn` and `ixol` are one word there."""

    insn: bytes
    ixol: bytes
    row: Row
    simulated: bool

    @property
    def word(self) -> int:
        """The instruction as the manual writes it."""
        return int.from_bytes(self.insn, "little")

    @property
    def fields(self) -> dict[str, int]:
        """Its fields, by the names of the manual."""
        return self.row.encoding.take_apart(self.word)
