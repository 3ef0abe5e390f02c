"""Vector and floating-point registers, between Unicorn and the layout of XSAVE.

Unicorn has registers for x87 and SSE. What AVX and AVX-512 add is kept as bytes in
the task's registers, as XSAVE lays it out. (SDM vol. 1, 13.4 and 13.5.)
"""

import ctypes
import struct
from typing import Final, NamedTuple

from unicorn import Uc
from unicorn import x86_const as x86
from unicorn.unicorn_py3.unicorn import uclib

from uprobes_sim_x86.host.tracee import Tracee
from uprobes_sim_x86.regs import PtRegs

_FCW, _FSW, _FTW, _MXCSR, _ST, _XMM = 0, 2, 4, 24, 32, 160
_SUPPORTED, _XSTATE_BV = 464, 512
"""Components that the kernel has enabled (XCR0, ptrace adds it); those that are not all 0."""
_X87, _SSE = 1 << 0, 1 << 1
_XSTATE_LEAF: Final = 0xD
_COMPONENTS: Final = (2, 5, 6, 7)
"""Upper halves of ymm0 to ymm15, mask registers, upper halves of zmm0 to zmm15, zmm16 to zmm31."""
_EMPTY: Final = 3
"""Tag of an x87 register that holds nothing."""
_VECTORS: Final = {64: 16, 32: 8}


class _Part(NamedTuple):
    at: int
    size: int
    bit: int


class _Batch(NamedTuple):
    ids: ctypes.Array[ctypes.c_int]
    pointers: ctypes.Array[ctypes.c_void_p]
    size: int


class XState:
    """The XSAVE area of the child, as the registers of one task."""

    def __init__(self, tracee: Tracee) -> None:
        """Learn from the processor where what is."""
        self._tracee = tracee
        self._area = memoryview(tracee.xstate).cast("B")
        tracee.get_xstate()
        self._supported = struct.unpack_from("<Q", self._area, _SUPPORTED)[0]
        self._parts = [part for n in _COMPONENTS if (part := self._component(n))]
        self._batches = {bits: self._batch(count) for bits, count in _VECTORS.items()}
        self._before = b""

    def _component(self, number: int) -> _Part | None:
        if not self._supported & 1 << number:
            return None
        size, at, _, _ = self._tracee.cpuid(_XSTATE_LEAF, number)
        return _Part(at, size, 1 << number)

    def _batch(self, vectors: int) -> _Batch:
        """Prepare to read *vectors* vectors straight into the area."""
        start = ctypes.addressof(self._tracee.xstate)
        places = [(x86.UC_X86_REG_XMM0 + n, _XMM + 16 * n) for n in range(vectors)]
        places.append((x86.UC_X86_REG_MXCSR, _MXCSR))
        count = len(places)
        ids = (ctypes.c_int * count)(*(register for register, _ in places))
        return _Batch(ids, (ctypes.c_void_p * count)(*(start + at for _, at in places)), count)

    def load(self, uc: Uc, regs: PtRegs, *, x87: bool) -> None:
        """Give the child the vectors of a task that *uc* is executing; *x87*: and the x87 stack."""
        area, bits = self._area, _X87 | _SSE
        uclib.uc_reg_read_batch(uc._uch, *self._batches[regs.bits])
        if x87:
            self._load_x87(uc)
        at = 0
        for part in self._parts:
            kept = regs.extended[at : at + part.size]
            at += part.size
            if kept:
                area[part.at : part.at + part.size] = kept
                bits |= part.bit
        struct.pack_into("<Q", area, _XSTATE_BV, bits)
        self._before = bytes(area[:_XSTATE_BV])
        self._tracee.set_xstate()

    def store(self, uc: Uc, regs: PtRegs) -> None:
        """Give the task what an instruction has changed in the child."""
        self._tracee.get_xstate()
        area, before = self._area, self._before
        bits = struct.unpack_from("<Q", area, _XSTATE_BV)[0]
        for number in range(_VECTORS[regs.bits]):
            at = _XMM + 16 * number
            value = bytes(area[at : at + 16])
            if value != before[at : at + 16]:
                uc.reg_write(x86.UC_X86_REG_XMM0 + number, int.from_bytes(value, "little"))
        if area[_MXCSR : _MXCSR + 4] != before[_MXCSR : _MXCSR + 4]:
            uc.reg_write(x86.UC_X86_REG_MXCSR, struct.unpack_from("<I", area, _MXCSR)[0])
        if area[:_MXCSR] != before[:_MXCSR] or area[_ST:_XMM] != before[_ST:_XMM]:
            self._store_x87(uc)
        regs.extended = b"".join(
            bytes(area[part.at : part.at + part.size]) if bits & part.bit else bytes(part.size)
            for part in self._parts
        )

    @property
    def vector_exception(self) -> bool:
        """Tell whether MXCSR has the flag of an exception that it does not mask."""
        mxcsr = struct.unpack_from("<I", self._area, _MXCSR)[0]
        return bool(mxcsr & ~(mxcsr >> 7) & 0x3F)

    def _load_x87(self, uc: Uc) -> None:
        """Registers lie by their place on the stack, and one bit tells which hold something."""
        status, tags = uc.reg_read(x86.UC_X86_REG_FPSW), uc.reg_read(x86.UC_X86_REG_FPTAG)
        held = sum(1 << n for n in range(8) if tags >> 2 * n & 3 != _EMPTY)
        struct.pack_into("<HHB", self._area, 0, uc.reg_read(x86.UC_X86_REG_FPCW), status, held)
        for number in range(8):
            mantissa, exponent = uc.reg_read(x86.UC_X86_REG_FP0 + number)
            place = number - _top(status) & 7
            struct.pack_into("<QH", self._area, _ST + 16 * place, mantissa, exponent)

    def _store_x87(self, uc: Uc) -> None:
        control, status, held = struct.unpack_from("<HHB", self._area)
        uc.reg_write(x86.UC_X86_REG_FPCW, control)
        uc.reg_write(x86.UC_X86_REG_FPSW, status)
        tags = sum(_EMPTY << 2 * n for n in range(8) if not held >> n & 1)
        uc.reg_write(x86.UC_X86_REG_FPTAG, tags)
        for number in range(8):
            place = number - _top(status) & 7
            value = struct.unpack_from("<QH", self._area, _ST + 16 * place)
            uc.reg_write(x86.UC_X86_REG_FP0 + number, value)


def _top(status: int) -> int:
    """Which register is on top of the x87 stack, by the status word."""
    return status >> 11 & 7
