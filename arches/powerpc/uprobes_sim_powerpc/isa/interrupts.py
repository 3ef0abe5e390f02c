"""What ends a run of instructions: meanings raise it, the engine catches it."""


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
