"""What the core knows of an architecture."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, runtime_checkable

from uprobes_sim.uapi import GENERIC, Uapi
from uprobes_sim.units import Vaddr

ByteOrder = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class Abi:
    """The kind of task that a machine runs. One backend may serve several."""

    bits: Literal[32, 64]
    byteorder: ByteOrder

    def __str__(self) -> str:
        """Name it as messages do: `64-bit little-endian`."""
        return f"{self.bits}-bit {self.byteorder}-endian"


ABIS: Final = (Abi(64, "little"), Abi(64, "big"), Abi(32, "little"), Abi(32, "big"))
"""All that there are; a backend serves some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchInfo:
    """Constants of one architecture and ABI: <asm/uprobes.h> and its like."""

    name: str
    """Name of the plugin, as its entry point has it."""

    abi: Abi

    elf_machines: frozenset[int]
    """`e_machine` values of ELF files that this ABI runs."""

    swbp_insn: bytes
    """Breakpoint as it lies in memory (UPROBE_SWBP_INSN)."""

    opcode_bytes: int = 0
    """Bytes by which traps are told, where some are longer than the breakpoint
    (`sizeof(uprobe_opcode_t)`); 0: as many as the breakpoint has."""

    max_insn_bytes: int
    """Bytes copied from the file for one instruction (MAX_UINSN_BYTES)."""

    xol_slot_bytes: int
    """Distance of two out-of-line slots (UPROBE_XOL_SLOT_BYTES)."""

    task_size: int
    """First address beyond user space (TASK_SIZE)."""

    stack_top: Vaddr
    """Where the initial stack ends. Fixed: nothing here is randomised."""

    mmap_base: Vaddr
    """Highest address that mmap gives out; it goes down from here."""

    load_bias: Vaddr
    """Where a static-pie program is put (ELF_ET_DYN_BASE)."""

    syscall_table: str
    """Name of the table of system call numbers in the `system-calls` package."""

    machine: str
    """`uname -m`."""

    syscall_insn_size: int = 4
    """Length of the instruction that makes a system call; it may be executed again."""

    uapi: Uapi = GENERIC
    """Numbers and structures of the system call interface (include/uapi/asm)."""

    cpus: tuple[str, ...] = ("generic",)
    """Processors that verdicts distinguish (`--cpu`), the default first."""

    capstone: tuple[int, int] | None = None
    """Architecture and mode for capstone, which writes the text of an instruction."""

    exec_readable: bool = True
    """A page that may only be executed can be read all the same."""

    claims: tuple[str, ...] = field(default=())
    """Capabilities that the conformance suite may hold the backend to."""

    @property
    def swbp_size(self) -> int:
        """Length of the breakpoint, in bytes (UPROBE_SWBP_INSN_SIZE)."""
        return len(self.swbp_insn)

    @property
    def opcode_size(self) -> int:
        """Length of what `is_trap_insn` is asked about, in bytes (sizeof(uprobe_opcode_t))."""
        return self.opcode_bytes or self.swbp_size


class Regs(Protocol):
    """All that the core knows of a pt_regs and the rest of a task's registers.

    Registers have names, as the kernel's pt_regs has them (`gpr3`, `nip`; `ax`,
    `ip`). A value is an unsigned number as wide as the register.
    """

    ip: Vaddr
    """Next instruction (instruction_pointer)."""

    sp: Vaddr
    """User stack pointer (user_stack_pointer)."""

    def names(self) -> Iterable[str]:
        """Name every register, in the order in which people read them."""
        ...

    def get(self, name: str) -> int:
        """Read a register. Raises `KeyError` for a name that is not in `names`."""
        ...

    def set(self, name: str, value: int) -> None:
        """Write a register. Raises `KeyError` for a name that is not in `names`."""
        ...


@runtime_checkable
class ComparableRegs(Regs, Protocol):
    """Registers that find differences faster than by reading each; no backend needs this."""

    def differing(self, other: Regs) -> Iterable[str]:
        """Name, in the order of `names`, every register whose value is not that of *other*."""
        ...


class ArchUprobe(Protocol):
    """`struct arch_uprobe`: the backend's own part of a probe.

    The core assumes these two members and knows nothing else of it.
    """

    insn: bytes
    """The instruction as copied from the file, `max_insn_bytes` long."""

    ixol: bytes
    """What goes into the out-of-line slot."""
