"""VSX loads and stores of Power ISA 3.1: pairs, and elements at the right end (book I, 7.6.1)."""

from uprobes_sim_powerpc.isa.define import DQ4, LS8, X, insn
from uprobes_sim_powerpc.isa.helpers import M64, base
from uprobes_sim_powerpc.isa.prefixed import address, one_base
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs


def load_pair(s: PtRegs, m: Memory, XTp: int, ea: int) -> None:
    """Load 32 bytes as one number, whose upper half goes to the first VSR."""
    low, high = m.load16(ea), m.load16(ea + 16)
    first, second = (high, low) if m.byteorder == "little" else (low, high)
    s.hi[XTp], s.lo[XTp] = first >> 64, first & M64
    s.hi[XTp + 1], s.lo[XTp + 1] = second >> 64, second & M64


def store_pair(s: PtRegs, m: Memory, XTp: int, ea: int) -> None:
    """Store 32 bytes as one number, whose upper half is the first VSR."""
    values = [s.hi[n] << 64 | s.lo[n] for n in (XTp, XTp + 1)]
    if m.byteorder == "little":
        values.reverse()
    m.store(ea, b"".join(value.to_bytes(16, m.byteorder) for value in values))


@insn("lxvp", DQ4(6, 0), kernel="LOAD_VSX", isa="3.1", bits=64, inline=False)
def lxvp(s: PtRegs, m: Memory, XTp: int, RA: int, DQ: int) -> None:
    load_pair(s, m, XTp, base(s, RA) + DQ)


@insn("stxvp", DQ4(6, 1), kernel="STORE_VSX", isa="3.1", bits=64, inline=False)
def stxvp(s: PtRegs, m: Memory, XTp: int, RA: int, DQ: int) -> None:
    store_pair(s, m, XTp, base(s, RA) + DQ)


@insn("lxvpx", X(31, 333), kernel="LOAD_VSX", isa="3.1", bits=64, inline=False)
def lxvpx(s: PtRegs, m: Memory, XTp: int, RA: int, RB: int) -> None:
    load_pair(s, m, XTp, base(s, RA) + s.gpr[RB])


@insn("stxvpx", X(31, 461), kernel="STORE_VSX", isa="3.1", bits=64, inline=False)
def stxvpx(s: PtRegs, m: Memory, XTp: int, RA: int, RB: int) -> None:
    store_pair(s, m, XTp, base(s, RA) + s.gpr[RB])


@insn("plxvp", LS8(58), kernel="LOAD_VSX", isa="3.1", bits=64, valid=one_base, inline=False)
def plxvp(s: PtRegs, m: Memory, XTp: int, RA: int, R: int, D34: int, CIA: int) -> None:
    load_pair(s, m, XTp, address(s, RA, R, D34, CIA))


@insn("pstxvp", LS8(62), kernel="STORE_VSX", isa="3.1", bits=64, valid=one_base, inline=False)
def pstxvp(s: PtRegs, m: Memory, XTp: int, RA: int, R: int, D34: int, CIA: int) -> None:
    store_pair(s, m, XTp, address(s, RA, R, D34, CIA))


def _rightmost(letter: str, size: int, load: int, store: int) -> None:
    mask = (1 << 8 * size) - 1

    @insn(f"lxvr{letter}x", X(31, load), isa="3.1", bits=64, inline=False)
    def read(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
        value = int.from_bytes(m.load(base(s, RA) + s.gpr[RB], size), m.byteorder)
        s.hi[XT], s.lo[XT] = 0, value

    @insn(f"stxvr{letter}x", X(31, store), isa="3.1", bits=64, inline=False)
    def write(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
        value = s.lo[XS] & mask
        m.store(base(s, RA) + s.gpr[RB], value.to_bytes(size, m.byteorder))


_rightmost("b", 1, 13, 141)
_rightmost("h", 2, 45, 173)
_rightmost("w", 4, 77, 205)
_rightmost("d", 8, 109, 237)
