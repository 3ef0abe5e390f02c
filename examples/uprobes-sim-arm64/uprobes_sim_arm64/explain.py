"""What people are told of an instruction, and how they write it."""

from typing import Final, cast

from uprobes_sim.arch import Abi, ArchUprobe
from uprobes_sim.errata import Erratum
from uprobes_sim.flow import Flow, FlowKind
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Caution, Grounds, Mechanism
from uprobes_sim.version import Config
from uprobes_sim_arm64.encoding import signed
from uprobes_sim_arm64.errata import DEFECTS
from uprobes_sim_arm64.info import AARCH64_INSN_SIZE
from uprobes_sim_arm64.probe import Arm64Uprobe
from uprobes_sim_arm64.table import ROWS, find

_DIGITS: Final = 2 * AARCH64_INSN_SIZE

_ANALYZE: Final = "arch/arm64/kernel/probes/uprobes.c, arch_uprobe_analyze_insn"
_OTHER_GROUNDS: Final = {
    "arm64.trap": "kernel/events/uprobes.c, prepare_uprobe",
    "arm64.no_uprobes": "arch/arm64/Kconfig, ARCH_SUPPORTS_UPROBES",
    "arm64.alignment": _ANALYZE,
    "arm64.aarch32": _ANALYZE,
}
_TABLE_RULES: Final = frozenset(
    f"{row.rule}{how}" for row in ROWS for how in ("", ".simulated", ".stepped")
)

_KINDS: Final[dict[str, FlowKind]] = {
    "b.cond": "branch",
    "cbz": "branch",
    "tbz": "branch",
    "br": "jump",
    "braa": "jump",
    "blr": "call",
    "blraa": "call",
    "ret": "return",
    "retaa": "return",
    "reserved": "unknown",
}
"""Rows after which the next instruction need not come; b and exceptions are told apart below."""
_OFFSETS: Final = {"imm26": 26, "imm19": 19, "imm14": 14}
_SVC: Final = 1


@hookimpl
def arch_uprobe_mechanism(auprobe: ArchUprobe, abi: Abi, config: Config) -> Mechanism:
    probe = cast(Arm64Uprobe, auprobe)
    if probe.simulated:
        return Mechanism("emulate", f"{probe.row.rule}.simulated", probe.row.why)
    return Mechanism("xol", f"{probe.row.rule}.stepped", _why_stepped(probe))


def _why_stepped(probe: Arm64Uprobe) -> str:
    return probe.row.why if probe.row.needs is None else "this kernel does not single it out"


@hookimpl
def arch_uprobe_warnings(auprobe: ArchUprobe, abi: Abi, config: Config) -> tuple[Caution, ...]:
    probe = cast(Arm64Uprobe, auprobe)
    return tuple(
        Caution(defect.erratum.id, defect.erratum.severity, defect.erratum.effect)
        for defect in DEFECTS
        if defect.erratum.id in config.in_force
        and defect.concerns(probe.row.name, simulated=probe.simulated)
    )


@hookimpl
def arch_errata() -> tuple[Erratum, ...]:
    return tuple(defect.erratum for defect in DEFECTS)


@hookimpl
def arch_grounds(rule: str, insn: bytes, abi: Abi) -> tuple[Grounds, ...]:
    if rule in _OTHER_GROUNDS:
        return (Grounds(_OTHER_GROUNDS[rule]),)
    if rule not in _TABLE_RULES:
        return ()
    return (Grounds("arch/arm64/kernel/probes/decode-insn.c, arm_probe_decode_insn"),)


@hookimpl
def arch_parse_insn(text: str, abi: Abi) -> bytes:
    if len(text) != _DIGITS:
        raise ValueError(f"write the word as the manual does, in {_DIGITS} digits: 910003fd")
    try:
        return int(text, 16).to_bytes(AARCH64_INSN_SIZE, "little")
    except ValueError:
        raise ValueError("a word is hexadecimal digits, such as 910003fd") from None


@hookimpl
def arch_format_insn(insn: bytes, abi: Abi) -> str:
    return f"{int.from_bytes(insn[:AARCH64_INSN_SIZE], 'little'):0{_DIGITS}x}"


@hookimpl
def arch_insn_fields(insn: bytes, abi: Abi) -> dict[str, int | str]:
    word = int.from_bytes(insn[:AARCH64_INSN_SIZE], "little")
    row = find(word)
    return {"form": row.name, **row.encoding.take_apart(word)}


@hookimpl
def arch_insn_flow(insn: bytes, vaddr: Vaddr, abi: Abi) -> Flow:
    if len(insn) < AARCH64_INSN_SIZE:
        return Flow(AARCH64_INSN_SIZE, "unknown")
    word = int.from_bytes(insn[:AARCH64_INSN_SIZE], "little")
    row = find(word)
    fields = row.encoding.take_apart(word)
    kind = _KINDS.get(row.name, "next")
    if row.name == "b":
        kind = "call" if fields["op"] else "jump"
    elif row.name == "exception":
        kind = "next" if (fields["opc"], fields["LL"]) == (0, _SVC) else "trap"
    elif row.name in ("eret", "eretaa"):
        kind = "trap"
    if kind not in ("branch", "jump", "call"):
        return Flow(AARCH64_INSN_SIZE, kind)
    target = None
    for name in fields.keys() & _OFFSETS.keys():
        offset = AARCH64_INSN_SIZE * signed(fields[name], _OFFSETS[name])
        target = Vaddr((vaddr + offset) & 0xFFFF_FFFF_FFFF_FFFF)
    return Flow(AARCH64_INSN_SIZE, kind, target)
