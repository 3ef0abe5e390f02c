"""The instruction set: one definition of each instruction, from which all else comes."""

import pkgutil
from functools import cache
from importlib import import_module

from uprobes_sim_powerpc.isa.define import TABLE, Insn


@cache
def load() -> tuple[Insn, ...]:
    """Import every definition."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return tuple(TABLE)
