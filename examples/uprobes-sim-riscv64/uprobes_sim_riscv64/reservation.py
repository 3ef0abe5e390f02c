"""lr and sc, with a reservation that exceptions clear, as the kernel does on its way out.

Unicorn's own reservation knows nothing of the kernel: a probe between the two would go
unnoticed, where a real program stays in its loop for ever.
"""

from typing import Final

from uprobes_sim.memory import Mm
from uprobes_sim_riscv64.encoding import Encoding, signed
from uprobes_sim_riscv64.regs import PtRegs

LR: Final = Encoding("00010 aqrl:2 00000 rs1:5 01 d:1 rd:5 0101111")
SC: Final = Encoding("00011 aqrl:2 rs2:5 rs1:5 01 d:1 rd:5 0101111")


class Misaligned(Exception):
    """The operand does not lie on a multiple of its size."""


class Reservation:
    """The reservation set of the processor."""

    def __init__(self) -> None:
        """Reserve nothing."""
        self._reserved: tuple[int, int] | None = None

    def clear(self) -> None:
        """Forget what was loaded."""
        self._reserved = None

    def execute(self, word: int, regs: PtRegs, mm: Mm) -> None:
        """Execute lr or sc, but for the way to the next instruction.

        Raises:
            Misaligned: the operand; nothing has changed.
            PageFault: the memory; nothing has changed.
        """
        fields = (LR if word in LR else SC).take_apart(word)
        size = 8 if fields["d"] else 4
        place = regs.x(fields["rs1"]), size
        if place[0] % size:
            raise Misaligned
        if word in LR:
            value = int.from_bytes(mm.read(*place), "little")
            regs.set_x(fields["rd"], signed(value, 8 * size))
            self._reserved = place
            return
        if succeeds := self._reserved == place:
            value = regs.x(fields["rs2"]) & (1 << 8 * size) - 1
            mm.write(place[0], value.to_bytes(size, "little"))
        regs.set_x(fields["rd"], 0 if succeeds else 1)
        self.clear()
