"""Which processor has an instruction: to tell what no processor has from what this one lacks."""

from functools import cache
from pathlib import Path
from typing import Final

from uprobes_sim_x86.insn import Insn, Undecodable, decode
from uprobes_sim_x86.tables import opcodes

_KINDS: Final = {"vex": "avx", "evex": "avx512f", "xop": "xop"}

_UNDEFINED_BEFORE_VEX: Final = frozenset({0x66, 0xF2, 0xF3, 0xF0})

_EXTENSIONS: Final = {
    ("vex", 2): {
        "cmpccxadd": "e0-ef",
        "avx_vnni avx_vnni_int8": "50-53",
        "avx_vnni_int16": "d2-d3",
        "avx_ifma": "b4-b5",
        "avx_ne_convert": "b0-b1 72",
        "sha512": "cb-cd",
        "sm3 sm4": "da",
        "amx_tile": "49 4b 5c 5e 6c",
        "gfni": "cf",
        "vaes": "dc-df",
        "bmi1": "f3",
        "bmi2": "f5-f6",
        "fma": "96-9f a6-af b6-bf",
        "avx2": "16 36 46-47 58-5a 78-79 8c 8e 90-93 20-25 30-35",
    },
    ("vex", 3): {
        "fma4": "5c-5f 68-6f 78-7f",
        "xop": "48-49",
        "gfni": "ce-cf",
        "vpclmulqdq": "44",
        "sm3": "de",
        "bmi2": "f0",
        "avx512f": "30-33",
        "avx2": "00-02 38-39 46",
    },
    ("vex", 1): {"avx512f": "41-42 44-47 4a-4b 90-93 98-99"},
    ("evex", 1): {"avx512vl": "00-ff"},
    ("evex", 2): {
        "avx512er": "c8 ca-cd",
        "avx512pf": "c6-c7",
        "avx512_vp2intersect": "68",
        "avx512_4vnniw": "52-53",
        "avx512_4fmaps": "9a-9b aa-ab",
        "avx512_vbmi": "75 7d 8d 83",
        "avx512_vbmi2": "62-63 70-73",
        "avx512_bf16": "72",
        "avx512_bitalg": "54 8f",
        "avx512_vpopcntdq": "55",
        "avx512ifma": "b4-b5",
        "gfni": "cf",
        "vaes": "dc-df",
    },
    ("evex", 3): {"gfni": "ce-cf", "vpclmulqdq": "44", "avx512_fp16": "c2", "avx10_2": "07 52-53"},
    ("evex", 4): {"apx": "00-ff"},
    ("evex", 5): {"avx512_fp16": "00-ff"},
    ("evex", 6): {"avx512_fp16": "00-ff"},
    ("evex", 7): {"apx": "00-ff"},
    ("vex", 5): {"amx_fp8": "00-ff"},
    ("vex", 7): {"user_msr": "00-ff"},
}
"""Opcodes by map, under what /proc/cpuinfo calls the extension that has them."""


def exists(insn: Insn) -> bool:
    """Tell whether there is a processor, of those that Linux knows, with this vector word."""
    if not _UNDEFINED_BEFORE_VEX.isdisjoint(insn.prefixes):
        return False
    try:
        decode(insn.data, insn.bits)
    except Undecodable:
        return False
    return True


def lacking(insn: Insn, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the extension that *insn* may need and this processor lacks; empty: it lacks none."""
    if not exists(insn):
        return ""
    kind, number = _map(insn)
    has = _flags(cpuinfo)
    wanted = _KINDS[kind]
    if wanted not in has:
        return wanted
    opcode = insn.opcode[0]
    for names, listed in _EXTENSIONS.get((kind, number), {}).items():
        missing = [name for name in names.split() if name not in has]
        if missing and opcode in opcodes(listed):
            return " or ".join(missing)
    return ""


def _map(insn: Insn) -> tuple[str, int]:
    prefix, payload = insn.vex[0], insn.vex[1]
    if prefix == 0x62:
        return "evex", payload & 0x07
    if prefix == 0xC5:
        return "vex", 1
    return "xop" if prefix == 0x8F else "vex", payload & 0x1F


_STORES: Final = {
    ("vex", 1): opcodes("11 13 17 29 2b 7e-7f 91 d6 e7"),
    ("vex", 2): opcodes("2e-2f 8e"),
    ("vex", 3): opcodes("14-17 19 1d 39"),
    ("evex", 1): opcodes("11 13 17 29 2b 7e-7f d6 e7"),
    ("evex", 2): opcodes("63 8a-8b a0-a3"),
    ("evex", 3): opcodes("14-17 19 1b 1d 39 3b"),
    ("evex", 5): opcodes("11 7e"),
}
_DOWN_CONVERTING: Final = opcodes("10-15 20-25 30-35")
_LOADING_MOVQ: Final = 2
"""pp of 7e that loads, where the others store."""


def stores(insn: Insn) -> bool:
    """Tell whether the memory operand of *insn* is written to."""
    if not insn.vex:
        return insn.opcode == b"\xc8"
    key, pp, opcode = _map(insn), insn.vex[2] & 3, insn.opcode[0]
    if opcode == 0x7E and pp == _LOADING_MOVQ:
        return False
    if key == ("vex", 1) and opcode == 0xAE:
        return insn.reg == 3
    if key == ("evex", 2) and pp == 2 and opcode in _DOWN_CONVERTING:
        return True
    return opcode in _STORES.get(key, ())


@cache
def _flags(cpuinfo: Path) -> frozenset[str]:
    """Read which extensions the processor of this machine has."""
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
