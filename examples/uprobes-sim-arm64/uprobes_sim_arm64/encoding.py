"""Instruction words as the manual draws them: fixed bits, and fields with names."""

from dataclasses import dataclass, field

WORD_BITS = 32


@dataclass(frozen=True, slots=True)
class Encoding:
    """A pattern such as `sf:1 00 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5`, the highest bit first.

    A part is fixed bits, or a field and its width.
    """

    pattern: str
    mask: int = field(init=False)
    value: int = field(init=False)
    fields: dict[str, tuple[int, int]] = field(init=False, compare=False)
    """Lowest bit and width of each field."""

    def __post_init__(self) -> None:
        """Read the pattern."""
        mask = value = 0
        fields, at = dict[str, tuple[int, int]](), WORD_BITS
        for part in self.pattern.split():
            name, colon, width = part.partition(":")
            at -= int(width) if colon else len(part)
            if colon:
                fields[name] = at, int(width)
            else:
                mask |= (1 << len(part)) - 1 << at
                value |= int(part, 2) << at
        assert at == 0, f"{self.pattern}: {WORD_BITS - at} bits"
        for name, found in (("mask", mask), ("value", value), ("fields", fields)):
            object.__setattr__(self, name, found)

    def __contains__(self, word: int) -> bool:
        """Tell whether *word* fits."""
        return word & self.mask == self.value

    def take_apart(self, word: int) -> dict[str, int]:
        """Read the fields of a word that fits, unsigned."""
        return {name: word >> at & (1 << width) - 1 for name, (at, width) in self.fields.items()}

    def put_together(self, **values: int) -> int:
        """Write a word; fields that are not named are 0."""
        word = self.value
        for name, value in values.items():
            at, width = self.fields[name]
            assert 0 <= value < 1 << width, f"{name} of {self.pattern}"
            word |= value << at
        return word


def signed(value: int, bits: int) -> int:
    """Read the low *bits* of *value* as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
