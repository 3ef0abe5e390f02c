"""Names of the stubs that lead to imported functions."""

import re
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

from uprobes_sim.loader import Program
from uprobes_sim.units import Vaddr

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

_SECOND: Final = ".plt.sec"
_FIRST: Final = ".plt"
_RELOCATIONS: Final = (".rela.plt", ".rel.plt")
_HEADED: Final = 16
"""Bytes of a stub, and of what stands before the first in `.plt`."""
_MOST: Final = 1 << 16
_STUB: Final = re.compile(r"(?:[0-9a-f]+\.plt_call\.|__plt_)([^+@]+)")


@lru_cache(maxsize=4)
def stub_names(program: Program) -> dict[Vaddr, str]:
    """Name the stubs of *program* by their addresses; none where that cannot be told."""
    named = {
        symbol.value: match[1]
        for symbol in program.symbols.symbols
        if (match := _STUB.match(symbol.name)) is not None
    }
    if program.e_machine not in (3, 62):
        return named
    from elftools.elf.elffile import ELFFile

    try:
        return named | _by_relocations(ELFFile(BytesIO(program.data)))
    except Exception:  # whatever pyelftools meets in a broken file
        return named


def _by_relocations(elf: "ELFFile") -> dict[Vaddr, str]:
    """The n-th stub belongs to the n-th relocation."""
    from elftools.elf.relocation import RelocationSection
    from elftools.elf.sections import SymbolTableSection

    relocations = next(filter(None, map(elf.get_section_by_name, _RELOCATIONS)), None)
    second = elf.get_section_by_name(_SECOND)
    stubs = second or elf.get_section_by_name(_FIRST)
    if not isinstance(relocations, RelocationSection) or stubs is None:
        return {}
    symbols = elf.get_section(relocations["sh_link"])
    if relocations.num_relocations() > _MOST or not isinstance(symbols, SymbolTableSection):
        return {}
    first = stubs["sh_addr"] + (0 if second else _HEADED)
    return {
        Vaddr(first + _HEADED * at): symbols.get_symbol(row["r_info_sym"]).name.partition("@")[0]
        for at, row in enumerate(relocations.iter_relocations())
    }
