"""Take an instruction apart, as arch/x86/lib/insn.c does, with its oddities.

What is odd there is odd here: the opcode of a vector instruction counts as a
one-byte opcode, a ModRM byte may be overlooked, a fifth kind of prefix is taken
for the opcode.
"""

from dataclasses import dataclass
from typing import Final, Literal

from uprobes_sim_x86.maps import NEWEST, Maps
from uprobes_sim_x86.tables import (
    AP,
    FORCE64,
    GROUP,
    GROUP_IMMEDIATES,
    GROUP_MEMBERS,
    IB,
    ID,
    IMM,
    IV,
    IW,
    IW_IB,
    IZ,
    LEGACY,
    LEGACY_PREFIXES,
    MODRM,
    MOFFS,
    ONE_BYTE,
    PP,
    VECTOR_ONLY,
)

MAX_INSN_SIZE: Final = 15

HYPERVISOR_PREFIXES: Final = (b"\x0f\x0bxen", b"\x0f\x0bkvm")
"""ud2 and a name: the kernel's own mark for instructions to be emulated."""

_ESCAPES: Final = {0x38: "0f38", 0x3A: "0f3a"}
PROCESSOR: Final = {
    (escape, pp): bytes(
        (attr or plain) & ~VECTOR_ONLY for attr, plain in zip(table, LEGACY[escape, 0], strict=True)
    )
    for (escape, pp), table in LEGACY.items()
}
"""The legacy maps as the processor has them: a prefix never takes a ModRM byte away."""


class Undecodable(Exception):
    """The bytes are no instruction, or longer than one may be."""


@dataclass(slots=True)
class Insn:
    """`struct insn`: an instruction and where its parts are."""

    data: bytes
    bits: Literal[32, 64]
    """Mode of the task."""
    length: int = 0
    prefixes: bytes = b""
    """Kinds of legacy prefixes, each once; the last of them last."""
    rex_at: int = 0
    rex: bytes = b""
    """REX, one byte, or REX2, two."""
    vex_at: int = 0
    vex: bytes = b""
    """VEX, EVEX or XOP. The two-byte VEX is made to look like the three-byte one."""
    vex_length: int = 0
    opcode: bytes = b""
    opcode_at: int = 0
    modrm: int | None = None
    modrm_at: int = 0
    immediate: int = 0
    """The first immediate, signed. 0 where there is none."""

    @property
    def reg(self) -> int:
        """ModRM.reg; 0 where there is no ModRM."""
        return (self.modrm or 0) >> 3 & 7

    @property
    def rip_relative(self) -> bool:
        """Tell whether memory is addressed relative to the next instruction (insn_rip_relative)."""
        return self.bits == 64 and self.modrm is not None and self.modrm & 0xC7 == 0x05


def decode(
    data: bytes, bits: Literal[32, 64], *, as_processor: bool = False, maps: Maps = NEWEST
) -> Insn:
    """Decode the instruction at the start of *data* (insn_decode).

    *as_processor*: where the kernel's tables err about a ModRM byte, go by
    the processor's manual. *maps*: what the kernel's release knows.

    Raises:
        Undecodable: the kernel says no, or the instruction goes beyond *data*.
    """
    return _Decoder(data[:MAX_INSN_SIZE], bits, as_processor, maps).decode()


class _Decoder:
    """One pass over the bytes."""

    def __init__(self, data: bytes, bits: Literal[32, 64], as_processor: bool, maps: Maps) -> None:
        self._data = data
        self._at = 5 if data.startswith(HYPERVISOR_PREFIXES) and not as_processor else 0
        self._as_processor = as_processor
        self._maps = maps
        self._legacy = PROCESSOR if as_processor else maps.legacy
        self._insn = Insn(data, bits)
        self._opnd_bytes = 4
        self._addr_bytes = bits // 8
        self._pp = 0
        """Column of a legacy map, by the last prefix."""
        self._map = "1"
        """Legacy map, or the kind of vector prefix."""
        self._number = 0
        """Number of a vector map."""

    def decode(self) -> Insn:
        insn = self._insn
        self._prefixes()
        if not self._rex2():
            self._vector_prefix()
        insn.opcode_at = self._at
        attr = self._vector_opcode() if insn.vex else self._legacy_opcode()
        if attr & MODRM:
            self._modrm()
        if not insn.vex and self._force64():
            self._opnd_bytes = 8
        kind = self._group_immediate(attr) if attr & GROUP else attr & IMM
        self._immediate(kind)
        insn.length = self._at
        return insn

    def _peek(self, ahead: int = 0) -> int:
        try:
            return self._data[self._at + ahead]
        except IndexError:
            raise Undecodable("longer than an instruction may be") from None

    def _next(self) -> int:
        byte = self._peek()
        self._at += 1
        return byte

    def _skip(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            raise Undecodable("longer than an instruction may be")
        return self._data[start : self._at]

    # --- prefixes (insn_get_prefixes) ---------------------------------------

    def _prefixes(self) -> None:
        kinds = list[int]()
        byte = self._peek()
        while byte in LEGACY_PREFIXES:
            if byte in kinds:
                kinds.remove(byte)
            elif len(kinds) == 4:
                break  # a fifth kind: the kernel takes it for the opcode
            elif byte == 0x66:
                self._opnd_bytes ^= 6
            elif byte == 0x67:
                self._addr_bytes ^= 12 if self._insn.bits == 64 else 6
            kinds.append(byte)
            self._at += 1
            byte = self._peek()
        self._insn.prefixes = bytes(kinds)
        self._pp = self._column(kinds)

    def _column(self, kinds: list[int]) -> int:
        """Choose the column of a map: by the last prefix; the processor ranks 66 lowest."""
        if self._as_processor:
            kinds = sorted((kind for kind in kinds if kind in PP), key=lambda kind: kind != 0x66)
        return PP.get(kinds[-1], 0) if kinds else 0

    def _rex2(self) -> bool:
        """Take a REX or REX2 prefix; True if vector prefixes do not count behind it."""
        insn, byte = self._insn, self._peek()
        if insn.bits != 64:
            return False
        if byte & 0xF0 == 0x40:
            size = 1
        elif byte == 0xD5 and self._maps.apx:
            size = 2
        else:
            return False
        insn.rex_at = self._at
        insn.rex = self._skip(size)
        if insn.rex[-1] & 0x08:
            self._opnd_bytes = 8
        return size == 2 or self._maps.xop

    def _vector_prefix(self) -> None:
        insn, byte = self._insn, self._peek()
        if byte not in _VECTOR_SIZES:
            return
        second = self._peek(1)
        if byte == 0x8F and not (second & 0x38 and self._maps.xop):
            return  # Grp1A.0: pop
        if insn.bits == 32 and second & 0xC0 != 0xC0:
            return  # les, lds, bound
        insn.vex_at = self._at
        insn.vex = self._skip(_VECTOR_SIZES[byte])
        insn.vex_length = len(insn.vex)
        if byte == 0xC5:
            insn.vex += bytes([second & 0x7F])
        elif insn.bits == 64 and insn.vex[-1] & 0x80:
            self._opnd_bytes = 8  # of EVEX this is not W but z: the kernel looks there

    # --- opcode (insn_get_opcode) -------------------------------------------

    def _vector_opcode(self) -> int:
        insn = self._insn
        opcode = self._next()
        insn.opcode = bytes([opcode])
        prefix, payload = insn.vex[0], insn.vex[1]
        if prefix == 0x8F:
            self._map, number, pp = "xop", payload & 0x1F, 0
        elif prefix == 0x62:
            self._map, number, pp = "evex", payload & 0x07, insn.vex[2] & 3
        else:
            number = 1 if prefix == 0xC5 else payload & 0x1F
            self._map, pp = "vex", insn.vex[2] & 3
        self._number = number
        attr = self._maps.vector.get((self._map, number, pp), _NOTHING)[opcode]
        if not attr and self._as_processor:
            attr = MODRM | (IB if number == 3 else 0)  # most are like that, FMA4 too
        if not attr:
            raise Undecodable(f"no {self._map.upper()} instruction has this map and opcode")
        if attr & GROUP and not self._as_processor:
            members = GROUP_MEMBERS.get((number, opcode))
            if members is not None and self._peek() >> 3 & 7 not in members:
                raise Undecodable(f"its {self._map.upper()} group has no such member")
        if (self._map, number, pp) == ("evex", 4, 1) and not insn.vex[2] & 0x80:
            self._opnd_bytes = 2  # pp scales the operand
        return attr

    def _legacy_opcode(self) -> int:
        insn = self._insn
        self._map = "0f" if len(insn.rex) == 2 and insn.rex[1] & 0x80 else "1"
        insn.opcode = self._skip(1)
        if insn.opcode == b"\x0f" and len(insn.rex) != 2:
            self._map = _ESCAPES.get(self._peek(), "0f")
            insn.opcode += self._skip(1 if self._map == "0f" else 2)
        opcode = insn.opcode[-1]
        if self._map == "1":
            return (ONE_BYTE if len(insn.rex) == 2 else self._maps.one_byte[insn.bits])[opcode]
        attr = self._legacy[self._map, self._pp][opcode]
        if attr & VECTOR_ONLY:
            if len(insn.rex) == 2:
                return MODRM  # after REX2 nobody asks
            raise Undecodable("an instruction that needs a vector prefix")
        return attr

    # --- what follows (insn_get_modrm and on) -------------------------------

    def _modrm(self) -> None:
        insn = self._insn
        insn.modrm_at = self._at
        insn.modrm = modrm = self._next()
        mod, rm = modrm >> 6, modrm & 7
        if mod == 3:
            return
        if self._addr_bytes == 2:
            self._skip((2 if rm == 6 else 0, 1, 2)[mod])
            return
        base = self._next() & 7 if rm == 4 else rm
        self._skip((4 if base == 5 else 0, 1, 4)[mod])

    def _force64(self) -> bool:
        if self._insn.bits != 64:
            return False
        opcode = self._insn.opcode[-1]
        return opcode in FORCE64 if self._map == "1" else self._map == "0f" and opcode >> 4 == 8

    def _group_immediate(self, attr: int) -> int:
        insn = self._insn
        opcode = insn.opcode[-1]
        if insn.vex:
            key = (self._map, self._number, opcode)
            if key not in GROUP_IMMEDIATES:
                return attr & IMM
            immediate, members = GROUP_IMMEDIATES[key]
        else:
            pp = 0 if self._map == "1" else self._pp
            immediate, members = GROUP_IMMEDIATES[self._map, pp, opcode]
        return immediate if insn.reg in members else 0

    def _immediate(self, kind: int) -> None:
        if not kind:
            return
        if kind == AP and self._opnd_bytes == 8:
            raise Undecodable("a far pointer of 64 bits")
        narrow = 2 if self._opnd_bytes == 2 else 4
        size = {
            IB: 1,
            IW: 2,
            IW_IB: 2,
            IZ: narrow,
            IV: self._opnd_bytes,
            ID: 4,
            AP: narrow + 2,
            MOFFS: self._addr_bytes,
        }[kind]
        self._insn.immediate = int.from_bytes(self._skip(size), "little", signed=True)
        if kind == IW_IB:
            self._skip(1)


_VECTOR_SIZES: Final = {0xC4: 3, 0xC5: 2, 0x62: 4, 0x8F: 3}
_NOTHING: Final = bytes(256)
