"""What a user access wants to do with a page, and why it may not."""

from enum import Enum, IntFlag
from typing import Final

from uprobes_sim.signals import SiCode, SigInfo, Signal
from uprobes_sim.units import Vaddr


class VmFlags(IntFlag):
    """`vm_flags` of a mapping (include/linux/mm.h)."""

    READ = 0x1
    WRITE = 0x2
    EXEC = 0x4
    SHARED = 0x8
    MAYREAD = 0x10
    MAYWRITE = 0x20
    MAYEXEC = 0x40
    MAYSHARE = 0x80
    GROWSDOWN = 0x100
    IO = 0x4000
    DONTCOPY = 0x20000
    HUGETLB = 0x400000


PROT_MASK: Final = VmFlags.READ | VmFlags.WRITE | VmFlags.EXEC


class Access(Enum):
    """What a user access wants to do with a page."""

    READ = VmFlags.READ
    WRITE = VmFlags.WRITE
    EXEC = VmFlags.EXEC

    def __init__(self, flag: VmFlags) -> None:
        """Keep the flag that the mapping must have as a plain number, which is quick."""
        self.needed = int(flag)


class Fault(Enum):
    """Why an access cannot be made good, as the signal tells the program."""

    UNMAPPED = (Signal.SIGSEGV, SiCode.SEGV_MAPERR)
    FORBIDDEN = (Signal.SIGSEGV, SiCode.SEGV_ACCERR)
    BEYOND_FILE = (Signal.SIGBUS, SiCode.BUS_ADRERR)
    """The mapping goes on, its file does not."""


class PageFault(Exception):
    """A user access that the kernel cannot make good.

    It travels from the access to whoever runs the task, as the exception of a
    processor does, and never leaves an engine.
    """

    def __init__(self, vaddr: int, access: Access, fault: Fault, *, present: bool = False) -> None:
        """Say why *access* to *vaddr* failed; *present*: a page is there all the same."""
        super().__init__(f"{access.name.lower()} at {vaddr:#x}")
        self.vaddr = Vaddr(vaddr)
        self.access = access
        self.fault = fault
        self.present = present

    @property
    def info(self) -> SigInfo:
        """The signal that the task gets."""
        return SigInfo(*self.fault.value, self.vaddr)
