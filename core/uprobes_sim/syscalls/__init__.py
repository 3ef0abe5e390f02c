"""System calls: what static programs need of kernel/, mm/ and fs/, by name."""

from uprobes_sim.syscalls.dispatch import Syscalls

__all__ = ["Syscalls"]
