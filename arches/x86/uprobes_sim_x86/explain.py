"""What people are told of an instruction: its parts, how it is executed, and what goes wrong."""

from typing import TYPE_CHECKING, Final, cast

from uprobes_sim.arch import Abi, ArchUprobe
from uprobes_sim.errata import Erratum
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.verdict import Caution, Grounds, Mechanism
from uprobes_sim.version import Config
from uprobes_sim_x86.errata import ROWS
from uprobes_sim_x86.insn import Undecodable, decode
from uprobes_sim_x86.probe import BranchOps, DefaultOps, Fixup, PushOps, X86Uprobe

if TYPE_CHECKING:
    from uprobes_sim.emit import Reproducer

_BRANCH_RULES: Final = {0x90: "nop", 0xE8: "call", 0xE9: "jmp", 0xEB: "jmp"}

_FIXUPS: Final = (
    (Fixup.CALL, "call", "in a slot; then the return address is repaired"),
    (Fixup.SETF, "popf", "in a slot; then ip is repaired and TF left alone"),
    (Fixup.IP, "plain", "in a slot; then ip is repaired"),
)


@hookimpl
def arch_uprobe_mechanism(auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
    ops = cast(X86Uprobe, auprobe).ops
    if isinstance(ops, BranchOps):
        name = _BRANCH_RULES.get(ops.opcode, "jcc")
        return Mechanism("emulate", f"x86.emulate.{name}", f"taken for {name} and emulated")
    if isinstance(ops, PushOps):
        return Mechanism("emulate", "x86.emulate.push", f"a push of {ops.register} is emulated")
    assert isinstance(ops, DefaultOps)
    if ops.scratch is not None:
        reason = f"in a slot, with {ops.scratch} in place of ip; then both are repaired"
        return Mechanism("xol", "x86.xol.riprel", reason)
    for fixup, name, reason in _FIXUPS:
        if fixup in ops.fixups:
            return Mechanism("xol", f"x86.xol.{name}", reason)
    return Mechanism("xol", "x86.xol.jump", "in a slot; ip is where it belongs afterwards")


@hookimpl
def arch_uprobe_warnings(auprobe: ArchUprobe, abi: Abi, config: Config) -> tuple[Caution, ...]:
    insn = cast(X86Uprobe, auprobe).decoded
    return tuple(
        Caution(row.erratum.id, row.erratum.severity, row.erratum.effect)
        for row in ROWS
        if row.erratum.id in config.in_force and row.concerns(insn)
    )


@hookimpl
def arch_errata() -> tuple[Erratum, ...]:
    return tuple(row.erratum for row in ROWS)


@hookimpl
def arch_grounds(rule: str, insn: bytes, abi: Abi) -> tuple[Grounds, ...]:
    from uprobes_sim_x86.grounds import GROUNDS

    return (GROUNDS[rule],) if rule in GROUNDS else ()


@hookimpl
def arch_reproducer(erratum: str) -> "tuple[str, Reproducer | None]":
    from uprobes_sim_x86.reproducers import COMPILER, REPRODUCERS

    return COMPILER, REPRODUCERS.get(erratum)


@hookimpl
def arch_format_insn(insn: bytes, abi: Abi) -> str:
    try:
        return insn[: decode(insn, abi.bits).length].hex()
    except Undecodable:
        return insn[:1].hex()


@hookimpl
def arch_insn_fields(insn: bytes, abi: Abi) -> dict[str, int | str]:
    try:
        parts = decode(insn, abi.bits)
    except Undecodable:
        return {}
    fields: dict[str, int | str] = {
        "prefixes": parts.prefixes.hex(" "),
        "rex": parts.rex.hex(" "),
        "vex": insn[parts.vex_at : parts.vex_at + parts.vex_length].hex(" "),
        "opcode": parts.opcode.hex(" "),
    }
    if parts.modrm is not None:
        fields |= {"mod": parts.modrm >> 6, "reg": parts.reg, "rm": parts.modrm & 7}
    return {name: value for name, value in fields.items() if value != ""} | {
        "immediate": parts.immediate,
        "length": parts.length,
    }
