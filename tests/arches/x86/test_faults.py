"""docs/unicorn-faults.md: what Unicorn does, and what the engine does instead.

A row fails when Unicorn mends what it says: then our own remedy can go.
"""

import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import unicorn
from unicorn import x86_const as x86

from uprobes_sim.cpu import Stop
from uprobes_sim.units import Vaddr
from uprobes_sim_x86.faults import FAULTS, Remedy, fault_of
from uprobes_sim_x86.host.processor import available
from uprobes_sim_x86.insn import decode
from x86_box import DATA, TEXT, Bits, Box
from x86_judge.known import KNOWN, Why

DOCUMENT = Path(__file__).parents[3] / "docs" / "unicorn-faults.md"
PAGE = 0x1000
ONE, THREE = (1 << 63, 0x3FFF), (3 << 62, 0x4000)
CANONICAL_END = 1 << 47


@dataclass(frozen=True)
class Row:
    """An instruction of a fault: a register afterwards, by Unicorn and by a processor."""

    id: str
    code: str
    register: str
    wrong: Any
    right: Any
    before: dict[str, Any] = field(default_factory=dict)
    bits: Bits = 64

    def __str__(self) -> str:
        return f"{self.id} {self.code}"


ROWS = [
    Row("vvvv", "c5f1ebc2", "xmm0", 0x111F, 0xFF, {"xmm0": 0x1111, "xmm1": 0xF0, "xmm2": 0xF}),
    Row("flags_after_rex", "409f", "rsp", DATA + 2, DATA, {"rax": 0, "rsp": DATA}),
    Row(
        "cmpxchg_of_registers",
        "0fb1d1",
        "rcx",
        0x55667788,
        0x1122334455667788,
        {"rcx": 0x1122334455667788, "rax": 1, "rdx": 0},
    ),
    Row("count_zeros", "f30fbdc1", "rax", 0, 31, {"rcx": 1}),
    Row("count_zeros", "f30fbcc1", "rax", 5, 32, {"rcx": 0, "rax": 5}),
    Row(
        "two_mandatory_prefixes",
        "66f30f58c1",
        "xmm0",
        0x3FF0000000000000_3F8000003F800000,
        0x3FF0000000000000_3F80000040400000,
        {"xmm0": 0x3FF0000000000000_3F8000003F800000, "xmm1": 0x40000000},
    ),
    Row(
        "horizontal_on_itself",
        "660f3802c0",
        "xmm0",
        0xE0000000A0000000700000003,
        0x00000007000000030000000700000003,
        {"xmm0": 0x00000004000000030000000200000001},
    ),
    Row(
        "mmx_of_ssse3",
        "0f3802c0",
        "fp0",
        (0x0000000500000003, 0xFFFF),
        (0x0000000300000003, 0xFFFF),
        {"fp0": (0x0000000200000001, 0xFFFF), "fptag": 0},
    ),
    Row("long_return", "c2f58f", "esp", DATA - 0x7007, DATA + 0x8FF9, {"esp": DATA}, 32),
    Row("ldmxcsr", "0fae10", "mxcsr", 0x1CC10AE0F & 0xFFFFFFFF, 0x1F80, {"rax": TEXT}),
    Row("no_such_form", "c6f9aa", "rip", TEXT + 3, TEXT),
    Row("no_such_form", "0f5000", "rip", TEXT + 3, TEXT, {"rax": DATA}),
    Row("missing", "f6c801", "rip", TEXT, TEXT + 3),
    Row("missing", "0fc2c108", "rip", TEXT, TEXT + 4),
    Row("missing", "0f18c0", "rip", TEXT, TEXT + 3),
    Row("missing", "44c6c005", "rip", TEXT, TEXT + 4),
    Row("missing", "660f38dcc1", "rip", TEXT, TEXT + 5),
]
"""Where something is done about it."""

LEFT = [
    Row("alignment", "0f2800", "rip", TEXT + 3, TEXT, {"rax": DATA + 1}),
    Row("canonical_target", "ffe0", "rip", CANONICAL_END, TEXT, {"rax": CANONICAL_END}),
    Row(
        "mxcsr_flags", "f30f5ec1", "mxcsr", 0x1F80, 0x1FA0, {"xmm0": 0x3F800000, "xmm1": 0x40400000}
    ),
    Row(
        "flush_to_zero",
        "f30f59c1",
        "xmm0",
        0x400000,
        0,
        {"xmm0": 0x00800000, "xmm1": 0x3F000000, "mxcsr": 0x9F80},
    ),
    Row(
        "nan", "f30f58c1", "xmm0", 0x7FC00000, 0x7FE00001, {"xmm0": 0x7FA00001, "xmm1": 0x7FC00000}
    ),
    Row("x87_flags", "d8f1", "fpsw", 0, 0x20, {"fp0": ONE, "fp1": THREE, "fptag": 0}),
    Row("x87_stack", "d9e8", "fpsw", 0x3800, 0x3A41, {"fptag": 0}),
    Row("mmx", "0fefc0", "fp0", (0, 0x3FFF), (0, 0xFFFF), {"fp0": ONE, "fptag": 0}),
    Row(
        "fcomi",
        "dbf1",
        "eflags",
        0xA93,
        0x203,
        {"fp0": ONE, "fp1": THREE, "fptag": 0, "eflags": 0xAD6},
    ),
    Row("branch16", "66eb10", "rip", (TEXT + 0x13) & 0xFFFF, TEXT + 0x13),
    Row(
        "x87_constants",
        "d9eb",
        "fp7",
        (0xC90FDAA22168C235, 0x4000),
        (0xC90FDAA22168C236, 0x4000),
        {"fpcw": 0xB7F, "fptag": 0xFFFF},
    ),
]
"""Where nothing is."""


def by_unicorn(row: Row) -> Any:
    """Execute it by a bare Unicorn."""
    mode = unicorn.UC_MODE_64 if row.bits == 64 else unicorn.UC_MODE_32
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, mode, x86.UC_CPU_X86_NEHALEM)
    uc.mem_map(TEXT, 2 * PAGE)
    uc.mem_map(DATA & ~0xFFFF, 16 * PAGE)
    uc.mem_write(TEXT, bytes.fromhex(row.code).ljust(2 * PAGE, b"\xcc"))
    uc.reg_write(x86.UC_X86_REG_CR4, 0x600)
    for name, value in {"fpcw": 0x37F, "mxcsr": 0x1F80, "eflags": 0x202, **row.before}.items():
        uc.reg_write(getattr(x86, f"UC_X86_REG_{name.upper()}"), value)
    with suppress(unicorn.UcError):  # the register tells
        uc.emu_start(TEXT, 0, count=1)
    return uc.reg_read(getattr(x86, f"UC_X86_REG_{row.register.upper()}"))


def by_engine(row: Row) -> Any:
    """Execute it by the engine."""
    box = Box(row.code, row.bits)
    box.regs.ip = Vaddr(TEXT + PAGE)
    box.run()  # a breakpoint: now the engine has vectors
    box.regs.ip = Vaddr(TEXT)
    box.regs.sp = Vaddr(DATA)
    for name, value in row.before.items():
        write(box, name, value)
    box.step()
    return read(box, row.register)


def write(box: Box, name: str, value: Any) -> None:
    short = name.lstrip("re") if name not in ("eflags",) else "flags"
    if short in box.regs.names():
        box.regs.set(short, value)
    else:
        box.regs.file.write(getattr(x86, f"UC_X86_REG_{name.upper()}"), value)


def read(box: Box, name: str) -> Any:
    short = name.lstrip("re") if name not in ("eflags",) else "flags"
    if short in box.regs.names():
        return box.regs.get(short)
    return box.regs.file.read(getattr(x86, f"UC_X86_REG_{name.upper()}"))


@pytest.mark.parametrize("row", [*ROWS, *LEFT], ids=str)
def test_unicorn_still_errs(row: Row) -> None:
    assert by_unicorn(row) == row.wrong


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_engine_does_not(row: Row) -> None:
    insn = decode(bytes.fromhex(row.code).ljust(16, b"\0"), row.bits, as_processor=True)
    fault = fault_of(insn)
    if not available() and (row.id == "missing" or (fault and fault.remedy is Remedy.HOST)):
        pytest.skip("this machine is no x86-64 that can be asked")

    assert by_engine(row) == row.right


def end_of_unicorn(code: str, ax: int = 0) -> int:
    """Execute it by a bare Unicorn in a process of its own, and tell how that ends."""
    program = (
        "import unicorn, unicorn.x86_const as x\n"
        "uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64, x.UC_CPU_X86_NEHALEM)\n"
        "uc.mem_map(0x1000, 0x1000)\n"
        "uc.reg_write(x.UC_X86_REG_CR4, 0x600)\n"
        f"uc.reg_write(x.UC_X86_REG_EAX, {ax}); uc.reg_write(x.UC_X86_REG_EDX, 1)\n"
        f"uc.mem_write(0x1000, bytes.fromhex('{code}'))\n"
        "uc.emu_start(0x1000, 0, count=1)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False
    ).returncode


@pytest.mark.skipif(not available(), reason="this machine is no x86-64 that can be asked")
def test_the_least_length_of_a_string_kills_unicorn() -> None:
    """pcmpestri xmm0, xmm1, whose lengths are eax and edx: that of eax counts as 16."""
    box = Box("660f3a61c100 cc", registers={"ax": 1 << 31, "dx": 1, "cx": 5})

    assert end_of_unicorn("660f3a61c100", 1 << 31) == -signal.SIGSEGV
    assert box.run().stop is Stop.BREAKPOINT
    assert box.regs.get("cx") == 0


@pytest.mark.skipif(not available(), reason="this machine is no x86-64 that can be asked")
def test_a_double_shift_finds_memory_relative_to_ip() -> None:
    """shld $4, %eax, DATA(%rip)."""
    distance = (DATA - TEXT - 8).to_bytes(4, "little").hex()
    box = Box(f"0fa405{distance}04 cc", registers={"ax": 0xF0000000})
    box.mm.write(Vaddr(DATA), bytes(range(1, 5)))

    assert box.run().stop is Stop.BREAKPOINT
    assert box.mm.read(Vaddr(DATA), 4).hex() == "1f203040"


def test_lock_where_it_may_not_be_kills_unicorn() -> None:
    """lock btr of a register ends the process, not the program."""
    assert end_of_unicorn("f00fb3de") == -signal.SIGABRT
    assert Box("f00fb3de", 32).run().trap_nr == 6
    assert Box("f00fb30b cc", bx=DATA).run().stop is Stop.BREAKPOINT


def test_a_step_over_pause_is_one_instruction() -> None:
    box = Box("f390 90 90")

    assert box.step().stop is Stop.SINGLE_STEP
    assert box.regs.ip == TEXT + 2


def test_sse_keeps_the_upper_half_of_a_vector() -> None:
    """pshufb xmm7, xmm1 by Unicorn leaves anything there."""
    box = Box("660f3800f9 cc")
    box.regs.set_upper(7, 0x1234)

    assert box.run().stop is Stop.BREAKPOINT
    assert box.regs.upper(7) == 0x1234


def test_every_fault_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE))

    known = {each.id for each in KNOWN if each.why is Why.UNICORN}
    assert documented >= known | {fault.id for fault in FAULTS} | {row.id for row in [*ROWS, *LEFT]}
