"""VMX integer arithmetic and comparison (Power ISA, book I, 6.9)."""

from collections.abc import Callable

from uprobes_sim_powerpc.isa.define import VC, VX, Isa, insn, narrowed
from uprobes_sim_powerpc.isa.lanes import (
    M128,
    Pairwise,
    binary,
    clamp,
    each,
    join,
    limits,
    pairwise,
    put_vr,
    split,
    ternary,
    unary,
    vr,
)
from uprobes_sim_powerpc.regs import PtRegs

_LETTERS = {"b": 8, "h": 16, "w": 32, "d": 64, "q": 128}


def _signs(bits: int) -> int:
    """Make a vector of the sign bit of each element."""
    return M128 // ((1 << bits) - 1) << bits - 1


def adder(bits: int) -> Callable[[int, int], int]:
    """Add all elements at once; the sign bits are kept out, or they would carry over."""
    signs = _signs(bits)
    rest = M128 ^ signs
    return lambda a, b: (a & rest) + (b & rest) ^ (a ^ b) & signs


def subtracter(bits: int) -> Callable[[int, int], int]:
    """Subtract all elements at once; a sign bit lends what is borrowed."""
    signs = _signs(bits)
    rest = M128 ^ signs
    return lambda a, b: (a | signs) - (b & rest) ^ (a ^ ~b) & signs


def equals(bits: int) -> Callable[[int, int], int]:
    """Compare all elements at once: all ones where they are equal."""
    signs = _signs(bits)
    rest, full = M128 ^ signs, (1 << bits) - 1

    def compute(a: int, b: int) -> int:
        differing = a ^ b
        unequal = ((differing & rest) + rest | differing) & signs
        return ((unequal ^ signs) >> bits - 1) * full

    return compute


def _saturated(name: str, xo: int, compute: Pairwise) -> None:
    """Define an addition or subtraction whose name ends like `ubs` or `sws`."""
    bits, signed = _LETTERS[name[-2]], name[-3] == "s"
    low, high = limits(bits, signed=signed)

    @insn(name, VX(4, xo), inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int) -> None:
        pairs = zip(
            split(vr(s, VRA), bits, signed=signed),
            split(vr(s, VRB), bits, signed=signed),
            strict=True,
        )
        put_vr(s, VRT, join([clamp(s, compute(a, b), low, high) for a, b in pairs], bits))


def _add(a: int, b: int) -> int:
    return a + b


def _sub(a: int, b: int) -> int:
    return a - b


def _average(a: int, b: int) -> int:
    return a + b + 1 >> 1


for _letter, _at in (("b", 0), ("h", 64), ("w", 128)):
    _bits = _LETTERS[_letter]
    binary(f"vaddu{_letter}m", 0 + _at, adder(_bits))
    binary(f"vsubu{_letter}m", 1024 + _at, subtracter(_bits))
    _saturated(f"vaddu{_letter}s", 512 + _at, _add)
    _saturated(f"vadds{_letter}s", 768 + _at, _add)
    _saturated(f"vsubu{_letter}s", 1536 + _at, _sub)
    _saturated(f"vsubs{_letter}s", 1792 + _at, _sub)
    binary(f"vavgu{_letter}", 1026 + _at, pairwise(_bits, _average))
    binary(f"vavgs{_letter}", 1282 + _at, pairwise(_bits, _average, signed=True))
    binary(f"vabsdu{_letter}", 1027 + _at, pairwise(_bits, lambda a, b: abs(a - b)), "3.0")

binary("vaddudm", 192, adder(64), "2.07")
binary("vsubudm", 1216, subtracter(64), "2.07")
binary("vadduqm", 256, _add, "2.07")
binary("vsubuqm", 1280, _sub, "2.07")
binary("vaddcuq", 320, lambda a, b: a + b >> 128, "2.07")
binary("vsubcuq", 1344, lambda a, b: int(a >= b), "2.07")
binary("vaddcuw", 384, pairwise(32, lambda a, b: a + b >> 32))
binary("vsubcuw", 1408, pairwise(32, lambda a, b: int(a >= b)))
ternary("vaddeuqm", 60, lambda a, b, c: a + b + (c & 1), "2.07")
ternary("vaddecuq", 61, lambda a, b, c: a + b + (c & 1) >> 128, "2.07")
ternary("vsubeuqm", 62, lambda a, b, c: a + (b ^ M128) + (c & 1), "2.07")
ternary("vsubecuq", 63, lambda a, b, c: a + (b ^ M128) + (c & 1) >> 128, "2.07")


for _letter, _at in (("b", 0), ("h", 64), ("w", 128), ("d", 192)):
    _bits = _LETTERS[_letter]
    _isa: Isa = "2.07" if _letter == "d" else "2.03"
    binary(f"vmaxu{_letter}", 2 + _at, pairwise(_bits, max), _isa)
    binary(f"vmaxs{_letter}", 258 + _at, pairwise(_bits, max, signed=True), _isa)
    binary(f"vminu{_letter}", 514 + _at, pairwise(_bits, min), _isa)
    binary(f"vmins{_letter}", 770 + _at, pairwise(_bits, min, signed=True), _isa)
    unary(f"vpopcnt{_letter}", 1795 + _at, each(_bits, int.bit_count), "2.07")


def _count_zeros(bits: int) -> Callable[[int], int]:
    return each(bits, lambda x: bits - x.bit_length())


def _count_last_zeros(bits: int) -> Callable[[int], int]:
    return each(bits, lambda x: (x & -x).bit_length() - 1 if x else bits)


def _negate(bits: int) -> Callable[[int], int]:
    return each(bits, int.__neg__)


def _parity(bits: int) -> Callable[[int], int]:
    lowest = int.from_bytes(b"\1" * (bits // 8), "big")
    return each(bits, lambda x: (x & lowest).bit_count() & 1)


def _extend(bits: int, source: int) -> Callable[[int], int]:
    sign = 1 << source - 1
    return each(bits, lambda x: (x & 2 * sign - 1 ^ sign) - sign)


for _letter, _at in (("b", 0), ("h", 64), ("w", 128), ("d", 192)):
    unary(f"vclz{_letter}", 1794 + _at, _count_zeros(_LETTERS[_letter]), "2.07")


def _extended(name: str, number: int, compute: Callable[[int], int]) -> None:
    """Define one of those that VRA, as a *number*, tells apart."""
    form = narrowed(VX(4, 1538), number << 16, 31 << 16)

    @insn(name, form, isa="3.0", inline=False)
    def meaning(s: PtRegs, VRT: int, VRB: int) -> None:
        put_vr(s, VRT, compute(vr(s, VRB)))


_extended("vnegw", 6, _negate(32))
_extended("vnegd", 7, _negate(64))
_extended("vprtybw", 8, _parity(32))
_extended("vprtybd", 9, _parity(64))
_extended("vprtybq", 10, _parity(128))
_extended("vextsb2w", 16, _extend(32, 8))
_extended("vextsh2w", 17, _extend(32, 16))
_extended("vextsb2d", 24, _extend(64, 8))
_extended("vextsh2d", 25, _extend(64, 16))
_extended("vextsw2d", 26, _extend(64, 32))
_extended("vctzb", 28, _count_last_zeros(8))
_extended("vctzh", 29, _count_last_zeros(16))
_extended("vctzw", 30, _count_last_zeros(32))
_extended("vctzd", 31, _count_last_zeros(64))


def even_bytes(value: int) -> str:
    """Write down bit 7 of each byte, the first byte first: 0 where the byte is even."""
    return "".join(str(byte & 1) for byte in value.to_bytes(16, "big"))


@insn("vclzlsbb", narrowed(VX(4, 1538), 0, 31 << 16), isa="3.0", inline=False)
def vclzlsbb(s: PtRegs, RT: int, VRB: int) -> None:
    s.gpr[RT] = (even_bytes(vr(s, VRB)) + "1").index("1")


@insn("vctzlsbb", narrowed(VX(4, 1538), 1 << 16, 31 << 16), isa="3.0", inline=False)
def vctzlsbb(s: PtRegs, RT: int, VRB: int) -> None:
    s.gpr[RT] = (even_bytes(vr(s, VRB))[::-1] + "1").index("1")


def _comparison(name: str, xo: int, compute: Callable[[int, int], int], isa: Isa = "2.03") -> None:
    """Define a comparison; its record form says in CR6 whether all or none are true."""

    @insn(f"{name}[.]", VC(4, xo), isa=isa, inline=False)
    def meaning(s: PtRegs, VRT: int, VRA: int, VRB: int, Rc21: int) -> None:
        found = compute(vr(s, VRA), vr(s, VRB))
        put_vr(s, VRT, found)
        if Rc21:
            s.cr[6] = 8 if found == M128 else 0 if found else 2


def _greater(a: int, b: int) -> int:
    return -(a > b)


for _letter, _at in (("b", 0), ("h", 64), ("w", 128), ("d", 193)):
    _bits = _LETTERS[_letter]
    _isa = "2.07" if _letter == "d" else "2.03"
    _comparison(f"vcmpequ{_letter}", 6 + _at, equals(_bits), _isa)
    _comparison(f"vcmpgtu{_letter}", 518 + _at, pairwise(_bits, _greater), _isa)
    _comparison(f"vcmpgts{_letter}", 774 + _at, pairwise(_bits, _greater, signed=True), _isa)


def _unequal(a: int, b: int) -> int:
    return -(a != b)


def _unequal_or_zero(a: int, b: int) -> int:
    return -(a != b or not a or not b)


for _letter, _at in (("b", 0), ("h", 64), ("w", 128)):
    _bits = _LETTERS[_letter]
    _comparison(f"vcmpne{_letter}", 7 + _at, pairwise(_bits, _unequal), "3.0")
    _comparison(f"vcmpnez{_letter}", 263 + _at, pairwise(_bits, _unequal_or_zero), "3.0")
