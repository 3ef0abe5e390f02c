"""The opcode maps of a release: the newest ones, less what its decoder does not know."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from uprobes_sim.version import Kernel
from uprobes_sim_x86.tables import (
    EVEX_ONLY_BEFORE_APX,
    INVALID64,
    LEGACY,
    NEW_WITH_APX,
    ONE_BYTE,
    VECTOR,
    VECTOR_ONLY,
    opcodes,
)

ONE_BYTE_MAPS: Final = {
    32: ONE_BYTE,
    64: bytes(0 if op in INVALID64 else attr for op, attr in enumerate(ONE_BYTE)),
}

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Maps:
    """What a decoder knows: one attribute byte for each opcode of each map."""

    one_byte: Mapping[int, bytes]
    """By the mode of the task."""
    legacy: Mapping[tuple[str, int], bytes]
    vector: Mapping[tuple[str, int, int], bytes]
    apx: bool
    """d5 is a prefix, REX2."""
    xop: bool
    """8f is a prefix where the field behind it names a map from 8 on, but none is behind REX."""


@cache
def _maps(*, apx: bool, xop: bool) -> Maps:
    one_byte = ONE_BYTE_MAPS if xop else dict.fromkeys(ONE_BYTE_MAPS, ONE_BYTE)
    if apx:
        return Maps(one_byte, LEGACY, VECTOR, apx, xop)
    legacy = {key: _before_apx(key, table) for key, table in LEGACY.items()}
    vector = {key: _before_apx(key, table) for key, table in VECTOR.items()}
    return Maps(one_byte, legacy, vector, apx, xop)


def _before_apx(key: Key, table: bytes) -> bytes:
    """Take out what came with APX."""
    unknown = opcodes(NEW_WITH_APX.get(key, ""))
    evex = opcodes(EVEX_ONLY_BEFORE_APX.get(key, ""))
    return bytes(
        VECTOR_ONLY if opcode in evex else 0 if opcode in unknown else attr
        for opcode, attr in enumerate(table)
    )


NEWEST: Final = _maps(apx=True, xop=True)


def maps_of(kernel: Kernel) -> Maps:
    """Find the maps of a release."""
    return _maps(apx=kernel.has("x86_decodes_apx"), xop=kernel.has("x86_decodes_xop"))
