"""Special purpose registers, barriers, cache operations (book I, 3.3.17; book II)."""

from typing import Final

from uprobes_sim_powerpc.isa.define import DS, Form, X, inline, insn
from uprobes_sim_powerpc.isa.helpers import M32, base
from uprobes_sim_powerpc.isa.interrupts import Illegal, Lacking, Privileged
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import PtRegs

SPR_XER: Final = 1
SPR_LR: Final = 8
SPR_CTR: Final = 9
SPR_VRSAVE: Final = 256
SPR_TB: Final = 268
SPR_TBU: Final = 269
SPR_TAR: Final = 815
SPR_PVR: Final = 287
KEPT: Final = frozenset({3, 896, 898})
"""DSCR, PPR and PPR32 keep what is written, and do nothing with it here."""


def dcache_block(bits: int) -> int:
    """Size of a data cache block, in bytes (AT_DCACHEBSIZE)."""
    return 128 if bits == 64 else 32


@inline
def xer(s: PtRegs) -> int:
    """Put XER together."""
    return s.so << 31 | s.ov << 30 | s.ca << 29 | s.ov32 << 19 | s.ca32 << 18 | s.xer_rest


@inline
def set_xer(s: PtRegs, value: int) -> None:
    """Take XER apart."""
    s.so = value >> 31 & 1
    s.ov = value >> 30 & 1
    s.ca = value >> 29 & 1
    if s.isa_300:
        s.ov32 = value >> 19 & 1
        s.ca32 = value >> 18 & 1
    s.xer_rest = value & 0x1FF3FFFF


@inline
def no_such_spr(s: PtRegs, SPR: int) -> None:
    """Refuse a register: half of the numbers are privileged."""
    if SPR & 16:
        raise Privileged
    raise Illegal


@insn("mfspr", X(31, 339), kernel="MFSPR")
def mfspr(s: PtRegs, RT: int, SPR: int) -> None:
    if SPR == SPR_LR:
        s.gpr[RT] = s.link
    elif SPR == SPR_CTR:
        s.gpr[RT] = s.ctr
    elif SPR == SPR_XER:
        s.gpr[RT] = xer(s)
    elif SPR == SPR_VRSAVE:
        s.gpr[RT] = s.vrsave
    elif SPR == SPR_TAR:
        s.gpr[RT] = s.tar
    elif SPR in (SPR_TB, SPR_TBU):
        s.tb = s.tb + 1
        s.gpr[RT] = s.tb & s.mask if SPR == SPR_TB else s.tb >> 32
    elif SPR in KEPT or SPR == SPR_PVR:  # the kernel lets user mode have PVR
        s.gpr[RT] = s.spr.get(SPR, 0)
    else:
        no_such_spr(s, SPR)


@insn("mtspr", X(31, 467), kernel="MTSPR")
def mtspr(s: PtRegs, RS: int, SPR: int) -> None:
    if SPR == SPR_LR:
        s.link = s.gpr[RS]
    elif SPR == SPR_CTR:
        s.ctr = s.gpr[RS]
    elif SPR == SPR_XER:
        set_xer(s, s.gpr[RS])
    elif SPR == SPR_VRSAVE:
        s.vrsave = s.gpr[RS] & M32
    elif SPR == SPR_TAR:
        s.tar = s.gpr[RS]
    elif SPR in KEPT:
        s.spr[SPR] = s.gpr[RS]
    else:
        no_such_spr(s, SPR)


@insn("mftb", X(31, 371))
def mftb(s: PtRegs, RT: int, SPR: int) -> None:
    if SPR not in (SPR_TB, SPR_TBU):
        raise Illegal
    s.tb = s.tb + 1
    s.gpr[RT] = s.tb & s.mask if SPR == SPR_TB else s.tb >> 32


def kind_of_random_number(L2: int) -> bool:
    """Tell valid fields of darn."""
    return L2 != 3


@insn("darn", X(31, 755), kernel="COMPUTE", isa="3.0", bits=64, valid=kind_of_random_number)
def darn(s: PtRegs, RT: int) -> None:
    s.gpr[RT] = s.mask  # the architecture's "no random number now": runs must be repeatable


@insn("sync, lwsync, ptesync", X(31, 598), kernel="BARRIER")
def sync(s: PtRegs) -> None:
    pass


@insn("isync", X(19, 150), kernel="BARRIER")
def isync(s: PtRegs) -> None:
    pass


@insn("eieio", X(31, 854), kernel="BARRIER")
def eieio(s: PtRegs) -> None:
    pass


@insn("wait", X(31, 30), isa="3.0")
def wait(s: PtRegs) -> None:
    pass


@insn("dcbt", X(31, 278), kernel="CACHEOP")
def dcbt(s: PtRegs) -> None:
    pass


@insn("dcbtst", X(31, 246), kernel="CACHEOP")
def dcbtst(s: PtRegs) -> None:
    pass


@insn("icbt", X(31, 22), isa="2.07")
def icbt(s: PtRegs) -> None:
    pass


@insn("dcbst", X(31, 54), kernel="CACHEOP")
def dcbst(s: PtRegs, m: Memory, RA: int, RB: int) -> None:
    m.load1(base(s, RA) + s.gpr[RB])


@insn("dcbf", X(31, 86), kernel="CACHEOP")
def dcbf(s: PtRegs, m: Memory, RA: int, RB: int) -> None:
    m.load1(base(s, RA) + s.gpr[RB])


@insn("icbi", X(31, 982), kernel="CACHEOP")
def icbi(s: PtRegs, m: Memory, RA: int, RB: int) -> None:
    m.load1(base(s, RA) + s.gpr[RB])


@insn("dcbz", X(31, 1014), kernel="CACHEOP")
def dcbz(s: PtRegs, m: Memory, RA: int, RB: int) -> None:
    ea = base(s, RA) + s.gpr[RB] & -dcache_block(s.bits)
    m.store(ea, bytes(dcache_block(s.bits)))


@insn("scv", DS(17, 1), isa="3.0", bits=64, kernel="SYSCALL")
def scv(s: PtRegs) -> None:
    raise Lacking


def privileged(s: PtRegs) -> None:
    raise Privileged


PRIVILEGED: Final[dict[str, Form]] = {
    "mfmsr": X(31, 83),
    "mtmsr": X(31, 146),
    "mtmsrd": X(31, 178),
    "rfid": X(19, 18),
    "rfscv": X(19, 82),
    "hrfid": X(19, 274),
    "urfid": X(19, 306),
    "stop": X(19, 370),
    "dcbi": X(31, 470),
    "tlbie": X(31, 306),
    "tlbiel": X(31, 274),
    "tlbsync": X(31, 566),
    "slbmte": X(31, 402),
    "slbie": X(31, 434),
    "slbia": X(31, 498),
    "slbmfev": X(31, 851),
    "slbmfee": X(31, 915),
    "mtsr": X(31, 210),
    "mfsr": X(31, 595),
    "rfi": X(19, 50),
}

for _name, _form in PRIVILEGED.items():
    insn(_name, _form)(privileged)
