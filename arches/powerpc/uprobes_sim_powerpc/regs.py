"""Registers of a task: `struct pt_regs`, and `struct thread_struct` for the vectors."""

from collections.abc import Callable
from operator import attrgetter
from typing import Final, Literal

from uprobes_sim.arch import Regs
from uprobes_sim.units import Vaddr

MSR_SF: Final = 1 << 63
MSR_EE: Final = 1 << 15
MSR_PR: Final = 1 << 14
MSR_ME: Final = 1 << 12
MSR_SE: Final = 1 << 10
MSR_BE: Final = 1 << 9
MSR_IR: Final = 1 << 5
MSR_DR: Final = 1 << 4
MSR_RI: Final = 1 << 1
MSR_LE: Final = 1

MSR_USER: Final = MSR_EE | MSR_PR | MSR_ME | MSR_IR | MSR_DR | MSR_RI

NO_RESERVATION: Final = -1

_XER_SHIFTS: Final = {"so": 31, "ov": 30, "ca": 29, "ov32": 19, "ca32": 18}
_XER_KEPT: Final = 0xFFFFFFFF & ~sum(1 << shift for shift in _XER_SHIFTS.values())

_M64: Final = (1 << 64) - 1


class PtRegs:
    """All registers that user mode has, in the shape in which instructions want them.

    CR and XER lie apart, by field and by bit; `ccr` and `xer` put them together. The first half
    of VSR n is `hi[n]`, the second `lo[n]`: FPR n is `hi[n]`, VR n is VSR 32 + n.
    """

    __slots__ = (
        "bits",
        "ca",
        "ca32",
        "cr",
        "ctr",
        "elf_v1",
        "fpscr",
        "gpr",
        "hi",
        "isa_300",
        "link",
        "lo",
        "mask",
        "msr",
        "nip",
        "orig_gpr3",
        "ov",
        "ov32",
        "reserve_ea",
        "so",
        "spr",
        "tar",
        "tb",
        "trap",
        "vrsave",
        "vscr",
        "xer_rest",
    )

    def __init__(
        self, bits: Literal[32, 64] = 64, msr: int = MSR_USER, *, isa_300: bool = True
    ) -> None:
        """Start with all zeros; *bits* is the width of a general purpose register.

        *isa_300*: the processor has Power ISA 3.0, and with it CA32 and OV32 in XER.
        """
        self.bits = bits
        self.isa_300 = isa_300
        self.mask = (1 << bits) - 1
        self.gpr = [0] * 32
        self.nip = 0
        self.msr = msr
        self.ctr = self.link = self.tar = 0
        self.cr = [0] * 8
        self.so = self.ov = self.ca = self.ov32 = self.ca32 = 0
        self.xer_rest = 0
        """Bits of XER that mean nothing, and the byte count of lswx."""
        self.hi = [0] * 64
        self.lo = [0] * 64
        self.fpscr = self.vscr = self.vrsave = 0
        self.spr: dict[int, int] = {}
        """Special purpose registers that only keep what is written (DSCR, PPR)."""
        self.tb = 0
        """Reads of the time base so far. Time is what passes between two of them."""
        self.reserve_ea = NO_RESERVATION
        self.orig_gpr3 = 0
        """First argument of the system call that the task has made last."""
        self.trap = 0
        """Vector of the interrupt by which it has entered the kernel last."""
        self.elf_v1 = False
        """A pointer to a function is that of a descriptor (not TIF_ELF2ABI)."""

    @property
    def ip(self) -> Vaddr:
        """Next instruction (instruction_pointer)."""
        return Vaddr(self.nip)

    @ip.setter
    def ip(self, value: Vaddr) -> None:
        self.nip = value

    @property
    def sp(self) -> Vaddr:
        """User stack pointer (user_stack_pointer)."""
        return Vaddr(self.gpr[1])

    @sp.setter
    def sp(self, value: Vaddr) -> None:
        self.gpr[1] = value

    @property
    def ccr(self) -> int:
        """The condition register, field 0 leftmost."""
        return int.from_bytes(
            bytes(self.cr[n] << 4 | self.cr[n + 1] for n in range(0, 8, 2)), "big"
        )

    @ccr.setter
    def ccr(self, value: int) -> None:
        self.cr[:] = [value >> shift & 15 for shift in range(28, -4, -4)]

    @property
    def xer(self) -> int:
        """The fixed-point exception register."""
        bits: int = sum(getattr(self, name) << shift for name, shift in _XER_SHIFTS.items())
        return bits | self.xer_rest

    @xer.setter
    def xer(self, value: int) -> None:
        for name, shift in _XER_SHIFTS.items():
            if self.isa_300 or not name.endswith("32"):
                setattr(self, name, value >> shift & 1)
        self.xer_rest = value & _XER_KEPT

    def names(self) -> tuple[str, ...]:
        """Name every register, in the order in which people read them."""
        return tuple(_VIEWS)

    def get(self, name: str) -> int:
        """Read a register. Raises `KeyError` for a name that is not in `names`."""
        return _VIEWS[name][0](self)

    def set(self, name: str, value: int) -> None:
        """Write a register. Raises `KeyError` for a name that is not in `names`."""
        _VIEWS[name][1](self, value)

    def differing(self, other: Regs) -> list[str]:
        """Name, in the order of `names`, every register whose value is not that of *other*."""
        assert isinstance(other, PtRegs)
        pairs = zip(self.gpr, other.gpr, strict=True)
        names = [f"gpr{n}" for n, (ours, theirs) in enumerate(pairs) if ours != theirs]
        for state, views in _STATES:
            if state(self) != state(other):
                names += [name for name in views if self.get(name) != other.get(name)]
        return names

    def copy(self) -> "PtRegs":
        """Take a copy, as fork does."""
        new = PtRegs(self.bits, self.msr)
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(new, name, value.copy() if isinstance(value, (list, dict)) else value)
        return new


_View = tuple[Callable[[PtRegs], int], Callable[[PtRegs, int], None]]


def _scalar(name: str, mask: int | None = None) -> _View:
    def write(regs: PtRegs, value: int) -> None:
        setattr(regs, name, value & (regs.mask if mask is None else mask))

    return lambda regs: getattr(regs, name), write


def _element(file: str, number: int, mask: int | None = None) -> _View:
    def write(regs: PtRegs, value: int) -> None:
        getattr(regs, file)[number] = value & (regs.mask if mask is None else mask)

    return lambda regs: getattr(regs, file)[number], write


def _vsr(number: int) -> _View:
    def write(regs: PtRegs, value: int) -> None:
        regs.hi[number], regs.lo[number] = value >> 64 & _M64, value & _M64

    return lambda regs: regs.hi[number] << 64 | regs.lo[number], write


_VIEWS: Final[dict[str, _View]] = {
    **{f"gpr{n}": _element("gpr", n) for n in range(32)},
    "nip": _scalar("nip"),
    "msr": _scalar("msr"),
    "ctr": _scalar("ctr"),
    "link": _scalar("link"),
    "xer": _scalar("xer", 0xFFFFFFFF),
    "ccr": _scalar("ccr", 0xFFFFFFFF),
    **{f"fpr{n}": _element("hi", n, _M64) for n in range(32)},
    **{f"vr{n}": _vsr(32 + n) for n in range(32)},
    **{f"vsr{n}": _vsr(n) for n in range(64)},
    "fpscr": _scalar("fpscr", _M64),
    "vscr": _scalar("vscr", 0xFFFFFFFF),
    "vrsave": _scalar("vrsave", 0xFFFFFFFF),
    "tar": _scalar("tar"),
}
"""How to read and write each register by name."""


def _numbered(*files: str) -> tuple[str, ...]:
    return tuple(name for name in _VIEWS if name.rstrip("0123456789") in files)


_STATES: Final = (
    (attrgetter("nip"), ("nip",)),
    (attrgetter("msr", "ctr", "link"), ("msr", "ctr", "link")),
    (attrgetter(*_XER_SHIFTS, "xer_rest"), ("xer",)),
    (attrgetter("cr"), ("ccr",)),
    (attrgetter("hi", "lo"), _numbered("fpr", "vr", "vsr")),
    (attrgetter("fpscr", "vscr", "vrsave", "tar"), ("fpscr", "vscr", "vrsave", "tar")),
)
"""What to compare, and the names of its registers; of those that are not general."""
