"""VMX extraction and insertion of single elements (Power ISA 3.0, book I, 6.8.7)."""

from uprobes_sim_powerpc.isa.define import VX, insn
from uprobes_sim_powerpc.isa.helpers import M64
from uprobes_sim_powerpc.isa.lanes import put_vr, vr
from uprobes_sim_powerpc.regs import PtRegs


def _extract(name: str, xo: int, size: int) -> None:
    """Move the element at byte UIM4 to the right end of doubleword 0."""
    mask = (1 << 8 * size) - 1

    @insn(name, VX(4, xo), isa="3.0", valid=lambda UIM4: 16 - size >= UIM4, inline=False)
    def meaning(s: PtRegs, VRT: int, VRB: int, UIM4: int) -> None:
        put_vr(s, VRT, (vr(s, VRB) >> 8 * (16 - size - UIM4) & mask) << 64)


def _insert(name: str, xo: int, size: int) -> None:
    """Replace the element at byte UIM4 by the one at the right end of doubleword 0."""
    mask = (1 << 8 * size) - 1

    @insn(name, VX(4, xo), isa="3.0", valid=lambda UIM4: 16 - size >= UIM4, inline=False)
    def meaning(s: PtRegs, VRT: int, VRB: int, UIM4: int) -> None:
        place = 8 * (16 - size - UIM4)
        put_vr(s, VRT, vr(s, VRT) & ~(mask << place) | (vr(s, VRB) >> 64 & mask) << place)


def _indexed(name: str, xo: int, size: int) -> None:
    """Move the element at a byte that RA counts from the left (`lx`) or the right to a GPR."""
    mask = (1 << 8 * size) - 1
    from_left = name.endswith("lx")

    @insn(name, VX(4, xo), isa="3.0", bits=64, inline=False)
    def meaning(s: PtRegs, RT: int, RA: int, VRB: int) -> None:
        at = s.gpr[RA] & 15
        # Bytes that would lie outside count as zeros.
        extended = vr(s, VRB) << 8 * size if from_left else vr(s, VRB)
        s.gpr[RT] = extended >> (8 * (16 - at) if from_left else 8 * at) & mask & M64


for _letter, _at, _size in (("b", 0, 1), ("h", 64, 2), ("w", 128, 4)):
    _extract(f"vextractu{_letter}", 525 + _at, _size)
    _insert(f"vinsert{_letter}", 781 + _at, _size)
    _indexed(f"vextu{_letter}lx", 1549 + _at, _size)
    _indexed(f"vextu{_letter}rx", 1805 + _at, _size)

_extract("vextractd", 717, 8)
_insert("vinsertd", 973, 8)
