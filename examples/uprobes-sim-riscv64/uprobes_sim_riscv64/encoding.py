"""Instructions as the manual draws them: fixed bits, and fields with names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_IMMEDIATE: Final = re.compile(r"imm_(\d+)(?:_(\d+))?")


@dataclass(frozen=True, slots=True)
class Encoding:
    """A pattern such as `imm_11_0:12 rs1:5 000 rd:5 0010011`, the highest bit first.

    A part is fixed bits, or a field and its width. `imm_10_5` holds bits 10 to 5 of the
    immediate. There are 32 bits in all, or 16 of a compressed instruction.
    """

    pattern: str
    bits: int = field(init=False)
    mask: int = field(init=False)
    value: int = field(init=False)
    fields: dict[str, tuple[int, int]] = field(init=False, compare=False)
    """Lowest bit and width of each field."""

    def __post_init__(self) -> None:
        """Read the pattern."""
        parts = [part.partition(":") for part in self.pattern.split()]
        widths = [int(width) if colon else len(name) for name, colon, width in parts]
        bits = at = sum(widths)
        assert bits in (16, 32), f"{self.pattern}: {bits} bits"
        mask = value = 0
        fields = dict[str, tuple[int, int]]()
        for (name, colon, _), width in zip(parts, widths, strict=True):
            at -= width
            if colon:
                fields[name] = at, width
            else:
                mask |= (1 << width) - 1 << at
                value |= int(name, 2) << at
        found = {"bits": bits, "mask": mask, "value": value, "fields": fields}
        for name, each in found.items():
            object.__setattr__(self, name, each)

    def __contains__(self, word: int) -> bool:
        """Tell whether the instruction that *word* begins with fits."""
        return word & self.mask == self.value

    def take_apart(self, word: int) -> dict[str, int]:
        """Read the fields of a word that fits, unsigned."""
        return {name: word >> at & (1 << width) - 1 for name, (at, width) in self.fields.items()}

    def put_together(self, fields: Mapping[str, int]) -> int:
        """Write an instruction; a field that is not named is 0."""
        word = self.value
        for name, value in fields.items():
            at, width = self.fields[name]
            assert 0 <= value < 1 << width, f"{name} of {self.pattern}"
            word |= value << at
        return word

    def put_immediate(self, value: int) -> dict[str, int]:
        """Spread an immediate over the fields that hold it."""
        return {
            name: value >> low & (1 << width) - 1
            for name, (_, width) in self.fields.items()
            for low in _lowest_bit(name)
        }


def immediate(fields: Mapping[str, int]) -> int:
    """Put the immediate together from the fields that hold it, signed."""
    value = top = 0
    for name, part in fields.items():
        found = _IMMEDIATE.fullmatch(name)
        if found is not None:
            value |= part << int(found[2] or found[1])
            top = max(top, int(found[1]))
    return signed(value, top + 1)


def _lowest_bit(name: str) -> tuple[int, ...]:
    found = _IMMEDIATE.fullmatch(name)
    return () if found is None else (int(found[2] or found[1]),)


def insn_size(word: int) -> int:
    """Length of the instruction that *word* begins with, in bytes (GET_INSN_LENGTH)."""
    return 4 if word & 3 == 3 else 2


def signed(value: int, bits: int) -> int:
    """Read the low *bits* of *value* as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
