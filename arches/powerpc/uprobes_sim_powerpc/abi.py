"""Constants that depend on the ABI: 64-bit of either byte order, 32-bit big-endian."""

from typing import Final

from uprobes_sim.arch import Abi

CAPSTONE_PPC: Final = 4
CAPSTONE_MODES: Final = {32: 1 << 2, 64: 1 << 3}
CAPSTONE_BIG_ENDIAN: Final = 1 << 31


def capstone_mode(abi: Abi) -> tuple[int, int]:
    """Give what capstone wants to know (CS_ARCH_PPC, CS_MODE_*)."""
    big = CAPSTONE_BIG_ENDIAN if abi.byteorder == "big" else 0
    return CAPSTONE_PPC, CAPSTONE_MODES[abi.bits] | big
