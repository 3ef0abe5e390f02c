"""arches/x86/uprobes_sim_x86/host: one instruction on this machine's processor."""

import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uprobes_sim.cpu import Stop
from uprobes_sim.errors import EngineError
from uprobes_sim.memory import VmFlags
from uprobes_sim.signals import SiCode, Signal
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim_x86.host.features import exists, lacking
from uprobes_sim_x86.host.processor import available, processor
from uprobes_sim_x86.insn import decode
from uprobes_sim_x86.regs import PtRegs
from x86_box import DATA, RW, RX, TEXT, Bits, Box, fault

pytestmark = [
    pytest.mark.processor("avx2", "fma"),
    pytest.mark.skipif(not available(), reason="this machine lets nobody trace a child"),
]
avx512 = pytest.mark.processor("avx512f")

ONES = 0x3F800000_3F800000_3F800000_3F800000
"""Four times 1.0f."""


@pytest.fixture(params=[64, 32])
def bits(request: pytest.FixtureRequest) -> Bits:
    found: Bits = request.param
    return found


def floats(value: int) -> tuple[Any, ...]:
    return struct.unpack("<4f", value.to_bytes(16, "little"))


def test_both_widths_have_it(bits: Bits) -> None:
    """vaddps xmm0, xmm0, xmm0 between two moves of Unicorn's."""
    box = Box("0f1003 c5f858c0 0f1103 cc", bits, bx=DATA)
    box.mm.write(DATA, ONES.to_bytes(16, "little"))

    assert box.run().stop is Stop.BREAKPOINT
    assert floats(int.from_bytes(box.mm.read(DATA, 16), "little")) == (2.0,) * 4
    assert box.cpu.insns == 3


def test_upper_halves_are_kept_and_belong_to_their_task() -> None:
    """vbroadcastss ymm1, [rbx]; much later vmovups [rbx], ymm1."""
    box = Box("c4e27d180b 0f57c0 f4 c5fc110b cc", bx=DATA)
    other = PtRegs(64)
    other.ip, other.sp = Vaddr(TEXT), box.regs.sp
    other.set("bx", DATA + 64)
    box.mm.write(DATA, b"abcd")
    box.mm.write(DATA + 64, b"efgh")

    for regs in (box.regs, other):
        assert box.cpu.run(regs, box.mm, 100).stop is Stop.FAULT
    for regs in (box.regs, other):
        regs.ip = Vaddr(TEXT + 9)
        assert box.cpu.run(regs, box.mm, 100).stop is Stop.BREAKPOINT

    assert box.mm.read(DATA, 32) == b"abcd" * 8
    assert box.mm.read(DATA + 64, 32) == b"efgh" * 8


@avx512
def test_what_avx_512_adds_is_kept() -> None:
    """vpbroadcastd zmm17, ecx; kmovw k1, eax; vmovdqu32 [rbx]{k1}, zmm17."""
    box = Box("62e27d487cc9 c5f892c8 0f57c0 62e17e497f0b cc", bx=DATA)
    box.regs.set("cx", 0x64636261)
    box.regs.ax = 0x8001
    other = PtRegs(64)
    other.ip = Vaddr(TEXT)

    box.run(2)
    box.cpu.run(other, box.mm, 2)

    assert box.run().stop is Stop.BREAKPOINT
    assert box.mm.read(DATA, 64) == b"abcd" + bytes(56) + b"abcd"


@pytest.mark.parametrize(
    ("code", "at", "expected"),
    [
        pytest.param("c5fc1003", 0x12340, (1, 0x12340, 14), id="load"),
        pytest.param("c5fc1103", TEXT, (2, TEXT, 14), id="store"),
        pytest.param(
            "c5fc1103", DATA + 16 * PAGE_SIZE - 4, (1, DATA + 16 * PAGE_SIZE, 14), id="over the end"
        ),
        pytest.param("c5fc2803", DATA + 4, (0x80, 0, 13), id="not aligned"),
    ],
)
def test_a_fault_is_the_processors(
    bits: Bits, code: str, at: int, expected: tuple[int, int, int]
) -> None:
    box = Box("90" + code + "cc", bits, bx=at)
    si_code, addr, trap_nr = expected

    found = replace(box.run(), error_code=0)  # a host does not tell whether it was a store

    assert found == fault(Signal.SIGSEGV, si_code, addr, trap_nr)
    assert (box.regs.ip, box.cpu.insns) == (TEXT + 1, 1)
    assert not any(box.mm.read(DATA + 16 * PAGE_SIZE - 4, 4))


def test_an_address_that_is_not_canonical_has_no_address() -> None:
    box = Box("c5fc1003 cc", bx=0x1234_5678_1234_5678)

    assert box.run() == fault(Signal.SIGSEGV, SiCode.SI_KERNEL, 0, 13)


def test_memory_relative_to_ip_and_to_a_segment() -> None:
    """vmovd xmm0, [rip+18]; vpinsrd xmm0, xmm0, fs:[8], 1; vmovq rax, xmm0."""
    box = Box("c5f96e0512000000 64c4e37922042508000000 01 c4e1f97ec0 cc 61626364")
    box.regs.set("fs_base", DATA)
    box.mm.write(DATA + 8, b"wxyz")

    assert box.run().stop is Stop.BREAKPOINT
    assert box.regs.ax.to_bytes(8, "little") == b"abcdwxyz"


def test_a_32_bit_task_has_thread_local_memory() -> None:
    """mov gs, eax; vmovd xmm0, gs:[4]; vmovd ecx, xmm0."""
    box = Box("8ee8 65c5f96e0504000000 c5f97ec1 cc", 32, ax=12 << 3 | 3)
    box.regs.tls[12] = DATA
    box.mm.write(DATA + 4, b"abcd")

    assert box.run().stop is Stop.BREAKPOINT
    assert box.regs.get("cx").to_bytes(4, "little") == b"abcd"


def test_a_gather_that_faults_keeps_what_it_has() -> None:
    """vpgatherdd xmm0, [rax+xmm1], xmm2: the third element is nowhere."""
    box = Box("0f100b 0f105310 c4e2699004 08 cc".replace(" ", ""), bx=DATA, ax=DATA)
    box.mm.write(DATA, struct.pack("<4I4i", 32, 36, 0x100000, 40, *[-1] * 4))
    box.mm.write(DATA + 32, b"abcdefghijkl")

    assert box.run() == fault(Signal.SIGSEGV, 1, DATA + 0x100000, 14, 4)
    assert box.regs.get("xmm0").to_bytes(16, "little") == b"abcdefgh" + bytes(8)
    assert box.regs.get("xmm2") == (0xFFFFFFFF_FFFFFFFF << 64)


def test_flags_of_an_unmasked_exception_are_kept() -> None:
    """ldmxcsr; vdivps xmm0, xmm0, xmm1: 1 / 0; stmxcsr."""
    box = Box("0fae13 0f104310 c5f85ec1 cc 0fae1b cc", bx=DATA)
    box.mm.write(DATA, struct.pack("<I12x", 0x1F80 & ~0x200) + ONES.to_bytes(16, "little"))

    assert box.run() == fault(Signal.SIGFPE, 3, TEXT + 7, 19)
    box.regs.ip = Vaddr(TEXT + 12)
    assert box.run().stop is Stop.BREAKPOINT
    assert struct.unpack("<I", box.mm.read(DATA, 4))[0] & 0x3F == 4


def test_a_copy_is_made_of_a_page_that_is_shared() -> None:
    box = Box("c5fc1103 cc", bx=DATA)
    box.mm.mmap(DATA, PAGE_SIZE, RW, inode=box.file)

    assert box.run().stop is Stop.BREAKPOINT
    page = box.file.page(0)
    assert page is not None
    assert bytes(page.data[:4]).hex() == "c5fc1103"
    assert not any(box.mm.read(DATA, 32))


def test_what_it_writes_over_code_is_executed() -> None:
    """vmovd [rbx], xmm0 over no-ops that Unicorn has translated already."""
    box = Box("90909090 660f6ec0 c5f97e03 ebf2", text=RX | VmFlags.WRITE, ax=0xCCCCCCCC, bx=TEXT)

    assert box.run(100).stop is Stop.BREAKPOINT
    assert box.regs.ip == TEXT + 1


def test_a_page_that_has_gone_is_gone() -> None:
    box = Box("c5fc1003 cc", bx=DATA)
    box.run()

    box.mm.munmap(DATA, PAGE_SIZE)
    box.regs.ip = Vaddr(TEXT)

    assert box.run() == fault(Signal.SIGSEGV, SiCode.SEGV_MAPERR, DATA, 14, 4)


def test_a_page_where_the_child_has_its_own_is_the_programs() -> None:
    at = processor().tracee.stub
    box = Box("c5fc1003 c5fc114320 cc", bx=at)
    box.mm.task_size = 1 << 47
    box.mm.mmap(at, PAGE_SIZE, RW)
    box.mm.write(at, b"abcd" * 8)

    assert box.run().stop is Stop.BREAKPOINT
    assert box.mm.read(at + 32, 32) == b"abcd" * 8


@pytest.mark.parametrize("code", ["66c5f9ebc0", "c5f8ffc0", "c5f07710", "c4e07958c0"])
def test_what_no_processor_has_is_illegal(code: str) -> None:
    """A prefix before VEX; no such opcode; vvvv where there is none; no such map."""
    box = Box(code + "cc")

    assert box.run() == fault(Signal.SIGILL, 2, TEXT, 6)


def test_a_step_is_one_instruction(bits: Bits) -> None:
    box = Box("c5f9ebc0 c5f9ebc0 cc", bits)

    found = [(box.step().stop, box.regs.ip) for _ in range(2)]

    assert found == [(Stop.SINGLE_STEP, TEXT + 4), (Stop.SINGLE_STEP, TEXT + 8)]
    assert not box.regs.flags & 0x100


@pytest.mark.parametrize(
    ("code", "flags", "missing"),
    [
        ("c5f9ebc0", "fpu", "avx"),
        ("c5f9ebc0", "fpu avx", ""),
        ("c4e2f1b8c0", "avx avx2", "fma"),
        ("62f17c4858c0", "avx avx2", "avx512f"),
        ("8fe97881c0", "avx avx2", "xop"),
        ("66c5f9ebc0", "fpu", ""),
    ],
)
def test_what_a_processor_lacks_is_known(
    code: str, flags: str, missing: str, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor: 0\nflags\t\t: {flags}\n")

    assert lacking(decode(bytes.fromhex(code), 64), cpuinfo) == missing


@pytest.mark.parametrize(
    ("code", "there_is"), [("c5f9ebc0", True), ("66c5f9ebc0", False), ("c5f8ffc0", False)]
)
def test_a_word_that_no_processor_has_is_known_without_one(code: str, there_is: bool) -> None:
    assert exists(decode(bytes.fromhex(code).ljust(16, b"\0"), 64, as_processor=True)) is there_is


def test_ctrl_c_passes_the_child_by() -> None:
    assert os.getsid(processor().tracee.pid) != os.getsid(0)


def test_a_child_that_was_killed_is_one_line() -> None:
    box = Box("c5f858c0 cc")
    os.kill(processor().tracee.pid, 9)

    with pytest.raises(EngineError, match=r"c5 f8 58 c0 at 0x401000, vaddps .*has been killed"):
        box.run()
    box.regs.ip = Vaddr(TEXT)
    assert box.run().stop is Stop.BREAKPOINT
