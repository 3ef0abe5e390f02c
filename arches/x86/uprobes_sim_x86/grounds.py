"""Where the rules of x86 come from."""

from typing import Final

from uprobes_sim.verdict import Grounds

_UPROBES: Final = "arch/x86/kernel/uprobes.c"
_DECODER: Final = "arch/x86/lib/insn.c, by x86-opcode-map.txt"
_SDM: Final = "Intel SDM, volume 2"

GROUNDS: Final = {
    "x86.trap": Grounds("kernel/events/uprobes.c, prepare_uprobe", f"{_SDM}, INT3"),
    "x86.undecodable": Grounds(f"{_UPROBES}, uprobe_init_insn; {_DECODER}", f"{_SDM}, appendix A"),
    "x86.prefix": Grounds(f"{_UPROBES}, is_prefix_bad", f"{_SDM}, 2.1.1"),
    "x86.masking": Grounds(
        "arch/x86/include/asm/insn.h, insn_masking_exception", f"{_SDM}, MOV and POP"
    ),
    "x86.opcode": Grounds(
        f"{_UPROBES}, good_insns_64, good_insns_32, uprobe_init_insn", f"{_SDM}, appendix A"
    ),
    "x86.branch16": Grounds(f"{_UPROBES}, branch_setup_xol_ops", f"{_SDM}, 2.1.1"),
    "x86.emulate.nop": Grounds(f"{_UPROBES}, branch_setup_xol_ops", f"{_SDM}, NOP"),
    "x86.emulate.call": Grounds(f"{_UPROBES}, branch_emulate_op", f"{_SDM}, CALL"),
    "x86.emulate.jmp": Grounds(f"{_UPROBES}, branch_emulate_op", f"{_SDM}, JMP"),
    "x86.emulate.jcc": Grounds(f"{_UPROBES}, branch_emulate_op, check_jmp_cond", f"{_SDM}, Jcc"),
    "x86.emulate.push": Grounds(f"{_UPROBES}, push_emulate_op", f"{_SDM}, PUSH"),
    "x86.xol.plain": Grounds(f"{_UPROBES}, default_post_xol_op"),
    "x86.xol.call": Grounds(f"{_UPROBES}, default_post_xol_op", f"{_SDM}, CALL"),
    "x86.xol.popf": Grounds(f"{_UPROBES}, arch_uprobe_analyze_insn", f"{_SDM}, POPF"),
    "x86.xol.jump": Grounds(f"{_UPROBES}, arch_uprobe_analyze_insn", f"{_SDM}, RET and JMP"),
    "x86.xol.riprel": Grounds(f"{_UPROBES}, riprel_analyze", f"{_SDM}, 2.2.1.6"),
}
