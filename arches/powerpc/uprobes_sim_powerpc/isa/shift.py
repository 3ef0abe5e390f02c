"""Rotates and shifts (Power ISA, book I, 3.3.14)."""

from uprobes_sim_powerpc.isa.define import MD, MDS, XS, D, X, inline, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, cr0, ones, sext32, sext64
from uprobes_sim_powerpc.regs import PtRegs

TWICE = 0x100000001
"""A word times this lies in both halves of a doubleword, as word rotates want it."""


@inline
def rotated_word(x: int, n: int, mask: int) -> int:
    """Rotate the low word left by *n*, copy it to the upper half, select *mask*.

    Constants decide which of the ways is short: usually it is a mere shift.
    """
    return (
        x << n & mask
        if mask <= M32 and not mask & (1 << n) - 1
        else x >> 32 - n & mask
        if mask < 1 << n
        else (x << n | (x & M32) >> 32 - n) & mask
        if mask <= M32
        else ((x & M32) * TWICE << n | (x & M32) >> 32 - n) & mask
    )


@inline
def rotated(x: int, n: int, mask: int) -> int:
    """Rotate a doubleword left by *n*, select *mask*."""
    return (
        x << n & mask
        if not mask & (1 << n) - 1
        else x >> 64 - n
        if mask == (1 << n) - 1
        else x >> 64 - n & mask
        if mask < 1 << n
        else (x << n | x >> 64 - n) & mask
    )


@insn("rlwimi[.]", D(20), kernel="COMPUTE")
def rlwimi(s: PtRegs, RA: int, RS: int, SH: int, MB: int, ME: int, Rc: int) -> None:
    mask = ones(MB + 32, ME + 32, 64) & s.mask
    r = rotated_word(s.gpr[RS], SH, mask) | s.gpr[RA] & (mask ^ s.mask)
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rlwinm[.]", D(21), kernel="COMPUTE")
def rlwinm(s: PtRegs, RA: int, RS: int, SH: int, MB: int, ME: int, Rc: int) -> None:
    r = rotated_word(s.gpr[RS], SH, ones(MB + 32, ME + 32, 64) & s.mask)
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rlwnm[.]", D(23), kernel="COMPUTE")
def rlwnm(s: PtRegs, RA: int, RS: int, RB: int, MB: int, ME: int, Rc: int) -> None:
    n = s.gpr[RB] & 31
    x = (s.gpr[RS] & M32) * TWICE
    r = (x << n | x >> 64 - n) & ones(MB + 32, ME + 32, 64) & s.mask
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rldicl[.]", MD(30, 0), kernel="COMPUTE", bits=64)
def rldicl(s: PtRegs, RA: int, RS: int, sh: int, mb: int, Rc: int) -> None:
    r = rotated(s.gpr[RS], sh, ones(mb, 63, 64))
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rldicr[.]", MD(30, 1), kernel="COMPUTE", bits=64)
def rldicr(s: PtRegs, RA: int, RS: int, sh: int, mb: int, Rc: int) -> None:
    r = rotated(s.gpr[RS], sh, ones(0, mb, 64))
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rldic[.]", MD(30, 2), kernel="COMPUTE", bits=64)
def rldic(s: PtRegs, RA: int, RS: int, sh: int, mb: int, Rc: int) -> None:
    r = rotated(s.gpr[RS], sh, ones(mb, 63 - sh, 64))
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rldimi[.]", MD(30, 3), kernel="COMPUTE", bits=64)
def rldimi(s: PtRegs, RA: int, RS: int, sh: int, mb: int, Rc: int) -> None:
    mask = ones(mb, 63 - sh, 64)
    r = rotated(s.gpr[RS], sh, mask) | s.gpr[RA] & (mask ^ M64)
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rldcl[.]", MDS(30, 8), kernel="COMPUTE", bits=64)
def rldcl(s: PtRegs, RA: int, RS: int, RB: int, mb: int, Rc: int) -> None:
    n = s.gpr[RB] & 63
    r = (s.gpr[RS] << n | s.gpr[RS] >> 64 - n) & ones(mb, 63, 64)
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("rldcr[.]", MDS(30, 9), kernel="COMPUTE", bits=64)
def rldcr(s: PtRegs, RA: int, RS: int, RB: int, mb: int, Rc: int) -> None:
    n = s.gpr[RB] & 63
    r = (s.gpr[RS] << n | s.gpr[RS] >> 64 - n) & ones(0, mb, 64)
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("slw[.]", X(31, 24), kernel="COMPUTE")
def slw(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] << (s.gpr[RB] & 63) & M32
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("srw[.]", X(31, 536), kernel="COMPUTE")
def srw(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = (s.gpr[RS] & M32) >> (s.gpr[RB] & 63)
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("sld[.]", X(31, 27), kernel="COMPUTE", bits=64)
def sld(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] << (s.gpr[RB] & 127) & M64
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@insn("srd[.]", X(31, 539), kernel="COMPUTE", bits=64)
def srd(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    r = s.gpr[RS] >> (s.gpr[RB] & 127)
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)


@inline
def lost(s: PtRegs, a: int, n: int) -> None:
    """Set CA and CA32: *a* is negative and loses ones when shifted right by *n*."""
    s.ca = 1 if a < 0 and a & (1 << n) - 1 else 0
    if s.isa_300:
        s.ca32 = s.ca


@insn("sraw[.]", X(31, 792), kernel="COMPUTE")
def sraw(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    a, n = sext32(s.gpr[RS]), s.gpr[RB] & 63
    r = a >> n & s.mask
    s.gpr[RA] = r
    lost(s, a, n)
    if Rc:
        cr0(s, r)


@insn("srawi[.]", X(31, 824), kernel="COMPUTE")
def srawi(s: PtRegs, RA: int, RS: int, SH: int, Rc: int) -> None:
    a = sext32(s.gpr[RS])
    r = a >> SH & s.mask
    s.gpr[RA] = r
    lost(s, a, SH)
    if Rc:
        cr0(s, r)


@insn("srad[.]", X(31, 794), kernel="COMPUTE", bits=64)
def srad(s: PtRegs, RA: int, RS: int, RB: int, Rc: int) -> None:
    a, n = sext64(s.gpr[RS]), s.gpr[RB] & 127
    r = a >> n & M64
    s.gpr[RA] = r
    lost(s, a, n)
    if Rc:
        cr0(s, r)


@insn("sradi[.]", XS(31, 413), kernel="COMPUTE", bits=64)
def sradi(s: PtRegs, RA: int, RS: int, sh: int, Rc: int) -> None:
    a = sext64(s.gpr[RS])
    r = a >> sh & M64
    s.gpr[RA] = r
    lost(s, a, sh)
    if Rc:
        cr0(s, r)


@insn("extswsli[.]", XS(31, 445), kernel="COMPUTE", isa="3.0", bits=64)
def extswsli(s: PtRegs, RA: int, RS: int, sh: int, Rc: int) -> None:
    r = sext32(s.gpr[RS]) << sh & M64
    s.gpr[RA] = r
    if Rc:
        cr0(s, r)
