"""`emulate_step` on its own: no program, no engine, and nothing kept of memory."""

from collections.abc import Callable
from typing import Final

from uprobes_sim.task import Task
from uprobes_sim.version import Config
from uprobes_sim_powerpc.code import Code, code_of
from uprobes_sim_powerpc.errata import LOW_BITS
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS
from uprobes_sim_powerpc.isa.helpers import EQ, GT, LT, M32
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import MSR_LE, MSR_SF, PtRegs
from uprobes_sim_powerpc.sstep import EMULATED, emulate_step
from uprobes_sim_powerpc.writes import written_gprs

_UNTOUCHED: Final = 2
"""No value of a bit: CA32 has it while nobody has written a carry."""


class DirectMemory(Memory):
    """Memory that asks the address space at every access: what that holds may end at any byte."""

    narrow = False
    """The task is in 32-bit mode: addresses have 32 bits."""

    def _loader(self, size: int) -> Callable[[int], int]:
        return lambda ea: int.from_bytes(self.load(ea, size), self.byteorder)

    def _storer(self, size: int) -> Callable[[int, int], None]:
        return lambda ea, value: self.store(ea, value.to_bytes(size, self.byteorder))

    def _address(self, ea: int) -> int:
        return ea & (M32 if self.narrow else self._mask)

    def load(self, ea: int, size: int) -> bytes:
        """Read *size* bytes."""
        return self.mm.read(self._address(ea), size)

    def store(self, ea: int, data: bytes) -> None:
        """Write *data*, all of it or, if a byte is missing, nothing."""
        self.probe_write(ea, len(data))
        self.mm.write(self._address(ea), data)

    def probe_write(self, ea: int, size: int) -> None:
        """Make sure that *size* bytes can be written."""
        self.mm.write(self._address(ea), self.mm.read(self._address(ea), size))


def emulate(insn: int, task: Task) -> int:
    """Execute *insn* as `emulate_step` does, in the mode and the byte order that MSR has.

    The memory is what was given, and no user's: KUAP does not lock it.
    """
    regs = task.regs
    assert isinstance(regs, PtRegs)
    code = code_of(task.mm, task.config.cpu)
    if not isinstance(code.memory, DirectMemory):
        code.memory = DirectMemory(task.mm, code.stored_into)
    code.memory.byteorder = "little" if regs.msr & MSR_LE else "big"
    target = _target(code.decoder.find(insn), regs)
    size = 8 if insn >> 32 else 4
    code.memory.narrow = regs.bits == 64 and not regs.msr & MSR_SF
    execute = _emulate_narrow if code.memory.narrow else emulate_step
    result = execute(code, regs, insn, size, task.config, kuap=False)
    if target is not None and regs.nip == target & ~3 and task.config.acts(LOW_BITS):
        regs.nip = target
    return result


def _target(row: Insn | None, regs: PtRegs) -> int | None:
    """Give where a branch to a register would go, with the bits that the processor drops."""
    mask = M32 if not regs.msr & MSR_SF else regs.mask
    if row is None or row.name not in ("bclr[l]", "bcctr[l]"):
        return None
    return (regs.link if row.name == "bclr[l]" else regs.ctr) & mask


def _emulate_narrow(
    code: Code, regs: PtRegs, insn: int, size: int, config: Config, *, kuap: bool
) -> int:
    """Execute *insn* in 32-bit mode on a 64-bit processor.

    General registers keep their upper halves; addresses, carry and CR0 look at the lower ones
    (Power ISA, book I, 1.10.3; truncate_if_32bit and set_cr0 in the kernel).
    """
    row = code.decoder.find(insn)
    computes = row is not None and row.kernel == "COMPUTE"
    isa_300, ca32 = regs.isa_300, regs.ca32
    if computes:
        regs.isa_300, regs.ca32 = True, _UNTOUCHED
    result = emulate_step(code, regs, insn, size, config, kuap=kuap)
    regs.isa_300 = isa_300
    regs.nip &= M32
    if not computes:
        return result
    if regs.ca32 == _UNTOUCHED:
        regs.ca32 = ca32
    else:
        regs.ca = regs.ca32
        regs.ca32 = regs.ca32 if isa_300 else ca32
    assert row is not None
    if result == EMULATED and _records(row, insn):
        (target,) = written_gprs(row, insn)
        value = regs.gpr[target] & M32
        regs.cr[0] = (GT if 0 < value <= M32 >> 1 else LT if value else EQ) | regs.so
    return result


def _records(row: Insn, insn: int) -> bool:
    """Tell whether *insn* puts its result into CR0."""
    if "Rc" in row.fields:
        return bool(FIELDS["Rc"](insn))
    return row.name in ("addic.", "andi.", "andis.")
