"""Rows of the version table that only x86 asks for."""

from typing import Final

from uprobes_sim.version import Behaviour

BEHAVIOURS: Final = (
    Behaviour(
        "x86_two_byte_refused",
        (3, 5),
        (4, 1),
        "the table of two-byte opcodes is looked at: syscall, sysenter and ud2 are ENOTSUPP",
        "good_2byte_insns of older trees; 6.1.192 in QEMU accepts them (the release from memory)",
    ),
    Behaviour(
        "x86_branches_emulated",
        (3, 16),
        None,
        "jmp, jcc, call and nop are emulated; before, only nop is skipped",
        "arch/x86/kernel/uprobes.c, branch_xol_ops; 6.1.192 in QEMU (the release from memory)",
    ),
    Behaviour(
        "x86_push_emulated",
        (4, 16),
        None,
        "push of a register is emulated",
        "arch/x86/kernel/uprobes.c, push_xol_ops; 6.1.192 in QEMU (the release from memory)",
    ),
    Behaviour(
        "x86_masking_refused",
        (4, 18),
        None,
        "mov to %ss, and what is taken for pop %ss, are ENOTSUPP",
        "arch/x86/kernel/uprobes.c, insn_masking_exception; 6.1.192 in QEMU (the release from "
        "memory)",
    ),
    Behaviour(
        "x86_word_nop_accepted",
        (6, 1),
        None,
        "66 90 is a no-op; before, it was refused as a 16-bit branch",
        "uprobes/x86: Allow to probe a NOP instruction with 0x66 prefix; 6.1.192 in QEMU, whose "
        "first releases lacked it, as 6.2 did",
    ),
    Behaviour(
        "x86_decodes_apx",
        (6, 10),
        None,
        "the decoder knows REX2, EVEX map 4, Key Locker, SHA512, CMPccXADD and others",
        "6.12.117 in QEMU has it, 6.1.192 lacks it (the release from memory)",
    ),
    Behaviour(
        "x86_decodes_xop",
        (6, 18),
        None,
        "the decoder knows XOP, looks for no vector prefix behind REX, and stops at one-byte "
        "opcodes that 64-bit mode lacks; before, XOP was a pop with a ModRM byte",
        "live 6.18 kernel; 6.12.117 in QEMU lacks it (the release from memory)",
    ),
    Behaviour(
        "x86_uretprobe_syscall",
        (6, 11),
        None,
        "a 64-bit function with a return probe returns to code that makes a system call",
        "ff474a78cef5 uprobe: Add uretprobe syscall to speed up return probe; live 6.18 kernel",
    ),
    Behaviour(
        "x86_nop5_optimized",
        (6, 18),
        None,
        "the breakpoint on a no-op of five bytes becomes a call after the first hit",
        "ba2bfc97b462, 56101b69c919; live 6.18 kernel",
    ),
    Behaviour(
        "x86_long_nops_emulated",
        (6, 18),
        None,
        "the kernel's own no-ops of up to eight bytes are emulated",
        "live 6.18 kernel; 6.1.192 and 6.12.117 in QEMU step them",
    ),
)
