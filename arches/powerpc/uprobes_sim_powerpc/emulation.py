"""`emulate_step` on its own: no program, no engine, and nothing kept of memory."""

from collections.abc import Callable

from uprobes_sim.task import Task
from uprobes_sim_powerpc.code import Code, code_of
from uprobes_sim_powerpc.mmu import Memory
from uprobes_sim_powerpc.regs import MSR_LE, PtRegs
from uprobes_sim_powerpc.sstep import emulate_step


class DirectMemory(Memory):
    """Memory that asks the address space at every access: what that holds may end at any byte."""

    def _loader(self, size: int) -> Callable[[int], int]:
        return lambda ea: int.from_bytes(self.load(ea, size), self.byteorder)

    def _storer(self, size: int) -> Callable[[int, int], None]:
        return lambda ea, value: self.store(ea, value.to_bytes(size, self.byteorder))

    def load(self, ea: int, size: int) -> bytes:
        """Read *size* bytes."""
        return self.mm.read(ea & self._mask, size)

    def store(self, ea: int, data: bytes) -> None:
        """Write *data*, all of it or, if a byte is missing, nothing."""
        self.probe_write(ea, len(data))
        self.mm.write(ea & self._mask, data)

    def probe_write(self, ea: int, size: int) -> None:
        """Make sure that *size* bytes can be written."""
        self.mm.write(ea & self._mask, self.mm.read(ea & self._mask, size))


def emulate(insn: int, task: Task) -> int:
    """Execute *insn* as `emulate_step` does, data in the byte order that MSR has."""
    regs = task.regs
    assert isinstance(regs, PtRegs)
    code = _code(task)
    code.memory.byteorder = "little" if regs.msr & MSR_LE else "big"
    return emulate_step(code, regs, insn, 8 if insn >> 32 else 4, task.config)


def _code(task: Task) -> Code:
    code = code_of(task.mm, task.config.cpu)
    if not isinstance(code.memory, DirectMemory):
        code.memory = DirectMemory(task.mm, code.stored_into)
    return code
