"""VSX logic, permutation and splats: no arithmetic (Power ISA, book I, 7.6.1)."""

from uprobes_sim_powerpc.isa.define import XX3, XX4, Form, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, swap32, swap64
from uprobes_sim_powerpc.regs import PtRegs


@insn("xxland", XX3(60, 130), isa="2.06")
def xxland(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = s.hi[XA] & s.hi[XB]
    s.lo[XT] = s.lo[XA] & s.lo[XB]


@insn("xxlandc", XX3(60, 138), isa="2.06")
def xxlandc(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = s.hi[XA] & ~s.hi[XB]
    s.lo[XT] = s.lo[XA] & ~s.lo[XB]


@insn("xxlor", XX3(60, 146), isa="2.06")
def xxlor(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = s.hi[XA] | s.hi[XB]
    s.lo[XT] = s.lo[XA] | s.lo[XB]


@insn("xxlxor", XX3(60, 154), isa="2.06")
def xxlxor(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = s.hi[XA] ^ s.hi[XB]
    s.lo[XT] = s.lo[XA] ^ s.lo[XB]


@insn("xxlnor", XX3(60, 162), isa="2.06")
def xxlnor(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = M64 ^ (s.hi[XA] | s.hi[XB])
    s.lo[XT] = M64 ^ (s.lo[XA] | s.lo[XB])


@insn("xxlorc", XX3(60, 170), isa="2.07")
def xxlorc(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = s.hi[XA] | M64 ^ s.hi[XB]
    s.lo[XT] = s.lo[XA] | M64 ^ s.lo[XB]


@insn("xxlnand", XX3(60, 178), isa="2.07")
def xxlnand(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = M64 ^ s.hi[XA] & s.hi[XB]
    s.lo[XT] = M64 ^ s.lo[XA] & s.lo[XB]


@insn("xxleqv", XX3(60, 186), isa="2.07")
def xxleqv(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    s.hi[XT] = M64 ^ s.hi[XA] ^ s.hi[XB]
    s.lo[XT] = M64 ^ s.lo[XA] ^ s.lo[XB]


@insn("xxsel", XX4(60, 3), isa="2.06")
def xxsel(s: PtRegs, XT: int, XA: int, XB: int, XC: int) -> None:
    s.hi[XT] = s.hi[XA] & ~s.hi[XC] | s.hi[XB] & s.hi[XC]
    s.lo[XT] = s.lo[XA] & ~s.lo[XC] | s.lo[XB] & s.lo[XC]


@insn("xxpermdi", Form(60 << 26 | 10 << 3, 0xFC0004F8), isa="2.06")
def xxpermdi(s: PtRegs, XT: int, XA: int, XB: int, DM: int) -> None:
    first = s.lo[XA] if DM & 2 else s.hi[XA]
    second = s.lo[XB] if DM & 1 else s.hi[XB]
    s.hi[XT] = first
    s.lo[XT] = second


@insn("xxsldwi", Form(60 << 26 | 2 << 3, 0xFC0004F8), isa="2.06")
def xxsldwi(s: PtRegs, XT: int, XA: int, XB: int, SHW: int) -> None:
    both = s.hi[XA] << 192 | s.lo[XA] << 128 | s.hi[XB] << 64 | s.lo[XB]
    s.hi[XT] = both >> 192 - 32 * SHW & M64
    s.lo[XT] = both >> 128 - 32 * SHW & M64


@insn("xxspltw", Form(60 << 26 | 164 << 2, 0xFC0007FC), isa="2.06")
def xxspltw(s: PtRegs, XT: int, XB: int, UIM2: int) -> None:
    word = (s.lo[XB] if UIM2 & 2 else s.hi[XB]) >> (0 if UIM2 & 1 else 32) & M32
    s.hi[XT] = word * 0x100000001
    s.lo[XT] = word * 0x100000001


@insn("xxspltib", Form(60 << 26 | 360 << 1, 0xFC1807FE), isa="3.0")
def xxspltib(s: PtRegs, XT: int, IMM8: int) -> None:
    s.hi[XT] = IMM8 * 0x0101010101010101
    s.lo[XT] = IMM8 * 0x0101010101010101


@insn("xxmrghw", XX3(60, 18), isa="2.06")
def xxmrghw(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    a, b = s.hi[XA], s.hi[XB]
    s.hi[XT] = a & ~M32 | b >> 32
    s.lo[XT] = (a & M32) << 32 | b & M32


@insn("xxmrglw", XX3(60, 50), isa="2.06")
def xxmrglw(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    a, b = s.lo[XA], s.lo[XB]
    s.hi[XT] = a & ~M32 | b >> 32
    s.lo[XT] = (a & M32) << 32 | b & M32


@insn("xxextractuw", Form(60 << 26 | 165 << 2, 0xFC0007FC), isa="3.0")
def xxextractuw(s: PtRegs, XT: int, XB: int, UIM4: int) -> None:
    both = s.hi[XB] << 64 | s.lo[XB]
    s.hi[XT] = both << 32 >> 128 - 8 * UIM4 & M32
    s.lo[XT] = 0


@insn("xxinsertw", Form(60 << 26 | 181 << 2, 0xFC0007FC), isa="3.0", valid=lambda UIM4: UIM4 <= 12)
def xxinsertw(s: PtRegs, XT: int, XB: int, UIM4: int) -> None:
    both = s.hi[XT] << 64 | s.lo[XT]
    both = both & ~(M32 << 96 - 8 * UIM4) | (s.hi[XB] & M32) << 96 - 8 * UIM4
    s.hi[XT] = both >> 64
    s.lo[XT] = both & M64


@insn("xxbrd", Form(60 << 26 | 23 << 16 | 475 << 2, 0xFC1F07FC), isa="3.0")
def xxbrd(s: PtRegs, XT: int, XB: int) -> None:
    s.hi[XT] = swap64(s.hi[XB])
    s.lo[XT] = swap64(s.lo[XB])


@insn("xxbrw", Form(60 << 26 | 15 << 16 | 475 << 2, 0xFC1F07FC), isa="3.0")
def xxbrw(s: PtRegs, XT: int, XB: int) -> None:
    s.hi[XT] = swap32(s.hi[XB] >> 32) << 32 | swap32(s.hi[XB])
    s.lo[XT] = swap32(s.lo[XB] >> 32) << 32 | swap32(s.lo[XB])


@insn("xxbrh", Form(60 << 26 | 7 << 16 | 475 << 2, 0xFC1F07FC), isa="3.0")
def xxbrh(s: PtRegs, XT: int, XB: int) -> None:
    a, b = s.hi[XB], s.lo[XB]
    s.hi[XT] = a >> 8 & 0x00FF00FF00FF00FF | (a & 0x00FF00FF00FF00FF) << 8
    s.lo[XT] = b >> 8 & 0x00FF00FF00FF00FF | (b & 0x00FF00FF00FF00FF) << 8


@insn("xxbrq", Form(60 << 26 | 31 << 16 | 475 << 2, 0xFC1F07FC), isa="3.0")
def xxbrq(s: PtRegs, XT: int, XB: int) -> None:
    a, b = s.hi[XB], s.lo[XB]
    s.hi[XT] = swap64(b)
    s.lo[XT] = swap64(a)


def permuted(source: int, control: int) -> int:
    """Pick from the 32 bytes of *source* by the last five bits of each byte of *control*."""
    table = source.to_bytes(32, "big") * 8
    return int.from_bytes(control.to_bytes(16, "big").translate(table), "big")


@insn("xxperm", XX3(60, 26), isa="3.0", inline=False)
def xxperm(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    source = s.hi[XA] << 192 | s.lo[XA] << 128 | s.hi[XT] << 64 | s.lo[XT]
    value = permuted(source, s.hi[XB] << 64 | s.lo[XB])
    s.hi[XT], s.lo[XT] = value >> 64, value & M64


@insn("xxpermr", XX3(60, 58), isa="3.0", inline=False)
def xxpermr(s: PtRegs, XT: int, XA: int, XB: int) -> None:
    source = s.hi[XA] << 192 | s.lo[XA] << 128 | s.hi[XT] << 64 | s.lo[XT]
    value = permuted(source, (s.hi[XB] << 64 | s.lo[XB]) ^ (1 << 128) - 1)
    s.hi[XT], s.lo[XT] = value >> 64, value & M64
