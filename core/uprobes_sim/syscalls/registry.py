"""The table of system calls, and how their arguments come out of registers (SYSCALL_DEFINE)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, Final

from uprobes_sim.arch import Abi

MAX_ARGS: Final = 6


class Kind(Enum):
    """C types of arguments."""

    INT = auto()
    UINT = auto()
    LONG = auto()
    ULONG = auto()
    LOFF = auto()


Int = Annotated[int, Kind.INT]
"""`int`: the low 32 bits of the register, signed."""

UInt = Annotated[int, Kind.UINT]
"""`unsigned int`: the low 32 bits of the register."""

Long = Annotated[int, Kind.LONG]
"""`long`: the whole register, signed."""

ULong = Annotated[int, Kind.ULONG]
"""`unsigned long`: the whole register."""

Ptr = ULong
"""Address in the task."""

LOff = Annotated[int, Kind.LOFF]
"""`loff_t`: 64 bits, signed; two registers of a 32-bit task."""

Handler = Callable[..., int | None]
"""Takes the kernel, the task and the arguments; None: there is nobody to answer any more."""

SYSCALLS: Final[dict[str, Handler]] = {}
"""Every simulated call by its name in the system call tables."""


def syscall(*aliases: str) -> Callable[[Handler], Handler]:
    """Enter `sys_NAME` under NAME and *aliases* of it that take the same arguments."""

    def enter(handler: Handler) -> Handler:
        for name in (handler.__name__.removeprefix("sys_"), *aliases):
            assert name not in SYSCALLS, f"{name} is there twice"
            SYSCALLS[name] = handler
        return handler

    return enter


@dataclass(frozen=True, slots=True)
class Argument:
    """How one argument is read."""

    kind: Kind
    index: int
    """Register that holds it, or its first half."""


def plan(handler: Handler, abi: Abi, *, aligned_pairs: bool) -> tuple[Argument, ...]:
    """Assign argument registers to the parameters of *handler*, the first two aside."""
    arguments = []
    index = 0
    for annotation in list(handler.__annotations__.values())[2:-1]:
        kind: Kind = annotation.__metadata__[0]
        pair = kind is Kind.LOFF and abi.bits == 32
        if pair and aligned_pairs:
            index += index % 2
        arguments.append(Argument(kind, index))
        index += 1 + pair
    assert index <= MAX_ARGS, handler.__name__
    return tuple(arguments)


def decode(arguments: Sequence[Argument], registers: Sequence[int], abi: Abi) -> list[int]:
    """Read the arguments out of *registers*, which are unsigned."""
    return [_decode(argument, registers, abi) for argument in arguments]


def _decode(argument: Argument, registers: Sequence[int], abi: Abi) -> int:
    value = registers[argument.index]
    match argument.kind:
        case Kind.INT:
            return signed(value, 32)
        case Kind.UINT:
            return value & 0xFFFFFFFF
        case Kind.LONG:
            return signed(value, abi.bits)
        case Kind.ULONG:
            return value & ((1 << abi.bits) - 1)
    if abi.bits == 32:
        first, second = value & 0xFFFFFFFF, registers[argument.index + 1] & 0xFFFFFFFF
        low, high = (first, second) if abi.byteorder == "little" else (second, first)
        value = high << 32 | low
    return signed(value, 64)


def signed(value: int, bits: int) -> int:
    """Read the low *bits* of *value* as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
