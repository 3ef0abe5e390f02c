"""What ends a run of instructions: meanings raise it, the engine catches it."""

from typing import Final

DATA_STORAGE: Final = 0x300
INSTRUCTION_STORAGE: Final = 0x400
ALIGNMENT: Final = 0x600
PROGRAM: Final = 0x700
DECREMENTER: Final = 0x900
SYSCALL: Final = 0xC00
TRACE: Final = 0xD00
"""Vectors of interrupts (Power ISA, book III, 7.2.2)."""


class Interrupt(Exception):
    """The processor enters the kernel."""


class Trapped(Interrupt):
    """A trap instruction fired."""


class SystemCall(Interrupt):
    """A system call instruction was executed."""


class Illegal(Interrupt):
    """An instruction is not there, or not in this form."""


class Privileged(Interrupt):
    """An instruction is not for user mode."""


class Misaligned(Interrupt):
    """An access must be aligned, and is not."""

    def __init__(self, ea: int) -> None:
        """Say where."""
        super().__init__(f"misaligned access at {ea:#x}")
        self.ea = ea


class Lacking(Interrupt):
    """The processor has this instruction, this engine has not."""
