"""Vector and floating-point registers, between Unicorn and the layout of XSAVE.

Unicorn has registers for x87, SSE and AVX. What AVX-512 adds is kept as bytes in
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

_MXCSR, _XMM = 24, 160
_SUPPORTED, _XSTATE_BV = 464, 512
"""Components that the kernel has enabled (XCR0, ptrace adds it); those that are not all 0."""
_X87, _SSE, _AVX = 1 << 0, 1 << 1, 1 << 2
_XSTATE_LEAF: Final = 0xD
_AVX_COMPONENT: Final = 2
_AVX512_COMPONENTS: Final = (5, 6, 7)
"""Mask registers, upper halves of zmm0 to zmm15, zmm16 to zmm31."""
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
        self._avx = self._component(_AVX_COMPONENT)
        self._avx512 = [part for n in _AVX512_COMPONENTS if (part := self._component(n))]
        self._batches = {bits: self._batch(count) for bits, count in _VECTORS.items()}
        self._before = b""

    def _component(self, number: int) -> _Part | None:
        if not self._supported & 1 << number:
            return None
        size, at, _, _ = self._tracee.cpuid(_XSTATE_LEAF, number)
        return _Part(at, size, 1 << number)

    def _batch(self, vectors: int) -> _Batch:
        """Prepare to read *vectors* vectors straight into the area.

        Unicorn writes 32 bytes of a ymm register, whose upper 16 belong into the part for AVX. The
        lower 16 lie before them, where the register in front has its upper ones: it comes later.
        """
        start = ctypes.addressof(self._tracee.xstate)
        places = list[tuple[int, int]]()
        if self._avx is not None:
            for number in reversed(range(vectors)):
                places.append((x86.UC_X86_REG_YMM0 + number, self._avx.at + 16 * (number - 1)))
        for number in range(vectors):
            places.append((x86.UC_X86_REG_XMM0 + number, _XMM + 16 * number))
        places.append((x86.UC_X86_REG_MXCSR, _MXCSR))
        count = len(places)
        ids = (ctypes.c_int * count)(*(register for register, _ in places))
        return _Batch(ids, (ctypes.c_void_p * count)(*(start + at for _, at in places)), count)

    def load(self, uc: Uc, regs: PtRegs) -> None:
        """Give the child the vectors of a task that *uc* is executing."""
        area, batch = self._area, self._batches[regs.bits]
        uclib.uc_reg_read_batch(uc._uch, *batch)
        if self._avx is not None:
            area[self._avx.at - 16 : self._avx.at] = bytes(16)  # reserved, and must be 0
        bits = _X87 | _SSE | (_AVX if self._avx else 0)
        at = 0
        for part in self._avx512:
            if regs.avx512:
                area[part.at : part.at + part.size] = regs.avx512[at : at + part.size]
                bits |= part.bit
            at += part.size
        struct.pack_into("<Q", area, _XSTATE_BV, bits)
        self._before = bytes(area)
        self._tracee.set_xstate()

    def store(self, uc: Uc, regs: PtRegs) -> None:
        """Give the task what an instruction has changed in the child."""
        self._tracee.get_xstate()
        area = self._area
        bits = struct.unpack_from("<Q", area, _XSTATE_BV)[0]
        for number in range(_VECTORS[regs.bits]):
            self._store_vector(uc, number, bits)
        mxcsr = struct.unpack_from("<I", area, _MXCSR)[0]
        uc.reg_write(x86.UC_X86_REG_MXCSR, mxcsr)
        if any(bits & part.bit for part in self._avx512) or regs.avx512:
            regs.avx512 = b"".join(
                area[part.at : part.at + part.size] if bits & part.bit else bytes(part.size)
                for part in self._avx512
            )

    def _store_vector(self, uc: Uc, number: int, bits: int) -> None:
        low = _XMM + 16 * number
        value = bytes(self._area[low : low + 16]) if bits & _SSE else bytes(16)
        changed = value != self._before[low : low + 16]
        if self._avx is not None:
            high = self._avx.at + 16 * number
            upper = bytes(self._area[high : high + 16]) if bits & _AVX else bytes(16)
            changed = changed or upper != self._before[high : high + 16]
            value += upper
        if changed:
            register = x86.UC_X86_REG_YMM0 if self._avx else x86.UC_X86_REG_XMM0
            uc.reg_write(register + number, int.from_bytes(value, "little"))
