"""Which instructions the kernel takes, and how it chooses to execute them.

After arch/x86/kernel/uprobes.c, uprobe_init_insn to push_setup_xol_ops. The
order of the checks is the kernel's, and so are the errnos.
"""

from typing import Final, Literal

from uprobes_sim.errno import Errno
from uprobes_sim.errors import Refused
from uprobes_sim.version import Kernel
from uprobes_sim_x86.insn import Insn, Undecodable, decode
from uprobes_sim_x86.probe import BranchOps, DefaultOps, Fixup, PushOps, X86Uprobe, XolOps
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

_NO_RIPREL: Final = _IP_CORRECT | {0x9A, 0x9D}


def uprobe_init_insn(data: bytes, bits: Literal[32, 64], kernel: Kernel) -> Insn:
    """Decode an instruction and see whether it may be probed.

    Raises:
        Refused: ENOEXEC or ENOTSUPP.
    """
    try:
        insn = decode(data, bits)
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


def analyze(data: bytes, bits: Literal[32, 64], kernel: Kernel) -> X86Uprobe:
    """Accept an instruction and choose its mechanism (arch_uprobe_analyze_insn).

    Raises:
        Refused: as `uprobe_init_insn`; ENOTSUPP for a 16-bit branch.
    """
    insn = uprobe_init_insn(data, bits, kernel)
    if kernel.has("x86_branches_emulated"):
        branch = _branch_setup_xol_ops(insn, kernel)
        if branch is not None:
            return _probe(_branch_clear_offset(data, insn, branch), branch)
    elif _is_old_nop(insn):
        return _probe(data, BranchOps(0x90, insn.length, 0))
    if kernel.has("x86_push_emulated"):
        push = _push_setup_xol_ops(insn)
        if push is not None:
            return _probe(data, push)
    return _default_setup(data, insn)


def _probe(code: bytes, ops: XolOps) -> X86Uprobe:
    """Make the probe. What unregistering writes back is what the slot gets: one array."""
    return X86Uprobe(code, code, ops)


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


def _default_setup(data: bytes, insn: Insn) -> X86Uprobe:
    opcode = insn.opcode[0]
    fixups = Fixup.IP
    if opcode in _IP_CORRECT:
        fixups = Fixup(0)
    elif opcode == 0x9A or (opcode == 0xFF and insn.reg in (2, 3)):
        fixups = Fixup.CALL
    elif opcode == 0x9D:
        fixups |= Fixup.SETF
    elif opcode == 0xFF and insn.reg in (4, 5):
        fixups = Fixup(0)
    if opcode in _NO_RIPREL or not insn.rip_relative:
        return _probe(data, DefaultOps(insn.length, fixups))
    data, scratch = _riprel_analyze(data, insn)
    return _probe(data, DefaultOps(insn.length, fixups, scratch))


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
