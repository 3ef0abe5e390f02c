"""arches/powerpc/uprobes_sim_powerpc/trace.py and translate.py"""

import random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powerpc_program import CODE, DATA, load
from uprobes_sim.arch import Abi
from uprobes_sim.cpu import Stop
from uprobes_sim.memory import PageFault
from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.code import Code, code_of
from uprobes_sim_powerpc.cpu import HOT
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.interrupts import Interrupt
from uprobes_sim_powerpc.op import Op
from uprobes_sim_powerpc.regs import PtRegs
from uprobes_sim_powerpc.trace import make
from uprobes_sim_powerpc.translate import Untranslatable, translate

MODULES = ("arith", "bits", "condition", "divide", "logic", "shift", "loadstore", "multiple")
STRAIGHT = [
    row
    for row in isa.load()
    if row.meaning.__module__.rpartition(".")[2] in MODULES and not row.prefixed
]
ABIS = {64: Abi(64, "little"), 32: Abi(32, "big")}


def straight_ops(bits: Literal[32, 64], seed: int, length: int) -> tuple[list[Op], PtRegs, PtRegs]:
    """Draw instructions with data all around r4, and two equal sets of registers."""
    rng = random.Random(seed)
    program = load(abi=ABIS[bits])
    code = code_of(program.mm, "power10")
    ops: list[Op] = []
    while len(ops) < length:
        row = rng.choice(STRAIGHT)
        insn = row.form.value | rng.getrandbits(32) & ~row.form.mask
        if "m" in row.fields:  # RA is r4, a pointer; RB is r5, which is small
            insn = insn & ~(31 << 16 | 31 << 11) | 4 << 16 | 5 << 11 & ~row.form.mask
        if row.bits <= bits and row.is_valid(insn):
            ops.append(code.op(CODE + 4 * len(ops), insn, 4))
    regs = program.regs
    for name in regs.names()[:37]:
        regs.set(name, rng.choice((0, -1, rng.getrandbits(64), rng.getrandbits(16))))
    regs.gpr[4], regs.gpr[5] = DATA + 0x1000, rng.randrange(64)
    return ops, regs, regs.copy()


def everything(regs: PtRegs) -> dict[str, int]:
    return {name: regs.get(name) for name in regs.names()}


def by_calls(code: Code, path: list[Op], regs: PtRegs) -> int:
    """Execute *path* by calls; answers how many instructions were, up to one that fails."""
    for done, op in enumerate(path):
        regs.nip = op.nia
        meaning, args = op.call
        try:
            meaning(regs, *args)
        except (PageFault, Interrupt):
            regs.nip = op.cia
            return done
    return len(path)


def by_traces(code: Code, path: list[Op], regs: PtRegs) -> int:
    """Execute *path* by a trace, and by a call what a trace leaves to one."""
    done = 0
    while done < len(path):
        count = make(path[done:], path[-1].nia, code.memory, code.mode).run(regs, done, 1000)
        if count >= 0:
            return count
        done = ~count
        if not by_calls(code, [path[done]], regs):
            return done
        done += 1
    return done


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([32, 64]), st.integers(0, 1 << 32), st.integers(1, 20))
def test_a_trace_does_what_calls_do(bits: Literal[32, 64], seed: int, length: int) -> None:
    ops, *both = straight_ops(bits, seed, length)
    codes = [code_of(load(abi=ABIS[bits]).mm, "power10") for _ in both]
    paths = [[code.op(op.cia, op.insn, 4) for op in ops] for code in codes]

    called = by_calls(codes[0], paths[0], both[0])
    translated = by_traces(codes[1], paths[1], both[1])

    assert translated == called
    assert everything(both[1]) == everything(both[0])
    assert codes[1].mm.read(DATA, 0x2000) == codes[0].mm.read(DATA, 0x2000)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize(
    "row",
    [row for row in isa.load() if row.inline and row.meaning.__module__.endswith(MODULES)],
    ids=lambda row: row.name,
)
def test_every_integer_definition_keeps_to_what_can_be_translated(
    row: Insn, bits: Literal[32, 64]
) -> None:
    code = code_of(load(abi=ABIS[bits]).mm, "power10")

    piece = translate(
        Op(CODE, 8 if row.prefixed else 4, row, row.form.value, (print, ())), code.mode
    )

    compile("\n".join(piece.lines), row.name, "exec")
    assert bool(piece.target) is row.branches


def test_without_sources_instructions_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_source(_: object) -> str:
        raise OSError

    from uprobes_sim_powerpc import translate as module

    monkeypatch.setattr("inspect.getsource", no_source)
    module._source.cache_clear()
    module._translate.cache_clear()
    program = load(0x38630001, 0x4200FFFC, 0x44000002, ctr=3000)

    program.run()

    assert program.regs.gpr[3] == 3000
    code = code_of(program.mm, "power10")
    with pytest.raises(Untranslatable):
        translate(code.fetch(CODE), code.mode)
    module._source.cache_clear()
    module._translate.cache_clear()


def test_a_loop_that_enters_the_kernel_each_time_is_translated_all_the_same() -> None:
    """As under a probe: the path ends before what led into the kernel."""
    program = load(0x38630001, 0x38630002, 0x44000002, 0x4BFFFFF4)  # addi; addi; sc; b -12
    for _ in range(3 * HOT):
        assert program.run().stop is Stop.SYSCALL
    code = program.mm.context
    assert isinstance(code, Code)

    assert {trace.head: trace.length for trace in code.traces.values()} == {CODE: 2, CODE + 12: 1}
    assert program.regs.gpr[3] == 3 * 3 * HOT
    assert program.cpu.insns == 3 * 4 * HOT - 1
