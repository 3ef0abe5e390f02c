"""What counts as a change by a probe."""

from dataclasses import replace

import pytest

import reference_arch
from uprobes_sim.conformance.bench import DATA_BYTES, STACK, Bench, Outcome, differences
from uprobes_sim.conformance.target import link
from uprobes_sim.signals import SigInfo, Signal
from uprobes_sim.units import PAGE_SIZE, Vaddr

SP = 512
FAULT = SigInfo(Signal.SIGSEGV)


def outcome(at: int, signal: SigInfo | None) -> Outcome:
    """Leave a byte *at* so many bytes in the stack, whose pointer is at `SP`."""
    bench = Bench(link("reference", reference_arch).machines[0])
    regs = bench.hook.arch_regs(abi=bench.info.abi, config=bench.config)
    regs.sp = Vaddr(STACK + SP)
    stack = bytearray(PAGE_SIZE)
    stack[at] = 1
    return Outcome(regs, bytes(DATA_BYTES), bytes(stack), signal)


@pytest.mark.parametrize(
    ("at", "signal", "counts"),
    [
        pytest.param(SP - 8, None, True, id="below the stack pointer"),
        pytest.param(SP - 8, FAULT, False, id="below the stack pointer, after a signal"),
        pytest.param(SP, FAULT, True, id="at the stack pointer, after a signal"),
    ],
)
def test_a_fault_leaves_what_is_below_the_stack_pointer_open(
    at: int, signal: SigInfo | None, counts: bool
) -> None:
    bare = outcome(at, signal)
    probed = replace(bare, stack=bytes(PAGE_SIZE))

    assert bool(differences(probed, bare)) is counts
