"""How the kernel would execute an instruction that is probed, why, and what to beware of."""

import re
from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.insn_text import capstone_text
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Caution, Mechanism
from uprobes_sim.version import Config
from uprobes_sim_powerpc.abi import CPUS, capstone_mode
from uprobes_sim_powerpc.concerns import CONCERNS, Probed
from uprobes_sim_powerpc.decode import decoder, operands
from uprobes_sim_powerpc.errata import ERRATA
from uprobes_sim_powerpc.insn import is_prefix
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.sstep import obstacle

_NEWEST: Final = "3.1"
_WORDS: Final = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{8}){1,2}")


def mechanism(insn: int, abi: Abi, config: Config) -> Mechanism:
    """Say whether `emulate_step` does *insn*, on an ordinary hit that does not fault."""
    row = _find(insn, abi)
    if row is not None and _is_system_call(row, config):
        reason = "the kernel sets the registers up as if the call had just entered it"
        return Mechanism("emulate", "powerpc.emulate.syscall", reason)
    found = obstacle(row, insn, config, bits=abi.bits)
    if found is not None:
        return Mechanism("xol", f"powerpc.xol.{found.rule}", found.reason)
    assert row is not None
    kind = row.kernel or "BRANCH"  # bctar, where its loss is not to act
    return Mechanism(
        "emulate", f"powerpc.emulate.{kind.lower()}", f"the kernel emulates {row.name}"
    )


def _is_system_call(row: Insn, config: Config) -> bool:
    """Tell whether *row* is a call that this kernel lets through, and emulates."""
    fits = row.isa <= CPUS[config.cpu][0]
    return row.kernel == "SYSCALL" and fits and not config.kernel.has("powerpc_can_single_step")


def warnings(insn: int, abi: Abi, config: Config, *, is_suffix: bool) -> tuple[Caution, ...]:
    """List the known defects of the configured kernel that concern a probe on *insn*."""
    chosen = mechanism(insn, abi, config)
    emulated = chosen.how == "emulate"
    probed = Probed(_find(insn, abi), insn, abi, config.cpu, emulated, chosen.rule, is_suffix)
    return tuple(
        Caution(erratum.id, erratum.severity, erratum.effect)
        for erratum in ERRATA
        if erratum.id in config.in_force and _concerns(erratum.id, probed)
    )


def _concerns(erratum: str, probed: Probed) -> bool:
    return erratum in CONCERNS and CONCERNS[erratum](probed)


def fields(insn: int, abi: Abi) -> dict[str, int | str]:
    """Take *insn* apart by the names of the Power ISA; PO is the primary opcode."""
    row = _find(insn, abi)
    head: dict[str, int | str] = {"PO": insn >> 26 & 63}
    if insn > 0xFFFFFFFF:
        head = {"prefix type": insn >> 56 & 3, "suffix PO": insn >> 26 & 63}
    if row is None:
        return head
    return {"name": row.name, **head, **operands(row, insn)}


def text(insn: bytes, number: int, vaddr: Vaddr, abi: Abi) -> str:
    """Write an instruction as an assembler would, or by its fields where capstone lacks it."""
    written = capstone_text(capstone_mode(abi), insn, vaddr)
    if not written.startswith(".byte"):
        return written
    row = _find(number, abi)
    if row is None:
        return f".long {number >> 32 or number:#010x}"
    return " ".join(
        [row.name, *(f"{name}={value}" for name, value in operands(row, number).items())]
    )


def parse(text: str, abi: Abi) -> bytes:
    """Read an instruction as the Power ISA writes it: one word, or prefix and suffix.

    Raises:
        ValueError: that is no instruction.
    """
    if _WORDS.fullmatch(text) is None:
        raise ValueError("a word is 8 hexadecimal digits, a prefixed instruction is 16")
    digits = text.removeprefix("0x")
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    if len(words) == 2 and not (abi.bits == 64 and is_prefix(words[0])):
        raise ValueError(f"{digits[:8]} is no prefix, so there is no second word")
    return b"".join(word.to_bytes(4, abi.byteorder) for word in words)


def _find(insn: int, abi: Abi) -> Insn | None:
    """Find the definition of *insn*, whatever the processor."""
    return decoder(abi.bits, _NEWEST).find(insn)
