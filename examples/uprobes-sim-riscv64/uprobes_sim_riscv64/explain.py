"""What people are told of an instruction, and how they write it."""

from typing import Final, cast

from uprobes_sim.arch import Abi, ArchUprobe
from uprobes_sim.errata import Erratum
from uprobes_sim.flow import Flow, FlowKind
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.insn_text import capstone_text
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Caution, Grounds, Mechanism
from uprobes_sim.version import Config
from uprobes_sim_riscv64.encoding import immediate, insn_size
from uprobes_sim_riscv64.errata import DEFECTS
from uprobes_sim_riscv64.info import INFO
from uprobes_sim_riscv64.probe import RiscvUprobe
from uprobes_sim_riscv64.regs import RA
from uprobes_sim_riscv64.table import ROWS, find

_OTHER_GROUNDS: Final = {
    "riscv64.trap": "kernel/events/uprobes.c, prepare_uprobe",
    "riscv64.no_uprobes": "arch/riscv/Kconfig, ARCH_SUPPORTS_UPROBES",
    "riscv64.alignment": "kernel/events/uprobes.c, uprobe_register",
}
_TABLE_RULES: Final = frozenset(
    f"{row.rule}{how}" for row in ROWS for how in ("", ".simulated", ".stepped")
)

_KINDS: Final[dict[str, FlowKind]] = {
    "branch": "branch",
    "c.beqz": "branch",
    "c.bnez": "branch",
    "c.j": "jump",
    "c.jalr": "call",
    "c.ebreak": "trap",
    "c.illegal": "unknown",
    "other": "unknown",
}
_DIRECT: Final = ("jal", "branch", "c.j", "c.beqz", "c.bnez")
_ECALL: Final = 0
_BELOW_CSR: Final = 0b111 << 5
"""The bits of funct3 in what the row of SYSTEM calls the rest: 0 of what is no access to a CSR."""


@hookimpl
def arch_uprobe_mechanism(auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
    probe = cast(RiscvUprobe, auprobe)
    if probe.simulated:
        return Mechanism("emulate", f"{probe.row.rule}.simulated", probe.row.why)
    return Mechanism("xol", f"{probe.row.rule}.stepped", probe.row.why)


@hookimpl
def arch_uprobe_warnings(auprobe: ArchUprobe, abi: Abi, config: Config) -> tuple[Caution, ...]:
    probe = cast(RiscvUprobe, auprobe)
    return tuple(
        Caution(erratum.id, erratum.severity, erratum.effect)
        for erratum, concerns in DEFECTS
        if erratum.id in config.in_force and concerns(probe.row.name, probe.fields)
    )


@hookimpl
def arch_errata() -> tuple[Erratum, ...]:
    return tuple(erratum for erratum, _ in DEFECTS)


@hookimpl
def arch_insn_text(insn: bytes, vaddr: Vaddr, abi: Abi) -> str:
    size = insn_size(int.from_bytes(insn[:4], "little"))
    return capstone_text(INFO.capstone, insn[:size], vaddr)


@hookimpl
def arch_grounds(rule: str, insn: bytes, abi: Abi) -> tuple[Grounds, ...]:
    if rule in _OTHER_GROUNDS:
        return (Grounds(_OTHER_GROUNDS[rule]),)
    if rule not in _TABLE_RULES:
        return ()
    return (Grounds("arch/riscv/kernel/probes/decode-insn.c, riscv_probe_decode_insn"),)


@hookimpl
def arch_parse_insn(text: str, abi: Abi) -> bytes:
    try:
        word = int(text, 16)
    except ValueError:
        raise ValueError("an instruction is hexadecimal digits, such as 00b50533") from None
    if len(text) not in (4, 8) or len(text) != 2 * insn_size(word):
        raise ValueError(
            "write it as the manual does, 8 digits, or 4 of a compressed one: 00b50533, 8082"
        )
    return word.to_bytes(len(text) // 2, "little")


@hookimpl
def arch_format_insn(insn: bytes, abi: Abi) -> str:
    word = int.from_bytes(insn[:4], "little")
    size = insn_size(word)
    return f"{word & (1 << 8 * size) - 1:0{2 * size}x}"


@hookimpl
def arch_insn_fields(insn: bytes, abi: Abi) -> dict[str, int | str]:
    word = int.from_bytes(insn[:4], "little")
    row = find(word)
    return {"form": row.name, **row.encoding.take_apart(word)}


@hookimpl
def arch_insn_flow(insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
    word = int.from_bytes(insn[:4], "little")
    size = insn_size(word)
    if len(insn) < size:
        return Flow(2, "unknown")
    row = find(word)
    fields = row.encoding.take_apart(word)
    kind = _kind(row.name, fields)
    if row.name not in _DIRECT:
        return Flow(size, kind)
    target = vaddr + immediate(fields) & 0xFFFF_FFFF_FFFF_FFFF
    return Flow(size, kind, Vaddr(target))


def _kind(row: str, fields: dict[str, int]) -> FlowKind:
    if row == "jal":
        return "call" if fields["rd"] else "jump"
    if row in ("jalr", "c.jr"):
        if fields.get("rd"):
            return "call"
        return "return" if fields["rs1"] == RA else "jump"
    if row == "system":
        plain = not fields["rest"] & _BELOW_CSR
        return "trap" if plain and fields["rest"] != _ECALL else "next"
    return _KINDS.get(row, "next")
