"""Rows of the version table that only arm64 asks for."""

from typing import Final

from uprobes_sim.version import Behaviour

BEHAVIOURS: Final = (
    Behaviour(
        "uprobes",
        (4, 10),
        None,
        "arm64 has uprobes",
        "9842ceae9fa8 arm64: Add uprobe support",
    ),
    Behaviour(
        "arm64_hints_by_list",
        (5, 8),
        None,
        "of the hints those on a list are stepped; before, all but yield, wfe, wfi, sev and sevl",
        "aarch64_insn_is_steppable_hint (the release from memory)",
    ),
    Behaviour(
        "arm64_pauth_refused",
        (5, 10),
        None,
        "instructions that authenticate a pointer, and may fault, are refused: aut*, braa, retaa",
        "arm64: kprobe: disable probe of fault prone ptrauth instruction (release from memory)",
    ),
    Behaviour(
        "arm64_ldr_literal_simulated",
        (4, 10),
        (6, 12),
        "ldr and ldrsw of a literal are simulated; since, refused",
        "acc450aa0709 arm64: probes: Remove broken LDR (literal) uprobe support",
    ),
    Behaviour(
        "arm64_mops_refused",
        (6, 13),
        None,
        "the instructions that copy and set memory are refused",
        "c56c599d9002 arm64: probes: Disable kprobes/uprobes on MOPS instructions",
    ),
    Behaviour(
        "arm64_nop_simulated",
        (6, 13),
        None,
        "nop is simulated; before, stepped",
        "ac4ad5c09b34 arm64: insn: Simulate nop instruction for better uprobe performance",
    ),
)
