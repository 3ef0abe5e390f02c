"""VMX ciphers, hashes and bit matrices (Power ISA, book I, 6.11.1 to 6.11.5, FIPS 180-4, 197)."""

from typing import Final

from uprobes_sim_powerpc.isa.define import VX, insn
from uprobes_sim_powerpc.isa.lanes import binary, join, put_vr, split, unary, vr
from uprobes_sim_powerpc.isa.vmx_multiply import carryless
from uprobes_sim_powerpc.regs import PtRegs


def times(a: int, b: int) -> int:
    """Multiply in the field of AES."""
    product = carryless(a, b)
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11B << bit - 8
    return product


def _s_box() -> bytes:
    """Compute the table: the inverse in the field, then an affine map."""
    power = inverse = 1
    box = bytearray(256)
    box[0] = 0x63
    for _ in range(255):
        twice = inverse * 0x101
        box[power] = (inverse ^ twice >> 7 ^ twice >> 6 ^ twice >> 5 ^ twice >> 4) & 0xFF ^ 0x63
        power = times(power, 3)
        inverse = times(inverse, 0xF6)
    return bytes(box)


S_BOX: Final = _s_box()
INVERSE_S_BOX: Final = bytes(S_BOX.index(n) for n in range(256))
SHIFTED: Final = tuple(5 * n % 16 for n in range(16))
"""Where each byte comes from when rows are shifted."""
UNSHIFTED: Final = tuple(13 * n % 16 for n in range(16))

_MIX: Final = (2, 3, 1, 1)
_UNMIX: Final = (14, 11, 13, 9)


def shifted(state: bytes, source: tuple[int, ...]) -> bytes:
    """Shift rows, one way or the other."""
    return bytes(state[n] for n in source)


def mixed(state: bytes, factors: tuple[int, ...]) -> bytes:
    """Multiply each column with the circulant matrix of *factors*."""
    out = bytearray()
    for at in range(0, 16, 4):
        for row in range(4):
            byte = 0
            for n in range(4):
                byte ^= times(state[at + n], factors[(n - row) % 4])
            out.append(byte)
    return bytes(out)


def _bytes(value: int) -> bytes:
    return value.to_bytes(16, "big")


def _number(state: bytes) -> int:
    return int.from_bytes(state, "big")


def _encrypted(a: int) -> bytes:
    return shifted(_bytes(a).translate(S_BOX), SHIFTED)


def _decrypted(a: int) -> bytes:
    return shifted(_bytes(a), UNSHIFTED).translate(INVERSE_S_BOX)


binary("vcipher", 1288, lambda a, b: _number(mixed(_encrypted(a), _MIX)) ^ b, "2.07")
binary("vcipherlast", 1289, lambda a, b: _number(_encrypted(a)) ^ b, "2.07")
binary(
    "vncipher",
    1352,
    lambda a, b: _number(mixed(_bytes(_number(_decrypted(a)) ^ b), _UNMIX)),
    "2.07",
)
binary("vncipherlast", 1353, lambda a, b: _number(_decrypted(a)) ^ b, "2.07")


@insn("vsbox", VX(4, 1480), isa="2.07", inline=False)
def vsbox(s: PtRegs, VRT: int, VRA: int) -> None:
    put_vr(s, VRT, _number(_bytes(vr(s, VRA)).translate(S_BOX)))


_SIGMAS: Final = {
    (32, 0, 0): (7, 18, -3),
    (32, 0, 1): (17, 19, -10),
    (32, 1, 0): (2, 13, 22),
    (32, 1, 1): (6, 11, 25),
    (64, 0, 0): (1, 8, -7),
    (64, 0, 1): (19, 61, -6),
    (64, 1, 0): (28, 34, 39),
    (64, 1, 1): (14, 18, 41),
}
"""Rotations to the right of SHA-2, by size, function and variant; a negative one is a shift."""


def sigma(x: int, bits: int, ST: int, variant: int) -> int:
    """Compute one of the functions of SHA-2."""
    result = 0
    for count in _SIGMAS[bits, ST, variant]:
        result ^= x >> -count if count < 0 else x >> count | x << bits - count
    return result


@insn("vshasigmaw", VX(4, 1666), isa="2.07", inline=False)
def vshasigmaw(s: PtRegs, VRT: int, VRA: int, ST: int, SIX: int) -> None:
    words = split(vr(s, VRA), 32)
    put_vr(s, VRT, join([sigma(x, 32, ST, SIX >> 3 - n & 1) for n, x in enumerate(words)], 32))


@insn("vshasigmad", VX(4, 1730), isa="2.07", inline=False)
def vshasigmad(s: PtRegs, VRT: int, VRA: int, ST: int, SIX: int) -> None:
    first, second = split(vr(s, VRA), 64)
    results = [sigma(first, 64, ST, SIX >> 3 & 1), sigma(second, 64, ST, SIX >> 1 & 1)]
    put_vr(s, VRT, join(results, 64))


def _gathered(b: int) -> int:
    """Transpose the 8 by 8 bits of each doubleword."""
    rows = b.to_bytes(16, "big")
    out = []
    for at in (0, 8):
        for column in range(7, -1, -1):
            byte = 0
            for row in rows[at : at + 8]:
                byte = byte << 1 | row >> column & 1
            out.append(byte)
    return join(out, 8)


unary("vgbbd", 1292, _gathered, "2.07")


def _picked(a: int, b: int) -> int:
    """Pick 16 bits of *a* by the bytes of *b*; those beyond 127 pick 0."""
    found = 0
    for n in b.to_bytes(16, "big"):
        found = found << 1 | (n < 128 and a >> 127 - n & 1)
    return found << 64


binary("vbpermq", 1356, _picked, "2.07")


def _picked_each(a: int, b: int) -> int:
    """Pick eight bits of each doubleword; bytes beyond 63 pick 0."""
    out = []
    for x, control in zip(split(a, 64), split(b, 64), strict=True):
        found = 0
        for n in control.to_bytes(8, "big"):
            found = found << 1 | (n < 64 and x >> 63 - n & 1)
        out.append(found)
    return join(out, 64)


binary("vbpermd", 1484, _picked_each, "3.0")
