"""VSX loads, stores and moves to and from GPRs (Power ISA, book I, 7.6.1)."""

from uprobes_sim_powerpc.fpu.number import narrow, widen
from uprobes_sim_powerpc.isa.define import DQ, DS, X, insn
from uprobes_sim_powerpc.isa.fp_load import put
from uprobes_sim_powerpc.isa.helpers import M32, M64, base, sext32
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs


@insn("lxsdx", X(31, 588), kernel="LOAD_VSX", isa="2.06")
def lxsdx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    put(s, XT, m.load8(base(s, RA) + s.gpr[RB]))


@insn("lxsspx", X(31, 524), kernel="LOAD_VSX", isa="2.07")
def lxsspx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    put(s, XT, widen(m.load4(base(s, RA) + s.gpr[RB])))


@insn("lxsiwzx", X(31, 12), kernel="LOAD_VSX", isa="2.07")
def lxsiwzx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    put(s, XT, m.load4(base(s, RA) + s.gpr[RB]))


@insn("lxsiwax", X(31, 76), kernel="LOAD_VSX", isa="2.07")
def lxsiwax(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    put(s, XT, sext32(m.load4(base(s, RA) + s.gpr[RB])) & M64)


@insn("lxsibzx", X(31, 781), kernel="LOAD_VSX", isa="3.0")
def lxsibzx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    put(s, XT, m.load1(base(s, RA) + s.gpr[RB]))


@insn("lxsihzx", X(31, 813), kernel="LOAD_VSX", isa="3.0")
def lxsihzx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    put(s, XT, m.load2(base(s, RA) + s.gpr[RB]))


@insn("lxsd", DS(57, 2), kernel="LOAD_VSX", isa="3.0")
def lxsd(s: PtRegs, m: Memory, VRT: int, RA: int, DS: int) -> None:
    put(s, VRT + 32, m.load8(base(s, RA) + DS))


@insn("lxssp", DS(57, 3), kernel="LOAD_VSX", isa="3.0")
def lxssp(s: PtRegs, m: Memory, VRT: int, RA: int, DS: int) -> None:
    put(s, VRT + 32, widen(m.load4(base(s, RA) + DS)))


@insn("stxsdx", X(31, 716), kernel="STORE_VSX", isa="2.06")
def stxsdx(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    m.store8(base(s, RA) + s.gpr[RB], s.hi[XS])


@insn("stxsspx", X(31, 652), kernel="STORE_VSX", isa="2.07")
def stxsspx(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    m.store4(base(s, RA) + s.gpr[RB], narrow(s.hi[XS]))


@insn("stxsiwx", X(31, 140), kernel="STORE_VSX", isa="2.07")
def stxsiwx(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    m.store4(base(s, RA) + s.gpr[RB], s.hi[XS] & M32)


@insn("stxsibx", X(31, 909), kernel="STORE_VSX", isa="3.0")
def stxsibx(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    m.store1(base(s, RA) + s.gpr[RB], s.hi[XS] & 0xFF)


@insn("stxsihx", X(31, 941), kernel="STORE_VSX", isa="3.0")
def stxsihx(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    m.store2(base(s, RA) + s.gpr[RB], s.hi[XS] & 0xFFFF)


@insn("stxsd", DS(61, 2), kernel="STORE_VSX", isa="3.0")
def stxsd(s: PtRegs, m: Memory, VRS: int, RA: int, DS: int) -> None:
    m.store8(base(s, RA) + DS, s.hi[VRS + 32])


@insn("stxssp", DS(61, 3), kernel="STORE_VSX", isa="3.0")
def stxssp(s: PtRegs, m: Memory, VRS: int, RA: int, DS: int) -> None:
    m.store4(base(s, RA) + DS, narrow(s.hi[VRS + 32]))


@insn("lxvd2x", X(31, 844), kernel="LOAD_VSX", isa="2.06")
def lxvd2x(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB]
    first = m.load8(ea)
    second = m.load8(ea + 8)
    s.hi[XT] = first
    s.lo[XT] = second


@insn("stxvd2x", X(31, 972), kernel="STORE_VSX", isa="2.06")
def stxvd2x(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB]
    m.probe_write(ea, 16)
    m.store8(ea, s.hi[XS])
    m.store8(ea + 8, s.lo[XS])


@insn("lxvdsx", X(31, 332), kernel="LOAD_VSX", isa="2.06")
def lxvdsx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    value = m.load8(base(s, RA) + s.gpr[RB])
    s.hi[XT] = value
    s.lo[XT] = value


@insn("lxvwsx", X(31, 364), kernel="LOAD_VSX", isa="3.0")
def lxvwsx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    value = m.load4(base(s, RA) + s.gpr[RB]) * 0x100000001
    s.hi[XT] = value
    s.lo[XT] = value


@insn("lxvw4x", X(31, 780), kernel="LOAD_VSX", isa="2.06")
def lxvw4x(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB]
    first = m.load4(ea) << 32 | m.load4(ea + 4)
    second = m.load4(ea + 8) << 32 | m.load4(ea + 12)
    s.hi[XT] = first
    s.lo[XT] = second


@insn("stxvw4x", X(31, 908), kernel="STORE_VSX", isa="2.06")
def stxvw4x(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB]
    m.probe_write(ea, 16)
    m.store4(ea, s.hi[XS] >> 32)
    m.store4(ea + 4, s.hi[XS] & M32)
    m.store4(ea + 8, s.lo[XS] >> 32)
    m.store4(ea + 12, s.lo[XS] & M32)


@insn("lxvh8x", X(31, 812), kernel="LOAD_VSX", isa="3.0", inline=False)
def lxvh8x(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB]
    value = 0
    for at in range(0, 16, 2):
        value = value << 16 | m.load2(ea + at)
    s.hi[XT], s.lo[XT] = value >> 64, value & M64


@insn("stxvh8x", X(31, 940), kernel="STORE_VSX", isa="3.0", inline=False)
def stxvh8x(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB]
    value = s.hi[XS] << 64 | s.lo[XS]
    m.probe_write(ea, 16)
    for at in range(0, 16, 2):
        m.store2(ea + at, value >> 112 - 8 * at & 0xFFFF)


@insn("lxvb16x", X(31, 876), kernel="LOAD_VSX", isa="3.0", inline=False)
def lxvb16x(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    value = int.from_bytes(m.load(base(s, RA) + s.gpr[RB], 16), "big")
    s.hi[XT], s.lo[XT] = value >> 64, value & M64


@insn("stxvb16x", X(31, 1004), kernel="STORE_VSX", isa="3.0", inline=False)
def stxvb16x(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    value = s.hi[XS] << 64 | s.lo[XS]
    m.store(base(s, RA) + s.gpr[RB], value.to_bytes(16, "big"))


@insn("lxvx", X(31, 268), kernel="LOAD_VSX", isa="3.0")
def lxvx(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    value = m.load16(base(s, RA) + s.gpr[RB])
    s.hi[XT] = value >> 64
    s.lo[XT] = value & M64


@insn("stxvx", X(31, 396), kernel="STORE_VSX", isa="3.0")
def stxvx(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    m.store16(base(s, RA) + s.gpr[RB], s.hi[XS] << 64 | s.lo[XS])


@insn("lxv", DQ(61, 1), kernel="LOAD_VSX", isa="3.0")
def lxv(s: PtRegs, m: Memory, XT_DQ: int, RA: int, DQ: int) -> None:
    value = m.load16(base(s, RA) + DQ)
    s.hi[XT_DQ] = value >> 64
    s.lo[XT_DQ] = value & M64


@insn("stxv", DQ(61, 5), kernel="STORE_VSX", isa="3.0")
def stxv(s: PtRegs, m: Memory, XT_DQ: int, RA: int, DQ: int) -> None:
    m.store16(base(s, RA) + DQ, s.hi[XT_DQ] << 64 | s.lo[XT_DQ])


def length(s: PtRegs, RB: int) -> int:
    """Read the number of bytes from the top byte of RB, 16 at most."""
    return min(s.gpr[RB] >> 56, 16)


@insn("lxvl", X(31, 269), kernel="LOAD_VSX", isa="3.0", bits=64, inline=False)
def lxvl(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    data = m.load(base(s, RA), length(s, RB))
    value = int.from_bytes(data, m.byteorder)
    if m.byteorder == "big":
        value <<= 128 - 8 * len(data)
    s.hi[XT], s.lo[XT] = value >> 64, value & M64


@insn("lxvll", X(31, 301), kernel="LOAD_VSX", isa="3.0", bits=64, inline=False)
def lxvll(s: PtRegs, m: Memory, XT: int, RA: int, RB: int) -> None:
    data = m.load(base(s, RA), length(s, RB))
    value = int.from_bytes(data, "big") << 128 - 8 * len(data)
    s.hi[XT], s.lo[XT] = value >> 64, value & M64


@insn("stxvl", X(31, 397), kernel="STORE_VSX", isa="3.0", bits=64, inline=False)
def stxvl(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    value = s.hi[XS] << 64 | s.lo[XS]
    m.store(base(s, RA), value.to_bytes(16, m.byteorder)[: length(s, RB)])


@insn("stxvll", X(31, 429), kernel="STORE_VSX", isa="3.0", bits=64, inline=False)
def stxvll(s: PtRegs, m: Memory, XS: int, RA: int, RB: int) -> None:
    value = s.hi[XS] << 64 | s.lo[XS]
    m.store(base(s, RA), value.to_bytes(16, "big")[: length(s, RB)])


@insn("mfvsrd", X(31, 51), isa="2.07", bits=64)
def mfvsrd(s: PtRegs, RA: int, XS: int) -> None:
    s.gpr[RA] = s.hi[XS]


@insn("mfvsrld", X(31, 307), isa="3.0", bits=64)
def mfvsrld(s: PtRegs, RA: int, XS: int) -> None:
    s.gpr[RA] = s.lo[XS]


@insn("mfvsrwz", X(31, 115), isa="2.07")
def mfvsrwz(s: PtRegs, RA: int, XS: int) -> None:
    s.gpr[RA] = s.hi[XS] & M32


@insn("mtvsrd", X(31, 179), isa="2.07", bits=64)
def mtvsrd(s: PtRegs, XT: int, RA: int) -> None:
    put(s, XT, s.gpr[RA])


@insn("mtvsrwa", X(31, 211), isa="2.07")
def mtvsrwa(s: PtRegs, XT: int, RA: int) -> None:
    put(s, XT, sext32(s.gpr[RA]) & M64)


@insn("mtvsrwz", X(31, 243), isa="2.07")
def mtvsrwz(s: PtRegs, XT: int, RA: int) -> None:
    put(s, XT, s.gpr[RA] & M32)


@insn("mtvsrdd", X(31, 435), isa="3.0", bits=64)
def mtvsrdd(s: PtRegs, XT: int, RA: int, RB: int) -> None:
    s.hi[XT] = base(s, RA)
    s.lo[XT] = s.gpr[RB]


@insn("mtvsrws", X(31, 403), isa="3.0")
def mtvsrws(s: PtRegs, XT: int, RA: int) -> None:
    value = (s.gpr[RA] & M32) * 0x100000001
    s.hi[XT] = value
    s.lo[XT] = value
