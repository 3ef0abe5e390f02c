"""Division (Power ISA, book I, 3.3.9).

Nothing traps. Where the ISA leaves the result undefined, it is what QEMU 7.2 gives.
"""

from uprobes_sim_powerpc.isa.arith import overflows
from uprobes_sim_powerpc.isa.define import XO, X, insn
from uprobes_sim_powerpc.isa.helpers import M32, M64, cr0, sext32, sext64
from uprobes_sim_powerpc.regs import PtRegs


def quotient(a: int, b: int) -> int:
    """Divide as the ISA does, towards zero."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def remainder(a: int, b: int) -> int:
    """Find what division leaves of *a*, with its sign."""
    return a - b * quotient(a, b)


@insn("divw[o][.]", XO(31, 491), kernel="COMPUTE")
def divw(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = sext32(s.gpr[RA]), sext32(s.gpr[RB])
    q = quotient(a, b) if b else 0x80000000
    r = q & M32 if -0x80000000 <= q < 0x80000000 else a & M32
    s.gpr[RT] = r
    if OE:
        overflows(s, int(not -0x80000000 <= q < 0x80000000))
    if Rc:
        cr0(s, r)


@insn("divwu[o][.]", XO(31, 459), kernel="COMPUTE")
def divwu(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA] & M32, s.gpr[RB] & M32
    r = a // b if b else a
    s.gpr[RT] = r
    if OE:
        overflows(s, int(not b))
    if Rc:
        cr0(s, r)


@insn("divd[o][.]", XO(31, 489), kernel="COMPUTE", bits=64)
def divd(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = sext64(s.gpr[RA]), sext64(s.gpr[RB])
    q = quotient(a, b) if b else 0x8000000000000000
    r = q & M64 if -0x8000000000000000 <= q < 0x8000000000000000 else a & M64
    s.gpr[RT] = r
    if OE:
        overflows(s, int(not -0x8000000000000000 <= q < 0x8000000000000000))
    if Rc:
        cr0(s, r)


@insn("divdu[o][.]", XO(31, 457), kernel="COMPUTE", bits=64)
def divdu(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    r = a // b if b else a
    s.gpr[RT] = r
    if OE:
        overflows(s, int(not b))
    if Rc:
        cr0(s, r)


@insn("divwe[o][.]", XO(31, 427), isa="2.06")
def divwe(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = sext32(s.gpr[RA]) << 32, sext32(s.gpr[RB])
    q = quotient(a, b) if b else 0x80000000
    r = q & s.mask if -0x80000000 <= q < 0x80000000 else 0
    s.gpr[RT] = r
    if OE:
        overflows(s, int(not -0x80000000 <= q < 0x80000000))
    if Rc:
        cr0(s, r)


@insn("divweu[o][.]", XO(31, 395), isa="2.06")
def divweu(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = (s.gpr[RA] & M32) << 32, s.gpr[RB] & M32
    q = a // b if b else M32 + 1
    r = q if q <= M32 else 0
    s.gpr[RT] = r
    if OE:
        overflows(s, int(q > M32))
    if Rc:
        cr0(s, r)


@insn("divde[o][.]", XO(31, 425), kernel="COMPUTE", isa="2.06", bits=64)
def divde(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = sext64(s.gpr[RA]) << 64, sext64(s.gpr[RB])
    q = quotient(a, b) if b else 0x8000000000000000
    r = q & M64 if -0x8000000000000000 <= q < 0x8000000000000000 else 0
    s.gpr[RT] = r
    if OE:
        overflows(s, int(not -0x8000000000000000 <= q < 0x8000000000000000))
    if Rc:
        cr0(s, r)


@insn("divdeu[o][.]", XO(31, 393), kernel="COMPUTE", isa="2.06", bits=64)
def divdeu(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
    a, b = s.gpr[RA] << 64, s.gpr[RB]
    q = a // b if b else M64 + 1
    r = q if q <= M64 else 0
    s.gpr[RT] = r
    if OE:
        overflows(s, int(q > M64))
    if Rc:
        cr0(s, r)


@insn("modsw", X(31, 779), kernel="COMPUTE", isa="3.0")
def modsw(s: PtRegs, RT: int, RA: int, RB: int) -> None:
    a, b = sext32(s.gpr[RA]), sext32(s.gpr[RB])
    s.gpr[RT] = remainder(a, b) & s.mask if b else 0


@insn("moduw", X(31, 267), kernel="COMPUTE", isa="3.0")
def moduw(s: PtRegs, RT: int, RA: int, RB: int) -> None:
    a, b = s.gpr[RA] & M32, s.gpr[RB] & M32
    s.gpr[RT] = a % b if b else 0


@insn("modsd", X(31, 777), kernel="COMPUTE", isa="3.0", bits=64)
def modsd(s: PtRegs, RT: int, RA: int, RB: int) -> None:
    a, b = sext64(s.gpr[RA]), sext64(s.gpr[RB])
    s.gpr[RT] = remainder(a, b) & s.mask if b else 0


@insn("modud", X(31, 265), kernel="COMPUTE", isa="3.0", bits=64)
def modud(s: PtRegs, RT: int, RA: int, RB: int) -> None:
    a, b = s.gpr[RA], s.gpr[RB]
    s.gpr[RT] = a % b if b else 0
