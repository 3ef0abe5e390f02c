"""What a step of a vector load from a literal should do, and the kernel does not."""

from typing import Final

from uprobes_sim.cpu import Exit, Stop
from uprobes_sim.memory import PageFault
from uprobes_sim.task import Task
from uprobes_sim_arm64.encoding import signed
from uprobes_sim_arm64.errata import SIMD_LITERAL
from uprobes_sim_arm64.info import AARCH64_INSN_SIZE
from uprobes_sim_arm64.probe import Arm64Uprobe

_ROW: Final = "ldr literal simd"
_SIZES: Final = {0: 4, 1: 8, 2: 16}
"""Bytes by the field opc."""


def step_simd_literal(probe: Arm64Uprobe, task: Task) -> Exit | None:
    """Load from near the original; None: the copy shall be stepped as the kernel does."""
    fields = probe.fields
    if probe.row.name != _ROW or task.config.acts(SIMD_LITERAL) or fields["opc"] not in _SIZES:
        return None
    assert task.utask is not None
    literal = task.utask.vaddr + AARCH64_INSN_SIZE * signed(fields["imm19"], 19)
    try:
        data = task.mm.read(literal, _SIZES[fields["opc"]])
    except PageFault as fault:
        return Exit(Stop.FAULT, fault.info)
    task.regs.set(f"v{fields['Rt']}", int.from_bytes(data, "little"))
    return Exit(Stop.SINGLE_STEP)
