"""Rows of the version table that only riscv64 asks for."""

from typing import Final

from uprobes_sim.version import Behaviour

BEHAVIOURS: Final = (
    Behaviour(
        "uprobes",
        (5, 12),
        None,
        "riscv has uprobes",
        "74784081aac8 riscv: Add uprobes supported",
    ),
    Behaviour(
        "riscv64_branches_simulated",
        (5, 15),
        None,
        "auipc and branches are simulated; before, refused",
        "b7d2be48cc08, 67979e927dd0 riscv: kprobes: implement the branch instructions",
    ),
    Behaviour(
        "riscv64_c_mv_accepted",
        (6, 2),
        None,
        "c.mv and c.add are accepted; before, refused as c.jr and c.jalr if rs2 is even",
        "b2d473a6019e riscv, kprobes: Stricter c.jr/c.jalr decoding",
    ),
    Behaviour(
        "riscv64_c_addiw_accepted",
        (6, 3),
        None,
        "c.addiw is accepted; before, refused as c.jal, which it is with 32 bits",
        "arch/riscv/include/asm/insn.h, riscv_insn_is_c_jal (the release from memory)",
    ),
    Behaviour(
        "riscv64_c_jr_needs_rs1",
        (6, 5),
        None,
        "what would be c.jr of x0 is not taken for one; before, refused as such",
        "79bc3f85c51f riscv: correct riscv_insn_is_c_jr() and riscv_insn_is_c_jalr()",
    ),
    Behaviour(
        "riscv64_c_jumps_simulated",
        (6, 7),
        None,
        "c.j, c.jr, c.jalr, c.beqz and c.bnez are simulated; before, refused",
        "a93892974f2e, b18256d9b744, d943705fba3a riscv: kprobes: simulate c.beqz and c.bnez",
    ),
)
