"""Instructions for the conformance suite, and for the judge: drawn from the table of all."""

import re
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.samples import Idioms, InsnSamples, Sample, Spot
from uprobes_sim_powerpc.abi import CPUS
from uprobes_sim_powerpc.decode import decoder
from uprobes_sim_powerpc.insn import TRAP, is_prefix
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.samples.draw import MEM_BYTES, VSRS, Case, Drawer, Ground, rows
from uprobes_sim_powerpc.samples.operands import Pools

_NOP: Final = 0x60000000
_BLR: Final = 0x4E800020
_SC: Final = 0x44000002
_VALUES: Final = ("xer", "ccr", "ctr", "link", "tar", "vrsave")
_TRAPS: Final = {
    32: (0x7C832008, 0x0FE00000, 0x0C830005),
    64: (0x7C832008, 0x7C832088, 0x0FE00000, 0x0C830005, 0x0BE00000, 0x08830005),
}
"""tw 4,r3,r4; td 4,r3,r4; twi 31,r0,0; twi 4,r3,5; tdi likewise."""
_QEMU: Final = {
    Abi(64, "little"): ("qemu-ppc64le", "-cpu", "power10"),
    Abi(64, "big"): ("qemu-ppc64", "-cpu", "power10"),
    Abi(32, "big"): ("qemu-ppc", "-cpu", "7448"),
}
_ELSEWHERE: Final = "its gdb stub gives no vectors: tests/powerpc_judge compares them"
_UNJUDGED: Final = {
    r"x.*|v.*|f.*|mcrfs|m[tf][fv].*|p?(l|st)[fvx].*": _ELSEWHERE,
    "bctar.*|m[tf]spr": "its gdb stub gives no TAR",
    r"divde\[o\]\[\.\]": "QEMU 7.2 takes a quotient from 2**63 up to 2**64 for one that fits",
    "mftb|darn": "the time, and a random number",
    "wait|stop|scv?|icbt": "it stops the processor, calls the kernel, or is of other processors",
    "(lm|stm|ls|sts)w[ix]?": "QEMU 7.2 dies of the alignment interrupt in little-endian",
}
_NOT_7448: Final = ("isel", "popcntb")
_ENTER: Final = {
    64: (0x7C0802A6, 0xF8010010, 0xF821FFC1),  # mflr r0; std r0,16(r1); stdu r1,-64(r1)
    32: (0x7C0802A6, 0x90010004, 0x9421FFE0),  # mflr r0; stw r0,4(r1); stwu r1,-32(r1)
}
_LEAVE: Final = {
    64: (0x38210040, 0xE8010010, 0x7C0803A6),  # addi r1,r1,64; ld r0,16(r1); mtlr r0
    32: (0x38210020, 0x80010004, 0x7C0803A6),
}


@cache
def samples(abi: Abi, cpu: str) -> InsnSamples:
    """Give the samples of tasks of *abi* on a processor."""
    level = CPUS[cpu][0]
    table = {row.name: row for row in rows(abi) if row.isa <= level}

    def find(insn: bytes) -> str | None:
        row = decoder(abi.bits, level).find(number(insn, abi))
        return row.name if row is not None and row.name in table else None

    def draw(row: str, spot: Spot, random: Random) -> Sample:
        return _draw(table[row], abi, spot, random)

    return InsnSamples(
        rows=tuple(table),
        find=find,
        draw=draw,
        idioms=_idioms(abi),
        qemu=_QEMU[abi],
        qemu_registers=_qemu_registers(),
        unjudged=_unjudged(abi, table),
        traps=tuple(word.to_bytes(4, abi.byteorder) for word in (TRAP, *_TRAPS[abi.bits])),
    )


def number(insn: bytes, abi: Abi) -> int:
    """Read an instruction, prefix first in either byte order."""
    word = int.from_bytes(insn[:4], abi.byteorder)
    if abi.bits == 64 and is_prefix(word):
        return word << 32 | int.from_bytes(insn[4:8], abi.byteorder)
    return word


def _code(abi: Abi, *words: int) -> bytes:
    return b"".join(word.to_bytes(4, abi.byteorder) for word in words)


def _unjudged(abi: Abi, table: Mapping[str, Insn]) -> dict[str, str]:
    """Say what QEMU is not asked about; its only 32-bit processor lacks what is newer."""
    found = {
        pattern: reason
        for pattern, reason in _UNJUDGED.items()
        if any(re.fullmatch(pattern, name) for name in table)
    }
    newer = [name for name, row in table.items() if row.isa > "2.03" or name in _NOT_7448]
    reason = "the 7448 is older than this instruction"
    return found | ({re.escape(name): reason for name in newer} if abi.bits == 32 else {})


def _qemu_registers() -> dict[str, str]:
    names = {f"gpr{n}": f"r{n}" for n in range(32)}
    return names | {"nip": "pc", "link": "lr", "ctr": "ctr", "ccr": "cr", "xer": "xer"}


def _idioms(abi: Abi) -> Idioms:
    return Idioms(
        nop=_code(abi, _NOP),
        call=lambda at, to: _code(abi, 0x48000001 | to - at & 0x03FFFFFC),
        jump=lambda at, to: _code(abi, 0x48000000 | to - at & 0x03FFFFFC),
        ret=_code(abi, _BLR),
        syscall=_code(abi, _SC),
        enter=_code(abi, *_ENTER[abi.bits]),
        leave=_code(abi, *_LEAVE[abi.bits]),
    )


@cache
def _pools() -> Pools:
    """Draw operands, once: it costs what a thousand samples do."""
    return Pools(Random(0))


def _drawer(random: Random, abi: Abi, ground: Ground) -> Drawer:
    return Drawer(random, abi, ground, pools=_pools())


def _draw(row: Insn, abi: Abi, spot: Spot, random: Random) -> Sample:
    scratch = spot.data.stop - MEM_BYTES
    far = range(spot.code.start, spot.code.stop, 4)
    case = _drawer(random, abi, Ground(scratch, spot.stack, far)).draw(row, spot.vaddr)
    words = (case.word >> 32, case.word & 0xFFFFFFFF) if row.prefixed else (case.word,)
    before = _code(abi, case.before) if case.before else b""
    return Sample(_code(abi, *words), _registers(case, random), {scratch: case.mem}, before)


def _registers(case: Case, random: Random) -> dict[str, int]:
    regs = {f"gpr{n}": value for n, value in enumerate(case.gpr)}
    regs |= dict(zip(_VALUES, case.values, strict=True))
    if case.abi.bits == 32:
        return regs | {f"fpr{n}": random.getrandbits(64) for n in VSRS[:4]}
    pairs = zip(case.vsr[::2], case.vsr[1::2], strict=True)
    regs |= {f"vsr{n}": high << 64 | low for n, (high, low) in zip(VSRS, pairs, strict=True)}
    return regs | {"fpscr": case.fpscr, "vscr": case.vscr}
