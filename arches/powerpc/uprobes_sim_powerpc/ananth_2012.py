"""The backend as first proposed in 2012: every trap is taken for uprobes' own breakpoint.

In the thread on linuxppc-dev, `is_swbp_insn` of powerpc was to answer for all trap variants.
The core then believes that a breakpoint is in place where a debugger's or the program's trap is.
"""

from uprobes_sim.arch import Abi
from uprobes_sim.hookspecs import hookimpl
from uprobes_sim_powerpc.insn import is_trap


@hookimpl
def is_swbp_insn(insn: bytes, abi: Abi) -> bool:
    return is_trap(int.from_bytes(insn[:4], abi.byteorder), abi.bits)
