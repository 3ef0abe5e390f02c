"""Which instructions the kernel takes, and how it chooses to execute them.

After arch/x86/kernel/uprobes.c, uprobe_init_insn to push_setup_xol_ops. The
order of the checks is the kernel's, and so are the errnos.
"""

from typing import Final, Literal

from uprobes_sim.errno import Errno
from uprobes_sim.errors import Refused
from uprobes_sim.version import Config, Kernel
from uprobes_sim_x86.concerns import (
    NOT_EMULATED,
    NOT_FIXED_UP,
    PUSHF,
    REP,
    REX_B_LOST,
    RIPREL_MISSED,
    SYSCALL,
    spared,
)
from uprobes_sim_x86.insn import Insn, Undecodable, decode
from uprobes_sim_x86.maps import maps_of
from uprobes_sim_x86.probe import (
    BranchOps,
    DefaultOps,
    Fixup,
    PushOps,
    Repair,
    X86Uprobe,
    XolOps,
)
from uprobes_sim_x86.regs import EXTENDED, GENERAL
from uprobes_sim_x86.tables import BAD_PREFIXES, REFUSED, REFUSED_TWO_BYTE

_PREFIX_NAMES: Final = {0x26: "es", 0x2E: "cs", 0x36: "ss", 0x3E: "ds", 0xF0: "lock"}

X86_NOPS: Final = frozenset(
    map(
        bytes.fromhex,
        (
            "90",
            "6690",
            "0f1f00",
            "0f1f4000",
            "0f1f440000",
            "660f1f440000",
            "0f1f8000000000",
            "0f1f840000000000",
        ),
    )
)
"""No-ops that the kernel itself uses, and so recognises (x86_nops)."""

_IP_CORRECT: Final = frozenset({0xC2, 0xC3, 0xCA, 0xCB, 0xEA})
"""Returns, and the far jump: they leave ip where it belongs."""

_BRANCHES: Final = frozenset({0x90, 0xE8, 0xE9, 0xEB, *range(0x70, 0x80)})

_REPAIRED: Final = ((Repair.PUSHF, PUSHF), (Repair.SYSCALL, SYSCALL), (Repair.REP, REP))

_NO_RIPREL: Final = _IP_CORRECT | {0x9A, 0x9D}


def uprobe_init_insn(data: bytes, bits: Literal[32, 64], kernel: Kernel) -> Insn:
    """Decode an instruction and see whether it may be probed.

    Raises:
        Refused: ENOEXEC or ENOTSUPP.
    """
    try:
        insn = decode(data, bits, maps=maps_of(kernel))
    except Undecodable as exc:
        raise Refused(Errno.ENOEXEC, "x86.undecodable", f"{data.hex(' ')}: {exc}") from exc
    opcode = insn.opcode[0]
    for prefix in insn.prefixes:
        if prefix in BAD_PREFIXES:
            name = _PREFIX_NAMES[prefix]
            raise _not_supported("prefix", f"a {name} prefix ({prefix:02x}) is refused everywhere")
    if kernel.has("x86_masking_refused") and _masks_exceptions(insn):
        raise _not_supported(
            "masking", f"opcode {opcode:02x} counts as one that masks the exception after the step"
        )
    if opcode in REFUSED[bits]:
        raise _not_supported("opcode", f"opcode {opcode:02x} is refused in {bits}-bit tasks")
    if (
        len(insn.opcode) == 2
        and insn.opcode[1] in REFUSED_TWO_BYTE
        and kernel.has("x86_two_byte_refused")
    ):
        raise _not_supported("opcode", f"opcode {insn.opcode.hex(' ')} is refused")
    return insn


def _not_supported(rule: str, reason: str) -> Refused:
    return Refused(Errno.ENOTSUPP, f"x86.{rule}", reason)


def _masks_exceptions(insn: Insn) -> bool:
    """Tell whether the kernel takes it for a load of ss (insn_masking_exception).

    Its constant for pop %ss is that of pop %ds.
    """
    return insn.opcode[0] == 0x1F or (insn.opcode[0] == 0x8E and insn.reg == 2)


def analyze(data: bytes, bits: Literal[32, 64], config: Config) -> X86Uprobe:
    """Accept an instruction and choose its mechanism (arch_uprobe_analyze_insn).

    The answer is the kernel's even where its defects are not to act.

    Raises:
        Refused: as `uprobe_init_insn`; ENOTSUPP for a 16-bit branch.
    """
    kernel = config.kernel
    insn = uprobe_init_insn(data, bits, kernel)
    ops = _emulated_ops(insn, kernel)
    if ops is None or spared(insn, config, *NOT_EMULATED):
        return _default_setup(data, insn, config)
    if isinstance(ops, BranchOps):
        data = _branch_clear_offset(data, insn, ops)
    return X86Uprobe(data, data, ops, insn, Repair(0))


def _emulated_ops(insn: Insn, kernel: Kernel) -> XolOps | None:
    """Choose how this kernel emulates an instruction; None: it does not."""
    branch = None
    if kernel.has("x86_branches_emulated"):
        branch = _branch_setup_xol_ops(insn, kernel)
    elif _is_old_nop(insn):
        branch = BranchOps(0x90, insn.length, 0)
    if branch is None and kernel.has("x86_push_emulated"):
        return _push_setup_xol_ops(insn)
    return branch


def _branch_setup_xol_ops(insn: Insn, kernel: Kernel) -> BranchOps | None:
    opcode = insn.opcode[0]
    nop = BranchOps(0x90, insn.length, 0)
    if kernel.has("x86_long_nops_emulated") and insn.data[: insn.length] in X86_NOPS:
        return nop
    if opcode == 0x90 and kernel.has("x86_word_nop_accepted"):
        return nop
    if len(insn.opcode) == 2:
        opcode = insn.opcode[1] - 0x10  # the short form of a near jcc
        if not 0x70 <= opcode <= 0x7F:
            return None
    elif opcode not in _BRANCHES:
        return None
    if 0x66 in insn.prefixes:
        raise _not_supported("branch16", "a branch with a 66 prefix")
    return BranchOps(opcode, insn.length, insn.immediate)


def _branch_clear_offset(data: bytes, insn: Insn, branch: BranchOps) -> bytes:
    """Make a call go nowhere: its copy is executed only to fault on the stack."""
    if branch.opcode != 0xE8 or insn.vex:
        return data
    offset_at = insn.opcode_at + 1
    return data[:offset_at] + bytes(insn.length - offset_at) + data[insn.length :]


def _is_old_nop(insn: Insn) -> bool:
    """Tell whether kernels before 3.16 skip it: any number of 66, then 90."""
    return insn.data[: insn.length].lstrip(b"\x66") == b"\x90"


def _push_setup_xol_ops(insn: Insn) -> PushOps | None:
    opcode = insn.opcode[0]
    if not 0x50 <= opcode <= 0x57 or insn.length > 2:
        return None
    if insn.length == 1:
        return PushOps(GENERAL[opcode & 7], 1)
    return PushOps(EXTENDED[opcode & 7], 2) if insn.rex == b"\x41" else None


def _default_setup(data: bytes, insn: Insn, config: Config) -> X86Uprobe:
    misread = not spared(insn, config, *NOT_FIXED_UP)
    opcode = insn.opcode[0] if misread else None
    fixups = Fixup.IP
    if opcode in _IP_CORRECT:
        fixups = Fixup(0)
    elif opcode == 0x9A or (opcode == 0xFF and insn.reg in (2, 3)):
        fixups = Fixup.CALL
    elif opcode == 0xE8:
        fixups |= Fixup.CALL  # stepped before 3.16; its target is relative to the slot, too
    elif opcode == 0x9D:
        fixups |= Fixup.SETF
    elif opcode == 0xFF and insn.reg in (4, 5):
        fixups = Fixup(0)
    repairs = _repairs(insn, config)
    addressed = insn
    if spared(insn, config, RIPREL_MISSED):
        addressed = decode(data, insn.bits, as_processor=True)
    if opcode in _NO_RIPREL or not addressed.rip_relative:
        return X86Uprobe(data, data, DefaultOps(insn.length, fixups), insn, repairs)
    copy, scratch = _riprel_analyze(data, addressed)
    # The kernel has one array for both: what it writes back is what was rewritten.
    original = data if spared(insn, config, REX_B_LOST) else copy
    ops = DefaultOps(addressed.length, fixups, scratch)
    return X86Uprobe(original, copy, ops, insn, repairs)


def _repairs(insn: Insn, config: Config) -> Repair:
    """Choose what is done right after the step where the kernel does not."""
    repairs = Repair(0)
    for repair, defect in _REPAIRED:
        if spared(insn, config, defect):
            repairs |= repair
    return repairs


def _riprel_analyze(data: bytes, insn: Insn) -> tuple[bytes, str]:
    """Address memory by a scratch register instead of ip; answer code and register."""
    code = bytearray(data)
    if insn.rex:
        code[insn.rex_at] &= 0xFE
    if insn.vex_length >= 3:
        code[insn.vex_at + 1] |= 0x60
    taken = {insn.reg}
    if insn.vex:
        taken.add(insn.vex[2] >> 3 & 7 ^ 7)
    number = next(number for number in (6, 7, 3) if number == 3 or number not in taken)
    code[insn.modrm_at] = 0x80 | insn.reg << 3 | number
    return bytes(code), GENERAL[number]
