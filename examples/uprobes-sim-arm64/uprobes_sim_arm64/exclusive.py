"""Load-exclusive and store-exclusive, with a monitor that exceptions clear as on hardware.

Unicorn's own monitor knows nothing of the kernel: a probe between the two would go unnoticed,
where a real program stays in its loop for ever.
"""

from typing import Final

from uprobes_sim.memory import Mm
from uprobes_sim_arm64.encoding import Encoding
from uprobes_sim_arm64.regs import ZERO, PtRegs

EXCLUSIVE: Final = Encoding("size:2 0010000 L:1 o1:1 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5")
CLREX: Final = Encoding("11010101000000110011 CRm:4 01011111")

_FIRST_PAIR: Final = 2
"""Field size from which o1 means a pair; below it is casp."""


class Misaligned(Exception):
    """The operand does not lie on a multiple of its size."""


def is_exclusive(word: int) -> bool:
    """Tell whether the monitor has to do with an instruction."""
    if word in EXCLUSIVE:
        fields = EXCLUSIVE.take_apart(word)
        return not fields["o1"] or fields["size"] >= _FIRST_PAIR
    return word in CLREX


class Monitor:
    """The local exclusive monitor of the processor."""

    def __init__(self) -> None:
        """Watch nothing."""
        self._watched: tuple[int, int] | None = None

    def clear(self) -> None:
        """Forget what was loaded."""
        self._watched = None

    def execute(self, word: int, regs: PtRegs, mm: Mm) -> None:
        """Execute an instruction of `is_exclusive`, but for the way to the next.

        Raises:
            Misaligned: the operand; nothing has changed.
            PageFault: the memory; nothing has changed.
        """
        if word in CLREX:
            self.clear()
            return
        fields = EXCLUSIVE.take_apart(word)
        size, count = 1 << fields["size"], 1 + fields["o1"]
        base = int(regs.sp) if fields["Rn"] == ZERO else regs.x(fields["Rn"])
        place = base, size * count
        if base % (size * count):
            raise Misaligned
        targets = (fields["Rt"], fields["Rt2"])[:count]
        if fields["L"]:
            data = mm.read(*place)
            for at, target in enumerate(targets):
                part = data[at * size : (at + 1) * size]
                regs.set_x(target, int.from_bytes(part, "little"))
            self._watched = place
            return
        mask = (1 << 8 * size) - 1
        if succeeds := self._watched == place:
            parts = ((regs.x(target) & mask).to_bytes(size, "little") for target in targets)
            mm.write(base, b"".join(parts))
        regs.set_x(fields["Rs"], 0 if succeeds else 1)
        self.clear()
