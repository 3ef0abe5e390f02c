"""What the Unicorn engine and an architecture tell each other. Imports nothing of Unicorn."""

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from uprobes_sim.arch import Regs
from uprobes_sim.cpu import Exit
from uprobes_sim.memory import Mm, PageFault

if TYPE_CHECKING:
    from uprobes_sim.unicorn_cpu import UnicornCpu

STEPPED: Final = -1
"""Number of the exception after a single step that the engine has done by itself."""


class RegisterFile:
    """Registers of a task, laid out for Unicorn to load and store all at once."""

    __slots__ = ("context", "engine", "pending", "pointers", "values")

    def __init__(self, count: int) -> None:
        """Make *count* registers of up to 64 bits, all 0."""
        self.values: ctypes.Array[ctypes.c_uint64] = (ctypes.c_uint64 * count)()
        start = ctypes.addressof(self.values)
        self.pointers = (ctypes.c_void_p * count)(*range(start, start + 8 * count, 8))
        self.context: object = None
        """What Unicorn knows of the task beyond these while another one runs."""
        self.engine: UnicornCpu | None = None
        """The engine that holds the rest: floating point and vectors."""
        self.pending = dict[int, int]()
        """What was written to the rest before there was an engine."""

    def copy(self) -> "RegisterFile":
        """Take a copy, vectors and all."""
        new = RegisterFile(len(self.values))
        ctypes.pointer(new.values)[0] = self.values
        new.pending = dict(self.pending)
        if self.engine is not None:
            new.context, new.engine = self.engine.copy(self), self.engine
        return new

    def read(self, register: int) -> int:
        """Read a register of the rest, by Unicorn's id; before the task has run, what was set."""
        if self.engine is None:
            return self.pending.get(register, 0)
        return self.engine.read(self, register)

    def write(self, register: int, value: int) -> None:
        """Write a register of the rest; before the task has run, for its start."""
        if self.engine is None:
            self.pending[register] = value
        else:
            self.engine.write(self, register, value)


class UnicornRegs(Regs, Protocol):
    """Registers of an architecture that runs on this engine."""

    file: RegisterFile


@dataclass(frozen=True, slots=True)
class Block:
    """Code that is executed from its start to its end, unless something happens."""

    starts: tuple[int, ...]
    """Addresses of its instructions, up to a special one."""
    special: int | None = None
    """Address of the first one that the architecture wants to do itself."""


class Guest(Protocol):
    """What the engine asks an architecture. *regs* are loaded and exact in each call."""

    arch: int
    """UC_ARCH_*."""
    mode: int
    """UC_MODE_*."""
    cpu_model: int | None
    """UC_CPU_*; None: Unicorn's default."""
    registers: tuple[int, ...]
    """UC_*_REG_* of `RegisterFile.values`, in its order."""

    sticky: frozenset[int]
    """Interrupts after which Unicorn takes the next one for a fault while it handles this."""
    preserved: tuple[int, ...]
    """UC_*_REG_* of what else a task has: floating point and vectors."""

    @property
    def deadly(self) -> re.Pattern[bytes] | None:
        """Code that Unicorn must not even translate, but end the process; `special` executes it."""
        ...

    def boot(self, uc: Any) -> None:  # noqa: ANN401  Uc has no types
        """Bring a new processor to user mode. It has no memory yet."""
        ...

    def attach(self, uc: Any, interrupt: Callable[[int], None]) -> None:  # noqa: ANN401  Uc has no types
        """Set further hooks. Those that leave user mode call *interrupt*, then `interrupt` is."""
        ...

    def enter(self, uc: Any, regs: Any) -> None:  # noqa: ANN401  the guest's own registers
        """Store what does not go with `registers`, before a run."""
        ...

    def set_step(self, regs: Any, on: bool) -> bool | None:  # noqa: ANN401
        """Set or clear the step bit; answer what it was, None where there is no such bit."""
        ...

    def inspect(self, code: bytes, vaddr: int, size: int) -> Block:
        """Look at *code*, which lies at *vaddr*, before its first *size* bytes are executed.

        Unicorn may take the last of them for a whole instruction where more belong to it.
        """
        ...

    def special(self, regs: Any, mm: Mm) -> Exit | None:  # noqa: ANN401
        """Execute the special instruction at `regs.ip`; None: the program goes on.

        Raises:
            EngineError: nobody can.
        """
        ...

    def interrupt(self, regs: Any, number: int) -> Exit:  # noqa: ANN401
        """Name the exception that Unicorn knows by *number*."""
        ...

    def illegal(self, regs: Any) -> Exit | None:  # noqa: ANN401
        """Name the exception of an instruction that Unicorn lacks; None: `special` executes it."""
        ...

    def segfault(self, regs: Any, fault: PageFault) -> Exit:  # noqa: ANN401
        """Name the exception of an access that cannot be made good."""
        ...
