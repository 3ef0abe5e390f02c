"""Floating-point and vector registers in a signal frame: arch/x86/kernel/fpu/signal.c.

The image is XSAVE's, in its standard format (SDM vol. 1, 13.4): what FXSAVE writes, and a header
that says that this is all. The upper halves of ymm stay what they are: Unicorn's operations leave
in them what happens to lie on the host's stack, and no frame may depend on that.
"""

import struct
from typing import Final, cast

from uprobes_sim_x86.regs import PtRegs

FXSAVE_SIZE: Final = 512
XSTATE_SIZE: Final = FXSAVE_SIZE + 64
_FEATURES: Final = 0b11
"""x87 and SSE."""
_ST_AT, _XMM_AT, _SW_RESERVED_AT = 32, 160, 464
_FP_XSTATE_MAGIC1: Final = 0x46505853
_FP_XSTATE_MAGIC2: Final = 0x46505845

_FCW_START, _MXCSR_START, _MXCSR_MASK = 0x37F, 0x1F80, 0xFFFF
_VECTORS: Final = {64: 16, 32: 8}


def save_xstate(regs: PtRegs) -> bytes:
    """Write the image of the registers of a task (save_xstate_epilog)."""
    if regs.file.engine is not None:
        regs.file.engine.enter(regs.file)
    image = bytearray(XSTATE_SIZE)
    _save_legacy(regs, image)
    for number in range(_VECTORS[regs.bits]):
        vector = _read(regs, "XMM0", number).to_bytes(16, "little")
        image[_XMM_AT + 16 * number : _XMM_AT + 16 * number + 16] = vector
    reserved = (_FP_XSTATE_MAGIC1, XSTATE_SIZE + 4, _FEATURES, XSTATE_SIZE)
    struct.pack_into("<IIQI", image, _SW_RESERVED_AT, *reserved)
    struct.pack_into("<Q", image, FXSAVE_SIZE, _FEATURES)
    return bytes(image) + struct.pack("<I", _FP_XSTATE_MAGIC2)


def _save_legacy(regs: PtRegs, image: bytearray) -> None:
    if regs.file.engine is None:  # it has not executed anything
        struct.pack_into("<H", image, 0, _FCW_START)
        struct.pack_into("<II", image, 24, _MXCSR_START, _MXCSR_MASK)
        return
    status, tags = _read(regs, "FPSW"), _read(regs, "FPTAG")
    abridged = sum((tags >> 2 * n & 3 != 3) << n for n in range(8))
    struct.pack_into("<HHB", image, 0, _read(regs, "FPCW"), status, abridged)
    struct.pack_into("<II", image, 24, _read(regs, "MXCSR"), _MXCSR_MASK)
    for n in range(8):
        physical = (status >> 11) + n & 7
        mantissa, exponent = _read_st(regs, physical)
        struct.pack_into("<QH", image, _ST_AT + 16 * n, mantissa, exponent)


def restore_xstate(regs: PtRegs, image: bytes) -> None:
    """Load the registers from an image that `save_xstate` has made, or a handler changed."""
    assert regs.file.engine is not None, "a task that returns from a handler has run"
    regs.file.engine.enter(regs.file)
    control, status, abridged = struct.unpack_from("<HHB", image, 0)
    for n in range(8):
        number = _unicorn("FP0") + ((status >> 11) + n & 7)
        mantissa, exponent = struct.unpack_from("<QH", image, _ST_AT + 16 * n)
        regs.file.write(number, cast(int, (mantissa, exponent)))  # as Unicorn has it
    tags = sum((0 if abridged >> n & 1 else 3) << 2 * n for n in range(8))
    (mxcsr,) = struct.unpack_from("<I", image, 24)
    values = {"FPCW": control, "FPSW": status, "FPTAG": tags, "MXCSR": mxcsr & _MXCSR_MASK}
    for name, value in values.items():
        regs.file.write(_unicorn(name), value)
    for n in range(_VECTORS[regs.bits]):
        vector = int.from_bytes(image[_XMM_AT + 16 * n :][:16], "little")
        regs.file.write(_unicorn("XMM0") + n, vector)


def _unicorn(name: str) -> int:
    from unicorn import x86_const

    number: int = getattr(x86_const, f"UC_X86_REG_{name}")
    return number


def _read(regs: PtRegs, name: str, number: int = 0) -> int:
    return regs.file.read(_unicorn(name) + number)


def _read_st(regs: PtRegs, physical: int) -> tuple[int, int]:
    found: object = regs.file.read(_unicorn("FP0") + physical)
    assert isinstance(found, tuple)
    return found


def fsave_header(image: bytes) -> bytes:
    """Write the 112 bytes that a 32-bit frame has in front of the image (_fpstate_32)."""
    control, status, abridged = struct.unpack_from("<HHB", image, 0)
    tags = sum((0 if abridged >> n & 1 else 3) << 2 * n for n in range(8))
    words = (word | 0xFFFF0000 for word in (control, status, tags))
    head = struct.pack("<7I", *words, *[0] * 4)
    stack = b"".join(bytes(image[_ST_AT + 16 * n :][:10]) for n in range(8))
    return head + stack + struct.pack("<HH", status, 0)
